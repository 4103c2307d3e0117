"""Functions applied to a layer's output before it is pooled, such as ``F.relu`` after the last convolution.

A network that applies its last ReLU as a function is the same network as one that applies it as a module, so its last
map is the same one, although no module gives it. The autograd graph shows which functions followed, and holds the
tensors that their derivatives need; from these the map is had without another forward.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.graph import GradientEdge

from .relu_rules import GraphNode, kind

SEPARATOR = " + "
"""Between a layer's name and the function after it, as in ``conv2 + relu``."""

PASSED: frozenset[str] = frozenset({
    "Add", "Sub", "Div", "Cat", "Clone", "NativeBatchNorm", "CudnnBatchNorm", "NativeGroupNorm",
})  # fmt: skip
"""Functions that keep a map's positions; an activation may follow them."""


def _result(node: GraphNode) -> Tensor:
    result: Tensor = node._saved_result
    return result


def _of_saved(function: Callable[..., Tensor], *names: str) -> Callable[[GraphNode], Tensor]:
    def result(node: GraphNode) -> Tensor:
        if not hasattr(node, "_saved_self"):  # in place: the result was saved instead
            return _result(node)
        return function(node._saved_self, *(getattr(node, f"_saved_{name}") for name in names))

    return result


def _gated(node: GraphNode) -> Tensor | None:
    """A product whose factors both depend on the photo; None where one of them is a constant."""
    one, other = node._saved_self, node._saved_other
    return one * other if isinstance(one, Tensor) and isinstance(other, Tensor) else None


ACTIVATIONS: dict[str, Callable[[GraphNode], Tensor | None]] = {
    "Relu": _result,
    "Sigmoid": _result,
    "Tanh": _result,
    "Threshold": _of_saved(lambda x, threshold: F.threshold(x, threshold, 0.0), "threshold"),
    "Hardtanh": _of_saved(F.hardtanh, "min_val", "max_val"),
    "LeakyRelu": _of_saved(F.leaky_relu, "negative_slope"),
    "PreluKernel": _of_saved(torch._prelu_kernel, "weight"),
    "Clamp": _of_saved(torch.clamp, "min", "max"),
    "ClampMin": _of_saved(torch.clamp_min, "min"),
    "Maximum": _of_saved(torch.maximum, "other"),
    "Fmax": _of_saved(torch.fmax, "other"),
    "Silu": _of_saved(F.silu),
    "Gelu": _of_saved(lambda x, how: F.gelu(x, approximate=how), "approximate"),
    "Hardswish": _of_saved(F.hardswish),
    "Hardsigmoid": _of_saved(F.hardsigmoid),
    "Mish": _of_saved(F.mish),
    "Elu": _of_saved(torch.ops.aten.elu, "alpha", "scale", "input_scale"),
    "Celu": _of_saved(F.celu, "alpha"),
    "Softplus": _of_saved(F.softplus, "beta", "threshold"),
    "Mul": _gated,
}
"""Autograd node of an activation, or of a gate, -> its result, from what it saved for the derivative; or None."""

_NAMES = {"PreluKernel": "prelu", "LeakyRelu": "leaky_relu", "ClampMin": "clamp", "Hardtanh": "hardtanh"}


Ways: TypeAlias = dict[GraphNode, set[GraphNode]]
"""Each autograd node on a path from a layer to the score -> the nodes that read its result."""


@dataclass(frozen=True, eq=False)
class After:
    """The last map that functions computed from a layer's output.

    Attributes:
        function: the name of the last of them.
        value: the map.
        edge: where its gradient is read.
    """

    function: str
    value: Tensor
    edge: GradientEdge


def after(shape: torch.Size, node: GraphNode, ways: Ways, answer: frozenset[GraphNode] = frozenset()) -> After | None:
    """The last activation that was applied, as a function, to a layer's output on its way to the score; None if none.

    Followed are functions that keep positions, while nothing else reads what they were given.

    Args:
        shape: of the layer's output.
        node: which gave it.
        ways: from it to the score.
        answer: nodes that give what the network returns; these are not gone on to.
    """
    found = None
    while len(reading := ways.get(node, set())) == 1:
        (node,) = reading
        name = kind(node)
        if node in answer or (name not in ACTIVATIONS and name not in PASSED):
            break
        value = _value(node, name)
        if value is not None and value.dim() == len(shape) and value.shape[-2:] == shape[-2:]:
            found = After(_NAMES.get(name, name.lower()), value.detach(), GradientEdge(node, 0))
    return found


def above(ways: Ways) -> tuple[str, ...]:
    """The kinds of the nodes between a layer and the score: equal for equal paths."""
    return tuple(sorted(kind(reader) for reading in ways.values() for reader in reading))


def split(name: str) -> tuple[str, str | None]:
    """``conv2 + relu`` -> the layer's name and the function's; None for a layer alone."""
    layer, separator, function = name.partition(SEPARATOR)
    return layer, function if separator else None


def _value(node: GraphNode, name: str) -> Tensor | None:
    if (function := ACTIVATIONS.get(name)) is None:
        return None
    try:
        with torch.no_grad():
            return function(node)
    except (RuntimeError, AttributeError, TypeError):
        return None  # overwritten since, or saved in another way by this release of torch


def ways_up(root: GraphNode | None, node: GraphNode) -> Ways:
    """The nodes on all paths from ``node`` to ``root``; empty where ``root`` does not depend on it."""
    read_by: Ways = {}
    seen, stack = {root}, [root]
    while stack:
        current = stack.pop()
        if current is node or current is None:
            continue
        for following, _ in current.next_functions:
            if following is not None:
                read_by.setdefault(following, set()).add(current)
                if following not in seen:
                    seen.add(following)
                    stack.append(following)
    ways: Ways = {}
    stack = [node]
    while stack:
        current = stack.pop()
        if current not in ways and current in read_by:
            ways[current] = read_by[current]
            stack.extend(read_by[current])
    return ways
