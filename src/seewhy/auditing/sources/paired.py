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


@dataclass(frozen=True, eq=False)
class Decided:
    """What is said of S photos whose true class is known.

    Attributes:
        right: (S,) bool, whether the decision is the truth; one that is not finite is wrong, and so is any where the
            truth is none of the model's outputs.
        lead: (S,) float64, the score of the truth less the best other one, in deviations of the photo's scores, which
            no scaling of the scores changes; 0 where that is not known.
    """

    right: Mask
    lead: npt.NDArray[np.float64]


def decided(eye: Eye, pixels: Pixels, truth: Ints) -> Decided:
    """What ``eye`` says of pixels (S, H, W, 3) whose true classes are ``truth`` (S,)."""
    scores = np.asarray(eye.scores(pixels), np.float64)
    at, finite = np.arange(len(truth)), np.asarray(np.isfinite(scores).all(1))
    known = finite & (truth < scores.shape[1])
    own = np.minimum(truth, scores.shape[1] - 1)
    right = known & np.asarray(np.where(finite[:, None], scores, 0).argmax(1) == truth)
    others = scores.copy()
    others[at, own] = -np.inf
    spread = scores.std(1)
    lead = np.divide(scores[at, own] - others.max(1), spread, out=np.zeros(len(at)), where=known & (spread > 0))
    return Decided(right, lead)


def is_right(eye: Eye, pixels: Pixels, truth: Ints) -> Mask:
    """(S,), where the class decided by ``eye`` for pixels is the truth; a decision that is not finite is wrong."""
    return decided(eye, pixels, truth).right


def compared(before: Mask, after: Mask) -> Change:
    """What became of the decisions (S,), right or not; S at least 1."""
    count, broken, mended = len(before), int((before & ~after).sum()), int((after & ~before).sum())
    size, lost, won = count + 2, broken + 0.5, mended + 0.5
    middle = (won - lost) / size
    half = 1.96 * max(won + lost - (won - lost) ** 2 / size, 0) ** 0.5 / size
    ci = (max(middle - half, -1.0), min(middle + half, 1.0))
    return Change(float(before.mean()), float(after.mean()), ci, mcnemar(broken, mended), broken, mended)
