"""Where a mask reaches: one rectangle of a map per mask, and how rectangles are batched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Windows:
    """One window per mask: rows ``top`` to ``bottom``, columns ``left`` to ``right`` of a map of ``size``.

    Outside its window a mask changes nothing. All arrays are (M,) int64; no window is empty.
    """

    top: Ints
    left: Ints
    bottom: Ints
    right: Ints
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.top)

    @property
    def height(self) -> Ints:
        return self.bottom - self.top

    @property
    def width(self) -> Ints:
        return self.right - self.left

    @cached_property
    def area(self) -> int:
        """Positions in all windows together."""
        return int((self.height * self.width).sum())

    def hull(self, other: Windows) -> Windows:
        """The smallest windows around both."""
        if other is self:
            return self
        return Windows(
            np.minimum(self.top, other.top), np.minimum(self.left, other.left),
            np.maximum(self.bottom, other.bottom), np.maximum(self.right, other.right), self.size,
        )  # fmt: skip

    def within(self, other: Windows) -> bool:
        """Whether each lies in the other's window of the same mask."""
        return other is self or bool(
            (self.top >= other.top).all() and (self.left >= other.left).all()
            and (self.bottom <= other.bottom).all() and (self.right <= other.right).all()
        )  # fmt: skip

    @property
    def centre(self) -> tuple[Shares, Shares]:
        """How far down and across the map each window's middle is, from 0 to 1."""
        return (self.top + self.bottom) / (2 * self.size[0]), (self.left + self.right) / (2 * self.size[1])

    def at_most(self, share: float, centre: tuple[Shares, Shares]) -> Windows:
        """No side longer than ``share`` of the map's: what is farthest from ``centre`` is left as the photo has it.

        Krypton's threshold, inexact: the rim of a receptive field hardly matters. It does where a network's last maps
        have few positions, each of which counts in the end; these stay as they are.
        """
        if max(self.size) <= FEW:
            return self
        top, bottom = _cut(self.top, self.bottom, share, centre[0], self.size[0])
        left, right = _cut(self.left, self.right, share, centre[1], self.size[1])
        return Windows(top, left, bottom, right, self.size)


FEW = 8
"""Maps of so many rows and columns are not cut: on trained networks that is the difference between a rank correlation
of 0.7 and one of 0.99, at a tenth of the time."""


def windows_of(boxes: Ints, size: tuple[int, int]) -> Windows:
    """From (M, 4) boxes of top, left, bottom, right."""
    top, left, bottom, right = np.ascontiguousarray(boxes.T)
    return Windows(top, left, bottom, right, size)


