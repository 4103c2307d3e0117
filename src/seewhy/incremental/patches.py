"""Values in windows: rows of a table whose first rows are the base map, the photo's without masks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .scratch import Scratch
from .windows import Ints, Layout, Windows

Ints32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Place:
    """Where the spatial dimensions of a tensor are, as the network sees it; dimension 0 is the batch.

    Attributes:
        rows, columns: dimensions.
        dims: how many in all.
    """

    rows: int
    columns: int
    dims: int

    @property
    def channels(self) -> tuple[int, ...]:
        """The other dimensions, in order: those of one row of a table."""
        return tuple(dim for dim in range(1, self.dims) if dim not in (self.rows, self.columns))

    def size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        return shape[self.rows], shape[self.columns]

    def to_rows(self, x: Tensor) -> Tensor:
        """(M, ...) as the network sees it -> (M * H * W, *channels)."""
        x = x.permute(0, self.rows, self.columns, *self.channels)
        return x.reshape(-1, *x.shape[3:])

    def from_rows(self, rows: Tensor, count: int, height: int, width: int) -> Tensor:
        """(count * height * width, *channels) -> as the network sees it, without a copy."""
        order = (0, self.rows, self.columns, *self.channels)
        return rows.view(count, height, width, *rows.shape[1:]).permute(*(order.index(dim) for dim in range(self.dims)))


IMAGE = Place(2, 3, 4)
"""Maps in the usual order, (M, C, H, W)."""


def column(rows: Tensor) -> Tensor:
    """Rows as one image that is one column wide, (1, C, R, 1): for 1x1 convolutions."""
    return IMAGE.from_rows(rows, 1, len(rows), 1)


@dataclass(eq=False)
class Base:
    """The map of a photo without masks, as rows, followed by one row of zeros that stands for padding.

    Attributes:
        rows: (H * W + 1, *channels).
        size: (H, W).
        derived: tensors that rules computed from it, by rule.
    """

    rows: Tensor
    size: tuple[int, int]
    derived: dict[Any, Tensor] = field(default_factory=dict)

    def at(self, index: Ints32) -> Tensor:
        """The rows at ``index``, (n, *channels)."""
        return self.rows.index_select(0, to_device(index, self.rows))

    @classmethod
    def of(cls, map: Tensor, place: Place) -> Base:
        """From (1, ...) as the network sees it."""
        rows = place.to_rows(map)
        return cls(torch.cat([rows, rows.new_zeros(1, *rows.shape[1:])]), place.size(tuple(map.shape)))


@dataclass(eq=False)
class Patches:
    """The values of a map inside its masks' windows.

    Attributes:
        layout: where each window's rows are.
        rows: (R, *channels).
        base: the map without masks; None where nothing asks for it.
        windows: where the map differs from the base; the layout's may be larger.
        table: the base's rows and then ``rows``, where a rule reads beyond the windows.
        owned: whether nothing else shares the memory of ``rows``.
    """

    layout: Layout
    rows: Tensor
    base: Base | None
    windows: Windows
    table: Tensor | None = None
    owned: bool = True

    @classmethod
    def empty(cls, layout: Layout, windows: Windows, base: Base | None, like: Tensor, tabled: bool) -> Patches:
        """Rows to be written, (R, *channels of ``like``); beside their ``base`` if they will be looked up with it."""
        if base is None or not tabled or len(base.rows) > MANY * layout.rows:
            return cls(layout, like.new_empty(layout.rows, *like.shape[1:]), base, windows)
        own = len(base.rows)
        table = like.new_empty(own + layout.rows, *like.shape[1:])
        table[:own] = base.rows
        return cls(layout, table[own:], base, windows, table)

    @property
    def around(self) -> Base:
        """The base, where there is one."""
        assert self.base is not None, "nothing was to ask for the map around these windows"
        return self.base

    def copy(self) -> Patches:
        """The same, in memory of its own."""
        return Patches(self.layout, self.rows.clone(), self.base, self.windows)

    def changes(self, at: Tensor, scratch: Scratch) -> Tensor:
        """The delta, rows minus base, (R + 1, *channels); the last row is zero, for positions outside of the windows.

        Overwritten by the next call that uses the same scratch.

        Args:
            at: the rows' own places in the base (``own_places``).
            scratch: for the result.
        """
        base, count = self.around.rows, len(self.rows)
        changes = scratch.take("changes", (count + 1, *self.rows.shape[1:]), self.rows)
        torch.index_select(base, 0, at, out=changes[:count])
        torch.sub(self.rows, changes[:count], out=changes[:count])
        changes[count] = 0
        return changes

    def seen(
        self, masks: Ints, top: Ints, left: Ints, shape: tuple[int, int], out: Tensor, step: tuple[int, int] = (1, 1),
        clamp: bool = False,
    ) -> Tensor:  # fmt: skip
        """Rows of rectangles of one shape, one per mask (``index_of``), (m * shape[0] * shape[1], *channels)."""
        if len(masks) > 1 or clamp:
            return self.look(index_of(self.layout, masks, top, left, shape, step, clamp), out)
        # One mask: slice the base and copy the window over it; building an index costs more than the few rows.
        windows, corner, mask = self.layout.windows, (int(top[0]), int(left[0])), int(masks[0])
        own, map, channels = (int(windows.top[mask]), int(windows.left[mask])), windows.size, out.shape[1:]
        height, width = int(windows.height[mask]), int(windows.width[mask])
        target = out.view(*shape, *channels)
        if _beyond(corner, shape, step, map):
            target.zero_()
        _lay(target, corner, step, self.around.rows[:-1].view(*map, *channels), (0, 0))
        first = int(self.layout.offset[mask])
        _lay(target, corner, step, self.rows[first : first + height * width].view(height, width, *channels), own)
        return out

    def under(self, layout: Layout, out: Tensor, step: tuple[int, int] = (1, 1)) -> Tensor:
        """The rows at the positions of another layout, or at every so many of them, (R', *channels)."""
        w = layout.windows
        for b in layout.blocks:
            top, left = w.top[b.masks] * step[0], w.left[b.masks] * step[1]
            self.seen(b.masks, top, left, (b.height, b.width), out[b.rows], step)
        return out

    def look(self, index: Ints32, out: Tensor | None = None) -> Tensor:
        """The rows of the table at ``index``, (n, *channels); in ``out``, if given."""
        own = len(self.around.rows)
        if self.table is None and own > MANY * len(self.rows):
            # The base is large and the windows are small: gather from the base, then overwrite the windows' rows.
            inside = np.flatnonzero(index >= own)
            mine = index[inside] - own
            index[inside] = 0
            seen = torch.index_select(self.around.rows, 0, to_device(index, self.rows), out=out)
            seen[to_device(inside, seen)] = self.rows[to_device(mine, seen)]
            return seen
        if self.table is None:
            self.table = torch.cat([self.around.rows, self.rows])
        return torch.index_select(self.table, 0, to_device(index, self.table), out=out)


MANY = 2
"""A base map with this many times more rows than the windows is not copied into a table with them."""


def to_device(index: npt.NDArray[Any], like: Tensor) -> Tensor:
    """An index as a tensor beside ``like``."""
    return torch.from_numpy(index).to(like.device)


def _beyond(corner: tuple[int, int], shape: tuple[int, int], step: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether a rectangle extends beyond a map."""
    return any(
        first < 0 or first + (count - 1) * s >= length
        for first, count, s, length in zip(corner, shape, step, size, strict=True)
    )


def _lay(target: Tensor, corner: tuple[int, int], step: tuple[int, int], piece: Tensor, at: tuple[int, int]) -> None:
    """Copy a ``piece`` (h, w, *channels) of a map, which begins at ``at``, to where ``target`` overlaps it.

    Args:
        target: (H, W, *channels), whose position (i, j) is the map's ``corner`` + (i, j) * ``step``.
    """
    to, of = [], []
    for side in (0, 1):
        s, behind = step[side], at[side] - corner[side]
        begin = max(0, -(-behind // s))
        end = min(target.shape[side], -(-(behind + piece.shape[side]) // s))
        if end <= begin:
            return
        to.append(slice(begin, end))
        of.append(slice(begin * s - behind, (end - 1) * s - behind + 1, s))
    target[to[0], to[1]] = piece[of[0], of[1]]


def own_index(size: tuple[int, int], top: Ints, left: Ints, shape: tuple[int, int]) -> Ints32:
    """Where in the photo's own map rectangles of one shape are, (m * shape[0] * shape[1],) int32.

    Args:
        size: of the map; beyond it is the row of zeros.
        top, left: (m,) each rectangle's corner.
        shape: height and width.
    """
    return _gathered(size, top[:, None] + np.arange(shape[0]), left[:, None] + np.arange(shape[1])).reshape(-1)


def own_places(layout: Layout, like: Tensor) -> Tensor:
    """Where in the photo's own map each of a layout's rows is, (R,) on the device of ``like``."""
    w = layout.windows
    index = [own_index(w.size, w.top[b.masks], w.left[b.masks], (b.height, b.width)) for b in layout.blocks]
    return to_device(np.concatenate(index), like)


def index_of(
    source: Layout, masks: Ints, top: Ints, left: Ints, shape: tuple[int, int], step: tuple[int, int] = (1, 1),
    clamp: bool = False,
) -> Ints32:  # fmt: skip
    """Where in a table of ``source`` to look up rectangles of one shape, one per mask.

    Position (i, j) of mask m is at row top + i * step, column left + j * step: inside the mask's window its own row,
    elsewhere the photo's; beyond the border the row of zeros, or the border's with ``clamp``.

    Returns:
        (m * shape[0] * shape[1],) int32.
    """
    windows = source.windows
    height, width = windows.size
    y = top[:, None] + np.arange(0, shape[0] * step[0], step[0])
    x = left[:, None] + np.arange(0, shape[1] * step[1], step[1])
    if clamp:
        y, x = y.clip(0, height - 1), x.clip(0, width - 1)
    index = _gathered(windows.size, y, x)
    own_top, own_left, own_width = windows.top[masks, None], windows.left[masks, None], windows.width[masks, None]
    in_rows = (y >= own_top) & (y < windows.bottom[masks, None])
    in_columns = (x >= own_left) & (x < windows.right[masks, None])
    begin = height * width + 1 + source.offset[masks, None] - own_left
    own = (begin + (y - own_top) * own_width).astype(np.int32)[:, :, None] + x.astype(np.int32)[:, None, :]
    np.copyto(index, own, where=in_rows[:, :, None] & in_columns[:, None, :])
    return index.reshape(-1)


def changed_index(
    source: Layout, masks: Ints, top: Ints, left: Ints, shape: tuple[int, int], step: tuple[int, int] = (1, 1)
) -> Ints32:
    """As ``index_of``, into deltas: outside of the windows the last row, of zeros."""
    index = index_of(source, masks, top, left, shape, step)
    index -= source.windows.size[0] * source.windows.size[1] + 1
    index[index < 0] = source.rows
    return index


def _gathered(size: tuple[int, int], y: Ints, x: Ints) -> Ints32:
    """Rows of the photo's own map at (m, h) rows and (m, w) columns, (m, h, w); beyond it the row of zeros."""
    height, width = size
    beyond = bool(y.min() < 0 or x.min() < 0 or y.max() >= height or x.max() >= width)
    rows, columns, zeros = (y * width).astype(np.int32), x.astype(np.int32), height * width
    if beyond:
        rows[(y < 0) | (y >= height)] = columns[(x < 0) | (x >= width)] = 2 * zeros + 2 * width
    index: Ints32 = rows[:, :, None] + columns[:, None, :]
    return np.minimum(index, zeros, out=index) if beyond else index
