"""Functions of one tensor, element by element, and how they are done without another pass over memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .program import Node, Ref

ACTIVATIONS = frozenset({
    "relu", "relu6", "hardtanh", "sigmoid", "silu", "gelu", "hardswish", "hardsigmoid", "leaky_relu", "elu", "celu",
    "selu", "mish", "tanh", "softplus", "clamp", "clamp_min", "clamp_max", "threshold", "logsigmoid", "softsign",
})  # fmt: skip
"""Functions of one tensor, position by position and channel by channel, with numbers as further arguments."""


def is_activation(node: Node) -> bool:
    """Whether it is a function of one tensor, element by element."""
    others = [*node.args[1:], *node.kwargs.values()]
    return node.name in ACTIVATIONS and not any(isinstance(value, Tensor | Ref) for value in others)


_IN_PLACE: dict[str, Callable[..., Tensor]] = {
    "relu": lambda x, *_, **__: torch.relu_(x),
    "relu6": lambda x, *_, **__: x.clamp_(0, 6),
    "hardtanh": lambda x, low=-1.0, high=1.0, *_, **__: x.clamp_(low, high),
    "sigmoid": lambda x: torch.sigmoid_(x),
    "silu": lambda x, *_, **__: F.silu(x, inplace=True),
    "hardswish": lambda x, *_, **__: F.hardswish(x, inplace=True),
}


def activated(then: Node, x: Tensor) -> Tensor:
    """One activation on ``x``, which nobody else reads."""
    fast = _IN_PLACE.get(then.name)
    result: Tensor = fast(x, *then.args[1:], **_plain(then)) if fast else then.run((x, *then.args[1:]), then.kwargs)
    return result


def followed(node: Node, x: Tensor) -> Tensor:
    """``x``, which nobody else reads, after all that follows ``node``."""
    for then in node.then:
        x = activated(then, x)
    return x


def _plain(node: Node) -> dict[str, Any]:
    names = {"min_val": "low", "max_val": "high"}
    return {names.get(name, name): value for name, value in node.kwargs.items() if name != "inplace"}
