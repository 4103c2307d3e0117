"""The remedies that train the last layer again, each with what it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .head import Head
from .last_layer import last_layer
from .lessons import FEWEST, Lessons, Photos
from .selective import By, finetuned, selected

Layer: TypeAlias = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
Fit: TypeAlias = Callable[[Lessons, Head, int], Layer]
"""Weight (K, D) and bias (K,) of photos, the last layer as it is, and a seed."""

SHARE = 0.1
"""Of the photos of a class, those that SELF is trained on."""


@dataclass(frozen=True)
class Remedy:
    """A way to train the last layer.

    Attributes:
        name: of ``--remedy``.
        title: what it does, in words.
        groups: whether it needs a finding that can be put into photos and taken out of them, which tells groups.
        fit: the new last layer.
        longer: what it is compared with: the same training on photos as they are, with nothing known of groups.
    """

    name: str
    title: str
    groups: bool
    fit: Fit
    longer: Fit


def _balanced(photos: Lessons, head: Head, seed: int) -> Layer:
    """DFR: as many photos of each group."""
    everything = Photos.together(photos.plain, photos.made)
    groups, counts = np.unique(everything.groups, return_counts=True)
    return last_layer(*everything.where(np.isin(everything.groups, groups[counts >= FEWEST])), seed=seed)


def _plain(photos: Lessons, head: Head, seed: int) -> Layer:
    """The same regression on all photos as they are; there is nothing to draw."""
    plain = photos.plain
    return last_layer(plain.features, plain.classes, np.zeros_like(plain.classes), 1, seed=seed)


def _selective(by: By) -> Fit:
    def fit(photos: Lessons, head: Head, seed: int) -> Layer:
        features, classes, _ = photos.plain
        each: Any = max(FEWEST, round(SHARE * np.bincount(classes).mean()))
        chosen = selected(features, classes, head.weight, head.bias, each, by, seed)
        return finetuned(features[chosen], classes[chosen], head.weight, head.bias)

    return fit


REMEDIES = (
    Remedy("dfr", "as many photos of each class with and without what was found", True, _balanced, _plain),
    Remedy("self", "the photos of each class that it is least sure about", False,
           _selective("disagreement"), _selective("chance")),
)  # fmt: skip
"""A remedy is one function and an entry here; the first that fits a finding is taken."""
