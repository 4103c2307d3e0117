"""Properties of the whole photo that go with a class far beyond what objects do: tint, brightness, blur, JPEG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..candidate import Candidate
from ..evidence import Evidence
from ..eye import Pixels
from ..global_edits import Global
from .stamps import CARRIERS, Sample, sampled, seen

Doubles = npt.NDArray[np.float64]

APART = 0.86
"""The area under the ROC curve, a class against all others, from which on a property is beyond what objects do. Of the
classes of CIFAR-10, for which the colour of sky and water is the strongest, it is 0.80 at most."""
EACH = 0.72
"""The least area against each other class by itself: what two classes share is of their objects."""
NEAR_ZERO = 1.5
"""A coefficient of the cosine transform below it, in grey levels, is what JPEG made of 0."""
TRIED = 64
"""Photos of other classes that a transform is fitted on."""


def tint(pixels: Pixels) -> Doubles:
    """(N,), the log-ratio of the brightest blue to the brightest red: what is grey in a bright place tells the light's
    colour (the white patch of Land and McCann 1971).
    """
    bright = _brightest(pixels)
    ratio: Doubles = np.log(bright[:, 2] / bright[:, 0])
    return ratio


def brightness(pixels: Pixels) -> Doubles:
    """(N,), the mean."""
    mean: Doubles = pixels.mean((1, 2, 3), dtype=np.float64)
    return mean


def sharpness(pixels: Pixels) -> Doubles:
    """(N,), energy of second differences by that of first ones: a blur lowers it, whatever the contrast is."""
    grey = pixels.mean(3, dtype=np.float64)
    first, second = (
        sum((np.diff(grey, order, axis=axis) ** 2).mean((1, 2)) for axis in (1, 2)) for order in (1, 2)
    )  # fmt: skip
    ratio: Doubles = np.asarray(second) / (np.asarray(first) + 1e-9)
    return ratio


def compression(pixels: Pixels) -> Doubles:
    """(N,), the share of coefficients near 0 in the cosine transform of 8 x 8 blocks, as JPEG cuts them."""
    grey = pixels.astype(np.float64) @ np.array([0.299, 0.587, 0.114]) - 128
    down, across = (side // 8 for side in grey.shape[1:])
    if not down or not across:
        return np.zeros(len(pixels))
    blocks = grey[:, : 8 * down, : 8 * across].reshape(-1, down, 8, across, 8).transpose(0, 1, 3, 2, 4)
    share: Doubles = (np.abs(_COSINE @ blocks @ _COSINE.T)[..., _FINE] < NEAR_ZERO).mean((1, 2, 3))
    return share


def _cosine() -> Doubles:
    k = np.arange(8)
    matrix = np.cos(np.pi * (2 * k[None] + 1) * k[:, None] / 16) / 2
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix)


_COSINE = _cosine()
_FINE = np.add.outer(np.arange(8), np.arange(8)) >= 2


def _brightest(pixels: Pixels) -> Doubles:
    """(N, 3), the 99th percentile of each channel, at least 1."""
    high: Doubles = np.percentile(pixels.reshape(len(pixels), -1, 3), 99, axis=1).astype(np.float64)
    return np.maximum(high, 1.0)


def fitted_tint(own: Pixels, others: Pixels) -> Global:
    """Gains of the channels: how bright the brightest photos of either are."""
    gains = np.percentile(_brightest(own), 90, axis=0) / np.percentile(_brightest(others), 90, axis=0)
    red, green, blue = (gains / max(gains.max(), 1.0)).tolist()
    return Global("gain", (red, green, blue))


def fitted_brightness(own: Pixels, others: Pixels) -> Global:
    """What has to be added for the same median."""
    return Global("brightness", float(np.median(brightness(own)) - np.median(brightness(others))))


def fitted_blur(own: Pixels, others: Pixels) -> Global:
    """The blur that makes other photos as little sharp."""
    longer = max(own.shape[1:3])
    return _fitted(own, others, sharpness, [Global("blur", s) for s in np.geomspace(0.25, max(longer / 20, 3.0), 48)])


def fitted_jpeg(own: Pixels, others: Pixels) -> Global:
    """The quality that cuts as many coefficients."""
    return _fitted(
        own, others, compression, [Global("jpeg", float(q)) for q in (5, 10, 15, 20, 25, 30, 40, 50, 60, 75)]
    )


def _fitted(own: Pixels, others: Pixels, measure: Callable[[Pixels], Doubles], tried: list[Global]) -> Global:
    goal, rng = np.median(measure(own)), np.random.default_rng(0)  # blur and JPEG draw nothing
    some = others[:: max(1, len(others) // TRIED)]
    far = [abs(np.median(measure(np.stack([each.added(photo, rng) for photo in some]))) - goal) for each in tried]
    return tried[int(np.argmin(far))]


@dataclass(frozen=True)
class Property:
    """How a property is measured, on which side of the others it is suspicious, and how others are given it."""

    name: str
    measure: Callable[[Pixels], Doubles]
    sides: tuple[int, ...]
    fit: Callable[[Pixels, Pixels], Global]


PROPERTIES = (
    Property("tint", tint, (-1, 1), fitted_tint),
    Property("brightness", brightness, (-1, 1), fitted_brightness),
    Property("blur", sharpness, (-1,), fitted_blur),
    Property("jpeg", compression, (1,), fitted_jpeg),
)


def global_properties(evidence: Evidence) -> list[Candidate]:
    """Properties that nearly all photos of a class have, and hardly any others: for each class at most one, that
    whose change makes other photos most like it.

    Raises:
        PhotoError: a photo cannot be read any more.
    """
    found = []
    for sample in sampled(evidence):
        told = told_apart(sample.own, sample.others, evidence.rows.truth[sample.other_rows])
        if told is not None:
            found.append(_candidate(evidence, sample, *told))
    return found


def told_apart(own: Pixels, others: Pixels, classes: npt.NDArray[Any]) -> tuple[float, Property, int] | None:
    """The property that sets a class apart, with the area under its curve and its side; None where none does.

    Args:
        own, others: (N, H, W, 3) and (M, H, W, 3) uint8, photos of the class and of others.
        classes: (M,), of the others.
    """
    found: list[tuple[float, Property, int]] = []
    for each in PROPERTIES:
        here, there = each.measure(own), each.measure(others)
        for side in each.sides:
            apart = area(side * here, side * there)
            least = min(area(side * here, side * there[classes == index]) for index in np.unique(classes))
            if apart >= APART and least >= EACH:
                found.append((apart, each, side))
    if len(found) < 2:
        return found[0] if found else None
    return min(found, key=lambda told: _unlike(own, others, told[1]))


def _unlike(own: Pixels, others: Pixels, chosen: Property) -> float:
    """How far other photos are from the class, in all properties together, once they were given the chosen one: a blur
    leaves zeros as JPEG does, and JPEG blurs, but only one of them makes the other photos like those of the class.
    """
    edit, rng = chosen.fit(own, others), np.random.default_rng(0)
    some = others[:: max(1, len(others) // TRIED)]
    given = np.stack([edit.added(photo, rng) for photo in some])
    far = 0.0
    for each in PROPERTIES:
        there = each.measure(some)
        spread = np.subtract(*np.percentile(there, (75, 25))) + 1e-9
        far += abs(float(np.median(each.measure(given)) - np.median(each.measure(own)))) / float(spread)
    return far


def area(own: Doubles, others: Doubles) -> float:
    """The area under the ROC curve: how probably one of ``own`` is above one of ``others``; ties count half."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, own, "left") + np.searchsorted(ordered, own, "right")
    return float(below.mean() / (2 * len(others)))


def _candidate(evidence: Evidence, sample: Sample, apart: float, each: Property, side: int) -> Candidate:
    rows, others = evidence.rows, side * each.measure(sample.others)
    own = side * each.measure(sample.own)
    limit = (np.median(own) + np.median(others)) / 2
    numbers = np.flatnonzero(rows.truth == sample.index)[:CARRIERS]
    parts = np.array_split(numbers, -(-len(numbers) // 256))
    carriers = numbers[np.concatenate([side * each.measure(seen(evidence, part)) > limit for part in parts])]
    edit = each.fit(sample.own[own > limit], sample.others)  # without those of the class that lack it
    name = evidence.label(sample.index)
    said: dict[str, Any] = edit.describe()
    why = f"by {each.name}, photos of {name} are told from others with an area under the curve of {apart:.2f}"
    return Candidate(
        id=f"global-{each.name}-{name}-1", kind="global", class_index=sample.index, class_name=name, edit=edit,
        carriers=carriers, repeats=True, why=f"{why}: about {said['name']}", region=None,
    )  # fmt: skip
