"""How many channels a network reads: found by showing it black images, since no weight's shape tells it for sure.

The first convolution may be grouped, may run after a space-to-depth or beside coordinates; the first 4-D weight may be
a grid of positions; and a network may have no convolution at all.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .guest import guest

USUAL = (1, 4, 2, *range(5, 17))
"""Grey; red, green, blue and depth or alpha; two polarisations; and what satellites and microscopes give."""

FOLDS = (2, 4, 8)
"""A space-to-depth by so much turns C channels into C times its square."""


def channels_read(module: nn.Module, size: tuple[int, int], like: Tensor) -> int | None:
    """The number of channels with which ``module`` answers a black image; three where it can.

    Args:
        module: any network; run in evaluation mode, and as it was afterwards.
        size: height and width of the image.
        like: the image is of this tensor's dtype, and on its device.

    Returns:
        None where it answers none of those that are likely; ``complaint`` tells what it says.

    Raises:
        ModelError: the module cannot be run at all, as with lazy layers.
    """
    with guest(module, grad=False):
        return next((count for count in likely(module, size) if _raised(module, count, size, like) is None), None)


def complaint(module: nn.Module, channels: int, size: tuple[int, int], like: Tensor) -> str | None:
    """The first line of what a network raises when it is shown a black image; None if it answers."""
    with guest(module, grad=False):
        return _raised(module, channels, size, like)


def _raised(module: nn.Module, channels: int, size: tuple[int, int], like: Tensor) -> str | None:
    black = torch.zeros(1, channels, *size, dtype=like.dtype, device=like.device)
    try:
        with torch.no_grad():
            module(black)
    except Exception as error:  # noqa: BLE001 - a foreign model can raise anything; it is told, not swallowed
        lines = str(error).strip().splitlines()
        return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return None


def likely(module: nn.Module, size: tuple[int, int]) -> list[int]:
    """Numbers of channels in the order in which they are tried: three, what the first convolution reads, the usual."""
    return list(dict.fromkeys(count for count in (3, *_hints(module)[:1], *USUAL, *_more(module, size)) if count > 0))


def first_guess(module: nn.Module) -> int:
    """What the first convolution reads, three where there is none; the complaint about it is the one that helps."""
    return (*_hints(module), 3)[0]


def _hints(module: nn.Module) -> list[int]:
    convolutions = [part.in_channels for part in module.modules() if isinstance(part, nn.Conv2d)]
    return convolutions or [weight.shape[1] for weight in module.parameters() if weight.dim() == 4]


def _more(module: nn.Module, size: tuple[int, int]) -> Iterator[int]:
    """Every convolution's own, also before a space-to-depth, and what a linear layer reads of all pixels."""
    for read in _hints(module):
        yield read
        yield from (read // fold**2 for fold in FOLDS if read % fold**2 == 0)
    pixels = size[0] * size[1]
    for part in module.modules():
        if isinstance(part, nn.Linear) and part.in_features % pixels == 0:
            yield part.in_features // pixels
