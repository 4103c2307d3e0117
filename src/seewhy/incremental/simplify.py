"""Program simplification: batch norms folded into convolutions, activations fused with the operator before them.

Works on copies of the weights; the model's own are never touched.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import torch
from torch import Tensor

from .activations import is_activation
from .kernels import Filter, pair
from .points import Points
from .program import Node, Program, Ref, mapped

_FRESH = frozenset({"conv2d", "affine", "add", "sub", "mul", "div", "cat", "linear"})
"""Functions whose result is not aliased, so that the next operator may overwrite it."""


def simplified(program: Program, half: bool = False, own: bool = False) -> Program:
    """Fold batch norms, fuse activations and sums, split ``chunk`` and the like into their parts.

    Args:
        program: as it was traced.
        half: whether convolutions of deltas are computed in bfloat16.
        own: whether all constants are copied, so that the model may change or go.
    """
    nodes = [part for node in program.nodes for part in _narrowed(node, program)]
    nodes = _joined(_folded(nodes, program), program)
    nodes = nodes if half else _summed(nodes, program)
    return Program([_stored(node, half, own) for node in nodes], program.output, program.shapes, program.varying)


def affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """What a batch norm does in evaluation mode: x * scale + shift."""
    return torch.addcmul(shift, x, scale)


def _batch_norm(
    input: Ref, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5,
) -> tuple[Tensor, Tensor] | None:  # fmt: skip
    """Scale and shift per channel, float64; None where the batch itself would be averaged."""
    if training or not isinstance(running_var, Tensor) or not isinstance(running_mean, Tensor):
        return None
    scale = (running_var.double() + eps).rsqrt()
    if isinstance(weight, Tensor):
        scale = scale * weight.double()
    shift = -running_mean.double() * scale
    return scale, shift + bias.double() if isinstance(bias, Tensor) else shift


def _folded(nodes: list[Node], program: Program) -> list[Node]:
    folded: list[Node] = []
    maker: dict[Ref, int] = {}
    for node in nodes:
        norm = _batch_norm(*node.args, **node.kwargs) if node.name == "batch_norm" else None
        if norm is not None and isinstance(source := node.args[0], Ref):
            conv = folded[maker[source]] if source in maker and program.users[source] == 1 else None
            if conv is not None and conv.name == "conv2d" and (normed := _with_norm(conv, *norm, node.result)):
                folded[maker[source]] = normed
                maker[node.result] = maker[source]
                continue
            shape = (1, -1, *[1] * (len(program.shapes[source]) - 2))
            like = next(t for t in node.args[1:] if isinstance(t, Tensor))
            scale, shift = (part.to(like.dtype).view(shape) for part in norm)
            node = Node("affine", affine, (source, scale, shift), {}, node.result)
        if isinstance(node.result, Ref):
            maker[node.result] = len(folded)
        folded.append(node)
    return folded


def _with_norm(conv: Node, scale: Tensor, shift: Tensor, result: Any) -> Node | None:
    return _scaled_conv(conv, scale, shift, result, *conv.args, **conv.kwargs)


def _scaled_conv(
    conv: Node, scale: Tensor, shift: Tensor, result: Any, input: Ref, weight: Any, bias: Any = None, *args: Any,
    **kwargs: Any,
) -> Node | None:  # fmt: skip
    if not isinstance(weight, Tensor) or not isinstance(bias, Tensor | None):
        return None  # made from the pixels
    scaled = (weight.double() * scale.view(-1, 1, 1, 1)).to(weight.dtype)
    offset = (shift if bias is None else shift + bias.double() * scale).to(weight.dtype)
    return Node("conv2d", conv.function, (input, scaled, offset, *args), kwargs, result)


def _joined(nodes: list[Node], program: Program) -> list[Node]:
    joined: list[Node] = []
    maker: dict[Ref, int] = {}
    for node in nodes:
        source: Any = node.args[0] if node.args else None
        alone = is_activation(node) and isinstance(source, Ref) and source in maker
        if alone and program.users[source] == 1 and joined[maker[source]].name in _FRESH:
            before = joined[maker[source]]
            joined[maker[source]] = replace(before, result=node.result, then=(*before.then, node))
            maker[node.result] = maker[source]
            continue
        if isinstance(node.result, Ref):
            maker[node.result] = len(joined)
        joined.append(node)
    return joined


def _summed(nodes: list[Node], program: Program) -> list[Node]:
    """Fuse a sum into the 1x1 convolution that gives one of its terms: one pass over memory less."""
    waiting: dict[Ref, Node] = {}
    summed: list[Node] = []
    for node in nodes:
        terms = [term for term in node.args if isinstance(term, Ref)] if node.name == "add" and not node.kwargs else []
        for ref, other in permutations(terms, 2):
            if ref in waiting and program.shapes[ref] == program.shapes[other]:
                conv = waiting.pop(ref)
                summed.remove(conv)
                node = replace(conv, kwargs={**conv.kwargs, "plus": other}, result=node.result, then=node.then)
                break
        if node.in_place:
            waiting.clear()  # delayed beyond this, they would read overwritten values
        elif _is_of_points(node) and program.users[node.result] == 1 and not node.then:
            waiting[node.result] = node
        summed.append(node)
    return summed


def _is_of_points(node: Node) -> bool:
    """Whether it is a convolution with a constant 1x1 kernel and nothing else to it, not yet added to anything."""

    def plain(
        input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        groups: int = 1, plus: Any = None,
    ) -> bool:  # fmt: skip
        constant = isinstance(weight, Tensor) and isinstance(bias, Tensor | None)
        return (
            constant and weight.shape[2:] == (1, 1) and pair(stride) == (1, 1) and groups == 1 and plus is None
            and not isinstance(padding, str) and pair(padding) == (0, 0)
        )  # fmt: skip

    return node.name == "conv2d" and plain(*node.args, **node.kwargs)


def _narrowed(node: Node, program: Program) -> list[Node]:
    """``chunk`` and ``split`` as one ``narrow`` per part."""
    if node.name not in ("chunk", "split", "tensor_split", "split_with_sizes") or not isinstance(node.args[0], Ref):
        return [node]
    source, results = node.args[0], list(node.result)
    whole, shape = program.shapes[source], program.shapes[results[0]]
    dims = [dim for dim, (a, b) in enumerate(zip(whole, shape, strict=True)) if a != b]
    if len(dims) != 1 or dims[0] == 0:
        return [node]
    dim, start, parts = dims[0], 0, []
    for result in results:
        length = program.shapes[result][dim]
        parts.append(Node("narrow", torch.narrow, (source, dim, start, length), {}, result))
        start += length
    return parts


def _stored(node: Node, half: bool, own: bool) -> Node:
    """With constants detached, copied where ``own``, and convolutions as a ``Filter``."""

    def change(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        return leaf.detach().clone() if own else leaf.detach()

    node = replace(node, args=mapped(node.args, change), kwargs=mapped(node.kwargs, change))
    return _filtered(node, half, *node.args, **node.kwargs) if node.name == "conv2d" else node


def _filtered(
    node: Node, half: bool, input: Ref, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1, plus: Ref | None = None,
) -> Node:  # fmt: skip
    if not isinstance(weight, Tensor) or not isinstance(bias, Tensor | None):
        return node
    kernel, steps = (weight.shape[2], weight.shape[3]), pair(dilation)
    if isinstance(padding, str):
        whole = [d * (k - 1) for d, k in zip(steps, kernel, strict=True)]
        if padding == "same" and any(total % 2 for total in whole):
            return node
        padding = [total // 2 if padding == "same" else 0 for total in whole]
    then = node.then[0] if node.then else None
    kind = Points if kernel == (1, 1) and pair(padding) == (0, 0) and groups == 1 else Filter
    ready = kind(weight, bias, pair(stride), pair(padding), steps, groups, then, half)
    inputs = (input,) if plus is None else (input, plus)
    return Node("conv2d", ready, inputs, {}, node.result, then=node.then[1:])
