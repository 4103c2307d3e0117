"""Ghosts: networks that differ a little from the one that is asked, a new one for each look (Li 2020, AAAI).

What raises the score of a network and of all its ghosts rests on shapes that many of its channels see, and less on
what these very weights happen to answer to; so it also holds for networks that were trained by others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .streams import Streams

CONVOLUTIONS = frozenset({F.conv1d, F.conv2d, F.conv3d})
LAYERS = CONVOLUTIONS | {F.linear}
_WEIGHT, _GROUPS = 1, 6
"""Where these functions take them."""


class Ghosts(TorchFunctionMode):
    """While it is entered, convolutions and linear layers read each channel a little stronger or weaker.

    It stands where these functions are called, so it does not matter where a weight comes from: a parameter, tied or
    not, a parametrization, a hook, or the network's own arithmetic. Nothing is ever written to the network.

    The first look finds out which weights there are, in the order of the calls. From then on, a look draws all its
    numbers at once, and multiplies the weights that are the same tensors each time all together.

    Args:
        share: how far off each channel is, root mean square: 0.1 is a tenth.
        channels: of the images; the layers that read these themselves are left to the transforms.
    """

    def __init__(self, share: float, channels: int):
        super().__init__()
        self.share, self.channels = share, channels
        self._shapes: list[tuple[int, ...]] = []  # of each weight's factors
        self._kept: list[Tensor | None] = []  # each weight, if it is the same tensor in each look
        self._factors: list[Tensor] = []
        self._scaled: dict[int, Tensor] = {}  # their ghosts, in memory that the next look uses again

    def look(self, streams: Streams, strength: float = 1.0) -> Ghosts:
        """The next ghost, off by this share of ``share``; the gradient of the last look has been taken."""
        self._streams, self._off, self._call = streams, strength * self.share, 0
        counts = [max(shape) for shape in self._shapes]
        drawn = torch.split(self._draw(sum(counts)), counts) if counts else ()
        self._factors = [part.view(shape) for part, shape in zip(drawn, self._shapes, strict=True)]
        for call, weight in enumerate(self._kept):
            if weight is None:
                self._scaled.pop(call, None)
            else:
                if call not in self._scaled:
                    self._scaled[call] = torch.empty_like(weight)
                torch.mul(weight, self._factors[call].to(weight), out=self._scaled[call])
        return self

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in LAYERS:
            weight = args[_WEIGHT] if len(args) > _WEIGHT else kwargs["weight"]
            groups = args[_GROUPS] if len(args) > _GROUPS else kwargs.get("groups", 1)
            if function is F.linear or weight.shape[1] * groups != self.channels:
                ghostly = self._ghostly(weight, groups if function in CONVOLUTIONS else 1)
                if len(args) > _WEIGHT:
                    args = (args[0], ghostly, *args[2:])
                else:
                    kwargs = {**kwargs, "weight": ghostly}
        return function(*args, **kwargs)

    def _ghostly(self, weight: Tensor, groups: int) -> Tensor:
        call, self._call = self._call, self._call + 1
        if call in self._scaled and weight is self._kept[call]:
            return self._scaled[call]
        # In a grouped convolution each filter reads channels of its own: the filters are off instead.
        dimension = 1 if groups == 1 else 0
        shape = (1,) * dimension + (weight.shape[dimension],) + (1,) * (weight.dim() - 1 - dimension)
        if call == len(self._shapes) or shape != self._shapes[call]:  # the first look, or the network went another way
            del self._shapes[call:], self._kept[call:], self._factors[call:]
            self._scaled = {}
            self._shapes.append(shape)
            self._kept.append(None if weight.requires_grad else weight)
            self._factors.append(self._draw(max(shape)).view(shape))
        elif weight is not self._kept[call]:
            self._kept[call] = None
        return weight * self._factors[call].to(weight)

    def _draw(self, count: int) -> Tensor:
        return 1 + self._off * self._streams.ghost(count)
