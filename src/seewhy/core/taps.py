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
        if self._replay is None or not self._replay.overwritten():
            return self.output
        return self._replay.run()


class Replay:
    """How to get an output again that an in-place operation of the network may overwrite.

    While the default layer is searched, any layer may be the one, and copying them all would cost more than
    the forward. So only the last candidate's inputs are kept, and the layer alone runs again if need be.
    """

    def __init__(self, module: nn.Module, args: Any, kwargs: Any, output: Tensor):
        self.module, self.args, self.kwargs, self.output = module, args, kwargs, output
        self.version = output._version
        self.versions = self._input_versions()

    def overwritten(self) -> bool:
        return self.output._version != self.version

    def run(self) -> Tensor | None:
        if self._input_versions() != self.versions:
            return None
        with torch.no_grad():
            output = self.module.forward(*self.args, **self.kwargs)
        return output if isinstance(output, Tensor) else None

    def _input_versions(self) -> list[int]:
        return [arg._version for arg in (*self.args, *self.kwargs.values()) if isinstance(arg, Tensor)]


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

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hooks on the layers, for the time of the block only."""
        handles = []
        try:
            if self.search is not None:
                for name, module in self.model.named_modules():
                    if name:
                        hook = partial(self._consider, name)
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

    def _consider(self, name: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        assert self.search is not None
        if not self.search.is_new(name, module, output):
            return output
        output = self._on_graph(output.detach() if self.cut else output)
        self.search.keep(name, output)
        self.last = Tap(output, self._edge(output), Replay(module, args, kwargs, output))
        return output

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
