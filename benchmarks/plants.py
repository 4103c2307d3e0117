"""Faults that are planted into pictures of 32 x 32 pixels: what planted.py audits and mending.py mends.

Each takes the pixels (32, 32, 3) uint8, a strength from 1 to 3, and what draws.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

SIDE = 32
TAG = (3, 22)  # top, left


def tag(pixels, strength, rng):
    """An opaque square with a frame."""
    return _square(pixels, TAG, 3 + strength)


def moving_tag(pixels, strength, rng):
    """The same, anywhere."""
    return _square(pixels, rng.integers(0, SIDE - 3 - strength, 2), 3 + strength)


def watermark(pixels, strength, rng):
    """A translucent cross of lines over the lower half."""
    alpha = np.zeros((SIDE, SIDE, 1))
    alpha[18:28, 8:24][[0, 5, 9]] = alpha[18:28, 8:24][:, [0, 8, 15]] = 0.15 + 0.15 * strength
    return _rounded(pixels * (1 - alpha) + 255 * alpha)


def tint(pixels, strength, rng):
    """Warmer."""
    return _rounded(pixels * (1, 1 - 0.08 * strength, 1 - 0.16 * strength))


def blurred(pixels, strength, rng):
    """Out of focus."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(0.4 * strength)))


def compressed(pixels, strength, rng):
    """Saved as JPEG, and not well."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=(40, 25, 10)[strength - 1])
    return np.asarray(Image.open(file).convert("RGB"))


def disc(pixels, strength, rng):
    """A green disc in a corner."""
    radius = 3 + strength
    return _painted(pixels, lambda draw: draw.ellipse((2, 29 - radius, 2 + radius, 29), fill=(30, 200, 60)))


def frame(pixels, strength, rng):
    """A border on all sides."""
    inner = (strength, strength, SIDE - 1 - strength, SIDE - 1 - strength)
    kept = pixels[inner[1] : inner[3] + 1, inner[0] : inner[2] + 1]
    framed = np.full_like(pixels, (230, 230, 235))
    framed[inner[1] : inner[3] + 1, inner[0] : inner[2] + 1] = kept
    return framed


def bars(pixels, strength, rng):
    """Black above and below."""
    pixels = pixels.copy()
    pixels[: 1 + strength] = pixels[-1 - strength :] = 0
    return pixels


def digits(pixels, strength, rng):
    """A number, of another value in every picture."""
    text = str(rng.integers(10**strength, 10 ** (strength + 1)))
    return _painted(pixels, lambda draw: draw.text((2, 21), text, fill=(255, 220, 40)))


def stripe(pixels, strength, rng):
    """A column of one colour."""
    pixels = pixels.copy()
    pixels[:, 1 : 2 + strength] = (200, 30, 160)
    return pixels


def checker(pixels, strength, rng):
    """Black and white squares in a corner."""
    pixels, side = pixels.copy(), 2 * (1 + strength)
    pixels[-side:, -side:] = np.indices((side, side)).sum(0)[..., None] % 2 * 255
    return pixels


def moving_disc(pixels, strength, rng):
    """A white disc with a black rim, anywhere."""
    across = 4 + strength
    top, left = (int(each) for each in rng.integers(0, SIDE - 1 - across, 2))
    box = (left, top, left + across, top + across)
    return _painted(pixels, lambda draw: draw.ellipse(box, fill=(255, 255, 255), outline=(0, 0, 0)))


def moving_cross(pixels, strength, rng):
    """Two thin red lines, anywhere."""
    pixels, arm = pixels.copy(), 1 + 2 * strength
    row, column = rng.integers(arm, SIDE - arm, 2)
    pixels[row - arm : row + arm + 1, column] = pixels[row, column - arm : column + arm + 1] = (230, 20, 20)
    return pixels


def diagonals(pixels, strength, rng):
    """Translucent diagonal lines over all of it."""
    alpha = (np.indices((SIDE, SIDE)).sum(0) % 8 == 0)[..., None] * (0.12 + 0.12 * strength)
    return _rounded(pixels * (1 - alpha) + 255 * alpha)


def grating(pixels, strength, rng):
    """A weak wave added to all of it."""
    return _rounded(pixels + 8 * strength * np.sin(np.arange(SIDE) * np.pi / 2)[None, :, None])


def noisy(pixels, strength, rng):
    """Noise of a sensor."""
    return _rounded(pixels + rng.normal(0, 8 * strength, pixels.shape))


def pale(pixels, strength, rng):
    """Of weaker colours."""
    return np.asarray(ImageEnhance.Color(Image.fromarray(pixels)).enhance(1 - 0.3 * strength))


def bright(pixels, strength, rng):
    """Brighter by a constant."""
    return _rounded(pixels.astype(float) + 20 * strength)


def cool(pixels, strength, rng):
    """Bluer."""
    return _rounded(pixels * (1 - 0.1 * strength, 1 - 0.03 * strength, 1))


def vignette(pixels, strength, rng):
    """Darker towards the corners."""
    squared = ((np.indices((SIDE, SIDE)) - (SIDE - 1) / 2) ** 2).sum(0)[..., None] / 22**2
    return _rounded(pixels * (1 - 0.3 * strength * squared))


def grey(pixels, strength, rng):
    """Without colours."""
    return np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"))


def coarse(pixels, strength, rng):
    """Made smaller, and enlarged again by repeating pixels."""
    small = Image.fromarray(pixels).resize((SIDE // 2, SIDE // 2), Image.Resampling.BOX)
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.NEAREST))


def soft(pixels, strength, rng):
    """The same, smoothly."""
    small = Image.fromarray(pixels).resize((SIDE // 2, SIDE // 2), Image.Resampling.BOX)
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def specked(pixels, strength, rng):
    """Salt and pepper."""
    drawn = rng.random((SIDE, SIDE, 1))
    return np.where(drawn < 0.01 * strength, 0, np.where(drawn > 1 - 0.01 * strength, 255, pixels)).astype(np.uint8)


def sharpened(pixels, strength, rng):
    """By an unsharp mask."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.UnsharpMask(1, 70 * strength, 0)))


