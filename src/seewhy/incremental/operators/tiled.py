"""3 x 3 convolutions of deltas by Winograd's minimal filtering."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
from torch import Tensor

from ..kernels import Filter
from ..patches import IMAGE, Base, Patches, changed_index, to_device
from ..program import Ref
from ..windows import Block, Layout, whole_maps
from ..winograd import TAPS, Winograd, tiling
from .changing import ChangedConvolution
from .rule import BYTES, FLOPS, Call, written

SIDES = (4, 5, 6)
"""Larger tiles lose more to rounding than an exact mode may."""
PASSES = 3
"""Memory traffic of the transforms, reads and writes together, in multiples of the tiles' own size."""
PLACE_BYTES, ROWS = 1 << 17, 96
"""Bytes of one tile position over all tiles of a batched product, to fit in cache; and its least number of rows."""


class TiledConvolution(ChangedConvolution):
    """A 3 x 3 convolution of the delta, in Winograd tiles where that is estimated to be faster."""

    def __init__(self, call: Call, source: Ref, filter: Filter):
        super().__init__(call, source, filter)
        self._side = min(SIDES, key=self._typical)
        self._winograd: Winograd | None = None
        then = call.node.then if filter.then is None else (filter.then, *call.node.then)
        self._after = replace(call.node, then=then)

    def whole(self, x: Tensor, base: Base) -> Tensor | None:
        masks, _, *size = x.shape
        if not self._pays(size[0], size[1], masks):
            return super().whole(x, base)
        layout = whole_maps(masks, (size[0], size[1]))
        rows = IMAGE.to_rows(x)
        out = rows.new_empty(len(rows), len(self.filter.weight))
        self.compute([Patches(layout, rows, base, layout.windows)], layout, out)
        return IMAGE.from_rows(out, masks, *size)

    def parts(self, block: Block) -> list[Block]:
        count, area = len(block.masks), block.height * block.width
        if not self._pays(block.height, block.width, count):
            return [block]
        tiles = prod(tiling(self._side, block.height, block.width))
        most = max(PLACE_BYTES // (4 * max(self.filter.weight.shape[:2])), ROWS) / tiles
        cuts = np.linspace(0, count, max(1, round(count / most)) + 1).astype(int).tolist()
        rows = [block.rows.start + cut * area for cut in cuts]
        return [
            replace(block, masks=block.masks[cuts[i] : cuts[i + 1]], rows=slice(rows[i], rows[i + 1]))
            for i in range(len(cuts) - 1)
        ]

    def change(self, changes: Tensor, source: Patches, layout: Layout, block: Block, out: Tensor) -> None:
        shape, masks = (block.height, block.width), block.masks
        if not self._pays(*shape, len(masks)):
            super().change(changes, source, layout, block, out)
            return
        if self._winograd is None:
            self._winograd = Winograd(self.filter.weight, self._side, self.scratch)
        down, across = tiling(self._side, *shape)
        seen = down * self._side + TAPS - 1, across * self._side + TAPS - 1
        top, left = layout.windows.top[masks] - self.padding[0], layout.windows.left[masks] - self.padding[1]
        index = changed_index(source.layout, masks, top, left, seen).reshape(-1, *seen)
        tiles = self._winograd(changes, self._winograd.places(index))
        y = self.scratch.gather("tiles", tiles, to_device(self._winograd.results(len(masks), *shape), tiles))
        y += self.were(source, layout, block, self.scratch.take("before", tuple(y.shape), y))
        written(self._after, y, out)

    def _pays(self, height: int, width: int, masks: int) -> bool:
        return self._in_tiles(self._side, height, width, masks) < self._directly(height, width, masks)

    def _typical(self, side: int) -> float:
        """Estimated seconds for windows of all sizes, the larger of which are more frequent."""
        return sum(
            n * min(self._in_tiles(side, n, n, 64), self._directly(n, n, 64)) for n in range(1, max(self.size) + 1)
        )

    def _in_tiles(self, side: int, height: int, width: int, masks: int) -> float:
        """Estimated seconds for windows of one size."""
        given, channels = self.filter.weight.shape[:2]
        tiles = prod(tiling(side, height, width)) * masks
        moved = given * channels + PASSES * tiles * (given + channels)
        return (side + TAPS - 1) ** 2 * (2 * tiles * given * channels / FLOPS + 4 * moved / BYTES)

    def _directly(self, height: int, width: int, masks: int) -> float:
        # The delta's window is smaller than the result's by the kernel's reach, unless the latter ends at the border.
        changed = [n if n == most else n - TAPS + 1 for n, most in zip((height, width), self.size, strict=True)]
        weights = self.filter.weight.numel()
        return weights * (2 * masks * changed[0] * changed[1] / FLOPS + 4 / BYTES)
