"""Facts about a picture: its size, its light and colours, its sharpness, and what JPEG left of it."""

from __future__ import annotations

import numpy as np
from PIL import Image

FACTS = (
    "width", "height", "aspect", "brightness", "contrast", "saturation", "red", "green", "blue", "sharpness",
    "jpeg_quality",
)  # fmt: skip
"""Names of the facts. Light and colours are in [0, 1]; red, green and blue are the mean colour less the mean grey."""

LONGER = 256
"""Pixels of the longer side that a photo is reduced to before it is measured."""

_BASE_SUM = 16 + 11 + 10 + 16 + 24 + 40 + 51 + 61
"""Of the first row of the luminance table that quality 50 uses (ITU-T T.81, table K.1)."""


def facts_of(photo: Image.Image, quality: float = float("nan")) -> dict[str, float]:
    """The facts of a photo.

    Args:
        photo: upright, RGB.
        quality: of its JPEG, 1 to 100; NaN where it is none.
    """
    small = photo.reduce(max(1, max(photo.size) // LONGER))
    pixels = np.asarray(small.convert("RGB"), np.float32) / 255
    grey = pixels.mean(2)
    colour = pixels.mean((0, 1))
    down, across = (np.abs(np.diff(grey, axis=axis)) for axis in (0, 1))
    steps = np.concatenate([down.ravel(), across.ravel()])
    red, green, blue = (colour - grey.mean()).tolist()
    return {
        "width": photo.width, "height": photo.height, "aspect": photo.width / photo.height,
        "brightness": float(grey.mean()), "contrast": float(grey.std()),
        "saturation": float((pixels.max(2) - pixels.min(2)).mean()), "red": red, "green": green, "blue": blue,
        "sharpness": float(steps.mean()) if len(steps) else 0.0, "jpeg_quality": quality,
    }  # fmt: skip


def jpeg_quality(opened: Image.Image) -> float:
    """The quality, 1 to 100, with which the usual tables would give a file's own; NaN where it is no JPEG.

    Args:
        opened: a file, opened and not decoded.
    """
    tables = getattr(opened, "quantization", None)
    if not tables or 0 not in tables:
        return float("nan")
    scale = 100 * sum(list(tables[0])[:8]) / _BASE_SUM
    return float(np.clip((200 - scale) / 2 if scale <= 100 else 5000 / scale, 1, 100))
