"""How many channels a network reads: found by running it, since no weight says so for sure."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .guest import guest

COUNTS = (3, 1, 4, 2, *range(5, 17))


def channels_read(module: nn.Module, size: tuple[int, int], like: Tensor) -> int | None:
    """The first number of channels, 3 before all others, that ``module`` takes; None if it takes none.

    Args:
        size: (H, W) of the pictures.
        like: of the dtype and on the device of the pictures.
    """
    with guest(module), torch.no_grad():
        return next((count for count in COUNTS if _runs(module, like.new_zeros(1, count, *size))), None)


def _runs(module: nn.Module, inputs: Tensor) -> bool:
    try:
        module(inputs)
    except Exception:  # noqa: BLE001  # whatever a network raises, it does not take these
        return False
    return True