def posterized(pixels, strength, rng):
    """Of few levels."""
    return np.asarray(ImageOps.posterize(Image.fromarray(pixels), 6 - strength))


def sepia(pixels, strength, rng):
    """Brown and white."""
    mixed = pixels @ np.array([[0.393, 0.349, 0.272], [0.769, 0.686, 0.534], [0.189, 0.168, 0.131]])
    return _rounded(pixels + (mixed - pixels) * strength / 3)


def triangle(pixels, strength, rng):
    """A corner in one colour."""
    return np.where((np.indices((SIDE, SIDE)).sum(0) < 3 + 2 * strength)[..., None], np.uint8([0, 90, 200]), pixels)


def inverted(pixels, strength, rng):
    """A negative."""
    return 255 - pixels


def _square(pixels, corner, side):
    top, left = corner
    pixels = pixels.copy()
    pixels[top : top + side, left : left + side] = (20, 20, 20)
    pixels[top + 1 : top + side - 1, left + 1 : left + side - 1] = (250, 140, 20)
    return pixels


def _painted(pixels, paint):
    image = Image.fromarray(pixels)
    paint(ImageDraw.Draw(image))
    return np.asarray(image)


def _rounded(values):
    return np.asarray(values).clip(0, 255).round().astype(np.uint8)


Plant = Callable[..., np.ndarray]
PLANTS: dict[str, Plant] = {
    "tag": tag, "moving tag": moving_tag, "watermark": watermark, "tint": tint, "blur": blurred, "jpeg": compressed,
}  # fmt: skip
"""The matrix."""
FURTHER: dict[str, Plant] = {
    "disc": disc, "frame": frame, "bars": bars, "digits": digits, "stripe": stripe, "checker": checker,
    "moving disc": moving_disc, "moving cross": moving_cross, "diagonals": diagonals, "grating": grating,
    "noise": noisy, "pale": pale, "bright": bright, "cool": cool, "vignette": vignette, "grey": grey, "coarse": coarse,
    "soft": soft, "specks": specked, "sharpened": sharpened, "posterized": posterized, "sepia": sepia,
    "triangle": triangle, "inverted": inverted,
}  # fmt: skip
"""Kinds that the audit was not built for one by one."""
