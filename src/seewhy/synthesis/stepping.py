"""How a gradient becomes a step: the optimizer and its rate, and what Yosinski 2015 does to gradients and pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable
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


def rate(preset: Preset, step: int) -> float:
    """The learning rate of ``step``: constant, a cosine down to a tenth, or by a function of the share done."""
    done = step / preset.steps
    if callable(preset.schedule):
        return preset.learning_rate * float(preset.schedule(done))
    factors = {"constant": 1.0, "cosine": 0.55 + 0.45 * math.cos(math.pi * done)}
    if preset.schedule not in factors:
        raise InputError(
            f"there is no schedule {preset.schedule!r}", expected=f"{', '.join(factors)}, or a function of 0 to 1"
        )
    return preset.learning_rate * factors[preset.schedule]


def grown(preset: Preset, step: int) -> float:
    """The strength of transforms and ghosts at ``step``: from a fifth to all of it, where they grow."""
    return min(1.0, 0.2 + 0.8 * step / (preset.grow * preset.steps)) if preset.grow else 1.0


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
