"""What a classifier says of a photo: its most probable classes, for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seewhy.pictures.cells import percentage

AFTER_SOFTMAX = "probabilities after the softmax"
AFTER_SIGMOID = "the model has one output: its sigmoid"
UNKNOWN = "no probabilities: the scores of some classes are not finite"
AS_GIVEN = "the model's outputs are probabilities already"

SHOWN = 5
"""Classes that are listed unless another number is asked for."""


@dataclass(frozen=True)
class Ranked:
    """A class with its score; or, of a network with one output, its decision for or against the class.

    Attributes:
        index: of the output.
        name: the class; "not ..." where the decision is against it.
        score: of what ``name`` says, before the softmax.
        probability: of what ``name`` says, 0..1; NaN where nobody knows it.
        sign: 1, or -1 where the decision is against the class.
    """

    index: int
    name: str
    score: float
    probability: float
    sign: int = 1

    def __str__(self) -> str:
        return f"{self.name} {percentage(self.probability)}"


@dataclass(frozen=True, repr=False)
class Prediction:
    """The most probable classes of a photo, the first first.

    Attributes:
        top: the classes.
        how: how the probabilities were found, in a few words.
    """

    top: tuple[Ranked, ...]
    how: str = AFTER_SOFTMAX

    def __repr__(self) -> str:
        return f"Prediction({', '.join(map(str, self.top))})"

    @property
    def index(self) -> int:
        """Of the most probable class."""
        return self.top[0].index

    @property
    def name(self) -> str:
        """Of the most probable class."""
        return self.top[0].name

    @property
    def score(self) -> float:
        """Of the most probable class, before the softmax."""
        return self.top[0].score

    @property
    def probability(self) -> float:
        """Of the most probable class, 0..1."""
        return self.top[0].probability


def ranked(classifier: Any, scores: Tensor, index: int, sign: int = 1) -> Ranked:
    """One class of one photo.

    Args:
        classifier: knows the names.
        scores: (classes,), before the softmax.
        index: the class.
        sign: -1 for the decision against the only class.
    """
    scores = scores * sign
    name = classifier.label(index) if sign > 0 else f"not {classifier.label(index)}"
    return Ranked(index, name, float(scores[index]), float(probabilities(scores)[0][index]), sign)


def predicted(classifier: Any, scores: Tensor, count: int = SHOWN) -> Prediction:
    """The ``count`` most probable classes, from scores (classes,) before the softmax."""
    how = probabilities(scores)[1]
    if len(scores) == 1:  # yes or no
        return Prediction((ranked(classifier, scores, 0, -1 if scores[0] < 0 else 1),), how)
    # Stable: of equal scores the first comes first, as in the argmax that chose the class.
    best = scores.nan_to_num(-torch.inf, torch.inf, -torch.inf).sort(descending=True, stable=True).indices[:count]
    return Prediction(tuple(ranked(classifier, scores, int(index)) for index in best), how)


def probabilities(scores: Tensor) -> tuple[Tensor, str]:
    """Each class's probability, and in a few words how it was found.

    The softmax of the scores; of a single score the sigmoid, since its softmax is always 1; and scores that are
    probabilities already (none negative, together 1) as they are, since a softmax would flatten them. Where a score is
    NaN or infinite nobody knows any (a class that is ruled out by minus infinity has none): NaN.

    Args:
        scores: (classes,).
    """
    if bool(scores.isnan().any()) or bool((scores == torch.inf).any()):
        return torch.full_like(scores, torch.nan), UNKNOWN
    if len(scores) == 1:
        return scores.sigmoid(), AFTER_SIGMOID
    if bool((scores >= 0).all()) and abs(float(scores.sum()) - 1) < 1e-3:
        return scores, AS_GIVEN
    return scores.softmax(0), AFTER_SOFTMAX
