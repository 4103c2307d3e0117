"""Operators that treat each position by itself: activations, norms and products over channels, channel order."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from ..patches import Patches, Place
from ..program import Count, Ref
from .rule import BYTES, FLOPS, Call, OperatorRule, RowRule


class Elementwise(RowRule):
    """Any function of one tensor, element by element, with numbers or per-channel constants as further arguments."""

    def __init__(self, call: Call, source: Ref, args: tuple[Any, ...], kwargs: dict[str, Any]):
        self.node, self.place = call.node, call.places[source]
        self.args, self.kwargs = args, kwargs
        self.position = 12 * call.channels(source) / BYTES

    def rows(self, inputs: list[Patches]) -> Tensor:
        args = [inputs[0].rows if isinstance(value, Ref) else value for value in self.args]
        result: Tensor = self.node.function(*args, **self.kwargs)
        return result


def elementwise(call: Call, *args: Any, **kwargs: Any) -> OperatorRule | None:
    """The rule of an elementwise function of one varying tensor; its constants become rows too."""
    sources = [value for value in args if isinstance(value, Ref)]
    if len(sources) != 1 or any(isinstance(value, Ref | Count) for value in kwargs.values()):
        return None
    place, shape = call.places[sources[0]], call.shapes[sources[0]]
    if call.shapes[call.node.result] != shape:
        return None
    rows = [_constant(value, place, shape) if isinstance(value, Tensor) else value for value in args]
    if any(value is None and isinstance(given, Tensor) for value, given in zip(rows, args, strict=True)):
        return None
    if kwargs.get("inplace"):
        kwargs = {**kwargs, "inplace": False}
    return Elementwise(call, sources[0], tuple(rows), kwargs)


def _constant(value: Tensor, place: Place, shape: tuple[int, ...]) -> Tensor | None:
    """A constant that is the same at every position, as a row; None if it is not."""
    if value.dim() > place.dims:
        return None
    value = value.reshape([1] * (place.dims - value.dim()) + list(value.shape))
    if any(value.shape[dim] != 1 for dim in (0, place.rows, place.columns)):
        return None
    return value.reshape(1, *(value.shape[dim] for dim in place.channels))


def activation(call: Call, *args: Any, **kwargs: Any) -> OperatorRule | None:
    """An activation: the ``inplace`` among its arguments does not matter, since rows are copied where need be."""
    return elementwise(call, *(value for value in args if not isinstance(value, bool)), **kwargs)


class _Linear(RowRule):
    def __init__(self, call: Call, source: Ref, weight: Tensor, bias: Tensor | None):
        self.place, self.weight, self.bias = call.places[source], weight, bias
        self.position = 2 * weight.numel() / FLOPS + 4 * sum(weight.shape) / BYTES

    def rows(self, inputs: list[Patches]) -> Tensor:
        return F.linear(inputs[0].rows, self.weight, self.bias)


def linear(call: Call, input: Ref, weight: object, bias: object = None) -> OperatorRule | None:
    """A linear layer over the last dimension, where that is the channels'."""
    place = call.places[input]
    last = place.channels and place.channels[-1] == place.dims - 1
    return _Linear(call, input, weight, bias) if last and isinstance(weight, Tensor) and isinstance(
        bias, Tensor | None) else None  # fmt: skip


class _LayerNorm(RowRule):
    def __init__(self, call: Call, source: Ref, args: tuple[Any, ...]):
        self.place, self.args = call.places[source], args
        self.position = 16 * call.channels(source) / BYTES

    def rows(self, inputs: list[Patches]) -> Tensor:
        return F.layer_norm(inputs[0].rows, *self.args)


def layer_norm(
    call: Call, input: Ref, normalized_shape: Sequence[int], weight: object = None, bias: object = None,
    eps: float = 1e-5,
) -> OperatorRule | None:  # fmt: skip
    """A layer norm over the channels alone, where they are the last dimensions."""
    place = call.places[input]
    over = range(place.dims - len(normalized_shape), place.dims)
    if not set(over) <= set(place.channels) or not all(isinstance(part, Tensor | None) for part in (weight, bias)):
        return None
    return _LayerNorm(call, input, (list(normalized_shape), weight, bias, eps))


class Reordered(RowRule):
    """Views of the channels: each row is permuted, split or sliced, and nothing is computed."""

    shares = True

    def __init__(self, place: Place, change: Any):
        self.place, self.change = place, change

    def rows(self, inputs: list[Patches]) -> Tensor:
        result: Tensor = self.change(inputs[0].rows)
        return result


def permute(call: Call, input: Ref, *dims: Any) -> OperatorRule | None:
    """permute: the spatial dimensions move, the channels among themselves too."""
    order = [int(dim) for dim in (dims[0] if len(dims) == 1 and isinstance(dims[0], Sequence) else dims)]
    return _moved(call, input, [dim % len(order) for dim in order])


def transpose(call: Call, input: Ref, dim0: int, dim1: int) -> OperatorRule | None:
    """transpose: two dimensions exchanged."""
    order = list(range(call.places[input].dims))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return _moved(call, input, order)


def _moved(call: Call, input: Ref, order: list[int]) -> OperatorRule | None:
    place = call.places[input]
    if order[0] != 0:
        return None
    new = Place(order.index(place.rows), order.index(place.columns), place.dims)
    channels = [place.channels.index(order[dim]) for dim in new.channels]
    return Reordered(new, lambda rows: rows.permute(0, *(1 + channel for channel in channels)))


def view(call: Call, input: Ref, *shape: Any) -> OperatorRule | None:
    """view, reshape, flatten, unflatten: where rows and columns stay the last two dimensions, channels regroup."""
    place = call.places[input]
    old, new = call.shapes[input], call.shapes[call.node.result]
    usual = (place.rows, place.columns) == (place.dims - 2, place.dims - 1)
    if not usual or len(new) < 3 or new[-2:] != old[-2:] or new[0] != old[0] or prod(new) != prod(old):
        return None
    dims = len(new)
    return Reordered(Place(dims - 2, dims - 1, dims), lambda rows: rows.reshape(len(rows), *new[1:-2]))


def narrow(call: Call, input: Ref, dim: int, start: int, length: int) -> OperatorRule | None:
    """narrow, over channels."""
    place = call.places[input]
    if dim % place.dims not in place.channels:
        return None
    across = 1 + place.channels.index(dim % place.dims)
    return Reordered(place, lambda rows: rows.narrow(across, start, length))


class _Same(RowRule):
    """The identity."""

    shares = True

    def __init__(self, call: Call, source: Ref):
        self.place = call.places[source]

    def rows(self, inputs: list[Patches]) -> Tensor:
        return inputs[0].rows


def same(call: Call, input: Ref, *_: Any, **__: Any) -> OperatorRule | None:
    """contiguous, clone, detach, dropout in evaluation mode."""
    return _Same(call, input)


class _PaddedChannels(RowRule):
    def __init__(self, place: Place, pad: list[int]):
        self.place, self.pad = place, pad

    def rows(self, inputs: list[Patches]) -> Tensor:
        return F.pad(inputs[0].rows, self.pad)


def padded_channels(call: Call, input: Ref, before: int, after: int) -> OperatorRule:
    """Zero channels before and after (the option-A shortcut of He 2015)."""
    return _PaddedChannels(call.places[input], [before, after])
