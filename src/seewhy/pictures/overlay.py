"""A map on its photo: colour where there is evidence, the greyed photo where there is none."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seewhy.errors import InputError
from seewhy.pictures.colormaps import OWN, Floats, Kind, Scale, find_colormap, position, table

# All of these were chosen by eye, on photos with fine and coarse texture, dark and light.
GROUND_OF_COARSE = 0.56  # the grey photo under a coarse map runs from this to white, ...
GROUND_OF_FINE = 0.86  # ... and under a pixel-fine map it is only a hint
MOST = 0.85  # opacity at the end of the scale
RISE = 0.5  # opacity grows with this power of the magnitude: weak evidence is seen too
RELIEF = 0.35  # how much of the photo's light and dark the colours keep

# Colour maps that are not ours colour zero too: they are laid evenly over the grey photo, coarse maps more thinly.
EVEN_OF_COARSE = 0.6
EVEN_OF_FINE = 1.0

TAIL = 1.0  # per cent of the pixels, at each end, that may become black or white when the grey photo is stretched
MOST_GAIN = 4.0  # a photo of nearly one grey is stretched no further: its noise would look like a picture

COARSE = 4  # a map with cells of at least so many pixels is coarse
ROUGH = 0.25  # ... and so is one whose neighbouring values differ by a smaller share of their mean magnitude


def overlay(
    photo: Image.Image,
    values: Floats,
    *,
    scale: Scale | None = None,
    fine: bool | None = None,
    colormap: str = OWN,
    opacity: float = 1.0,
) -> Image.Image:
    """Draw a map over the picture it explains.

    A coarse map (Grad-CAM, occlusion) is laid over the greyed and lightened photo, more opaque where the
    magnitude is larger, and keeps some of the photo's relief so that one sees what lies below. A pixel-fine
    map (saliency, guided backprop) is printed on paper with a mere hint of the photo: over a full photo its
    thin lines would drown. The grey photo is stretched to the full range from black to white first, so that a
    dark photo is seen as well as a light one. Colour maps that are not ours colour all of the photo. Every
    colour stands in ``blended``, which is what a colour bar shows.

    Args:
        photo: exactly what the model saw, any size; the result has this size.
        values: (h, w), (1, h, w) or (C, h, w), finite, any resolution.
        scale: what the colours stand for; by default :meth:`Scale.of` the map in one channel.
        fine: whether the map is drawn as a pixel-fine one; by default what ``is_fine`` says of the photo's size.
        colormap, opacity: see ``blended``.

    Returns:
        RGB, the size of the photo.

    Raises:
        InputError: ``values`` has another shape, or holds something that is not finite; or as ``blended`` raises it.
    """
    native = one_channel(values)
    scale = Scale.of(native) if scale is None else scale
    fine = is_fine(native, photo.size) if fine is None else fine
    packed = _packed(scale.kind, fine, find_colormap(colormap), check_opacity(opacity))
    place = stretched(photo).astype(np.int32)
    place *= packed.shape[1]
    place += position(upsample(native, photo.size), scale)
    drawn = packed.reshape(-1).take(place)
    return Image.frombuffer("RGBX", photo.size, drawn.tobytes(), "raw", "RGBX", 0, 1).convert("RGB")


def blended(kind: Kind, fine: bool, colormap: str = OWN, opacity: float = 1.0) -> NDArray[np.uint8]:
    """Every colour that a map can have on a photo.

    In our colour map what is no evidence has no colour, and the photo below is lightened. Of others the whole is laid
    over the grey photo as it is.

    Args:
        kind: of the scale.
        fine: whether the map is pixel-fine.
        colormap: one of ``colormaps.COLORMAPS``.
        opacity: of the map, 0..1; at 0 only the ground is seen, and 1 is as opaque as a map is drawn.

    Returns:
        (256, 256 or 511, 3) uint8: by the lightness of the photo below, then by the value from the low to the high
        end of the scale. Not to be written to.

    Raises:
        InputError: there is no such colour map, or ``opacity`` is not in 0..1.
    """
    return _blended(kind, bool(fine), find_colormap(colormap), check_opacity(opacity))


def check_opacity(opacity: Any) -> float:
    """Raises InputError where it is no number in 0..1."""
    try:
        share = float(opacity)
    except (TypeError, ValueError):
        share = -1.0
    if not 0 <= share <= 1:
        raise InputError("opacity is a share", expected="a number from 0 to 1", got=repr(opacity)[:40])
    return share


REMEMBERED = 8
"""Tables of colours, at most 0.5 MB each: a figure in one colour map needs four, and opacity is any number."""


@lru_cache(maxsize=REMEMBERED)
def _blended(kind: Kind, fine: bool, colormap: str, opacity: float) -> NDArray[np.uint8]:
    colours = table(kind, colormap)[None] / 255.0
    light = np.linspace(0.0, 1.0, 256)[:, None, None]
    if colormap != OWN:
        even = (EVEN_OF_FINE if fine else EVEN_OF_COARSE) * opacity
        drawn = colours * even + light * (1 - even)
    elif fine:
        ground = _between(GROUND_OF_FINE, 1.0, light)
        zero = 0 if kind == "sequential" else colours.shape[1] // 2
        drawn = colours * ground * opacity + colours[:, zero : zero + 1] * ground * (1 - opacity)
    else:
        share = np.linspace(0.0 if kind == "sequential" else -1.0, 1.0, colours.shape[1])[None, :, None]
        opaque = MOST * np.abs(share) ** RISE * opacity
        ink = colours * _between(1 - RELIEF, 1 + RELIEF, light)
        drawn = ink * opaque + _between(GROUND_OF_COARSE, 1.0, light) * (1 - opaque)
    found = np.rint(drawn * 255).clip(0, 255).astype(np.uint8)
    found.setflags(write=False)
    return found


@lru_cache(maxsize=REMEMBERED)
def _packed(kind: Kind, fine: bool, colormap: str, opacity: float) -> NDArray[np.uint32]:
    """``blended`` with each colour as one number: one look instead of three."""
    colours = blended(kind, fine, colormap, opacity)
    whole = np.zeros((*colours.shape[:2], 4), np.uint8)
    whole[..., :3] = colours
    return np.ascontiguousarray(whole).view(np.uint32)[..., 0]


def stretched(photo: Image.Image) -> NDArray[np.uint8]:
    """The photo in grey, (h, w) uint8, from black to white but for one per cent at each end."""
    grey = photo.convert("L")
    counts = np.cumsum(grey.histogram())
    low, high = (int(np.searchsorted(counts, counts[-1] * share / 100)) for share in (TAIL, 100 - TAIL))
    gain = min(255 / max(high - low, 1), MOST_GAIN)
    half, middle = (high - low) * gain / 2, (high + low) / 2
    # What cannot be stretched to the full range stays about as light as it is.
    lightness = (np.arange(256) - middle) * gain + np.clip(middle, half, 255 - half)
    return np.asarray(grey.point(np.rint(lightness).clip(0, 255).astype(int).tolist()))


def one_channel(values: Floats) -> Floats:
    """Reduce a map to one channel for display: at each pixel the channel of largest magnitude, with its sign.

    A mean over colours would cancel what red and blue disagree on; a maximum would lose the negative.

    Args:
        values: (h, w) or (C, h, w).

    Returns:
        (h, w).
    """
    if values.ndim == 2:
        return values
    if values.ndim != 3 or 0 in values.shape:
        raise InputError("a map has the wrong shape", expected="(h, w) or (C, h, w)", got=values.shape)
    if len(values) == 1:
        only: Floats = values[0]
        return only
    strongest = np.abs(values).argmax(axis=0, keepdims=True)
    reduced: Floats = np.take_along_axis(values, strongest, axis=0)[0]
    return reduced


def upsample(values: Floats, size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize a map, bilinear with half-pixel centres (``align_corners=False``); a larger one is averaged.

    Args:
        values: (h, w).
        size: (width, height), as in Pillow.

    Returns:
        (height, width).
    """
    raw = Image.fromarray(values.astype(np.float32))
    return np.asarray(raw.resize(size, Image.Resampling.BILINEAR))


def is_fine(values: Floats, size: tuple[int, int]) -> bool:
    """Whether a map has detail at the pixels of a photo of ``size`` (width, height), as gradients have."""
    height, width = values.shape
    if height * COARSE <= size[1] or width * COARSE <= size[0] or min(values.shape) < 2:
        return False
    steps = (np.abs(np.diff(values, axis=0)).mean() + np.abs(np.diff(values, axis=1)).mean()) / 2
    return bool(steps > ROUGH * np.abs(values).mean())


def _between(low: float, high: float, share: NDArray[np.float64]) -> NDArray[np.float64]:
    return low + (high - low) * share
