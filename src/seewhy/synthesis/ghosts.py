"""Ghosts: networks that differ a little from the one that is asked, a new one for each look (Li 2020, AAAI).

What raises the score of a network and of all its ghosts rests on shapes that many of its channels see, and less on
what these very weights happen to answer to; so it also holds for networks that were trained by others.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn


class Ghosts:
    """The weights of ghosts of ``model``: each channel that a layer reads is off by ``share``, root mean square.

    Args:
        model: any network; its convolutions and linear layers are what differs.
        share: 0.1 is a tenth.
        channels: of the images; the layers that read these themselves are left to the transforms.
    """

    def __init__(self, model: nn.Module, share: float, channels: int):
        self.share = share
        self._read: list[tuple[str, Tensor, tuple[int, ...]]] = []
        for name, layer in model.named_modules():
            if isinstance(layer, nn.Linear):
                self._read.append((f"{name}.weight".lstrip("."), layer.weight, (1, layer.in_features)))
            elif isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d) and layer.in_channels != channels:
                # In a grouped convolution each filter reads channels of its own: the filters are off instead.
                shape = (-1, 1) if layer.groups > 1 else (1, -1)
                ones = (1,) * (layer.weight.dim() - 2)
                self._read.append((f"{name}.weight".lstrip("."), layer.weight, (*shape, *ones)))

    def draw(self, generator: Generator, strength: float = 1.0) -> dict[str, Tensor]:
        """One ghost's weights, for ``torch.func.functional_call``; off by this share of ``share``."""
        drawn = {}
        for name, weight, shape in self._read:
            count = weight.shape[1] if shape[0] == 1 else weight.shape[0]
            off = 1 + strength * self.share * torch.randn(count, generator=generator)
            drawn[name] = weight * off.view(shape).to(weight)
        return drawn
