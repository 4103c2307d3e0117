"""Reusable buffers."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor


class Scratch:
    """Buffers for values that live for one step: allocating memory of that size costs more than the arithmetic."""

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Memory for a tensor of a shape, with the type and device of ``like``.

        What was taken under this name before is overwritten.
        """
        size, kept = prod(shape), self._kept.get(name)
        if kept is None or kept.numel() < size or kept.dtype != like.dtype or kept.device != like.device:
            self._kept[name] = kept = like.new_empty(size)
        return kept[:size].view(shape)

    def gather(self, name: str, rows: Tensor, at: Tensor) -> Tensor:
        """The rows at an index, in memory of that name."""
        return torch.index_select(rows, 0, at, out=self.take(name, (len(at), *rows.shape[1:]), rows))
