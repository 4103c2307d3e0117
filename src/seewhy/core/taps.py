"""Activations, and the places on the autograd graph where their gradients can be read, from one forward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from ..errors import LayerError
from ..interrupts import shielded
from .descent import Descent
from .functional import split
from .layers import LastSpatial, find_layer, version
from .relu_rules import nodes_of
from .torch_state import active


class Tap:
    """One run of a layer: what it gave, and its edge on the graph (None without a graph).

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


def versions(args: Any, kwargs: Any) -> list[int]:
    """Those of a layer's inputs."""
    return [version(arg) for arg in (*args, *kwargs.values()) if isinstance(arg, Tensor)]


class Taps:
    """Listens to a model's layers during one forward.

    Args:
        model: the original module.
        names: of layers, or of functions after them.
        search: whether the default layer is searched meanwhile.
        inputs: (B, C, H, W), to tell spatial layers.
        graph: whether gradients will be asked for.
        keep: whether the graph is kept down to the inputs.
        descent: whether to find out which runs of a layer are of what is made of the inputs.
    """

    def __init__(
        self, model: nn.Module, names: frozenset[str], search: bool, inputs: Tensor, graph: bool, keep: bool,
        descent: bool,
    ):  # fmt: skip
        self.model, self.graph = model, graph
        self.explicit = {layer: find_layer(model, layer) for layer, _ in map(split, names)}
        self.search = LastSpatial(inputs) if search else None
        self.descent = Descent() if descent else None
        # A graph from the inputs on must not be cut; nor one from a layer asked for by name.
        self.cut = graph and not keep and not self.explicit
        self.runs: dict[str, list[Tap]] = {name: [] for name in self.explicit}
        self.ran: dict[str, int] = {}
        self.others: dict[str, int] = {}
        self.last: Tap | None = None
        self._entered: list[list[int]] = []
        self._candidates: list[tuple[str, Any]] = []

    @shielded
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
            with nullcontext() if self.descent is None else active(self.descent):
                yield
        finally:
            for handle in handles:
                handle.remove()

    def chosen(self, layer: str, root: Any) -> Tap | None:
        """The run of ``layer`` that is meant: of those on what descends from the inputs, the last that the score hangs
        on; None if there is none.
        """
        runs = self.runs[layer]
        below = set(nodes_of(root)) if len(runs) > 1 and root is not None else set()
        hanging = [run for run in runs if run.edge is not None and run.edge.node in below]
        meant = hanging or runs
        return meant[-1] if meant else None

    def candidates(self, root: Any) -> list[str]:
        """The default layer and, in case that is not to be it, what comes before: the last candidate that the score
        hangs on, and then those that ran before it. A second head may have run maps of its own after it.
        """
        names = [name for name, _ in self._candidates]
        if self.search is not None and names:
            names[-1] = self.search.name or names[-1]
        at = len(names)
        if self.graph and root is not None:
            below = set(nodes_of(root))
            at = next((i + 1 for i in reversed(range(at)) if getattr(self._candidates[i][1], "node", None) in below), 0)
        return names[:at][::-1]

    def edge_of(self, name: str) -> Any:
        """The edge of the last candidate of this name; of the last of all, whose name may be that of what contains
        it, if there is none.
        """
        known = (edge for other, edge in reversed(self._candidates) if other == name)
        return next(known, self.last.edge if self.last else None)

    def _tap(self, name: str, module: nn.Module, args: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor):
            raise LayerError(f"layer {name!r} gives no tensor", got=type(output).__name__)
        if self.descent is not None and output not in self.descent:
            self.others[name] = self.others.get(name, 0) + 1
            return output
        if self.search is None:
            self.ran[name] = self.ran.get(name, 0) + 1
        tensor = self._on_graph(output)
        self.runs[name].append(Tap(tensor, self._edge(tensor), None))
        return tensor

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._entered.append(versions(args, kwargs))

    def _consider(self, name: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        assert self.search is not None
        before = self._entered.pop()
        if self.descent is not None and output not in self.descent:
            self.others[name] = self.others.get(name, 0) + 1
            return output
        if isinstance(output, Tensor):
            self.ran[name] = self.ran.get(name, 0) + 1
        if not self.search.is_new(name, module, output):
            return output
        output = self._on_graph(output.detach() if self.cut else output)
        self.search.keep(name, output)
        self.last = Tap(output, self._edge(output), Replay(module, args, kwargs, output, before))
        self._candidates.append((name, self.last.edge))
        return output

    def _on_graph(self, output: Tensor) -> Tensor:
        """The same tensor, with a graph that starts here if it had none."""
        if self.graph and not output.requires_grad and not output.is_inference():
            # Without function modes: compiled code that calls them does not look whether Ctrl-C came meanwhile.
            with torch._C.DisableTorchFunction(), torch.enable_grad():
                output = _Start.apply(output.detach(), torch.zeros((), requires_grad=True))  # type: ignore[no-untyped-call]
        if self.descent is not None:
            self.descent.add(output)
        return output

    def _edge(self, output: Tensor) -> Any:
        return get_gradient_edge(output) if self.graph and output.requires_grad else None


class _Start(torch.autograd.Function):
    """The identity, whose output may be changed in place (a leaf's may not) and costs no copy."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, anchor: Tensor) -> Tensor:
        ctx.mark_dirty(output)
        return output

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> tuple[None, None]:
        return None, None
