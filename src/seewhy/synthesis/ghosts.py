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

CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d)
LAYERS = (*CONVOLUTIONS, F.linear)
_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")


class Ghosts(TorchFunctionMode):
    """While it is entered, convolutions and linear layers read each channel a little stronger or weaker.

    It stands where these functions are called, so it does not matter where a weight comes from: a parameter, tied or
    not, a parametrization, a hook, or the network's own arithmetic. Nothing is ever written to the network.

    Args:
        share: how far off each channel is, root mean square: 0.1 is a tenth.
        channels: of the images; the layers that read these themselves are left to the transforms.
    """

    def __init__(self, share: float, channels: int):
        super().__init__()
        self.share, self.channels = share, channels
        self._needed = 0  # numbers that one look takes; the first finds out
        self._left = torch.empty(0)

    def look(self, streams: Streams, strength: float = 1.0) -> Ghosts:
        """The next ghost, off by this share of ``share``."""
        self._streams, self._strength, self._taken = streams, strength, 0
        self._left = self._off(self._needed)
        return self

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function in LAYERS:
            given = dict(zip(_ARGUMENTS, args, strict=False)) | (kwargs or {})
            groups = given.get("groups", 1) if function in CONVOLUTIONS else 1
            if function is F.linear or given["weight"].shape[1] * groups != self.channels:
                return function(**given | {"weight": self._ghostly(given["weight"], groups)})
        return function(*args, **kwargs or {})

    def _ghostly(self, weight: Tensor, groups: int) -> Tensor:
        # In a grouped convolution each filter reads channels of its own: the filters are off instead.
        dimension = 1 if groups == 1 else 0
        shape = [1] * weight.dim()
        shape[dimension] = weight.shape[dimension]
        return weight * self._take(weight.shape[dimension]).view(shape).to(weight)

    def _take(self, count: int) -> Tensor:
        if len(self._left) < count:
            self._left = torch.cat([self._left, self._off(count - len(self._left))])
        taken, self._left = self._left[:count], self._left[count:]
        self._taken += count
        self._needed = max(self._needed, self._taken)
        return taken

    def _off(self, count: int) -> Tensor:
        return 1 + self._strength * self.share * self._streams.ghost(count)
