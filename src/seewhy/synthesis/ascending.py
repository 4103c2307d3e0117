"""Look, backpropagate, move; and the account of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .. import events
from ..core.guest import guest
from ..core.target import check_finite
from ..errors import ModelError
from .ascent import Ascent
from .asked import Run
from .images import Image, PixelImage
from .listening import listening
from .look import REDIRECTED_STEPS, Looker, layers_of, mixed
from .objectives import Objective
from .streams import Streams

CHECKED = 16
"""Every so many steps the objective is looked at for numbers that are none; looking waits for the device."""


@dataclass(frozen=True, eq=False)
class Step:
    """What an ascent tells after each step, as the value of an event.

    Attributes:
        number: of the step, from 0.
        score: (B,) float32, what is to be raised, before the step.
        images: (B, C, H, W) as the network reads them, before the step and without its transforms.
    """

    number: int
    score: Tensor
    images: Tensor


@dataclass(frozen=True, eq=False)
class Course:
    """How an ascent went.

    Attributes:
        history, objective: (steps, B) what was to be raised, and the same minus the penalties, before each step.
        frames: number of steps done -> images (B, C, H, W) as the network reads them.
        complete: whether all steps were made.
        interrupted: whether Ctrl-C ended it.
    """

    history: Tensor
    objective: Tensor
    frames: dict[int, Tensor]
    complete: bool
    interrupted: bool


def ascend(
    model: nn.Module,
    image: Image,
    aim: Objective,
    penalty: Objective | None,
    ascent: Ascent,
    streams: Streams,
    run: Run,
    shown: Callable[[Step], Step] = lambda step: step,
) -> Course:
    """Raise ``aim`` minus ``penalty`` by moving ``image``'s variables; Ctrl-C keeps the image so far.

    Tells ``events.progress`` of each step; a listener that returns True stops it.

    Args:
        shown: what is told of a step.

    Raises:
        SeewhyError: the network cannot be ascended: its answers do not change with the image, are not finite, or hang
            on the other images of the batch.
    """
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    optimizer, layers = ascent.optimizer.make(image.variables), layers_of(aim, penalty)
    history: list[Tensor] = []
    objective: list[Tensor] = []
    frames: dict[int, Tensor] = {}
    interrupted = stopped = False
    with guest(model, grad=True):
        x = image.x().detach().to(dtype)
        if len(x) > 1 and mixed(model, x):
            raise ModelError(
                "the network's answer to an image hangs on the other images of its batch",
                expected="one picture at a time (batch=1, --batch-size 1), or batch norms that keep running statistics",
            )
        network = ascent.network.prepared(model, x, layers, ascent.steps)
        with listening(network, layers) as activations:
            look = Looker(network, activations, image, aim, penalty, ascent, streams, dtype)
            try:
                for step in range(ascent.steps):
                    looks = look.begin(step)
                    optimizer.param_groups[0]["lr"] = ascent.optimizer.rate(step / ascent.steps)
                    optimizer.step(look)  # type: ignore[arg-type]  # some optimizers look more than once
                    if not look.moved and step + 1 >= min(REDIRECTED_STEPS, ascent.steps):
                        raise ModelError("the objective does not change with the image: nothing to ascend from here")
                    history.append(looks[0].raised)
                    objective.append(looks[0].objective)
                    if len(objective) % CHECKED == 0:
                        check_finite(torch.stack(objective[-CHECKED:]).sum(0))
                    _filter(image, ascent, step + 1)
                    if step + 1 in run.checkpoints:
                        frames[step + 1] = image.x().detach()
                    told = shown(Step(step, looks[0].raised, looks[0].x))
                    stopped = events.progress(step + 1, ascent.steps, told)
                    if stopped or (run.patience is not None and _stalled(objective, run.patience)):
                        break
            except KeyboardInterrupt:
                if not history:
                    raise
                interrupted = True
    check_finite(torch.stack(objective).sum(0))
    complete = len(history) == ascent.steps and not interrupted and not stopped
    return Course(torch.stack(history), torch.stack(objective), frames, complete, interrupted)


def _filter(image: Image, ascent: Ascent, done: int) -> None:
    if isinstance(image, PixelImage):
        (x,) = image.variables
        with torch.no_grad():
            for each in ascent.acting_filters:
                each(x, x.grad, done)


def _stalled(objective: list[Tensor], patience: int) -> bool:
    if len(objective) <= patience:
        return False
    means = torch.stack(objective).mean(1)
    return bool(means[-patience:].max() <= means[:-patience].max())
