"""Photos whose label may be wrong, by the model's own probabilities and by their neighbours in its features.

Confident learning (Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR
2021): the threshold of a class is its mean probability among the photos that are labelled so. A photo is suspect where
another class reaches its own threshold with more probability than the photo's label has, or is twice as probable as
the label. So is one whose nearest neighbours agree on another class, for networks that have learned their wrong labels
by heart. Suspects are ranked by the probability of their label, the least first (the same paper, "prune by class"): on
CIFAR-10 with random wrong labels no ranking that was tried is better (odds of the suggested class, with neighbours or
without, probabilities from folds).

Who is right, model or label, is for a person to say: the finding is never "proven" by itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...pictures.cells import percentage
from ..evidence import Evidence
from ..finding import Finding
from ..passing.rows import UNKNOWN, Floats, Ints, Rows

NEIGHBOURS = 10
AGREED = 0.8
"""The share of the neighbours that must be of one other class."""
ODDS = 2
"""A photo is suspect as well where what it is called is that many times as probable as its label."""
OFTEN = 0.2
"""The share of errors from which on it is said that many suspects will be right."""
MOST_POOL = 10_000
"""Photos that neighbours are looked for among."""
MOST_ASKED = 20_000
"""Of more photos than these only those have their neighbours looked up whose prediction is not their label."""
CHUNK = 1024
TINY = float(np.finfo(np.float32).tiny)
MOST_LISTED = 5_000
PAIRS = 20


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """What the nearest neighbours of photos are labelled.

    Attributes:
        given: (N,) float64, the share that have the photo's own label; NaN where nobody looked.
        other: (N,) int64, the most frequent other label; ``UNKNOWN``: none.
        share: (N,) float64, the share that have that other label.
    """

    given: npt.NDArray[np.float64]
    other: Ints
    share: npt.NDArray[np.float64]


def labels(evidence: Evidence) -> list[Finding]:
    """One finding with all the photos whose label may be wrong, the most doubtful first; [] where there are none."""
    rows = evidence.rows
    if len(np.unique(rows.truth[rows.known])) < 2:
        return []
    suggested = confident(rows)[0]
    near = neighbourhood(rows, evidence.random("label neighbours"))
    sure = suggested != UNKNOWN
    agreed = ~sure & (near.share >= AGREED) & (near.given <= 1 - AGREED)
    # Of a label that was learned by heart, the model's own probability says nothing.
    own = np.where(agreed, (near.given * NEIGHBOURS + 1) / (NEIGHBOURS + 2), 1.0)
    doubt = -_logarithm(np.minimum(own, np.nan_to_num(rows.truth_probability)))
    # Hardly anything reaches the thresholds of an overconfident model, or of one that half learned its wrong labels.
    best = np.nan_to_num(rows.top_probabilities[:, 0])
    further = ~sure & ~agreed & rows.known & ~rows.right & (best >= ODDS * np.nan_to_num(rows.truth_probability))
    suggested = np.where(agreed, near.other, np.where(further, rows.predicted, suggested))
    if (suggested == UNKNOWN).all():
        return []
    probability = _suggested_probability(rows, suggested)
    suspects = np.flatnonzero(suggested != UNKNOWN)
    ranked = suspects[np.lexsort((suspects, -doubt[suspects]))]
    pairs = Counter((int(rows.truth[row]), int(suggested[row])) for row in ranked).most_common(PAIRS)
    (given, other), count = pairs[0]
    known = int(rows.known.sum())
    sentence = (
        f"{len(ranked)} of {known} labels may be wrong ({percentage(len(ranked) / known)}); most often "
        f"{evidence.label(given)} that may be {evidence.label(other)} ({count})"
    )
    wrong = 1 - float(rows.right[rows.known].mean())
    often = f"; as the model is wrong on {percentage(wrong)} of the photos, many of these labels will be right"
    remedy = (
        "look at the photos in this order, and relabel those that are wrong" + (often if wrong > OFTEN else ""),
        "train again on the corrected labels; leave out those that nobody can decide",
    )
    detail = {
        "suspects": [
            {
                "path": rows.paths[row],
                "given": evidence.label(int(rows.truth[row])),
                "suggested": evidence.label(int(suggested[row])),
                "probability_given": _number(rows.truth_probability[row]),
                "probability_suggested": _number(probability[row]),
                "neighbours_given": _number(near.given[row]),
                "neighbours_suggested": _number(near.share[row] if near.other[row] == suggested[row] else 0.0),
                "score": _number(doubt[row]),
            }
            for row in ranked[:MOST_LISTED].tolist()
        ],
        "pairs": [
            {"given": evidence.label(a), "suggested": evidence.label(b), "count": number} for (a, b), number in pairs
        ],
        "by_neighbours_only": int(agreed.sum()),
    }
    return [
        Finding(
            id="label-suspects",
            kind="label",
            sentence=sentence,
            explained=int((~rows.right[ranked]).sum()),
            carriers=tuple(rows.paths[row] for row in ranked.tolist()),
            remedy=remedy,
            detail=detail,
        )
    ]


def confident(rows: Rows) -> tuple[Ints, npt.NDArray[np.float64]]:
    """By confident learning, (N,) int64, the class that a photo may be instead (``UNKNOWN``: none), and (N,) float64,
    by how much its probability exceeds that of the label.

    A class that is not among a photo's most probable ones cannot be suggested for it.
    """
    own = np.nan_to_num(np.asarray(rows.truth_probability, np.float64))
    top, classes = np.nan_to_num(np.asarray(rows.top_probabilities, np.float64)), np.asarray(rows.top_classes, np.int64)
    size = int(max(rows.truth.max(), classes.max())) + 1
    truth = rows.truth[rows.known]
    count = np.bincount(truth, minlength=size)
    # A class that no photo is labelled as has no threshold, and is never suggested.
    total = np.bincount(truth, own[rows.known], size)
    threshold = np.where(count > 0, total / np.maximum(count, 1), np.inf)
    reaches = (top >= threshold[classes]) & (top > 0) & (classes != rows.truth[:, None])
    best = np.where(reaches, top, -1.0).argmax(1)
    at = np.arange(len(rows))
    margin = top[at, best] - own
    suspect = reaches[at, best] & rows.known & (margin > 0)
    return np.where(suspect, classes[at, best], UNKNOWN), np.where(suspect, margin, 0.0)


def neighbourhood(rows: Rows, random: np.random.Generator, count: int = NEIGHBOURS) -> Neighbourhood:
    """The labels of the ``count`` nearest neighbours by the cosine of features, the photo itself left out."""
    given, share = np.full(len(rows), np.nan), np.zeros(len(rows))
    other = np.full(len(rows), UNKNOWN, np.int64)
    pool = np.flatnonzero(rows.known)
    asked = pool if len(pool) <= MOST_ASKED else pool[~rows.right[pool]][:MOST_ASKED]
    if len(pool) > MOST_POOL:
        pool = np.sort(random.choice(pool, MOST_POOL, replace=False))
    if len(pool) <= count or not rows.features.shape[1]:
        return Neighbourhood(given, other, share)
    reference = unit(rows.features[pool])
    pool, reference = pool[reference.any(1)], reference[reference.any(1)]
    asked = asked[unit(rows.features[asked]).any(1)]  # without features there are no neighbours
    if len(pool) <= count:
        return Neighbourhood(given, other, share)
    for start in range(0, len(asked), CHUNK):
        part = asked[start : start + CHUNK]
        cosines = unit(rows.features[part]) @ reference.T
        cosines[part[:, None] == pool[None, :]] = -np.inf
        nearest = pool[np.argpartition(-cosines, count - 1, axis=1)[:, :count]]
        found = rows.truth[nearest]
        same = found == rows.truth[part][:, None]
        given[part] = same.mean(1)
        for row, line, own in zip(part.tolist(), found, same, strict=True):
            if not own.all():
                kinds, numbers = np.unique(line[~own], return_counts=True)
                other[row], share[row] = kinds[numbers.argmax()], numbers.max() / count
    return Neighbourhood(given, other, share)


def unit(features: Floats) -> npt.NDArray[np.float32]:
    """(N, D) float32, features of length 1; what is not finite counts as 0."""
    plain = np.nan_to_num(np.asarray(features, np.float32), posinf=0.0, neginf=0.0)
    length = np.linalg.norm(plain, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float32] = np.divide(plain, np.where(length > 0, length, 1), dtype=np.float32)
    return scaled


def _suggested_probability(rows: Rows, suggested: Ints) -> npt.NDArray[np.float64]:
    """0 where the class is not among the most probable ones."""
    probabilities = np.nan_to_num(np.asarray(rows.top_probabilities, np.float64))
    probability: npt.NDArray[np.float64] = np.where(rows.top_classes == suggested[:, None], probabilities, 0.0).sum(1)
    return probability


def _logarithm(probability: Floats) -> npt.NDArray[np.float64]:
    """Of 0, and of what is no number, the logarithm of the smallest float32."""
    logarithm: npt.NDArray[np.float64] = np.log(np.maximum(np.nan_to_num(np.asarray(probability, np.float64)), TINY))
    return logarithm


def _number(value: Any) -> float | None:
    """Ready for JSON."""
    return round(float(value), 4) if np.isfinite(value) else None
