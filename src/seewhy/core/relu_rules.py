"""Deconvnet's and guided backpropagation's rules, put on the autograd graph and never on a module.

A ReLU passes R back as [h > 0] R. The deconvnet passes [R > 0] R instead, guided backpropagation both masks
(Springenberg 2015, figure 1). The rules act on the nodes that autograd recorded, so it does not matter how a
network wrote its ReLU: as a module, a function, a method, in place, reused, or beside a skip connection.

For relatives of the ReLU (ReLU6, leaky, PReLU, clamps), [h > 0] R is the node's own backward, whatever it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from ..errors import InputError, MethodError
from ..interrupts import shielded

Rule: TypeAlias = Literal["plain", "deconvnet", "guided"]
RULES: tuple[Rule, ...] = get_args(Rule)
Gradients: TypeAlias = "tuple[Tensor | None, ...]"
GraphNode: TypeAlias = Any  # torch.autograd.graph.Node; its saved values are not in torch's type stubs.


def _zero(value: Any) -> bool:
    return value is not None and not bool(torch.as_tensor(value).count_nonzero())


def _maximum_with_zero(node: GraphNode) -> bool:
    # Of max(x, 0) only x needs a gradient; the other operand is the one without a next node.
    constants = [
        saved
        for (following, _), saved in zip(node.next_functions, (node._saved_self, node._saved_other), strict=True)
        if following is None
    ]
    return len(constants) == 1 and _zero(constants[0])


def _always(node: GraphNode) -> bool:
    return True


RECTIFIERS: dict[str, Callable[[GraphNode], bool]] = {
    "Relu": _always,
    "Threshold": _always,
    "LeakyRelu": _always,
    "PreluKernel": _always,
    "RreluWithNoise": _always,
    "Hardtanh": lambda node: _zero(node._saved_min_val),  # ReLU6; not the two-sided hardtanh
    "Clamp": lambda node: _zero(node._saved_min),
    "ClampMin": lambda node: _zero(node._saved_min),
    "Maximum": _maximum_with_zero,
    "Fmax": _maximum_with_zero,
}
"""Autograd node (torch's internal name without ``Backward`` and its number) -> is this one a rectifier?"""

SMOOTH: frozenset[str] = frozenset({"Silu", "Gelu", "Elu", "Celu", "Mish", "Hardswish", "Softplus"})
"""Activations that resemble a ReLU; overridden only on request."""


HIDING: dict[str, str] = {
    "CopySlices": "the network changes part of a tensor in place; make the record with input_gradient=True",
    "CheckpointFunction": "reentrant checkpointing runs a part of the network unseen; use use_reentrant=False",
    "DifferentiableGraph": "TorchScript fused a part of the network; give the original Python module",
    "CompiledFunction": "torch.compile fused a part of the network; give the original module",
}
"""Nodes behind which a ReLU cannot be seen -> why, and the way out."""

UNSEEN = (
    "the score does not depend on {} through anything that autograd can see (the model detaches it, runs under no_grad "
    "or inference_mode, is quantized, or gives integers); occlusion needs no gradient"
)
"""Why there is no gradient at a place."""


def nodes_of(root: GraphNode) -> list[GraphNode]:
    """Every node of the autograd graph below ``root``."""
    found, stack = {root}, [root]
    while stack:
        for following, _ in stack.pop().next_functions:
            if following is not None and following not in found:
                found.add(following)
                stack.append(following)
    return list(found)


def kind(node: GraphNode) -> str:
    """``ReluBackward0`` -> ``Relu``."""
    return _kind(node.name())


@cache
def _kind(name: str) -> str:
    return re.sub(r"Backward\d*$", "", name.rsplit("::", 1)[-1])


@shielded
def rectified(root: GraphNode, rule: Rule, smooth: bool = False, visible: bool = False) -> Iterator[int]:
    """Apply ``rule`` to every rectifier below ``root`` for the time of the block; gives how many there are.

    Args:
        root: the score's ``grad_fn``.
        rule: "plain" does nothing.
        smooth: whether SiLU, GELU and their like count.
        visible: whether the forward ran under ``VisibleReLU``, so that nothing in place can hide a ReLU.

    Raises:
        InputError: there is no such rule.
        MethodError: no rectifier ran, or an operation that hides one did.
    """
    if rule not in RULES:
        raise InputError("there is no such rule", expected=", ".join(RULES), got=rule)
    if rule == "plain":
        yield 0
        return
    handles = []
    try:
        for node in rectifiers(root, smooth, visible):
            handles.append(node.register_hook(_deconvnet if rule == "deconvnet" else _guided))
        yield len(handles)
    finally:
        for handle in handles:
            handle.remove()


def rectifiers(root: GraphNode, smooth: bool = False, visible: bool = False, required: bool = True) -> list[GraphNode]:
    """The rectifier nodes below ``root``; with ``smooth`` also SiLU, GELU and their like.

    Raises:
        MethodError: there is none, or one may be hidden; unless none is ``required``.
    """
    nodes = nodes_of(root)
    for node in nodes:
        if required and (reason := HIDING.get(kind(node))) and not (visible and kind(node) == "CopySlices"):
            raise MethodError(f"a ReLU may be hidden from autograd: {reason}")
    found = [node for node in nodes if _is_rectifier(node) or (smooth and kind(node) in SMOOTH)]
    if required and not found:
        near = sorted({kind(node) for node in nodes} & SMOOTH)
        hint = f"; it has {', '.join(near)}: smooth=True treats these as rectifiers" if near else ""
        raise MethodError(f"no ReLU ran in this network, so deconvnet and guided backprop do not apply{hint}")
    return found


def _is_rectifier(node: GraphNode) -> bool:
    test = RECTIFIERS.get(kind(node))
    return test is not None and test(node)


def _deconvnet(grad_inputs: Gradients, grad_outputs: Gradients) -> Gradients | None:
    """R = [R > 0] R."""
    R = grad_outputs[0]
    return None if R is None else _replace_first(grad_inputs, R.clamp(min=0))


def _guided(grad_inputs: Gradients, grad_outputs: Gradients) -> Gradients | None:
    """R = [h > 0] [R > 0] R; the node's own backward has put in the mask [h > 0]."""
    R = next((g for g in grad_inputs if g is not None), None)
    return None if R is None else _replace_first(grad_inputs, R.clamp(min=0))


def _replace_first(grad_inputs: Gradients, new: Tensor) -> Gradients | None:
    # The rectified operand is the first that gets a gradient: max(0, x) has it second, and a PReLU's
    # frozen slope gets none. Where none does (a custom Function gave no gradient), it is zero and stays so.
    first = next((index for index, grad in enumerate(grad_inputs) if grad is not None), None)
    return None if first is None else (*grad_inputs[:first], new, *grad_inputs[first + 1 :])
