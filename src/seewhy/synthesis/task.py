"""What an ascent is to make: any rows of a batch, from any seed, always the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from torch import nn

from ..core.guest import guest
from ..core.target import Score, logits_of
from .ascending import Step, ascend
from .ascent import Ascent
from .asked import Run
from .attempts import Made
from .images import Image
from .objectives import Objective, log_probabilities, logit
from .pixels import Scale, starting_image
from .streams import Key, Streams, keys_of, starting_streams


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
        ascent: how.
        scale: between pixels and what the network reads.
        size: height and width.
        count: of the images.
        run: how the ascent is run.
    """

    module: nn.Module
    target: Any
    objective: Objective | None
    ascent: Ascent
    scale: Scale
    size: tuple[int, int]
    count: int
    run: Run

    def make(self, rows: Sequence[int], seed: int, shown: Callable[[Step], Step]) -> Made:
        """These rows of the batch, each as it would be in any other company; ``shown`` is told of a step."""
        target = [self.target[row] for row in rows] if isinstance(self.target, list) else self.target
        aim, everyone = aim_of(target, self.objective), keys_of(aim_of(self.target, self.objective).of, self.count)
        keys = [everyone[row] for row in rows]
        image = self._image(rows, keys, seed)
        penalties = self.ascent.penalty(target)
        penalty = reduce(add, penalties) if penalties else None
        streams = Streams(seed, keys, self.scale.mean.device)
        course = ascend(self.module, image, aim, penalty, self.ascent, streams, self.run, shown)
        x, alpha = image.x().detach(), image.opacity()
        made = Made(x, None if alpha is None else alpha.detach().float(), course)
        return made if target is None else self._judged(made, target)

    def _image(self, rows: Sequence[int], keys: Sequence[Key], seed: int) -> Image:
        start = self.ascent.start_of(rows)
        x = starting_image(start, self.scale, len(rows), self.size, starting_streams(seed, keys))
        noise = starting_streams(seed, keys) if isinstance(start, str) and start == "noise" else None
        return self.ascent.image.image(x, self.scale, noise)

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
