"""How a gradient becomes a step: the optimizer and its rate, and what Yosinski 2015 does to gradients and pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from ..core.gaussian import blur
from ..errors import InputError, close_matches
from .images import Image, Pixels
from .presets import Preset


def optimizer_for(preset: Preset, variables: Iterable[Tensor]) -> torch.optim.Optimizer:
    """Any optimizer of ``torch.optim`` by its name, or what a function makes of the variables, ``lr=`` and, with
    ``shrink``, ``weight_decay=``.

    Raises:
        InputError: torch has none of this name, or it cannot be made so.
    """
    make: Any = preset.optimizer
    if isinstance(make, str):
        known = {kind.__name__.lower(): kind for kind in vars(torch.optim).values() if _is_optimizer(kind)}
        if make.lower() not in known:
            raise InputError(f"torch.optim has no optimizer {make!r}", close=close_matches(make, known))
        make = known[make.lower()]
    options = {"weight_decay": preset.shrink} if preset.shrink else {}
    try:
        made: Any = make(list(variables), lr=preset.learning_rate, **options)
    except (TypeError, ValueError) as error:
        raise InputError(f"the optimizer cannot be made: {error}", expected="a function of (variables, lr=)") from error
    if not isinstance(made, torch.optim.Optimizer):
        raise InputError("this makes no optimizer", expected="a torch.optim.Optimizer", got=type(made).__name__)
    return made


def _is_optimizer(kind: Any) -> bool:
    optimizer = torch.optim.Optimizer
    return isinstance(kind, type) and issubclass(kind, optimizer) and kind is not optimizer


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: 0.55 + 0.45 * math.cos(math.pi * done),
    "hill": lambda done: min(1.0, 0.2 + 2 * done, 1 - (done - 0.7) / 0.6),
}
"""Share of the steps done -> share of the full strength. Cosine falls to a tenth. Hill rises from a fifth, has all of
it from two fifths of the way to seven tenths, and falls to a half."""


def scheduled(schedule: str | Callable[[float], float], preset: Preset, step: int) -> float:
    """A schedule's value at ``step``.

    Raises:
        InputError: there is none of this name.
    """
    if isinstance(schedule, str):
        if schedule not in SCHEDULES:
            expected = f"{', '.join(SCHEDULES)}, or a function of 0 to 1"
            raise InputError(f"there is no schedule {schedule!r}", expected=expected)
        schedule = SCHEDULES[schedule]
    return float(schedule(step / preset.steps))


def conditioned(gradient: Tensor, preset: Preset) -> Tensor:
    """Each image's gradient over its root mean square, and no longer than ``gradient_clip``, where asked."""
    if preset.normalize:
        gradient = gradient / _per_image(gradient, gradient.square().flatten(1).mean(1).sqrt().clamp(min=1e-20))
    if preset.gradient_clip:
        length = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
        gradient = gradient * _per_image(gradient, (preset.gradient_clip / length.clamp(min=1e-20)).clamp(max=1))
    return gradient


def regularize(image: Image, preset: Preset, step: int) -> None:
    """What Yosinski 2015 (section 3) does to the pixels themselves after a step: blur, and clip the smallest."""
    if not isinstance(image, Pixels):
        return
    (x,) = image.variables
    with torch.no_grad():
        contribution = None if x.grad is None else (x * x.grad).sum(1, keepdim=True).abs()
        if preset.blur_every and (step + 1) % preset.blur_every == 0:
            x.copy_(blur(x, preset.blur))
        if preset.small_norm:
            _drop(x, x.norm(dim=1, keepdim=True), preset.small_norm)
        if preset.small_contribution and contribution is not None:
            _drop(x, contribution, preset.small_contribution)


def _drop(x: Tensor, importance: Tensor, share: float) -> None:
    """Set the ``share`` of pixels of least ``importance`` (B, 1, H, W) to zero, in place."""
    least = _per_image(x, importance.flatten(1).quantile(share, dim=1))
    x.mul_(importance >= least)


def _per_image(like: Tensor, numbers: Tensor) -> Tensor:
    return numbers.view(-1, *[1] * (like.dim() - 1))
