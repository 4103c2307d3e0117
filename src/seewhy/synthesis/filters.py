"""What Yosinski 2015 (arXiv:1506.06579, section 3) does to the pixels themselves after a step.

Each is a frozen value, called with the pixels, their gradient, and the number of steps done; it changes the pixels in
place. They act where pixels are the variables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..core.gaussian import blur
from ..errors import InputError
from .checked import check_number, is_count


class Filter(ABC):
    """Something done to the pixels after a step."""

    @abstractmethod
    def __call__(self, x: Tensor, gradient: Tensor | None, done: int) -> None:
        """Change ``x`` (B, C, H, W) in place; ``gradient`` is of its shape, or None where nothing hangs on it."""

    @property
    @abstractmethod
    def params(self) -> dict[str, Any]:
        """Its parameters, the one that it is told apart by first."""


@dataclass(frozen=True)
class BlurEvery(Filter):
    """Every so many ``steps`` a Gaussian of ``deviation`` pixels."""

    steps: int
    deviation: float

    def __post_init__(self) -> None:
        if not is_count(self.steps):
            raise InputError("a blur comes every so many steps", expected="a whole number above zero", got=self.steps)
        check_number("the deviation of a blur", self.deviation, above_zero=True)

    def __call__(self, x: Tensor, gradient: Tensor | None, done: int) -> None:
        if done % self.steps == 0:
            x.copy_(blur(x, self.deviation))

    @property
    def params(self) -> dict[str, Any]:
        return {"blur_every": self.steps, "blur": self.deviation}


@dataclass(frozen=True)
class SmallNorm(Filter):
    """The ``share`` of pixels of the smallest norm becomes zero."""

    share: float

    def __post_init__(self) -> None:
        _check_share(self.share)

    def __call__(self, x: Tensor, gradient: Tensor | None, done: int) -> None:
        _drop(x, x.norm(dim=1, keepdim=True), self.share)

    @property
    def params(self) -> dict[str, Any]:
        return {"small_norm": self.share}


@dataclass(frozen=True)
class SmallContribution(Filter):
    """The ``share`` of pixels that contribute least, |x * gradient|, becomes zero."""

    share: float

    def __post_init__(self) -> None:
        _check_share(self.share)

    def __call__(self, x: Tensor, gradient: Tensor | None, done: int) -> None:
        if gradient is not None:
            _drop(x, (x * gradient).sum(1, keepdim=True).abs(), self.share)

    @property
    def params(self) -> dict[str, Any]:
        return {"small_contribution": self.share}


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise InputError("a share of the pixels is between zero and one", got=share)


def _drop(x: Tensor, importance: Tensor, share: float) -> None:
    """Set the ``share`` of pixels of least ``importance`` (B, 1, H, W) to zero, in place."""
    least = importance.flatten(1).quantile(share, dim=1)
    x.mul_(importance >= least.view(-1, 1, 1, 1))
