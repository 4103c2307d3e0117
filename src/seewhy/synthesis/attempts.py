"""Pictures of classes that are not top-1 under their own network are made again, from another seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .. import events
from .ascending import Course, Step
from .visualization import Visualization

ATTEMPTS = 3
"""So many at most, for each picture."""

APART = 1_000_000
"""How far apart the seeds of one picture's attempts are; whoever tries 0, 1, 2 by hand meets none of them."""


@dataclass(frozen=True, eq=False)
class Made:
    """What one ascent made, and what the network says of it as shown.

    Attributes:
        x: (B, C, H, W) as the network reads them.
        alpha: (B, 1, H, W), or None.
        course: how it went.
        score, probability, rank: (B,), or None where there are no classes; rank 1 is the most probable.
        classes: (B,) int64, or None.
    """

    x: Tensor
    alpha: Tensor | None
    course: Course
    score: Tensor | None = None
    probability: Tensor | None = None
    rank: Tensor | None = None
    classes: Tensor | None = None


def seed_of(seed: int, attempt: int) -> int:
    """The seed of a later attempt; with it given, and ``attempts=1``, the same picture comes out."""
    return seed + attempt * APART


def attempt_of(made: Visualization, row: int) -> int:
    """Which attempt an image came from, the first being 0."""
    params = made.params
    return (params["seeds"][row] - params["seed"]) // APART if "seeds" in params else 0


def best_of(
    make: Callable[[Sequence[int], int, Callable[[Step], Step]], Made], count: int, seed: int, attempts: int
) -> tuple[Made, list[int], list[int]]:
    """Each image from the attempt that ranks it best, then gives it most; its seed, and how often it was tried.

    A stop, by a listener, by patience or by Ctrl-C, ends the attempts too; what was begun then is left out. Later
    attempts are parts of the job, "attempt 2" and so on; their steps are told with all images of the batch.

    Args:
        make: makes these rows of the batch from this seed, and tells of a step what is made of it.
        count: how many rows there are.
    """
    best = make(range(count), seed, lambda step: step)
    seeds, tries = [seed] * count, [1] * count
    for attempt in range(1, attempts):
        rows = [] if best.rank is None else [row for row, rank in enumerate(best.rank.tolist()) if rank > 1]
        if not rows or not best.course.complete:
            break
        try:
            with events.part(f"attempt {attempt + 1}", 1.0, 0.0):  # the share is of an ascent that is made once
                again = make(rows, seed_of(seed, attempt), _among(best, rows))
        except KeyboardInterrupt:
            return _interrupted(best), seeds, tries
        if not again.course.complete:
            return (_interrupted(best) if again.course.interrupted else best), seeds, tries
        better = _better(again, best, rows)
        for index, row in enumerate(rows):
            tries[row] += 1
            seeds[row] = seed_of(seed, attempt) if better[index] else seeds[row]
        best = _replaced(best, again, rows, better)
    return best, seeds, tries


def _better(again: Made, best: Made, rows: Sequence[int]) -> list[bool]:
    def places(made: Made) -> list[tuple[int, float]]:
        assert made.rank is not None
        assert made.probability is not None
        return list(zip(made.rank.tolist(), (-made.probability).tolist(), strict=True))

    kept = places(best)
    return [new < kept[row] for new, row in zip(places(again), rows, strict=True)]


def _replaced(best: Made, again: Made, rows: Sequence[int], better: Sequence[bool]) -> Made:
    """``best`` with the ``rows`` that came out ``better``."""
    new = [index for index, is_better in enumerate(better) if is_better]
    old = [rows[index] for index in new]

    def put(into: Any, made: Any, dimension: int = 0) -> Any:
        if into is None:
            return None
        where, which = (torch.tensor(index, device=into.device, dtype=torch.long) for index in (old, new))
        return into.index_copy(dimension, where, made.index_select(dimension, which))

    course = replace(
        best.course,
        history=put(best.course.history, again.course.history, 1),
        objective=put(best.course.objective, again.course.objective, 1),
        frames={step: put(x, again.course.frames[step]) for step, x in best.course.frames.items()},
    )
    of_images = ("x", "alpha", "score", "probability", "rank")
    return replace(best, course=course, **{name: put(getattr(best, name), getattr(again, name)) for name in of_images})


def _among(best: Made, rows: Sequence[int]) -> Callable[[Step], Step]:
    """A step of these rows, told as one of all images; the others are as they were."""
    score = best.course.history[-1]

    def among(step: Step) -> Step:
        where = torch.tensor(list(rows), device=step.images.device)
        images = best.x.index_copy(0, where, step.images.to(best.x))
        return Step(step.number, score.index_copy(0, where, step.score), images)

    return among


def _interrupted(made: Made) -> Made:
    return replace(made, course=replace(made.course, interrupted=True))
