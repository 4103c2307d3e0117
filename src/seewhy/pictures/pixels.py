"""From every pixel format that a file may hold to 8-bit RGB, scaled and never clipped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

Colour = tuple[int, int, int]


STRIP = 1 << 17
"""Pixels that are converted at a time: NumPy's and Pillow's copies of a whole photo take gigabytes, and
those of a strip stay in the processor's cache."""


def to_rgb(image: Image.Image, raw_modes: str, background: Colour) -> tuple[Image.Image, list[str]]:
    """Convert a loaded image, and say what was changed.

    * 16 and 12 bits per channel are scaled by their full range (65535 or 4095), whatever the picture holds.
    * Larger integers are scaled from the picture's own smallest to its own largest value.
    * Floats are taken as 0..1 where all of them are in that range, else as 0..255 where all are in that
      range, else scaled from the smallest to the largest; pixels that are not finite are shown as black.
    * Transparent pixels, a transparent palette entry or colour are blended over ``background``.
    * CMYK (the inverted values of Adobe's JPEGs as well) is converted without a colour profile.

    Args:
        image: any mode, pixels loaded.
        raw_modes: the decoder's raw modes, such as ``"RGB;16B"``; they alone tell 16 bit colour from 8.
        background: 0..255, what shows through.

    Returns:
        An RGB image without metadata, and one sentence for each thing that was changed.
    """
    notes: list[str] = []
    numbers = image.mode == "F" or image.mode.startswith("I")
    low, high = 0.0, 0.0
    if numbers:
        low, high, note = _range(image, raw_modes)
        notes.append(note)
    elif ";16" in raw_modes:  # Pillow keeps the high byte of 16 bit colour
        notes.append("16 bit per channel, scaled to 8")
    transparent = not numbers and image.has_transparency_data
    # New, so that nothing of where and when the photo was taken travels into figures and reports.
    rgb = Image.new("RGB", image.size)
    seen_through = False
    for top, strip in _strips(image):
        if numbers:
            strip = _grey(strip, low, high)
        if transparent:
            strip = strip.convert("RGBA")
            seen_through = seen_through or bool(np.asarray(strip.getchannel("A")).min() < 255)
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, (*background, 255)), strip)
        rgb.paste(strip.convert("RGB"), (0, top))
    if seen_through:
        notes.append(f"transparent pixels shown over {_name(background)}")
    return rgb, notes


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The image in strips of whole rows, with the row where each begins."""
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _range(image: Image.Image, raw_modes: str) -> tuple[float, float, str]:
    """The values that are shown as black and white, and what to say of it."""
    low, high, all_finite = np.inf, -np.inf, True
    for _, strip in _strips(image):
        values = np.asarray(strip)
        if not (finite := np.isfinite(values)).all():
            values, all_finite = values[finite], False
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    low, high = (low, high) if low <= high else (0.0, 0.0)
    if image.mode == "F":
        low, high, note = _float_range(low, high)
        return low, high, note if all_finite else f"{note}; pixels that are not finite are black"
    if ";12" in raw_modes:
        return 0.0, 4095.0, "12 bit per channel, scaled to 8"
    if low >= 0 and high <= 65535:
        return 0.0, 65535.0, "16 bit per channel, scaled to 8"
    return low, high, f"32 bit integers, scaled from {low:g} … {high:g}"


def _grey(strip: Image.Image, low: float, high: float) -> Image.Image:
    values = np.asarray(strip).astype(np.float64)
    # Halves first: high - low may be beyond what a float holds.
    span = high / 2 - low / 2
    unit = (np.where(np.isfinite(values), values, low) / 2 - low / 2) / (span if span > 0 else 1.0)
    return Image.fromarray(np.rint(unit * 255).clip(0, 255).astype(np.uint8))


def _float_range(low: float, high: float) -> tuple[float, float, str]:
    if low >= 0 and high <= 1:
        return 0.0, 1.0, "floating point, taken as 0 … 1"
    if low >= 0 and high <= 255:
        return 0.0, 255.0, "floating point, taken as 0 … 255"
    return low, high, f"floating point, scaled from {low:g} … {high:g}"


def _name(colour: Colour) -> str:
    known = {(255, 255, 255): "white", (0, 0, 0): "black"}
    return known.get(colour, f"#{colour[0]:02x}{colour[1]:02x}{colour[2]:02x}")
