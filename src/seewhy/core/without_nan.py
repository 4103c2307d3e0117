"""A network that gives NaN for other classes than the one that is explained.

NaN in the last layer's weights for one class makes its score NaN, and, since zero times NaN is NaN, also the gradient
of every other class's score, to which it adds nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class WithoutNaN(TorchFunctionMode):
    """While it is active, NaN in what a network holds, weights or constants, counts as zero.

    Where that leaves a score as it is, the NaN had no part in it, and the gradient is the one that is meant.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "_").endswith("_"):  # in place, or an attribute: identity must be kept
            return func(*args, **(kwargs or {}))
        kwargs = {name: _finite(value) for name, value in (kwargs or {}).items()}
        return func(*map(_finite, args), **kwargs)


def holds_nan(logits: Tensor) -> bool:
    """Whether scores of classes are NaN: of others than those that are explained, which were found to be numbers.

    Not asked of a GPU, which it would keep waiting.
    """
    return not logits.is_cuda and bool(logits.isnan().any())


def _finite(value: Any) -> Any:
    held = isinstance(value, Tensor) and value.is_floating_point() and value.layout == torch.strided
    if held and not value.requires_grad and bool(value.isnan().any()):
        return torch.where(value.isnan(), torch.zeros_like(value), value)
    return value
