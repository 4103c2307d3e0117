"""What a network says of pictures as they are shown, without transforms."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..core.guest import guest
from ..core.target import Score, Target, logits_of
from .objectives import log_probabilities
from .pixels import Normalization


@dataclass(frozen=True, eq=False)
class Verdicts:
    """Of a batch of pictures.

    Attributes:
        score: (B,) float32, of the target, before the softmax.
        probability: (B,) float32, of the target: the softmax, of one output the sigmoid; None without classes.
        rank: (B,) int64, 1 where the target is the most probable class; None without classes.
        classes: (B,) int64, or None where a function gives the score.
    """

    score: Tensor
    probability: Tensor | None = None
    rank: Tensor | None = None
    classes: Tensor | None = None


def verdicts(
    module: nn.Module, scale: Normalization, images: Tensor, target: Target, most: int | None = None
) -> Verdicts:
    """What ``module`` says.

    Args:
        scale: between pixels and what the network reads.
        images: (B, C, H, W) pixels in [0, 1].
        target: a class, one per picture, or a function of the outputs.
        most: pictures per forward, for classes; None: all.

    Raises:
        SeewhyError: the target or the network's answer does not fit.
    """
    x = scale.to_network(images)
    x = x.to(next((p for p in module.parameters() if p.is_floating_point()), x))
    with guest(module, grad=False):
        outputs = module(x) if most is None else torch.cat([logits_of(module(part)) for part in torch.split(x, most)])
    score_of = Score.resolve(target, outputs, len(x))
    score, classes = score_of(outputs).float(), score_of.classes
    if classes is None:
        return Verdicts(score)
    logits = logits_of(outputs).float()
    probability = log_probabilities(logits).exp().gather(1, classes[:, None])[:, 0]
    rank = 1 + (logits > logits.gather(1, classes[:, None])).sum(1)
    return Verdicts(score, probability, rank, classes)
