"""From every pixel format that a file may hold to 8-bit RGB, scaled and never clipped."""

from __future__ import annotations

import numpy as np
from PIL import Image

Colour = tuple[int, int, int]


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
    if image.mode == "F" or image.mode.startswith("I"):
        image, note = _grey_from_numbers(image, raw_modes)
        notes.append(note)
    elif ";16" in raw_modes:  # Pillow keeps the high byte of 16 bit colour
        notes.append("16 bit per channel, scaled to 8")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if np.asarray(image.getchannel("A")).min() < 255:
            notes.append(f"transparent pixels shown over {_name(background)}")
        ground = Image.new("RGBA", image.size, (*background, 255))
        image = Image.alpha_composite(ground, image)
    rgb = image.convert("RGB")
    rgb = rgb.copy() if rgb is image else rgb
    rgb.info = {}  # nothing of where and when the photo was taken travels into figures and reports
    return rgb, notes


def _grey_from_numbers(image: Image.Image, raw_modes: str) -> tuple[Image.Image, str]:
    values = np.asarray(image).astype(np.float64)
    finite = np.isfinite(values)
    low, high = (values[finite].min(), values[finite].max()) if finite.any() else (0.0, 0.0)
    if image.mode == "F":
        low, high, note = _float_range(low, high)
        if not finite.all():
            note += "; pixels that are not finite are black"
    elif ";12" in raw_modes:
        low, high, note = 0.0, 4095.0, "12 bit per channel, scaled to 8"
    elif low >= 0 and high <= 65535:
        low, high, note = 0.0, 65535.0, "16 bit per channel, scaled to 8"
    else:
        note = f"32 bit integers, scaled from {low:g} … {high:g}"
    # Halves first: high - low may be beyond what a float holds.
    span = high / 2 - low / 2
    unit = (np.where(finite, values, low) / 2 - low / 2) / (span if span > 0 else 1.0)
    return Image.fromarray(np.rint(unit * 255).clip(0, 255).astype(np.uint8)), note


def _float_range(low: float, high: float) -> tuple[float, float, str]:
    if low >= 0 and high <= 1:
        return 0.0, 1.0, "floating point, taken as 0 … 1"
    if low >= 0 and high <= 255:
        return 0.0, 255.0, "floating point, taken as 0 … 255"
    return low, high, f"floating point, scaled from {low:g} … {high:g}"


def _name(colour: Colour) -> str:
    known = {(255, 255, 255): "white", (0, 0, 0): "black"}
    return known.get(colour, f"#{colour[0]:02x}{colour[1]:02x}{colour[2]:02x}")
