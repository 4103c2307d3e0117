"""1x1 convolutions as matrix products, with the rows of a table or the positions of a map."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .kernels import Filter
from .patches import IMAGE, column

TYPICAL = 49
"""Number of rows that weights are reordered for; other numbers are as fast with that order."""
PRODUCT_BYTES = 3 << 20
"""Bytes of the result computed at a time, so that they are still in cache when the activation is applied."""


class Points(Filter):
    """A 1x1 convolution, without padding or groups.

    Three ways to multiply, by what the rows are. Whole maps come in few sizes: weights are reordered for oneDNN in
    advance, which is fastest, but costs a millisecond for every new number of rows. Windows come in all sizes:
    oneDNN's convolution. Few rows: a plain product, which has the least overhead.

    Args: as for ``Filter``.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.matrix = self.weight[:, :, 0, 0]
        self._ordered = torch.ops.mkldnn._reorder_linear_weight(self.matrix, TYPICAL) if self.fast else None

    def __call__(self, x: Tensor, plus: Tensor | None = None) -> Tensor:
        """Convolution, bias and activation: (B, C, H, W) -> (B, O, H', W'); ``plus`` is added before the activation."""
        picked = x[:, :, :: self.stride[0], :: self.stride[1]]
        rows = IMAGE.to_rows(picked)
        if plus is None:
            y = self._of_maps(rows, activate=True)
        else:
            # oneDNN would add in the same pass, and takes a sixth longer for the whole.
            y = self._of_maps(rows, activate=False)
            y += IMAGE.to_rows(plus)
            y = self.activated(y)
        return IMAGE.from_rows(y, len(x), *picked.shape[2:])

    def _of_maps(self, rows: Tensor, activate: bool) -> Tensor:
        if self._ordered is None or (activate and self.fused is None):
            y = F.linear(rows, self.matrix, self.bias)
            return self.activated(y) if activate else y
        fused = self.fused if activate and self.fused else ("none", [], "")
        product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self._ordered, self.bias, *fused)
        return product

    def rows(self, rows: Tensor) -> Tensor:
        """Applied to rows of a table, with the activation: (R, C) -> (R, O)."""
        if self._few(rows):
            return self.activated(F.linear(rows, self.matrix, self.bias))
        y = self.on(column(rows.contiguous()), (0, 0), stride=(1, 1))
        return y.permute(0, 2, 3, 1).reshape(len(rows), -1)

    def fill(self, rows: Tensor, out: Tensor) -> None:
        """``rows``, written into ``out``: faster than a new result and a copy."""
        at_once = max(1, PRODUCT_BYTES // (out.shape[1] * out.element_size()))
        for x, y in zip(torch.split(rows, at_once), torch.split(out, at_once), strict=True):
            if self.bias is None:
                torch.mm(x, self.matrix.T, out=y)
            else:
                torch.addmm(self.bias, x, self.matrix.T, out=y)
            y.copy_(self.activated(y))

    def add_to(self, y: Tensor, rows: Tensor) -> None:
        """Accumulate into ``y`` (R, O) in place; then the activation."""
        if self.fast and not self._few(rows):
            self.added(column(y), column(rows), self.bias, self.padding, self.stride)
        else:
            y += F.linear(rows, self.matrix, self.bias)
            y.copy_(self.activated(y))

    def _few(self, rows: Tensor) -> bool:
        return len(rows) < 115 + 8_600_000 / self.matrix.numel()
