"""What an ascent is to make: any rows of a batch, from any seed, always the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from torch import nn

from .ascending import Step, ascend
from .ascent import Ascent
from .asked import Run
from .attempts import Made
from .images import Image
from .objectives import Objective, logit
from .pixels import Normalization, starting_image
from .streams import Key, Streams, keys_of, starting_streams
from .verdicts import verdicts


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
    scale: Normalization
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
        alpha = None if alpha is None else alpha.detach().float()
        if target is None:
            return Made(x, alpha, course)
        said = verdicts(self.module, self.scale, self.scale.to_pixels(x), target)
        return Made(x, alpha, course, said.score, said.probability, said.rank, said.classes)

    def _image(self, rows: Sequence[int], keys: Sequence[Key], seed: int) -> Image:
        start = self.ascent.start_of(rows)
        x = starting_image(start, self.scale, len(rows), self.size, starting_streams(seed, keys))
        noise = starting_streams(seed, keys) if isinstance(start, str) and start == "noise" else None
        return self.ascent.image.image(x, self.scale, noise)
