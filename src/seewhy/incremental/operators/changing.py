"""Convolutions as the base output plus the convolution of the delta."""

from __future__ import annotations

import torch
from torch import Tensor

from ..kernels import Filter, Pair
from ..patches import IMAGE, Base, Patches, changed_index, own_index, own_places, to_device
from ..windows import Block, Layout, Windows
from .rule import written
from .sliding import Convolution


class Changing:
    """conv(x') = conv(x) + conv(x' - x), without the bias in the second.

    The delta may be rounded to bfloat16: the error is then relative to the delta, not to the map.
    """

    filter: Filter

    def before(self, base: Base) -> Tensor:
        """The base output: the convolution of the photo without masks, unactivated, as rows."""
        if self not in base.derived:
            map = IMAGE.from_rows(base.rows[:-1], 1, *base.size)
            base.derived[self] = IMAGE.to_rows(self.filter.unactivated(map))
        return base.derived[self]

    def whole(self, x: Tensor, base: Base) -> Tensor | None:
        """The output for whole maps (M, C, H, W), activated; None where convolving ``x`` itself is cheaper."""
        if not self.filter.halved:
            return None
        map = IMAGE.from_rows(base.rows[:-1], 1, *base.size)
        change = self.filter.change(x - map, self.filter.padding)
        return self.filter.activated(change + IMAGE.from_rows(self.before(base), 1, *change.shape[2:]))


class ChangedConvolution(Changing, Convolution):
    """conv2d as the base output plus the convolution of the delta.

    A position at the rim of a window sees only part of the delta. Beyond it the delta is zero, and costs nothing:
    oneDNN skips what falls on padding. So a 3x3 kernel over h x w changed positions takes (3h)(3w)
    products, not 9 (h + 2)(w + 2).
    """

    tabled = False

    def compute(self, inputs: list[Patches], layout: Layout, out: Tensor) -> None:
        (source,) = inputs
        changes = source.changes(own_places(source.layout, source.rows), self.scratch)
        for block in layout.blocks:
            for part in self.parts(block):
                self.change(changes, source, layout, part, out[part.rows])

    def parts(self, block: Block) -> list[Block]:
        """A block, split into the calls that it is computed in."""
        return [block]

    def change(self, changes: Tensor, source: Patches, layout: Layout, block: Block, out: Tensor) -> None:
        """A block's rows, into ``out``: the base output plus the convolution of the delta."""
        padding = self._padding(source.windows, layout.windows, block)
        shape, corner = [], []
        for side, (count, first) in enumerate(((block.height, layout.windows.top), (block.width, layout.windows.left))):
            k, s, p, more = self.kernel[side], self.stride[side], self.padding[side], padding[side]
            shape.append((count - 1) * s + k - 2 * more)
            corner.append(first[block.masks] * s - p + more)
        (top, left), reach = corner, (shape[0], shape[1])
        index = to_device(changed_index(source.layout, block.masks, top, left, reach), changes)
        seen = self.scratch.gather("seen", changes, index)
        count = len(block.masks)
        self.were(source, layout, block, out)
        map = IMAGE.from_rows(out, count, block.height, block.width)
        self.filter.add_change(map, IMAGE.from_rows(seen, count, *reach), padding)
        if self.node.then:
            written(self.node, out, out)

    def were(self, source: Patches, layout: Layout, block: Block, out: Tensor) -> Tensor:
        """The base output at a block's positions, unactivated, into ``out``."""
        before, w = self.before(source.around), layout.windows
        index = own_index(w.size, w.top[block.masks], w.left[block.masks], (block.height, block.width))
        return torch.index_select(before, 0, to_device(index, before), out=out)

    def _padding(self, changed: Windows, given: Windows, block: Block) -> Pair:
        """The largest padding with which the input that is read still covers the whole delta."""
        found = []
        for side, (begin, end, first, count) in enumerate((
            (changed.top, changed.bottom, given.top, block.height),
            (changed.left, changed.right, given.left, block.width),
        )):  # fmt: skip
            k, s, p, masks = self.kernel[side], self.stride[side], self.padding[side], block.masks
            start = first[masks] * s - p
            stop = start + (count - 1) * s + k
            room = min(int((begin[masks] - start).min()), int((stop - end[masks]).min()), k - 1)
            found.append(max(room, 0))
        return found[0], found[1]
