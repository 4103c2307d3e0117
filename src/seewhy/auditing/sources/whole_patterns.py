"""A fixed pattern that is added to the whole photo in most photos of a class: scan lines, a moire, a sensor's noise.

What is added moves the steps between neighbouring pixels by the same amount in every photo, and the median over photos
shows by how much (Dekel et al. 2017, as for fixed stamps). How well the steps of one photo go with these tells whether
it carries the pattern, as the noise of a sensor tells which camera took it (Lukas, Fridrich and Goljan 2006, "Digital
camera identification from sensor pattern noise"). It is fitted on one half of the photos and told on the other. Aligned
objects also have steps in common, but hardly in all four corners.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from ..edits.added_pattern import AddedPattern, fine
from .fixed_stamps import from_steps, median_steps
from .pattern import Floats, Mask, Pixels, gradients
from .ranks import area, best_threshold

Doubles = npt.NDArray[np.float64]

OWN, OTHERS = 96, 144
"""Photos that are looked at, of the class and of all others."""
STEEPEST = 24
"""A step between neighbours counts as this many grey levels at most: edges of objects are steeper."""
APART = 0.9
"""The area under the ROC curve, of photos of the class against all others, from which on they carry a pattern."""
EACH = 0.72
"""The same against each other class by itself."""
IN_A_CORNER = 0.85
"""The same, of each of the four corners alone."""
CORNER = 4
"""A corner has this part of either side."""
AGAIN = 4
"""Fits to other draws of the photos."""


@dataclass(frozen=True, eq=False)
class WholePattern:
    """What photos of a class carry.

    Attributes:
        edit: adds it.
        steps: (2, H, W, 3), between neighbours, that it is told by.
        threshold: of ``likeness``, which parts the class from the others.
        share, elsewhere: of the photos looked at, which carry it: of the class, and of others.
        again: fits to other draws of the photos.
    """

    edit: AddedPattern
    steps: Floats
    threshold: float
    share: float
    elsewhere: float
    again: tuple[AddedPattern, ...]

    def shown(self, pixels: Pixels) -> Mask:
        """(N,), which of photos (N, H, W, 3) carry it."""
        shown: Mask = likeness(pixels, self.steps) > self.threshold
        return shown


def whole_pattern(
    own: Pixels, others: Pixels, classes: npt.NDArray[np.integer], random: np.random.Generator
) -> WholePattern | None:
    """The pattern that is added to most photos of a class; None where there is none.

    Args:
        own, others: (N, H, W, 3) and (M, H, W, 3) uint8, photos of the class and of others.
        classes: (M,), of the others.
        random: which photos are looked at.
    """
    own = own[np.sort(random.permutation(len(own))[:OWN])]
    picked = np.sort(random.permutation(len(others))[:OTHERS])
    others, classes = others[picked], classes[picked]
    if min(own.shape[1:3]) < 2 * CORNER:
        return None
    basis, rest, classes = others[::2], others[1::2], classes[1::2]
    tall, wide = (side // CORNER for side in own.shape[1:3])
    for down, across in product((slice(tall), slice(-tall, None)), (slice(wide), slice(-wide, None))):
        halves = _crossed(own[:, down, across], rest[:, down, across], median_steps(basis[:, down, across]))
        if np.mean([area(*each) for each in halves]) < IN_A_CORNER:
            return None  # of most classes in the first corner: the rest is not looked at
    beside = median_steps(basis)
    halves = _crossed(own, rest, beside)
    if np.mean([area(*each) for each in halves]) < APART:
        return None
    here, there = np.concatenate([each for each, _ in halves]), halves[0][1]
    if min(area(here, there[classes == index]) for index in np.unique(classes)) < EACH:
        return None
    steps = median_steps(own) - beside
    told, besides = likeness(own, steps), likeness(others, steps)
    threshold = best_threshold(told, besides)
    drawn = [own[random.integers(len(own), size=len(own))] for _ in range(AGAIN)]
    return WholePattern(
        _fitted(own, beside), steps, threshold, float((told > threshold).mean()), float((besides > threshold).mean()),
        tuple(_fitted(each, beside) for each in drawn),
    )  # fmt: skip


def agreed(one: Floats, other: Floats) -> Doubles:
    """(H, W, 3), the mean of two estimates of one pattern. Each frequency is weakened by the share of noise in it: of
    their difference, over frequencies about as high (a Wiener filter).
    """
    mean, noise = (np.fft.fft2(each, axes=(0, 1)) for each in ((one + other) / 2, (one - other) / 2))
    height, width = one.shape[:2]
    high = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    ring = np.rint(high * max(height, width)).astype(np.int64)
    power = np.bincount(ring.ravel(), (np.abs(noise) ** 2).mean(2).ravel()) / np.maximum(np.bincount(ring.ravel()), 1)
    kept = np.maximum(0, 1 - power[ring][..., None] / np.maximum(np.abs(mean) ** 2, np.finfo(float).tiny))
    pattern: Doubles = np.fft.ifft2(mean * kept, axes=(0, 1)).real
    return pattern


def unlike(own: Pixels, others: Pixels) -> float:
    """How far the quartiles of the steps of two sets of photos are apart, pixel by pixel: what is added moves the
    median, and what is opaque brings the others nearer to it.
    """
    here, there = (
        np.stack([np.percentile(steps, (25, 50, 75), axis=0) for steps in gradients(each.astype(np.int16))])
        for each in (own[:OWN], others)
    )
    return float(np.abs(here - there).mean())


def likeness(pixels: Pixels, steps: Floats) -> Doubles:
    """(N,): how well the steps of photos (N, H, W, 3) go with these."""
    cosines = []
    for each in pixels:  # one by one: the steps of all are several times the photos
        own = np.clip(np.stack(gradients(each.astype(np.int16))), -STEEPEST, STEEPEST).astype(np.float64)
        cosines.append(float((own * steps).sum() / np.sqrt((own**2).sum() + 1)))
    return np.array(cosines)


def _crossed(own: Pixels, rest: Pixels, beside: Floats) -> list[tuple[Doubles, Doubles]]:
    """For either half of a class's photos, their likeness to the steps of the other half; and that of other photos.
    Steps are those beyond the steps ``beside``, of further other photos.
    """
    fitted = [median_steps(own[half::2]) - beside for half in (0, 1)]
    return [(likeness(own[1 - half :: 2], steps), likeness(rest, steps)) for half, steps in enumerate(fitted)]


def _fitted(own: Pixels, beside: Floats) -> AddedPattern:
    return AddedPattern(agreed(*(fine(from_steps(median_steps(own[half::2]) - beside)) for half in (0, 1))))
