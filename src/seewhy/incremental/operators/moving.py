"""Operators that move or cut maps: padding, and slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..patches import IMAGE, Patches
from ..program import Ref
from ..windows import Layout, Windows
from .rowwise import narrow, padded_channels
from .rule import BYTES, Call, OperatorRule, WindowRule, written
from .sliding import picked


class _Padded(WindowRule):
    """Zero padding: windows move, their rows stay. Negative padding has no rule."""

    looks = False

    def __init__(self, call: Call, source: Ref, top: int, left: int):
        self.node, self.place = call.node, call.places[source]
        self.size = self.place.size(call.shapes[call.node.result])
        self.top, self.left = top, left
        self.position = 8 * call.channels(source) / BYTES

    def spread(self, windows: list[Windows]) -> Windows:
        (w,) = windows
        return Windows(w.top + self.top, w.left + self.left, w.bottom + self.top, w.right + self.left, self.size)

    def arrange(self, windows: Windows, inputs: list[Patches]) -> Layout:
        own = inputs[0].layout
        return Layout(self.spread([own.windows]), own.blocks, own.offset)

    def compute(self, inputs: list[Patches], layout: Layout, out: Tensor) -> None:
        written(self.node, inputs[0].rows, out)


def pad(
    call: Call, input: Ref, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> OperatorRule | None:
    """F.pad with a constant, of rows and columns, or with zeros of channels (the option-A shortcut of He 2015)."""
    place = call.places[input]
    sides = [tuple(pad[i : i + 2]) for i in range(0, len(pad), 2)]
    if mode != "constant" or place != IMAGE or any(not isinstance(n, int) or n < 0 for n in pad):
        return None
    (left, _), (top, _), (before, after) = (*sides, (0, 0), (0, 0), (0, 0))[:3]
    if sides[3:]:
        return None
    spatial = any(n for side in sides[:2] for n in side)
    if before or after:
        return None if spatial or value else padded_channels(call, input, before, after)
    return _Padded(call, input, top, left)


def getitem(call: Call, input: Ref, index: Any) -> OperatorRule | None:
    """Slices, of rows and columns, or of channels."""
    place = call.places[input]
    parts = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in [part for part in parts if not isinstance(part, Tensor)]:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [slice(None)] * (place.dims - len(parts) + 1)
    if len(parts) > place.dims or not all(isinstance(part, slice) for part in parts):
        return None
    parts += [slice(None)] * (place.dims - len(parts))
    cut = [dim for dim, part in enumerate(parts) if part != slice(None)]
    if any(isinstance(n, Ref | Tensor) for dim in cut for n in (parts[dim].start, parts[dim].stop, parts[dim].step)):
        return None
    if set(cut) <= {place.rows, place.columns}:
        return picked(call, input, parts[place.rows], parts[place.columns])
    if len(cut) == 1 and cut[0] in place.channels and parts[cut[0]].step in (None, 1):
        start, stop, _ = parts[cut[0]].indices(call.shapes[input][cut[0]])
        return narrow(call, input, cut[0], start, stop - start)
    return None
