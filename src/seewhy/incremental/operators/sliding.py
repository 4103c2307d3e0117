"""Sliding kernels: convolution, pooling, and strided slices."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import reduce
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from ..kernels import Filter, Pair, pair
from ..patches import IMAGE, Patches
from ..program import Ref
from ..windows import Layout, Windows, spread
from .rule import BYTES, CALL, FLOPS, Call, OperatorRule, WindowRule, written
from .separable import separable

MOSTLY_GROUPED = 0.55
"""A depthwise convolution is bound by memory, and in windows its memory is copied three times more."""


class Sliding(WindowRule):
    """A kernel, stride, padding and dilation; a window grows by what the kernel sees."""

    tabled = True

    def __init__(self, call: Call, source: Ref, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)):
        self.node, self.scratch = call.node, call.scratch
        self.kernel, self.stride, self.padding, self.dilation = kernel, stride, padding, dilation
        self.place = call.places[source]
        self.size = self.place.size(call.shapes[call.node.result])
        # A 1x1 kernel with stride does not read the positions between.
        self.step = stride if kernel == (1, 1) else (1, 1)
        seen = prod(s if k > 1 else 1 for k, s in zip(kernel, stride, strict=True))
        channels, given = call.channels(source), prod(call.shapes[call.node.result]) // prod(self.size)
        self.position = 4 * (3 * channels * seen + 4 * given) / BYTES

    def spread(self, windows: list[Windows]) -> Windows:
        (w,) = windows
        sides = zip(self.kernel, self.stride, self.padding, self.dilation, self.size, strict=True)
        (top, bottom), (left, right) = (
            spread(begin, end, *side)
            for begin, end, side in zip((w.top, w.left), (w.bottom, w.right), sides, strict=True)
        )
        return Windows(top, left, bottom, right, self.size)


class Cropped(Sliding):
    """The receptive field of a window is gathered, and the operator runs on that.

    Beyond the border lie zeros, or the border repeated (``clamp``): for a maximum that is the same as nothing.
    """

    clamp = False

    def compute(self, inputs: list[Patches], layout: Layout, out: Tensor) -> None:
        source = inputs[0]
        for block in layout.blocks:
            reach = [
                (count - 1) * s // step + d * (k - 1) + 1
                for count, k, s, d, step in zip(
                    (block.height, block.width), self.kernel, self.stride, self.dilation, self.step, strict=True
                )
            ]
            top = layout.windows.top[block.masks] * self.stride[0] - self.padding[0]
            left = layout.windows.left[block.masks] * self.stride[1] - self.padding[1]
            count, shape = len(block.masks), (reach[0], reach[1])
            seen = self.scratch.take("seen", (count * prod(shape), *source.rows.shape[1:]), source.rows)
            source.seen(block.masks, top, left, shape, seen, self.step, self.clamp)
            y = self.slide(IMAGE.from_rows(seen, count, *reach))
            written(self.node, y.permute(0, 2, 3, 1).reshape(-1, *out.shape[1:]), out[block.rows])

    @abstractmethod
    def slide(self, crops: Tensor) -> Tensor:
        """(m, C, h, w) -> (m, C', h', w'), no padding left to do."""


class Convolution(Cropped):
    """conv2d, recomputed wherever its kernel covers a changed position."""

    def __init__(self, call: Call, source: Ref, filter: Filter):
        super().__init__(call, source, filter.kernel, filter.stride, filter.padding, filter.dilation)
        self.filter = filter
        weights = filter.weight.numel()
        # A small group is no matrix product, and runs at the speed of memory.
        self.position += 2 * weights / FLOPS * (2 if filter.groups > 1 else 1)
        self.mostly = MOSTLY_GROUPED if filter.groups > 1 else self.mostly
        self.block = CALL + 4 * weights / BYTES

    def slide(self, crops: Tensor) -> Tensor:
        # For a 1x1 kernel the stride was applied by the gather already.
        return self.filter.on(crops, (0, 0), stride=(1, 1) if self.kernel == (1, 1) else None)


class MaxPool(Cropped):
    """max_pool2d."""

    clamp = True

    def slide(self, crops: Tensor) -> Tensor:
        # By columns, then by rows: on small maps in this order torch's own pooling is several times slower.
        for dim, kernel, stride in ((3, self.kernel[1], self.stride[1]), (2, self.kernel[0], self.stride[0])):
            last = crops.shape[dim] - kernel + 1
            taps = [crops[(slice(None),) * dim + (slice(tap, tap + last, stride),)] for tap in range(kernel)]
            crops = reduce(torch.maximum, taps)
        return crops


class AveragePool(Cropped):
    """avg_pool2d, where every output divides by the same number."""

    def slide(self, crops: Tensor) -> Tensor:
        return F.avg_pool2d(crops, self.kernel, self.stride)


class Pick(Cropped):
    """Strided slices: ``x[:, :, ::2, ::2]``."""

    def slide(self, crops: Tensor) -> Tensor:
        return crops


def max_pool2d(
    call: Call, input: Ref, kernel_size: int | Sequence[int], stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0, dilation: int | Sequence[int] = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> OperatorRule | None:  # fmt: skip
    """The rule of a maximum pool; ``ceil_mode`` shows in the result's size."""
    if return_indices or pair(dilation) != (1, 1) or call.places[input] != IMAGE:
        return None
    kernel = pair(kernel_size)
    return (Pick if kernel == (1, 1) else MaxPool)(call, input, kernel, pair(stride or kernel_size), pair(padding))


def avg_pool2d(
    call: Call, input: Ref, kernel_size: int | Sequence[int], stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0, ceil_mode: bool = False, count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> OperatorRule | None:  # fmt: skip
    """The rule of an average pool; where outputs at the border divide by less, that of any separable operator."""
    kernel, step, rim = pair(kernel_size), pair(stride or kernel_size), pair(padding)
    if divisor_override is not None or call.places[input] != IMAGE:
        return None
    if ceil_mode or (rim != (0, 0) and not count_include_pad):
        return separable(call, input, kernel_size, stride, padding, ceil_mode, count_include_pad)
    return (Pick if kernel == (1, 1) else AveragePool)(call, input, kernel, step, rim)


def picked(call: Call, source: Ref, rows: slice, columns: slice) -> OperatorRule | None:
    """The rule of spatial slices."""
    height, width = call.size(source)
    (top, _, down), (left, _, right) = rows.indices(height), columns.indices(width)
    if down < 1 or right < 1 or call.places[source] != IMAGE:
        return None
    return Pick(call, source, (1, 1), (down, right), (-top, -left))
