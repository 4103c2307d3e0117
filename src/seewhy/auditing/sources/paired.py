"""The same labelled photos, decided twice: a sample of them, and what a change makes of the decisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...errors import SeewhyError
from ..evidence import Evidence
from ..eye import Eye, Pixels
from ..passing.rows import Ints
from ..statistics import mcnemar

MOST = 400
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Sample:
    """Labelled photos that could be read.

    Attributes:
        rows: (S,) int64, their row numbers.
        pixels: (S, H, W, 3) uint8, what the model sees of them.
        truth: (S,) int64.
    """

    rows: Ints
    pixels: Pixels
    truth: Ints

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Change:
    """What a change does to decisions, measured on pairs.

    Attributes:
        before, after: the accuracies.
        ci: the 95 % interval of ``after - before`` (Agresti and Min, "Simple improved confidence intervals for
            comparing matched proportions", Statistics in Medicine 2005).
        p: of the exact two-sided test by McNemar.
        broken, mended: how many were right before only, and after only.
    """

    before: float
    after: float
    ci: tuple[float, float]
    p: float
    broken: int
    mended: int

    @property
    def effect(self) -> float:
        """The change of accuracy."""
        return self.after - self.before


def sampled(evidence: Evidence, purpose: str, most: int = MOST) -> Sample | None:
    """Up to ``most`` labelled photos, of each class in proportion; None where there are none, or none that a model of
    other channels could be given. Photos that cannot be read any more are left out.
    """
    eye, truth = evidence.eye, evidence.rows.truth
    if getattr(eye.classifier.transform, "order", "RGB") is None:
        return None
    chosen = stratified(np.where(evidence.rows.known, truth, -1), most, evidence.random(purpose))
    seen = dict(readable(eye, evidence, chosen))
    if not seen:
        return None
    rows = np.array(list(seen), np.int64)
    return Sample(rows, np.concatenate(list(seen.values())), np.asarray(truth[rows], np.int64))


def readable(eye: Eye, evidence: Evidence, rows: Ints) -> Iterator[tuple[int, Pixels]]:
    """Row number and (1, H, W, 3) uint8 of each of the photos that can be read."""
    for row in rows.tolist():
        try:
            pixels = eye.pixels([evidence.rows.paths[row]])
        except SeewhyError:  # gone since the rows were made, or too narrow for another resize
            continue
        yield row, pixels


def stratified(truth: Ints, most: int, random: np.random.Generator) -> Ints:
    """Up to ``most`` row numbers in order, of each class but -1 as many as its share, but for rounding."""
    place = np.full(len(truth), np.inf)
    for index in np.unique(truth[truth >= 0]).tolist():
        members = np.flatnonzero(truth == index)
        place[members] = (random.permutation(len(members)) + random.random()) / len(members)
    order = np.argsort(place, kind="stable")[:most]
    chosen: Ints = np.sort(order[np.isfinite(place[order])])
    return chosen


def decided(eye: Eye, pixels: Pixels, truth: Ints) -> tuple[Mask, float]:
    """(S,), where the class decided by ``eye`` for pixels is the truth, and the mean probability of the truth.

    What is not finite is wrong, and a probability of 0; so is a truth that the model has no output for.
    """
    said = np.nan_to_num(eye.probabilities(pixels), posinf=0.0, neginf=0.0)
    own = np.where(truth < said.shape[1], said[np.arange(len(truth)), np.minimum(truth, said.shape[1] - 1)], 0.0)
    right: Mask = (said.argmax(1) == truth) & (own > 0)
    return right, float(own.mean())


def is_right(eye: Eye, pixels: Pixels, truth: Ints) -> Mask:
    """(S,), where the class decided by ``eye`` for pixels is the truth; a decision that is not finite is wrong."""
    return decided(eye, pixels, truth)[0]


def compared(before: Mask, after: Mask) -> Change:
    """What became of the decisions (S,), right or not; S at least 1."""
    count, broken, mended = len(before), int((before & ~after).sum()), int((after & ~before).sum())
    size, lost, won = count + 2, broken + 0.5, mended + 0.5
    middle = (won - lost) / size
    half = 1.96 * max(won + lost - (won - lost) ** 2 / size, 0) ** 0.5 / size
    ci = (max(middle - half, -1.0), min(middle + half, 1.0))
    return Change(float(before.mean()), float(after.mean()), ci, mcnemar(broken, mended), broken, mended)
