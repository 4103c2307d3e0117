"""The ascent: look, backpropagate, move; and the account of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from ..core.guest import guest
from ..core.target import check_finite
from ..errors import ModelError
from .folded import folded
from .images import Image
from .listening import listening
from .look import REDIRECTED_STEPS, Looker, layers_of, mixed
from .objectives import Objective
from .presets import Preset
from .stepping import optimizer_for, regularize, scheduled
from .streams import Streams

Callback: TypeAlias = Callable[[int, Tensor, Tensor], "bool | None"]
"""Called after each step with its number, what was raised (B,), and the images that were looked at, (B, C, H, W) as
the network reads them; returning True stops the ascent. Where pictures are tried again with another seed, the numbers
start from 0 again, and the other pictures stay as they are."""

LEAST_FOLDED = 16
"""An ascent of fewer steps is over before a faster copy of the network would have paid."""

CHECKED = 16
"""Every so many steps the objective is looked at for numbers that are none; looking waits for the device."""


@dataclass(frozen=True, eq=False)
class Course:
    """How an ascent went.

    Attributes:
        history, objective: (steps, B) what was to be raised, and the same minus the penalties, before each step.
        frames: step -> images (B, C, H, W) as the network reads them.
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
    preset: Preset,
    streams: Streams,
    *,
    callback: Callback | None = None,
    checkpoints: Sequence[int] = (),
    patience: int | None = None,
    autocast: bool = False,
) -> Course:
    """Raise ``aim`` minus ``penalty`` by moving ``image``'s variables; Ctrl-C keeps the image so far.

    Raises:
        SeewhyError: the network cannot be ascended: its answers do not change with the image, are not finite, or hang
            on the other images of the batch.
    """
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    optimizer, layers = optimizer_for(preset, image.variables), layers_of(aim, penalty)
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
        network = folded(model, x, layers) if preset.steps >= LEAST_FOLDED else model
        with listening(network, layers) as activations:
            look = Looker(network, activations, image, aim, penalty, preset, streams, dtype, autocast)
            try:
                for step in range(preset.steps):
                    looks = look.begin(step)
                    rate = preset.learning_rate * scheduled(preset.schedule, preset, step)
                    optimizer.param_groups[0]["lr"] = rate
                    optimizer.step(look)  # type: ignore[arg-type]  # some optimizers look more than once
                    if not look.moved and step + 1 >= min(REDIRECTED_STEPS, preset.steps):
                        raise ModelError("the objective does not change with the image: nothing to ascend from here")
                    history.append(looks[0].raised)
                    objective.append(looks[0].objective)
                    if len(objective) % CHECKED == 0:
                        check_finite(torch.stack(objective[-CHECKED:]).sum(0))
                    regularize(image, preset, step)
                    if step + 1 in checkpoints:
                        frames[step + 1] = image.x().detach()
                    stopped = callback is not None and bool(callback(step, looks[0].raised, looks[0].x))
                    if stopped or (patience is not None and _stalled(objective, patience)):
                        break
            except KeyboardInterrupt:
                if not history:
                    raise
                interrupted = True
    check_finite(torch.stack(objective).sum(0))
    complete = len(history) == preset.steps and not interrupted and not stopped
    return Course(torch.stack(history), torch.stack(objective), frames, complete, interrupted)


def _stalled(objective: list[Tensor], patience: int) -> bool:
    if len(objective) <= patience:
        return False
    means = torch.stack(objective).mean(1)
    return bool(means[-patience:].max() <= means[:-patience].max())
