"""Everything that watches one forward of a record, entered and left together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import torch

from ..interrupts import shielded
from .class_map import Known, Watch
from .taps import Taps
from .torch_state import active
from .visible_relu import VisibleReLU
from .without_nan import WithoutNaN


@shielded
def watched(taps: Taps, maps: Watch | Known | None, visible: bool, without_nan: bool) -> Iterator[None]:
    """Record what a forward in the block does.

    Args:
        taps: listen to layers; they also say whether a graph is wanted.
        maps: looks for what CAM needs.
        visible: whether every ReLU is to be seen on the graph.
        without_nan: whether NaN that the network holds is to count as zero.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.set_grad_enabled(taps.graph))
        if without_nan:  # first, so that the others do not see what it asks
            stack.enter_context(active(WithoutNaN()))
        stack.enter_context(taps.listening())
        if maps is not None:
            stack.enter_context(maps.watching())
        if visible:
            stack.enter_context(active(VisibleReLU()))
        yield
