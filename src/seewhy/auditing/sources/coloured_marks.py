"""A mark of one colour and any shape at changing places, such as a cross or a letter: found by its colour first."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from .fixed_stamps import near, reduced, reduction
from .moving_stamps import LEAST_SHARE, TIMES, enlarged, matching
from .pattern import Mask, Pattern, Pixels, box_of, components

Colour = npt.NDArray[np.int16]

BITS = 4
"""Of each channel, by which colours are counted."""
TRIED = 6
"""Colours that are looked at closely."""
PART = 256
"""A mark covers at least one of so many pixels, and at least ``FEWEST``."""
FEWEST = 5
EQUAL = 0.3
"""The least share of the photos with a colour in which its largest part has one size."""
AGREEING = 0.7
"""The least intersection over union, in the median, of the parts of that size with what is common to them."""


def coloured_mark(own: Pixels, others: Pixels) -> Pattern | None:
    """The mark of one colour that photos of a class carry anywhere, or None.

    A colour that the class has far more often than others is a mark only where it repeats in shape: the blue of skies
    does not.

    Args:
        own: (N, H, W, 3) uint8, photos of the class.
        others: (M, H, W, 3) uint8, photos of other classes.
    """
    small, small_others = reduced(own), reduced(others)
    least = max(FEWEST, small.shape[1] * small.shape[2] // PART)
    codes, here = coded(small), has_colours(small, least)
    gain = here.mean(0) - TIMES * has_colours(small_others, least).mean(0)
    for code in np.argsort(-gain, kind="stable")[:TRIED]:
        if gain[code] < LEAST_SHARE / 2:
            return None
        colour = np.median(small[codes == code], axis=0).astype(np.int16)
        mark = common_shape(small, colour, least)
        if mark is not None:
            grown = enlarged(mark, reduction(own))
            share, elsewhere = (float(matching(each, grown).mean()) for each in (own, others))
            if share >= LEAST_SHARE and share >= TIMES * elsewhere:
                return Pattern(grown.box, grown.alpha, grown.colour, share, elsewhere)
    return None


def coded(pixels: Pixels) -> npt.NDArray[np.int64]:
    """(N, H, W): the colour of each pixel, cut to ``BITS`` bits a channel."""
    red, green, blue = np.moveaxis(pixels.astype(np.int64) >> (8 - BITS), 3, 0)
    codes: npt.NDArray[np.int64] = (red << 2 * BITS) | (green << BITS) | blue
    return codes


def has_colours(pixels: Pixels, least: int) -> Mask:
    """(N, colours): whether a photo has at least so many pixels of each colour."""
    colours = 1 << 3 * BITS
    rows = [np.bincount(each.ravel(), minlength=colours) >= least for each in coded(pixels)]
    return np.stack(rows)


def common_shape(pixels: Pixels, colour: Colour, least: int) -> Pattern | None:
    """What the largest parts of one colour have in common, or None where their shapes differ."""
    parts = []
    for number, mask in enumerate(near(pixels, colour)):
        largest = components(mask, reach=1)[:1] if mask.sum() >= least else []
        parts += [(number, part, box_of(part)) for part in largest if part.sum() >= least]
    if not parts:
        return None
    (size, count), *_ = Counter(box[2:] for _, _, box in parts).most_common(1)
    if count < max(FEWEST, EQUAL * len(parts)) or size == pixels.shape[1:3]:
        return None
    alike = [(number, part, box) for number, part, box in parts if box[2:] == size]
    shapes = np.stack([cut(part, box) for _, part, box in alike])
    mask = shapes.mean(0) >= 0.6
    agreement = (shapes & mask).sum((1, 2)) / (shapes | mask).sum((1, 2))
    if mask.sum() < least or np.median(agreement) < AGREEING:
        return None
    seen = np.median(np.stack([cut(pixels[number], box) for number, _, box in alike]), axis=0)
    return Pattern(alike[0][2], mask.astype(np.float32), (seen * mask[..., None]).astype(np.float32), 0.0, 0.0)


def cut(pixels: npt.NDArray[np.generic], box: tuple[int, int, int, int]) -> npt.NDArray[np.generic]:
    """(h, w, ...), a box of a picture (H, W, ...)."""
    top, left, height, width = box
    return pixels[top : top + height, left : left + width]
