"""Facts about a picture: its size, its light and colours, its sharpness, and what JPEG left of it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.JpegImagePlugin import get_sampling

FACTS = (
    "width", "height", "aspect", "brightness", "contrast", "saturation", "red", "green", "blue", "sharpness",
    "border", "jpeg_quality", "subsampling",
)  # fmt: skip
"""Names of the facts. Light and colours are in [0, 1]; red, green and blue are the mean colour less the mean grey."""

FLAT = 8
"""Levels of 255 that a frame of one colour may vary by: what JPEG does to it."""

LONGER = 256
"""Pixels of the longer side that a photo is reduced to before it is measured."""

_BASE_SUM = 16 + 11 + 10 + 16 + 24 + 40 + 51 + 61
"""Of the first row of the luminance table that quality 50 uses (ITU-T T.81, table K.1)."""


NAN = float("nan")


@dataclass(frozen=True)
class Jpeg:
    """What a JPEG file tells of how it was made.

    Attributes:
        quality: 1 to 100, with which the usual tables would give the file's own; NaN where it is no JPEG.
        subsampling: chroma samples per pixel: 1 (4:4:4), 0.5 (4:2:2), 0.25 (4:2:0); NaN for others, and no JPEG.
    """

    quality: float = NAN
    subsampling: float = NAN


def facts_of(photo: Image.Image, jpeg: Jpeg | None = None) -> dict[str, float]:
    """The facts of a photo.

    Args:
        photo: upright, RGB.
        jpeg: of its file; None where it is no JPEG.
    """
    jpeg = jpeg or Jpeg()
    small = photo.convert("RGB").reduce(max(1, -(-max(photo.size) // LONGER)))
    seen = np.asarray(small)
    planes = np.ascontiguousarray(np.moveaxis(seen, 2, 0)).astype(np.float32) / 255  # a plane at a time is faster
    grey = planes.mean(0)
    colour = planes.mean((1, 2))
    down, across = (np.abs(np.diff(grey, axis=axis)) for axis in (0, 1))
    steps = np.concatenate([down.ravel(), across.ravel()])
    red, green, blue = (colour - grey.mean()).tolist()
    return {
        "width": photo.width, "height": photo.height, "aspect": photo.width / photo.height,
        "brightness": float(grey.mean()), "contrast": float(grey.std()),
        "saturation": float((planes.max(0) - planes.min(0)).mean()), "red": red, "green": green, "blue": blue,
        "sharpness": float(steps.mean()) if len(steps) else 0.0, "border": border_of(seen),
        "jpeg_quality": jpeg.quality, "subsampling": jpeg.subsampling,
    }  # fmt: skip


def border_of(pixels: npt.NDArray[np.uint8]) -> float:
    """The share of a picture (H, W, 3) that is a frame of one colour: the lines at its sides that vary by no more than
    ``FLAT`` from the colour of the corner that they begin at; 1 where all of it does.
    """
    height, width = map(int, pixels.shape[:2])
    wide = pixels.astype(np.int16)

    def first(corner: tuple[int, int]) -> tuple[int, int]:
        """How many rows and columns from this corner on are flat."""
        start = pixels[corner].astype(np.int16)
        near = np.logical_and.reduce([np.abs(wide[..., channel] - start[channel]) <= FLAT for channel in range(3)])
        near = near[:: -1 if corner[0] else 1, :: -1 if corner[1] else 1]
        down, across = near.all(1), near.all(0)
        return (
            height if down.all() else int(np.argmin(down)),
            width if across.all() else int(np.argmin(across)),
        )  # fmt: skip

    (top, left), (bottom, right) = first((0, 0)), first((-1, -1))
    inner = max(0, height - top - bottom) * max(0, width - left - right)
    return 1 - inner / (height * width)


def jpeg_of(path: str | os.PathLike[str]) -> Jpeg:
    """What the header of a file tells; of a file that is no JPEG, or a broken one, nothing.

    Args:
        path: of a file that could be read as a photo.
    """
    try:
        with Image.open(path, formats=("JPEG",)) as opened:
            tables = getattr(opened, "quantization", None)
            if not tables or 0 not in tables:
                return Jpeg()
            scale = 100 * sum(list(tables[0])[:8]) / _BASE_SUM
            quality = float(np.clip((200 - scale) / 2 if scale <= 100 else 5000 / scale, 1, 100))
            return Jpeg(quality, {0: 1.0, 1: 0.5, 2: 0.25}.get(get_sampling(opened), NAN))
    except (OSError, ValueError, SyntaxError, LookupError, TypeError):  # what Pillow throws at a broken header
        return Jpeg()
