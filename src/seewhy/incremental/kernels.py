"""Convolutions with a fused activation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .activations import activated
from .program import Node

Pair = tuple[int, int]


def pair(value: int | Sequence[int]) -> Pair:
    """For rows and for columns."""
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[-1]))


WORTH_HALVING = 40
"""Multiplications per element read or written above which bfloat16 is faster; measured with AVX-512."""


class Filter:
    """A convolution with constant weights, and the activation that follows it.

    On a CPU it calls the oneDNN operators that torch.compile calls; elsewhere, or where these are missing, plain torch.
    Results are the same up to rounding. (Weights reordered in advance, as torch.compile does, gain 5 % on most shapes;
    but oneDNN needs another order for some, and then takes ten times as long. For 1x1 kernels see ``Points``.)

    Args:
        weight: (O, C / groups, kh, kw).
        bias: (O,) or None.
        stride, padding, dilation: rows and columns.
        groups: as in conv2d.
        then: an activation node, or None.
        half: whether deltas are convolved in bfloat16, where that is faster.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair, dilation: Pair, groups: int,
        then: Node | None, half: bool = False,
    ):  # fmt: skip
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.bias, self.stride, self.padding, self.dilation, self.groups = bias, stride, padding, dilation, groups
        self.kernel: Pair = (weight.shape[2], weight.shape[3])
        self.then = then
        self.fused = ("none", [], "") if then is None else _fused(then)
        # The only activation that oneDNN fuses after a sum.
        self._after_sum: tuple[Any, ...] = self.fused if self.fused == ("relu", [], "") else (None, [], None)
        self.fast = onednn(weight.device.type, weight.dtype) and (bias is None or bias.dtype == weight.dtype)

        self._wants_half = half
        # Subtracting, rounding and adding pass over memory seven times more; half the products must pay for that.
        passes = 3 * weight.shape[1] + 4 * weight.shape[0]
        pays = groups == 1 and weight.numel() > WORTH_HALVING * passes
        self._half = self.weight.bfloat16() if half and pays and onednn(weight.device.type, torch.bfloat16) else None

    def narrowed(self, outputs: Tensor) -> Filter | None:
        """The same for some of its outputs, (n,) int64; None where they are in groups."""
        if self.groups != 1:
            return None
        bias = None if self.bias is None else self.bias[outputs]
        return type(self)(
            self.weight[outputs], bias, self.stride, self.padding, self.dilation, 1, self.then, self._wants_half
        )

    @property
    def halved(self) -> bool:
        """Whether deltas are convolved in bfloat16."""
        return self._half is not None

    def change(self, x: Tensor, padding: Pair, stride: Pair | None = None) -> Tensor:
        """conv(x) of a delta ``x``: no bias, no activation; in bfloat16 where that is faster."""
        if self._half is None:
            return self.on(x, padding, stride=stride, linear=True)
        y: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x.bfloat16(), self._half, None, padding, stride or self.stride, self.dilation, self.groups, "none", [], ""
        )
        return y

    def __call__(self, x: Tensor) -> Tensor:
        """Convolution, bias and activation: (B, C, H, W) -> (B, O, H', W')."""
        return self.on(x, self.padding)

    def add_change(self, y: Tensor, x: Tensor, padding: Pair, stride: Pair | None = None) -> None:
        """Accumulate conv(x) of a delta ``x`` in place into ``y``, the base output with bias; then activate."""
        if not self.fast or self._half is not None:
            y += self.change(x, padding, stride)
            y.copy_(self.activated(y))
        else:
            self.added(y, x, None, padding, stride or self.stride)

    def added(self, y: Tensor, x: Tensor, bias: Tensor | None, padding: Pair, stride: Pair) -> None:
        """Accumulate conv(x) + bias into ``y`` in place, in one pass by oneDNN; then the activation."""
        torch.ops.mkldnn._convolution_pointwise_.binary(
            y, x, self.weight, bias, padding, stride, self.dilation, self.groups, "add", 1.0, *self._after_sum
        )
        if not self._after_sum[0]:
            y.copy_(self.activated(y))

    def activated(self, y: Tensor) -> Tensor:
        """The activation that follows."""
        return y if self.then is None else activated(self.then, y)

    def on(self, x: Tensor, padding: Pair, *, stride: Pair | None = None, linear: bool = False) -> Tensor:
        """With another padding or stride; ``linear`` leaves out bias and activation."""
        bias, stride = None if linear else self.bias, stride or self.stride
        if self.fast and (linear or self.fused is not None):
            attribute = ("none", [], "") if linear or self.fused is None else self.fused
            fast: Tensor = torch.ops.mkldnn._convolution_pointwise(
                x, self.weight, bias, padding, stride, self.dilation, self.groups, *attribute
            )
            return fast
        y = F.conv2d(x, self.weight, bias, stride, padding, self.dilation, self.groups)
        return y if linear else self.activated(y)

    def unactivated(self, x: Tensor) -> Tensor:
        """Without the activation, with the bias."""
        y = self.on(x, self.padding, linear=True)
        return y if self.bias is None else y + self.bias.view(1, -1, 1, 1)


@cache
def onednn(device: str, dtype: torch.dtype) -> bool:
    """Whether oneDNN's fused operators, as torch.compile calls them, work for this dtype on this device.

    Tried on one product of each kind: builds for other processors lack some, and old processors have no bfloat16.
    """
    if device != "cpu" or dtype not in (torch.float32, torch.bfloat16):
        return False
    x = torch.ones(1, 1, 1, 16, dtype=dtype).permute(0, 3, 1, 2)
    weight = torch.full((16, 16, 1, 1), 6 / 16, dtype=dtype)
    relu: tuple[str, list[float], str] = ("relu", [], "")
    places, known, added = ((0, 0), (1, 1), (1, 1), 1), torch.ops.mkldnn, x.clone()
    try:
        product = known._convolution_pointwise(x, weight, None, *places, *relu)
        known._convolution_pointwise_.binary(added, x, weight, None, *places, "add", 1.0, *relu)
        row = known._linear_pointwise(x[..., 0, 0], known._reorder_linear_weight(weight[..., 0, 0], 1), None, *relu)
    except (AttributeError, RuntimeError):
        return False
    return bool((product == 6).all() and (added == 7).all() and (row == 6).all())


def _fused(then: Node) -> tuple[str, list[float], str] | None:
    """An activation as oneDNN's post-op (name, scalars, algorithm); None where it has none."""
    numbers = [value for value in then.args[1:] if not isinstance(value, bool)]
    if then.name == "relu":
        return "relu", [], ""
    if then.name in ("relu6", "hardtanh"):
        low, high = (0.0, 6.0) if then.name == "relu6" else (-1.0, 1.0)
        low = then.kwargs.get("min_val", numbers[0] if numbers else low)
        return "hardtanh", [low, then.kwargs.get("max_val", numbers[1] if len(numbers) > 1 else high)], ""
    if then.name in ("silu", "hardswish", "sigmoid"):
        return {"silu": "swish"}.get(then.name, then.name), [], ""
    return None
