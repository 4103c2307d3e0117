"""From a model's class scores to probabilities, for people."""

from __future__ import annotations

import torch
from torch import Tensor

AFTER_SOFTMAX = "probabilities after the softmax"
AFTER_SIGMOID = "the model has one output: its sigmoid"
UNKNOWN = "no probabilities: the scores of some classes are not finite"
AS_GIVEN = "the model's outputs are probabilities already"


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
