"""The last maps of pixels, and the weights that make class scores of their means."""

from __future__ import annotations

from ..core.class_map import ClassMap
from ..core.needs import Needs
from ..core.record import recorded
from ..errors import SeewhyError
from .eye import Eye, Pixels
from .passing.outputs import failure


def class_map(eye: Eye, pixels: Pixels) -> ClassMap:
    """Of pixels (B, H, W, 3) uint8, one batch.

    Raises:
        MethodError: the network's scores are not made of the means of its last maps.
        ModelError: the network raises something.
    """
    try:
        with recorded(eye.classifier, eye.inputs(pixels), None, Needs(class_map=True)) as record:
            eye.forwards += len(pixels)
            return record.class_map()
    except SeewhyError:
        raise
    except Exception as error:
        raise failure(error) from error
