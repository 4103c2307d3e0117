"""Properties of a whole photo: how each is measured, and how other photos are given it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..edits.changes import from_middle
from ..edits.global_edits import Global
from ..eye import Pixels
from .jpeg_traces import quality

Doubles = npt.NDArray[np.float64]
Measure: TypeAlias = Callable[[Pixels], Doubles]

TRIED = 64
"""Photos of other classes that a transform is fitted on."""
STEEP = 6
"""The norm of the edges of a photo: between their mean (1) and the steepest of them."""
LEAST_NOISE = 0.1
"""Added to the deviation of noise, in grey levels, before its logarithm is taken."""
GREY = 0.03
"""The share of the saturation of others below which photos are called grey."""
SPECK = 48
"""Grey levels by which a speck is beyond all four of its neighbours, on one side."""
SQUARES = tuple(range(2, 17))
"""Sides of squares, in pixels, that a photo may be of."""
DARK = 8.0
"""Grey levels that are added before a logarithm of light is taken."""
FINE = 48
"""Pixels of a side, about, that the light of a photo is looked at in: in small steps of 8 bits a slope is lost."""
OUTSIDE = 0.5
"""Of the squared distance of the corners, where the light begins to be looked at: what is bright in the middle, as
objects are, ends before."""
LEAST_CHANGE = 0.02
"""Photos of the class and others, in a measure, that differ by less than this are alike."""


@dataclass(frozen=True)
class Property:
    """One of them.

    Attributes:
        name: in one word.
        measure: (N,) of pixels (N, H, W, 3).
        sides: on which side of the others it is suspicious: -1 below, 1 above.
        fit: the change that makes others (second) like photos of the class (first).
        unit: a difference that is seen, where others do not differ among themselves.
    """

    name: str
    measure: Measure
    sides: tuple[int, ...]
    fit: Callable[[Pixels, Pixels], Global]
    unit: float = LEAST_CHANGE


def tint(pixels: Pixels) -> Doubles:
    """(N,), the log-ratio of blue to red edges. Sky, water and grass have a colour but few edges: what is left is the
    colour of the light (the grey edge of van de Weijer, Gevers and Gijsenij 2007), or a filter.
    """
    edges = _edges(pixels)
    return edges[:, 2] - edges[:, 0]


def green_tint(pixels: Pixels) -> Doubles:
    """(N,), the log-ratio of green edges to those of red and blue."""
    edges = _edges(pixels)
    return edges[:, 1] - (edges[:, 0] + edges[:, 2]) / 2


def cast(pixels: Pixels) -> Doubles:
    """(N,), the log-ratio of the brightest blue to the brightest red: what was added has no edges, but is seen in
    white (the white patch of Land and McCann 1971).
    """
    high = np.percentile(pixels.reshape(len(pixels), -1, 3), 99, axis=1).astype(np.float64)
    ratio: Doubles = np.log(np.maximum(high[:, 2], 1)) - np.log(np.maximum(high[:, 0], 1))
    return ratio


def brightness(pixels: Pixels) -> Doubles:
    """(N,), the mean."""
    mean: Doubles = pixels.mean((1, 2, 3), dtype=np.float64)
    return mean


def contrast(pixels: Pixels) -> Doubles:
    """(N,), the logarithm of the deviation of all values."""
    deviation: Doubles = np.log(pixels.std((1, 2, 3), dtype=np.float64) + 1)
    return deviation


def sharpness(pixels: Pixels) -> Doubles:
    """(N,), energy of second differences by that of first ones: a blur lowers it, whatever the contrast is."""
    grey = pixels.mean(3, dtype=np.float64)
    first, second = (
        sum((np.diff(grey, order, axis=axis) ** 2).mean((1, 2)) for axis in (1, 2)) for order in (1, 2)
    )  # fmt: skip
    ratio: Doubles = np.asarray(second) / (np.asarray(first) + 1e-9)
    return ratio


def black(pixels: Pixels) -> Doubles:
    """(N,), the darkest values: what is added to a photo, haze too, lifts its black."""
    low: Doubles = np.percentile(pixels.reshape(len(pixels), -1), 1, axis=1)
    return low


def saturation(pixels: Pixels) -> Doubles:
    """(N,), the logarithm of the root mean square of the differences of the channels from their mean."""
    colour = pixels - pixels.mean(3, keepdims=True, dtype=np.float64)
    strong: Doubles = np.log(np.sqrt((colour**2).mean((1, 2, 3))) + 1)
    return strong


def noise(pixels: Pixels) -> Doubles:
    """(N,), the logarithm of the deviation of noise in a channel: of differences of differences, in which straight
    edges cancel (Immerkaer 1996, "Fast noise variance estimation"), with the median in place of the mean. Fur and grass
    are fine in their light, noise also in its colours: so it is measured in these, where a photo has any.
    """
    values = pixels.astype(np.float32)
    colours = values - values.mean(3, keepdims=True)  # of independent noise they keep two thirds of the variance
    in_colour = (np.abs(colours) > 0).any((1, 2, 3))
    looked_at = np.where(in_colour[:, None, None, None], colours * np.float32(1.5**0.5), values)
    twice = np.diff(np.diff(looked_at, 2, axis=1), 2, axis=2)
    if not twice.size:
        return np.zeros(len(pixels))
    deviation: Doubles = np.log(np.median(np.abs(twice), axis=(1, 2, 3)) / (0.6745 * 6) + LEAST_NOISE)
    return deviation


def specks(pixels: Pixels) -> Doubles:
    """(N,), the share of pixels that are far brighter, or far darker, than all four of their neighbours."""
    grey = pixels.mean(3, dtype=np.float32)
    middle = grey[:, 1:-1, 1:-1]
    beside = (grey[:, :-2, 1:-1], grey[:, 2:, 1:-1], grey[:, 1:-1, :-2], grey[:, 1:-1, 2:])
    if not middle.size:
        return np.zeros(len(pixels))
    over = np.logical_and.reduce([middle - each >= SPECK for each in beside])
    under = np.logical_and.reduce([each - middle >= SPECK for each in beside])
    share: Doubles = (over | under).mean((1, 2))
    return share


def squares(pixels: Pixels) -> Doubles:
    """(N,), whether a photo is of squares of one colour each, of any of ``SQUARES``: 1 where it is, else about 0."""
    most: Doubles = _of_squares(pixels).max(0)
    return most


def _of_squares(pixels: Pixels) -> Doubles:
    """(len(SQUARES), N): whether steps are at every n-th pixel only, in the direction in which they are so less."""
    grey = pixels.mean(3, dtype=np.float32)
    down, across = (
        np.abs(np.diff(grey, axis=1)).mean(2),
        np.abs(np.diff(grey, axis=2)).mean(1),
    )  # (N, H - 1), (N, W - 1)
    told = np.zeros((len(SQUARES), len(pixels)))
    for place, side in enumerate(SQUARES):
        if min(grey.shape[1:]) >= 4 * side:
            at_edges = [each[:, side - 1 :: side].mean(1) / (each.mean(1) + 1e-6) for each in (down, across)]
            told[place] = (np.minimum(*at_edges) - 1) / (side - 1)
    return told


def light_outwards(pixels: Pixels) -> Doubles:
    """(N,), how the logarithm of light changes from the middle to the corners: the median over pixels of its slope by
    the squared distance. What is in a photo rises outwards as often as it falls (Zheng et al. 2008, "Single-image
    vignetting correction using radial gradient symmetry").
    """
    coarse = max(1, min(pixels.shape[1:3]) // FINE)
    high, wide = (side // coarse for side in pixels.shape[1:3])
    if min(high, wide) < 3:
        return np.zeros(len(pixels))
    blocks = pixels[:, : high * coarse, : wide * coarse].reshape(len(pixels), high, coarse, wide, coarse, 3)
    down, across = np.gradient(np.log(blocks.mean((2, 4, 5)) + DARK), axis=(1, 2))
    squared = from_middle(high, wide)
    y, x = np.meshgrid(np.arange(high) - (high - 1) / 2, np.arange(wide) - (wide - 1) / 2, indexing="ij")
    away = squared > OUTSIDE
    # Along a radius the squared distance grows by 2 r / R**2 a pixel.
    outwards = (down * y + across * x)[:, away] / (2 * squared[away])
    slope: Doubles = np.median(outwards, axis=1)
    return slope


def _edges(pixels: Pixels) -> Doubles:
    """(N, 3), the logarithm of the norm of each channel's differences of neighbours."""
    values = pixels.astype(np.float64)
    squares = (np.diff(values, axis=axis) ** 2 for axis in (1, 2))
    down, across = ((each * each * each).mean((1, 2)) for each in squares)  # a power of 6 is slow
    edges: Doubles = np.log((down + across) / 2 + 1e-6) / STEEP
    return edges


def _fitted_tint(own: Pixels, others: Pixels) -> Global:
    """Gains of the channels, 1 at most, as a filter has."""
    apart = np.median(_edges(own), 0) - np.median(_edges(others), 0)
    red, green, blue = np.exp(apart - apart.max()).tolist()
    return Global("gain", (red, green, blue))


def _fitted_cast(own: Pixels, others: Pixels) -> Global:
    """The difference of the medians of each channel's middle, less the mean of the three."""

    def middle(pixels: Pixels) -> Doubles:
        ends = np.percentile(pixels.reshape(len(pixels), -1, 3), (25, 75), axis=1).mean(0)
        return np.asarray(np.median(ends - ends.mean(1, keepdims=True), 0), np.float64)

    red, green, blue = (middle(own) - middle(others)).tolist()
    return Global("tint", (red, green, blue))


def _apart(measure: Measure, own: Pixels, others: Pixels) -> float:
    """The difference of the medians of a measure."""
    return float(np.median(measure(own)) - np.median(measure(others)))


def _fitted_brightness(own: Pixels, others: Pixels) -> Global:
    return Global("brightness", _apart(brightness, own, others))


def _fitted_black(own: Pixels, others: Pixels) -> Global:
    return Global("brightness", _apart(black, own, others))


def _fitted_contrast(own: Pixels, others: Pixels) -> Global:
    return Global("contrast", float(np.exp(_apart(contrast, own, others))))


def _fitted_saturation(own: Pixels, others: Pixels) -> Global:
    here, there = (float(np.expm1(np.median(saturation(each)))) for each in (own, others))
    left = here / max(there, LEAST_CHANGE)
    return Global("grey", 1.0) if left < GREY else Global("saturation", left)


def _fitted_noise(own: Pixels, others: Pixels) -> Global:
    """The variances of independent noises add up."""
    here, there = (float(np.exp(np.median(noise(each)))) for each in (own, others))
    return Global("noise", max(here**2 - there**2, LEAST_NOISE**2) ** 0.5)


def _fitted_blur(own: Pixels, others: Pixels) -> Global:
    """The wider a blur is, the less sharp other photos are."""
    return Global("blur", _fitted("blur", sharpness, own, others, 0.2, max(max(own.shape[1:3]) / 20, 3.0)))


def _fitted_vignette(own: Pixels, others: Pixels) -> Global:
    """The more light is taken off the corners, the more it falls outwards."""
    return Global("vignette", _fitted("vignette", light_outwards, own, others, 0.02, 0.98))


def _fitted_sharpness(own: Pixels, others: Pixels) -> Global:
    return Global("sharpen", _fitted("sharpen", lambda pixels: -sharpness(pixels), own, others, 0.05, 20.0))


def _fitted_squares(own: Pixels, others: Pixels) -> Global:
    return Global("pixelate", float(SQUARES[int(np.median(_of_squares(own), 1).argmax())]))


def _fitted_specks(own: Pixels, others: Pixels) -> Global:
    return Global("specks", _fitted("specks", lambda pixels: -specks(pixels), own, others, 0.0005, 0.5))


def _fitted(name: str, measure: Measure, own: Pixels, others: Pixels, low: float, high: float) -> float:
    """By bisection, the amount of a change that lowers a measure of other photos to that of the class's."""
    goal, some = np.median(measure(own)), some_of(others)
    for _ in range(8):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if np.median(measure(given(Global(name, middle), some))) > goal else (low, middle)
    return float(np.sqrt(low * high))


def _fitted_jpeg(own: Pixels, others: Pixels) -> Global:
    return Global("jpeg", float(np.median(quality(own))))


def given(edit: Global, photos: Pixels) -> Pixels:
    """(N, H, W, 3), photos under a change."""
    rng = np.random.default_rng(0)
    return np.stack([edit.added(photo, rng) for photo in photos])


def some_of(photos: Pixels) -> Pixels:
    """About ``TRIED`` of them."""
    return photos[:: max(1, len(photos) // TRIED)]


PROPERTIES = (
    Property("tint", tint, (-1, 1), _fitted_tint),
    Property("green", green_tint, (-1, 1), _fitted_tint),
    Property("cast", cast, (-1, 1), _fitted_cast),
    Property("brightness", brightness, (-1, 1), _fitted_brightness, 1.0),
    Property("black", black, (1,), _fitted_black, 1.0),
    Property("contrast", contrast, (-1, 1), _fitted_contrast),
    Property("saturation", saturation, (-1, 1), _fitted_saturation),
    Property("vignette", light_outwards, (-1,), _fitted_vignette),
    Property("blur", sharpness, (-1,), _fitted_blur),
    Property("sharpness", sharpness, (1,), _fitted_sharpness),
    Property("squares", squares, (1,), _fitted_squares),
    Property("specks", specks, (1,), _fitted_specks, 0.002),
    Property("noise", noise, (1,), _fitted_noise),
    Property("jpeg", quality, (-1,), _fitted_jpeg, 10.0),
)
