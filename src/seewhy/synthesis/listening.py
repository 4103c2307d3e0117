"""Layers by dotted name or close match, and what they give while a network runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

from torch import Tensor, nn

from ..core.hooks import hooked
from ..core.layers import find_layer
from ..errors import LayerError, plain
from ..interrupts import shielded


def layer_name(model: nn.Module, name: str) -> str:
    """The dotted name that ``name`` stands for: itself, or the only one that is it but for case, hyphens,
    underscores and spaces, or the only one that ends with it.

    Raises:
        LayerError: there is none, or there are several; says which are close.
    """
    if not isinstance(name, str):
        find_layer(model, name)  # says what a layer is given by
    known: list[str] = [known for known, _ in model.named_modules() if known]
    if name in known:
        return name
    same = [other for other in known if plain(other) == plain(name)]
    ends = [other for other in known if plain(other).endswith("." + plain(name))]
    for found in (same, ends):
        if len(found) == 1:
            return found[0]
        if found:
            raise LayerError(f"several layers could be meant by {name!r}", close=found[:4])
    find_layer(model, name)  # says which are close
    return name


class Activations(dict[str, Tensor]):
    """What layers gave, by the names they were asked for."""

    def __missing__(self, name: str) -> Tensor:
        raise LayerError(f"layer {name!r} did not run")


@shielded
def listening(model: nn.Module, layers: frozenset[str]) -> Iterator[Activations]:
    """What ``layers`` gave, by the names they were asked for, on the graph, for the time of the block.

    Of a layer that runs several times, the last run that hangs on the image counts: a run that autograd sees before
    one that it does not, as where a siamese network also embeds a stored reference. Clear it before each forward.
    """
    outputs = Activations()
    with ExitStack() as stack:
        for name in layers:  # two names may stand for one module
            module = find_layer(model, layer_name(model, name))
            stack.enter_context(hooked({module: partial(_keep, outputs, name)}))
        yield outputs


def _keep(outputs: dict[str, Tensor], name: str, module: nn.Module, args: Any, output: Any) -> None:
    if not isinstance(output, Tensor):
        raise LayerError(f"layer {name!r} gives no tensor", got=type(output).__name__)
    if output.requires_grad or name not in outputs or not outputs[name].requires_grad:
        outputs[name] = output.clone()  # the network may overwrite it
