"""How a gradient becomes a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, close_matches
from .checked import check_number
from .schedule import Schedule, check_schedule, named, scheduled


@dataclass(frozen=True)
class Optimizer:
    """An optimizer of torch's, and what is done to gradients before it sees them.

    Attributes:
        kind: the name of any optimizer of ``torch.optim``, or a function of (variables, lr=) that makes one; with
            ``shrink``, of weight_decay= as well.
        learning_rate: the optimizer's.
        schedule: of the learning rate.
        shrink: the optimizer's weight decay. "adamw" takes it off the variables themselves, each step: a wave that no
            look asks for fades.
        normalize: divide each image's gradient at the variables by its root mean square.
        gradient_blur: a Gaussian of this deviation, in pixels, over the gradient at the pixels (0: none).
        gradient_clip: the most that the length of an image's gradient at the variables may be (0: any).

    Raises:
        InputError: there is no such optimizer or schedule, or a number is out of range.
    """

    kind: str | Callable[..., Any] = "adam"
    learning_rate: float = 0.05
    schedule: Schedule = "constant"
    shrink: float = 0.0
    normalize: bool = False
    gradient_blur: float = 0.0
    gradient_clip: float = 0.0

    def __post_init__(self) -> None:
        check_number("the learning rate", self.learning_rate, above_zero=True)
        for name in ("shrink", "gradient_blur", "gradient_clip"):
            check_number(name, getattr(self, name))
        check_schedule(self.schedule)
        if isinstance(self.kind, str):
            _known(self.kind)

    def make(self, variables: Iterable[Tensor]) -> torch.optim.Optimizer:
        """Torch's.

        Raises:
            InputError: it cannot be made so.
        """
        kind: Any = _known(self.kind) if isinstance(self.kind, str) else self.kind
        options = {"weight_decay": self.shrink} if self.shrink else {}
        try:
            made: Any = kind(list(variables), lr=self.learning_rate, **options)
        except (TypeError, ValueError) as error:
            expected = "a function of (variables, lr=)"
            raise InputError(f"the optimizer cannot be made: {error}", expected=expected) from error
        if not isinstance(made, torch.optim.Optimizer):
            raise InputError("this makes no optimizer", expected="a torch.optim.Optimizer", got=type(made).__name__)
        return made

    def rate(self, done: float) -> float:
        """The learning rate when this share of the steps is done."""
        return self.learning_rate * scheduled(self.schedule, done)

    def conditioned(self, gradient: Tensor) -> Tensor:
        """Each image's gradient over its root mean square, and no longer than ``gradient_clip``, where asked."""
        if self.normalize:
            gradient = gradient / _per_image(gradient, gradient.square().flatten(1).mean(1).sqrt().clamp(min=1e-20))
        if self.gradient_clip:
            length = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
            gradient = gradient * _per_image(gradient, (self.gradient_clip / length.clamp(min=1e-20)).clamp(max=1))
        return gradient

    @property
    def params(self) -> dict[str, Any]:
        """What has a part in the result."""
        own = {name: value for name in ("shrink", "normalize", "gradient_blur", "gradient_clip")
               if (value := getattr(self, name))}  # fmt: skip
        schedule = {} if self.schedule == "constant" else {"schedule": named(self.schedule)}
        return {"learning_rate": self.learning_rate, "optimizer": named(self.kind), **own, **schedule}


def _known(name: str) -> Any:
    """The optimizer of torch's that is called so."""
    optimizer = torch.optim.Optimizer
    known = {
        kind.__name__.lower(): kind for kind in vars(torch.optim).values()
        if isinstance(kind, type) and issubclass(kind, optimizer) and kind is not optimizer
    }  # fmt: skip
    if name.lower() not in known:
        raise InputError(f"torch.optim has no optimizer {name!r}", close=close_matches(name, known))
    return known[name.lower()]


def _per_image(like: Tensor, numbers: Tensor) -> Tensor:
    return numbers.view(-1, *[1] * (like.dim() - 1))
