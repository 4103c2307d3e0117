"""Linear operators that work along rows and columns separately: adaptive pooling, means, upsampling.

The result is A x Bᵀ for every channel, with A over rows and B over columns found by asking the operator itself about
single rows and columns. What a mask changes in it is A (x' - x) Bᵀ, so only the window is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..patches import IMAGE, Base, Patches, Place, own_places, to_device
from ..program import Ref
from ..windows import Ints, Layout, Windows
from .rule import BYTES, Call, OperatorRule, WindowRule, written


class Separable(WindowRule):
    """out = A x Bᵀ.

    Args:
        call: the node.
        source: its input.
        rows: A, (H', H).
        columns: B, (W', W).
        place: of the result.
    """

    def __init__(self, call: Call, source: Ref, rows: Tensor, columns: Tensor, place: Place):
        self.node, self.place = call.node, place
        self.rows, self.columns = rows, columns
        self.size = (len(rows), len(columns))
        self.position = 40 * call.channels(source) / BYTES

    def spread(self, windows: list[Windows]) -> Windows:
        (w,) = windows
        (top, bottom), (left, right) = _seen(self.rows, w.top, w.bottom), _seen(self.columns, w.left, w.right)
        return Windows(top, left, bottom, right, self.size)

    def compute(self, inputs: list[Patches], layout: Layout, out: Tensor) -> None:
        source = inputs[0]
        base = _base(source, self.rows, self.columns)
        changed = source.rows - source.around.rows[own_places(source.layout, source.rows)]
        w = layout.windows
        # The source's blocks have one size of window each, the result's another: mask by mask where they differ.
        for block in source.layout.blocks:
            A, B = self._parts(source.layout.windows, w, block.masks, block.height, block.width, changed)
            x = changed[block.rows].view(len(block.masks), block.height, block.width, -1)
            y = torch.einsum("mij,mjkc,mlk->milc", A, x, B)
            for mask, delta in zip(block.masks, y, strict=True):
                height, width = int(w.height[mask]), int(w.width[mask])
                begin = int(layout.offset[mask])
                rows = slice(int(w.top[mask]), int(w.bottom[mask])), slice(int(w.left[mask]), int(w.right[mask]))
                made = base[rows] + delta[:height, :width]
                target = out[begin : begin + height * width]
                written(self.node, made.reshape(target.shape), target)

    def _parts(
        self, own: Windows, given: Windows, masks: Ints, height: int, width: int, like: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The parts of A and B that lead from each mask's window to its result's, (m, most, height or width)."""
        parts = []
        for matrix, begin, length, first, count in (
            (self.rows, own.top, height, given.top, given.height), (self.columns, own.left, width, given.left,
                                                                     given.width),
        ):  # fmt: skip
            most = int(count[masks].max())
            to = (first[masks, None] + np.arange(most)).clip(max=len(matrix) - 1)
            of = begin[masks, None] + np.arange(length)
            parts.append(matrix[torch.from_numpy(to)[:, :, None], torch.from_numpy(of)[:, None, :]].to(like))
        return parts[0], parts[1]


class Mean(Separable):
    """The mean over all positions: one number per channel; windows end here."""

    def pooled(self, source: Patches) -> Tensor:
        """(M, *channels)."""
        base, w = source.around, source.layout.windows
        if self not in base.derived:
            base.derived[self] = _integral(base)
        sums = base.derived[self]
        at = [to_device(index, sums) for index in (w.top, w.bottom, w.left, w.right)]
        top, bottom, left, right = at
        before = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        total = sums[-1, -1] - before
        at_least = torch.promote_types(source.rows.dtype, torch.float32)
        for block in source.layout.blocks:
            rows = source.rows[block.rows].view(len(block.masks), -1, *source.rows.shape[1:])
            total[to_device(block.masks, total)] += rows.sum(1, dtype=at_least)
        return (total / (w.size[0] * w.size[1])).to(source.rows.dtype)


def _integral(base: Base) -> Tensor:
    """Sums over all rectangles from the corner, (H + 1, W + 1, *channels), float64."""
    height, width = base.size
    map = base.rows[:-1].view(height, width, *base.rows.shape[1:])
    sums = map.new_zeros(height + 1, width + 1, *map.shape[2:], dtype=torch.float64)
    sums[1:, 1:] = map.double().cumsum(0).cumsum(1)
    return sums


def _base(source: Patches, rows: Tensor, columns: Tensor) -> Tensor:
    """A x Bᵀ of the base map, (H', W', C)."""
    x = source.around.rows[:-1].view(rows.shape[1], columns.shape[1], -1)
    return torch.einsum("ij,jkc,lk->ilc", rows.to(x), x, columns.to(x))


def _seen(matrix: Tensor, begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Which outputs have a weight on positions ``begin`` to ``end``; at least one."""
    has = (matrix != 0).cpu().numpy()
    first = np.where(has.any(0), has.argmax(0), len(has))
    last = np.where(has.any(0), len(has) - has[::-1].argmax(0), 0)
    # Over a run of positions: the minimum of the first outputs, the maximum of the last.
    top = np.array([first[a:b].min() for a, b in zip(begin, end, strict=True)], np.int64).clip(0, len(has) - 1)
    bottom = np.array([last[a:b].max() for a, b in zip(begin, end, strict=True)], np.int64)
    return top, np.maximum(bottom, top + 1)


def _matrices(function: Callable[[Tensor], Tensor], height: int, width: int) -> tuple[Tensor, Tensor] | None:
    """A and B of an operator on (N, C, H, W); None if it is not of that kind."""
    one = function(torch.ones(1, 1, height, width, dtype=torch.float64))
    rows = function(torch.eye(height, dtype=torch.float64)[None, :, :, None].expand(1, height, height, width))
    columns = function(torch.eye(width, dtype=torch.float64)[None, :, None].expand(1, width, height, width))
    if not float(one[0, 0, 0, 0]):
        return None
    A, B = rows[0, :, :, 0].T / one[0, 0, 0, 0], columns[0, :, 0, :].T.contiguous()
    probe = torch.randn(1, 1, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return (A, B) if torch.allclose(function(probe)[0, 0], A @ probe[0, 0] @ B.T) else None


def separable(call: Call, input: Ref, *args: Any, **kwargs: Any) -> OperatorRule | None:
    """adaptive_avg_pool2d, avg_pool2d, interpolate, upsample: any that is A x Bᵀ."""
    place = call.places[input]
    if place != IMAGE or any(isinstance(leaf, Ref) for leaf in (*args, *kwargs.values())):
        return None
    height, width = call.size(input)
    found = _matrices(lambda x: call.node.function(x, *args, **kwargs), height, width)
    if found is None:
        return None
    return (Mean if found[0].shape[0] == found[1].shape[0] == 1 else Separable)(call, input, *found, place)


def mean(call: Call, input: Ref, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> OperatorRule | None:
    """The mean over rows and columns."""
    place = call.places[input]
    dims = [dim] if isinstance(dim, int) else dim
    if dims is None or kwargs or sorted(d % place.dims for d in dims) != sorted((place.rows, place.columns)):
        return None
    height, width = call.size(input)
    return Mean(call, input, torch.full((1, height), 1 / height), torch.full((1, width), 1 / width), place)
