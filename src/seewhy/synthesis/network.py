"""Which networks look at the image: the one that is asked, a faster copy of it, ghosts of it, at which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .checked import check_number
from .folded import folded
from .ghosts import Ghosts

LEAST_FOLDED = 16
"""An ascent of fewer steps is over before a faster copy of the network would have paid."""


@dataclass(frozen=True)
class Network:
    """How the network is run.

    Attributes:
        ghosts: each look goes through a network whose channels are off by this share; see ``synthesis.ghosts``.
        autocast: in bfloat16.
        folded: in a private copy with batch norms folded into convolutions, where that answers alike: the same but for
            rounding, sooner.

    Raises:
        InputError: the share is out of range.
    """

    ghosts: float = 0.0
    autocast: bool = False
    folded: bool = True

    def __post_init__(self) -> None:
        check_number("ghosts, the share that channels are off by,", self.ghosts)

    def prepared(self, model: nn.Module, x: Tensor, layers: frozenset[str], steps: int) -> nn.Module:
        """What will be run ``steps`` times on images like ``x``."""
        return folded(model, x, layers) if self.folded and steps >= LEAST_FOLDED else model

    def haunting(self, channels: int) -> Ghosts | None:
        """The ghosts of a network for images of so many channels."""
        return Ghosts(self.ghosts, channels) if self.ghosts else None

    def precision(self, x: Tensor) -> AbstractContextManager[object]:
        """In which it runs."""
        return torch.autocast(x.device.type, torch.bfloat16) if self.autocast else nullcontext()

    @property
    def params(self) -> dict[str, Any]:
        """What has a part in the result."""
        own = {"ghosts": self.ghosts, "autocast": self.autocast} | ({} if self.folded else {"folded": False})
        return {name: value for name, value in own.items() if value or name == "folded"}