def spread(begin: Ints, end: Ints, kernel: int, stride: int, padding: int, dilation: int, length: int
           ) -> tuple[Ints, Ints]:  # fmt: skip
    """Which outputs of a sliding kernel read positions ``begin`` to ``end`` along one side; at least one."""
    first = -((dilation * (kernel - 1) - padding - begin) // stride)
    last = (end - 1 + padding) // stride + 1
    first = np.minimum(np.maximum(first, 0), length - 1)
    return first, np.maximum(np.minimum(last, length), first + 1)


def _cut(begin: Ints, end: Ints, share: float, centre: Shares, length: int) -> tuple[Ints, Ints]:
    most = max(1, round(share * length))
    around = np.rint(centre * length - most / 2).astype(np.int64)
    start = np.clip(around, begin, np.maximum(begin, end - most))
    return start, np.minimum(end, start + most)


@dataclass(frozen=True, eq=False)
class Block:
    """Windows of one height and width: a batch for one call.

    Attributes:
        masks: which, (m,).
        height, width: theirs.
        rows: where their positions are among the layout's rows, mask after mask.
    """

    masks: Ints
    height: int
    width: int
    rows: slice


@dataclass(frozen=True, eq=False)
class Layout:
    """How windows lie in a table of rows: position after position, mask after mask, block after block.

    Attributes:
        windows: as they are computed; a window may be larger than need be, so that a block has one size.
        blocks: in the order of their rows.
        offset: (M,) each mask's first row.
    """

    windows: Windows
    blocks: tuple[Block, ...]
    offset: Ints

    @cached_property
    def rows(self) -> int:
        return int(self.blocks[-1].rows.stop)

    @cached_property
    def full(self) -> bool:
        """Whether every window is the whole map."""
        return self.rows == len(self.windows) * self.windows.size[0] * self.windows.size[1]


def laid_out(windows: Windows, position: float, block: float) -> Layout:
    """Windows in blocks of one size each.

    Few blocks mean larger windows than need be, many mean many small calls: ``position`` is what one more position
    costs, ``block`` one more call, both in seconds.
    """
    if len(windows) == 1:
        tall, wide = int(windows.height[0]), int(windows.width[0])
        return Layout(windows, (Block(_FIRST, tall, wide, slice(0, tall * wide)),), _FIRST)
    heights, widths = _sizes(windows, position, block)
    height, width = heights[windows.height], widths[windows.width]
    top = np.minimum(windows.top, windows.size[0] - height)
    left = np.minimum(windows.left, windows.size[1] - width)
    grown = Windows(top, left, top + height, left + width, windows.size)
    key = height * (windows.size[1] + 1) + width
    order = np.argsort(key, kind="stable")
    starts = [0, *(np.flatnonzero(np.diff(key[order])) + 1), len(key)]
    offset = np.empty(len(key), np.int64)
    blocks, row = [], 0
    for start, stop in pairwise(starts):
        masks = order[start:stop]
        h, w = int(height[masks[0]]), int(width[masks[0]])
        offset[masks] = row + np.arange(len(masks)) * (h * w)
        blocks.append(Block(masks, h, w, slice(row, row + len(masks) * h * w)))
        row = blocks[-1].rows.stop
    return Layout(grown, tuple(blocks), offset)


def whole_maps(masks: int, size: tuple[int, int]) -> Layout:
    """Windows that are whole maps."""
    none = np.zeros(masks, np.int64)
    area = size[0] * size[1]
    block = Block(np.arange(masks), *size, slice(0, masks * area))
    return Layout(Windows(none, none, none + size[0], none + size[1], size), (block,), block.masks * area)


_FIRST = np.zeros(1, np.int64)


def _sizes(windows: Windows, position: float, block: float) -> tuple[Ints, Ints]:
    """For every height, and every width, the one that it is computed at: the cheapest pair of groupings."""
    rows = list(_groupings(windows.height, windows.size[0]))
    columns = list(_groupings(windows.width, windows.size[1]))
    best, cheapest = (rows[0][1], columns[0][1]), float("inf")
    for tall, heights in rows:
        for wide, widths in columns:
            if tall * wide * block >= cheapest:
                break
            area = float((heights[windows.height] * widths[windows.width]).sum())
            cost = area * position + tall * wide * block
            if cost < cheapest:
                best, cheapest = (heights, widths), cost
    return best


def _groupings(lengths: Ints, most: int, groups: int = 6) -> Iterator[tuple[int, Ints]]:
    """For 1, 2, ... groups, the grouping whose windows are longer than need be by the least."""
    counts = np.bincount(lengths, minlength=most + 1)
    sizes = np.flatnonzero(counts)
    n = len(sizes)
    number = np.concatenate([[0], np.cumsum(counts[sizes])])
    # cost[j]: the least total length of the j smallest sizes in so many groups, each computed at its largest.
    cost = sizes * number[1:]
    cuts: list[Ints] = []
    cost = np.concatenate([[0], cost])
    for group in range(1, min(groups, n) + 1):
        if group > 1:
            options = cost[None, :n] + sizes[:, None] * (number[1:, None] - number[None, :n])
            options = np.where(np.tri(n, dtype=bool), options, np.iinfo(np.int64).max)
            cut = options.argmin(1)
            cost = np.concatenate([[0], options[np.arange(n), cut]])
            cuts.append(cut)
        to = np.arange(most + 1)
        end = n
        for level in range(group - 1, -1, -1):
            begin = int(cuts[level - 1][end - 1]) if level else 0
            to[sizes[begin:end]] = sizes[end - 1]
            end = begin
            if end == 0:
                break
        yield group, to
