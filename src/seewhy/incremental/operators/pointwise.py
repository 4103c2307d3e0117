"""1x1 convolutions: one product for the rows of all windows together."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..patches import Patches, changed_index, column, own_places, to_device
from ..points import Points
from ..program import Ref
from ..windows import Layout
from .changing import Changing
from .combining import Together
from .rule import BYTES, FLOPS, Call, FillingRule, written
from .sliding import Sliding


def _cost(filter: Points) -> float:
    given, channels = filter.matrix.shape
    return 2 * filter.matrix.numel() / FLOPS + 4 * (given * 3 + channels) / BYTES


class PointConvolution(FillingRule):
    """A 1x1 convolution."""

    def __init__(self, call: Call, source: Ref, filter: Points):
        self.node, self.place, self.filter, self.scratch = call.node, call.places[source], filter, call.scratch
        self.position = _cost(filter)

    def rows(self, inputs: list[Patches]) -> Tensor:
        return self.filter.rows(inputs[0].rows)

    def fill(self, inputs: list[Patches], out: Tensor) -> None:
        self.filter.fill(inputs[0].rows, out)


class ChangedPoints(Changing, PointConvolution):
    """A 1x1 convolution of the delta: no fewer products, but faster ones, in bfloat16."""

    filter: Points
    looks = True

    def rows(self, inputs: list[Patches]) -> Tensor:
        rows = inputs[0].rows.new_empty(len(inputs[0].rows), len(self.filter.weight))
        self.fill(inputs, rows)
        return rows

    def fill(self, inputs: list[Patches], out: Tensor) -> None:
        (source,) = inputs
        at = own_places(source.layout, source.rows)
        torch.index_select(self.before(source.around), 0, at, out=out)
        self.filter.add_change(column(out), column(source.changes(at, self.scratch)[:-1]), (0, 0))


class AddedPoints(Together):
    """A 1x1 convolution of one map, added to another of the result's shape."""

    def __init__(self, call: Call, sources: list[Ref], filter: Points):
        super().__init__(call, sources)
        self.filter = filter
        self.position += 2 * filter.matrix.numel() / FLOPS

    def compute(self, inputs: list[Patches], layout: Layout, out: Tensor) -> None:
        given, plus = self.seen(inputs[0], layout, "a"), self.seen(inputs[1], layout, out)
        if plus is not out:
            out.copy_(plus)
        self.filter.add_to(out, given)
        if self.node.then:
            written(self.node, out, out)


class PickedPoints(Sliding):
    """A 1x1 convolution with stride."""

    def __init__(self, call: Call, source: Ref, filter: Points):
        super().__init__(call, source, filter.kernel, filter.stride, filter.padding)
        self.filter = filter
        self.position = _cost(filter)

    def compute(self, inputs: list[Patches], layout: Layout, out: Tensor) -> None:
        (source,) = inputs
        seen = self.scratch.take("seen", (layout.rows, *source.rows.shape[1:]), source.rows)
        written(self.node, self.filter.rows(source.under(layout, seen, self.stride)), out)


class ChangedPickedPoints(Changing, PickedPoints):
    """The same for the delta, in bfloat16."""

    filter: Points
    tabled = False

    def compute(self, inputs: list[Patches], layout: Layout, out: Tensor) -> None:
        (source,) = inputs
        changes = source.changes(own_places(source.layout, source.rows), self.scratch)
        w, (down, across) = layout.windows, self.stride
        index = [
            changed_index(
                source.layout,
                b.masks,
                w.top[b.masks] * down,
                w.left[b.masks] * across,
                (b.height, b.width),
                self.stride,
            )
            for b in layout.blocks
        ]
        seen = self.scratch.gather("seen", changes, to_device(np.concatenate(index), changes))
        torch.index_select(self.before(source.around), 0, own_places(layout, out), out=out)
        self.filter.add_change(column(out), column(seen), (0, 0), (1, 1))
        if self.node.then:
            written(self.node, out, out)
