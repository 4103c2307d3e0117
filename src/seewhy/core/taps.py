"""Activations, and the places on the autograd graph where their gradients can be read, from one forward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from ..errors import LayerError
from .layers import LastSpatial, find_layer
from .relu_rules import nodes_of


class Tap:
    """One layer's output: its values, and its edge on the graph (None without a graph).

    The edge names the node that made the output, so a later in-place operation changes neither.
    """

    def __init__(self, output: Tensor, edge: Any, replay: Replay | None):
        self.output = output.detach() if replay else output.detach().clone()
        self.edge = edge
        self._replay = replay

    def value(self) -> Tensor | None:
        """The activation as the layer gave it; None if something overwrote it beyond recovery."""
        if self._replay is not None and self._replay.overwritten():
            found, self._replay = self._replay.run(), None
            if found is None:
                return None
            self.output = found
        return self.output


class Replay:
    """How to get an output again that an in-place operation of the network may overwrite.

    While the default layer is searched, any layer may be the one, and copying them all would cost more than
    the forward. So only the last candidate's inputs are kept, and the layer alone runs again if need be.
    """

    def __init__(self, module: nn.Module, args: Any, kwargs: Any, output: Tensor, before: list[int]):
        self.module, self.args, self.kwargs, self.output = module, args, kwargs, output
        self.version = version(output)
        self.before = before

    def overwritten(self) -> bool:
        return version(self.output) != self.version

    def run(self) -> Tensor | None:
        # Not if its inputs changed, also by itself; nor if a hook of the user's may have changed its output.
        hooked = any(part._forward_hooks or part._forward_pre_hooks for part in self.module.modules())
        if hooked or versions(self.args, self.kwargs) != self.before:
            return None
        with torch.no_grad():
            output = self.module.forward(*self.args, **self.kwargs)
        return output if isinstance(output, Tensor) else None


def version(tensor: Tensor) -> int:
    """How often a tensor was changed in place; -1 for an inference tensor, which does not know."""
    return -1 if tensor.is_inference() else tensor._version


def versions(args: Any, kwargs: Any) -> list[int]:
    """Those of a layer's inputs."""
    return [version(arg) for arg in (*args, *kwargs.values()) if isinstance(arg, Tensor)]


class Taps:
    """Listens to a model's layers during one forward.

    Args:
        model: the original module.
        layers: dotted names; None stands for the default layer, which is searched meanwhile.
        inputs: (B, C, H, W), to tell spatial layers.
        graph: whether gradients will be asked for.
    """

    def __init__(self, model: nn.Module, layers: frozenset[str | None], inputs: Tensor, graph: bool):
        self.model, self.graph = model, graph
        self.explicit = {name: find_layer(model, name) for name in layers if name is not None}
        self.search = LastSpatial(inputs) if None in layers else None
        # A graph from the inputs on must not be cut; nor one from a layer asked for by name.
        self.cut = graph and not inputs.requires_grad and not self.explicit
        self.taps: dict[str, Tap] = {}
        self.last: Tap | None = None
        self._entered: list[list[int]] = []
        self._candidates: list[tuple[str, Any]] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hooks on the layers, for the time of the block only."""
        handles = []
        try:
            if self.search is not None:
                for name, module in self.model.named_modules():
                    if name:
                        hook = partial(self._consider, name)
                        handles.append(module.register_forward_pre_hook(self._enter, with_kwargs=True))
                        handles.append(module.register_forward_hook(hook, with_kwargs=True))
            for name, module in self.explicit.items():
                handles.append(module.register_forward_hook(partial(self._tap, name)))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _tap(self, name: str, module: nn.Module, args: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor):
            raise LayerError(f"layer {name!r} gives no tensor", got=type(output).__name__)
        tensor = self._on_graph(output)
        self.taps[name] = Tap(tensor, self._edge(tensor), None)
        return tensor

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._entered.append(versions(args, kwargs))

    def _consider(self, name: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        assert self.search is not None
        before = self._entered.pop()
        if not self.search.is_new(name, module, output):
            return output
        output = self._on_graph(output.detach() if self.cut else output)
        self.search.keep(name, output)
        self.last = Tap(output, self._edge(output), Replay(module, args, kwargs, output, before))
        self._candidates.append((name, self.last.edge))
        return output

    def carries(self, name: str, root: Any) -> bool:
        """Whether the score hangs on the layer ``name``; True where no graph tells."""
        tap = self.taps.get(name)
        return tap is None or not self.graph or (root is not None and tap.edge.node in nodes_of(root))

    def last_below(self, root: Any) -> str | None:
        """The last candidate that the score hangs on: a second head may have run maps of its own after it."""
        assert self.search is not None
        if not self.graph or root is None:
            return self.search.name
        below = set(nodes_of(root))
        if self._candidates and self._candidates[-1][1].node in below:
            return self.search.name
        return next((name for name, edge in reversed(self._candidates) if edge.node in below), None)

    def _on_graph(self, output: Tensor) -> Tensor:
        """The same tensor, with a graph that starts here if it had none."""
        if not self.graph or output.requires_grad:
            return output
        with torch.enable_grad():
            started: Tensor = _Start.apply(output.detach(), torch.zeros((), requires_grad=True))  # type: ignore[no-untyped-call]
        return started

    def _edge(self, output: Tensor) -> Any:
        return get_gradient_edge(output) if self.graph else None


class _Start(torch.autograd.Function):
    """The identity, whose output may be changed in place (a leaf's may not) and costs no copy."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, anchor: Tensor) -> Tensor:
        ctx.mark_dirty(output)
        return output

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> tuple[None, None]:
        return None, None
