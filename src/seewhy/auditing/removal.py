"""What taking a candidate out of its carriers changes, beside the same fill at a random other place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .album import Album
from .candidate import Candidate
from .eye import Pixels

Ints = npt.NDArray[np.integer[Any]]

TOGETHER = 16
"""Photos whose variants are held at once."""


@dataclass(frozen=True)
class Removal:
    """What was measured on carriers.

    Attributes:
        carriers: how many there are among the measured photos.
        measured: how many of them it was taken out of.
        explained: decisions for the class that change with every fill; of all ``carriers``, by the share of those
            measured.
        change: by fill, the mean change of p(class).
        elsewhere: by fill, the same where the fill is at a random other place.
    """

    carriers: int
    measured: int
    explained: int
    change: dict[str, float]
    elsewhere: dict[str, float]

    def describe(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "carriers": self.carriers, "measured": self.measured, "change": self.change, "elsewhere": self.elsewhere
        }  # fmt: skip


def measured_removal(
    candidate: Candidate, album: Album, carriers: npt.NDArray[np.bool_], most: int, rng: np.random.Generator
) -> Removal:
    """Take the candidate out of at most ``most`` of ``carriers``, (N,) bool.

    Raises:
        PhotoError: a photo can no longer be read.
    """
    rows, count = album.some(carriers, most), int(carriers.sum())
    class_index, fills = candidate.class_index, candidate.edit.describe().get("fills", [])
    changes: dict[str, list[float]] = {}
    away: dict[str, list[float]] = {}
    leaves = 0
    for part in parts(rows, TOGETHER):
        variants = [_variants(candidate, photo, rng) for photo in album[part]]
        every = album.evidence.eye.beside.said([(photo, [*there, *other]) for photo, there, other in variants])
        for (_, there, _other), said in zip(variants, every, strict=True):
            own, called = said[:, class_index].astype(np.float64), said.argmax(1) == class_index
            leaves += bool(there and called[0] and not called[1 : 1 + len(there)].any())
            for index, change in enumerate(own[1:] - own[0]):
                kind, at = (changes, index) if index < len(there) else (away, index - len(there))
                kind.setdefault(fills[at] if at < len(fills) else f"fill {at + 1}", []).append(float(change))
    explained = round(leaves * count / len(rows)) if len(rows) else 0
    return Removal(count, len(rows), explained, _means(changes), _means(away))


def parts(rows: Ints, size: int) -> Iterator[Ints]:
    """``rows``, at most ``size`` at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _variants(
    candidate: Candidate, photo: Pixels, rng: np.random.Generator
) -> tuple[Pixels, list[Pixels], list[Pixels]]:
    return photo, candidate.edit.removed(photo), _elsewhere(candidate, photo, rng)


def _elsewhere(candidate: Candidate, photo: Pixels, rng: np.random.Generator) -> list[Pixels]:
    """The fills at a random other place, of an edit that can be moved there."""
    moved = getattr(candidate.edit, "elsewhere", None)
    removed: list[Pixels] = [] if moved is None else moved(photo, rng).removed(photo)
    return removed


def _means(values: dict[str, list[float]]) -> dict[str, float]:
    """Of the finite ones: of some photos a network may give NaN."""
    finite = {name: [value for value in each if np.isfinite(value)] for name, each in values.items()}
    return {name: float(np.mean(each)) for name, each in finite.items() if each}
