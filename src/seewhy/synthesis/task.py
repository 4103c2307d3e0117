"""What an ascent is to make: any rows of a batch, from any seed, always the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor, nn

from ..core.guest import guest
from ..core.target import Score, logits_of
from .ascent import Callback, ascend
from .attempts import Made
from .images import Fourier, Image, Phase, Pixels, Transparent
from .objectives import Objective, log_probabilities, logit, opacity
from .objectives import l2 as squared_norm
from .objectives import probability as log_probability
from .pixels import Scale, starting_image
from .presets import Preset
from .streams import Key, Streams, keys_of, starting_streams

HALF_PAINTED = 0.5
"""The opacity that an image with an alpha channel starts with."""


def aim_of(target: Any, objective: Objective | None) -> Objective:
    """What is raised: the target's score, the objective, or both."""
    asked = [logit(target)] if target is not None else []
    return reduce(add, [*asked, *([objective] if objective is not None else [])])


@dataclass(frozen=True, eq=False)
class Task:
    """Images to be made for a target, an objective, or both.

    Attributes:
        module: the network.
        target: a class, a list with one per image, a function of the outputs, or None.
        objective: raised as well, or instead.
        plan: how.
        scale: between pixels and what the network reads.
        size: height and width.
        start: see ``starting_image``.
        alpha: weight of the penalty on opacity, or None for an image without an alpha channel.
        count: of the images.
        course: more of ``ascend``'s options.
    """

    module: nn.Module
    target: Any
    objective: Objective | None
    plan: Preset
    scale: Scale
    size: tuple[int, int]
    start: Any
    alpha: float | None
    count: int
    course: dict[str, Any]

    def make(self, rows: Sequence[int], seed: int, callback: Callback | None) -> Made:
        """These rows of the batch, each as it would be in any other company."""
        target = [self.target[row] for row in rows] if isinstance(self.target, list) else self.target
        aim, everyone = aim_of(target, self.objective), keys_of(aim_of(self.target, self.objective).of, self.count)
        keys = [everyone[row] for row in rows]
        image = self._image(rows, keys, seed)
        streams = Streams(seed, keys, self.scale.mean.device)
        course = ascend(
            self.module, image, aim, self._penalty(target), self.plan, streams, callback=callback, **self.course
        )
        x, alpha = image.x().detach(), image.opacity()
        made = Made(x, None if alpha is None else alpha.detach().float(), course)
        return made if target is None else self._judged(made, target)

    def _penalty(self, target: Any) -> Objective | None:
        weighed = [self.plan.l2 * squared_norm()] if self.plan.l2 else []
        if self.plan.probability and target is not None and not callable(target):
            weighed.append(-self.plan.probability * log_probability(target))
        if self.alpha is not None:
            weighed.append(self.alpha * opacity())
        return reduce(add, weighed) if weighed else None

    def _image(self, rows: Sequence[int], keys: Sequence[Key], seed: int) -> Image:
        streams = starting_streams(seed, keys)
        start = self.start[rows] if isinstance(self.start, Tensor) and self.start.dim() == 4 else self.start
        x = starting_image(start, self.scale, len(rows), self.size, streams)
        image = self._variables(
            x, starting_streams(seed, keys) if isinstance(start, str) and start == "noise" else None
        )
        if self.alpha is None:
            return image
        return Transparent(image, torch.full_like(x[:, :1], HALF_PAINTED), self.plan.decay)

    def _variables(self, x: Tensor, noise: Any) -> Image:
        if self.plan.parameterization == "pixels":
            return Pixels(x)
        if self.plan.parameterization == "phase":
            return Phase(x, self.scale, noise)
        return Fourier(x, self.scale, self.plan.decay, noise=noise)

    def _judged(self, made: Made, target: Any) -> Made:
        """With what the network says of the images as shown, without transforms."""
        like = next((p for p in self.module.parameters() if p.is_floating_point()), made.x)
        shown = self.scale.to_network(self.scale.to_pixels(made.x)).to(like)
        with guest(self.module, grad=False):
            outputs = self.module(shown)
        score_of = Score.resolve(target, outputs, len(shown))
        score = score_of(outputs).float()
        if score_of.classes is None:
            return Made(made.x, made.alpha, made.course, score)
        logits, classes = logits_of(outputs).float(), score_of.classes
        probability = log_probabilities(logits).exp().gather(1, classes[:, None])[:, 0]
        rank = 1 + (logits > logits.gather(1, classes[:, None])).sum(1)
        return Made(made.x, made.alpha, made.course, score, probability, rank, classes)
