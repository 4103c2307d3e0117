"""Operators of several maps: elementwise arithmetic, and concatenation of channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..patches import Patches
from ..program import Ref
from ..windows import Layout, Windows
from .rowwise import elementwise
from .rule import BYTES, Call, OperatorRule, WindowRule, written


class Together(WindowRule):
    """Several maps of one size; the result differs where any of them does."""

    tabled = True

    def __init__(self, call: Call, sources: list[Ref]):
        self.node, self.place, self.scratch = call.node, call.places[sources[0]], call.scratch
        self.position = 12 * sum(map(call.channels, sources)) / BYTES

    def spread(self, windows: list[Windows]) -> Windows:
        hull = windows[0]
        for other in windows[1:]:
            hull = hull.hull(other)
        return hull

    def arrange(self, windows: Windows, inputs: list[Patches]) -> Layout:
        # An input whose layout covers all other windows is used without a copy.
        fitting = [source.layout for source in inputs if windows.within(source.layout.windows)]
        return min(fitting, key=lambda layout: layout.rows) if fitting else super().arrange(windows, inputs)

    def seen(self, source: Patches, layout: Layout, kept: Tensor | str) -> Tensor:
        """The rows of ``source`` at the positions of another layout; new, or in the scratch buffer of that name."""
        if source.layout is layout:
            return source.rows
        if isinstance(kept, str):
            kept = self.scratch.take(kept, (layout.rows, *source.rows.shape[1:]), source.rows)
        return source.under(layout, kept)


class Binary(Together):
    """add, sub, mul, div, maximum, minimum of two maps of one shape."""

    def __init__(self, call: Call, sources: list[Ref], function: Callable[..., Tensor], kwargs: dict[str, Any]):
        super().__init__(call, sources)
        self.function, self.kwargs = function, kwargs

    def compute(self, inputs: list[Patches], layout: Layout, out: Tensor) -> None:
        a, b = self.seen(inputs[0], layout, "a"), self.seen(inputs[1], layout, "b")
        self.function(a, b, **self.kwargs, out=out)
        if self.node.then:
            written(self.node, out, out)


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "maximum": torch.maximum,
    "minimum": torch.minimum,
}  # fmt: skip


def binary(call: Call, a: Any, b: Any, **kwargs: Any) -> OperatorRule | None:
    """The rule for two maps of one shape; with a constant, an elementwise rule."""
    if not (isinstance(a, Ref) and isinstance(b, Ref)):
        return elementwise(call, a, b, **kwargs)
    if call.shapes[a] != call.shapes[b] or call.places[a] != call.places[b]:
        return None
    return Binary(call, [a, b], _FUNCTIONS[call.node.name], kwargs)


class Concatenation(Together):
    """cat over channels."""

    def __init__(self, call: Call, sources: list[Ref], across: int):
        super().__init__(call, sources)
        self.across = across

    def compute(self, inputs: list[Patches], layout: Layout, out: Tensor) -> None:
        start = 0
        for source in inputs:
            rows = self.seen(source, layout, "seen")
            length = rows.shape[self.across]
            written(self.node, rows, out.narrow(self.across, start, length))
            start += length


def cat(call: Call, tensors: Any, dim: int = 0) -> OperatorRule | None:
    """The rule for cat over channels, of maps whose spatial dimensions are the same ones."""
    sources = list(tensors)
    if not all(isinstance(source, Ref) for source in sources):
        return None
    place = call.places[sources[0]]
    if any(call.places[source] != place for source in sources) or dim % place.dims not in place.channels:
        return None
    return Concatenation(call, sources, 1 + place.channels.index(dim % place.dims))
