"""Convolutions as what they were before plus the convolution of what changed."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..activations import activated
from ..kernels import Filter, Pair
from ..patches import Base, Patches, Place, index_of, own_index, own_places
from ..program import Ref
from ..windows import Block, Layout, Windows
from .rule import Call, Rule, written
from .sliding import Convolution, PointConvolution

IMAGE = Place(2, 3, 4)


class Changing:
    """conv(x') = conv(x) + conv(x' - x), without the bias in the second.

    What changed may be rounded to bfloat16 without much harm: the error is a share of the change, not of the map.
    """

    filter: Filter

    def before(self, base: Base) -> Tensor:
        """What the convolution gave for the photo itself, without its activation, as rows."""
        if self not in base.derived:
            map = IMAGE.from_rows(base.rows[:-1], 1, *base.size)
            base.derived[self] = IMAGE.to_rows(self.filter.unactivated(map))
        return base.derived[self]

    def whole(self, x: Tensor, base: Base) -> Tensor:
        """Of whole maps (M, C, H, W), with the activation."""
        map = IMAGE.from_rows(base.rows[:-1], 1, *base.size)
        y = self.filter.change(x - map, self.filter.padding)
        y += IMAGE.from_rows(self.before(base), 1, *y.shape[2:])
        return self.activated(y)

    def activated(self, y: Tensor) -> Tensor:
        return y if self.filter.then is None else activated(self.filter.then, y)


class ChangedConvolution(Changing, Convolution):
    """conv2d as what it was before plus the convolution of what changed.

    A position at the rim of a window sees only part of what changed. Beyond that there is nothing, which costs
    nothing: oneDNN leaves out what falls on padding. So a 3x3 kernel over h x w changed positions takes (3h)(3w)
    products, not 9 (h + 2)(w + 2).
    """

    def __init__(self, call: Call, source: Ref, filter: Filter):
        super().__init__(call, source, filter)
        then = call.node.then if filter.then is None else (filter.then, *call.node.then)
        self.after = replace(call.node, then=then)

    def compute(self, inputs: list[Patches], layout: Layout, out: Tensor) -> None:
        (source,) = inputs
        base = source.around
        before = self.before(base)
        for block in layout.blocks:
            padding = self._padding(source.windows, layout.windows, block)
            shape, begin = [], []
            for side, (count, first) in enumerate(
                ((block.height, layout.windows.top), (block.width, layout.windows.left))
            ):
                k, s, p, more = self.kernel[side], self.stride[side], self.padding[side], padding[side]
                shape.append((count - 1) * s + k - 2 * more)
                begin.append(first[block.masks] * s - p + more)
            (top, left), reach = begin, (shape[0], shape[1])
            seen = source.look(index_of(source.layout, block.masks, top, left, reach))
            seen -= base.at(own_index(base.size, top, left, reach))
            change = self.filter.change(IMAGE.from_rows(seen, len(block.masks), *reach), padding)
            corner = layout.windows.top[block.masks], layout.windows.left[block.masks]
            at = own_index(layout.windows.size, *corner, (block.height, block.width))
            y = before.index_select(0, torch.from_numpy(at).to(before.device))
            y += change.permute(0, 2, 3, 1).reshape(y.shape)
            written(self.after, y, out[block.rows])

    def _padding(self, changed: Windows, given: Windows, block: Block) -> Pair:
        """The most padding with which what is read still holds all that changed."""
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


class ChangedPoints(Changing, PointConvolution):
    """A 1x1 convolution of what changed: no fewer products, but in bfloat16 faster ones."""

    looks = True

    def __init__(self, call: Call, source: Ref, filter: Filter):
        super().__init__(call, source, filter)
        self.size = call.size(source)

    def rows(self, inputs: list[Patches]) -> Tensor:
        (source,) = inputs
        base, at = source.around, own_places(source.layout, source.rows)
        changed = source.rows - base.rows.index_select(0, at)
        y = self.filter.change(IMAGE.from_rows(changed, 1, len(changed), 1), (0, 0))
        rows = y.permute(0, 2, 3, 1).reshape(len(changed), -1)
        rows += self.before(base).index_select(0, at)
        return self.activated(rows)


def conv2d(call: Call, input: Ref) -> Rule | None:
    """The rule of a convolution that was made ready, of maps in the usual order."""
    filter = call.node.function
    if not isinstance(filter, Filter) or call.places[input] != Place(2, 3, 4):
        return None
    if filter.kernel == (1, 1) and filter.stride == (1, 1) and filter.padding == (0, 0):
        return (ChangedPoints if filter.halved else PointConvolution)(call, input, filter)
    products = filter.weight.shape[1] * filter.kernel[0] * filter.kernel[1]
    few = filter.groups > 1 or filter.kernel == (1, 1) or filter.dilation != (1, 1) or products < 128
    return (Convolution if few else ChangedConvolution)(call, input, filter)
