"""Where the channels and the positions are in what a layer gives: (B, C, h, w), (B, h, w, C) or tokens (B, N, D).

Read off the numbers where they leave no doubt: maps keep the photo's proportions, a token stands for a patch of the
photo, and a linear layer or a layer norm has its features last.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Literal, TypeAlias, get_args

from torch import Tensor, nn

from ..errors import LayerError

Layout: TypeAlias = Literal["auto", "channels_first", "channels_last", "tokens"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

_LARGEST_STRETCH = 2.0
"""Maps keep the photo's proportions to this factor."""
_EXACT = 1.1
"""Proportions as good as the same, but for the rounding of a side."""
_FEATURES_LAST = (nn.Linear, nn.LayerNorm)
_CHANNELS_FIRST = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d)
_PREFIXES = (0, 1, 2, 5, 9)
"""How many tokens may stand before those of patches: a class token, one for distillation, four or eight registers."""


@dataclass(frozen=True)
class Maps:
    """How to see a layer's output as maps.

    Attributes:
        layout: which it is.
        prefix: tokens before those of the patches.
        size: (h, w) of the grid of tokens.
    """

    layout: Layout = "channels_first"
    prefix: int = 0
    size: tuple[int, int] = (0, 0)

    def __call__(self, output: Tensor) -> Tensor:
        """``output`` as (B, C, h, w)."""
        if self.layout == "channels_last":
            return output.permute(0, 3, 1, 2)
        if self.layout == "tokens":
            return output[:, self.prefix :].transpose(1, 2).reshape(len(output), -1, *self.size)
        return output

    @property
    def said(self) -> dict[str, str]:
        """What should be said of it, for ``Attribution.notes``: nothing of torch's usual order."""
        if self.layout == "tokens":
            after = f" after {self.prefix} other" if self.prefix else ""
            return {"layout": f"tokens (B, N, D), {self.size[0]} x {self.size[1]} of them{after}"}
        return {"layout": "channels last (B, h, w, C)"} if self.layout == "channels_last" else {}


def maps_of(shape: tuple[int, ...], photo: tuple[int, int], layer: nn.Module, name: str, layout: str = "auto") -> Maps:
    """How the output of the layer ``name`` is to be seen.

    Args:
        shape: of the output, with the batch.
        photo: height and width of the inputs.
        layer: what gave it.
        name: of the layer, for errors.
        layout: "auto", or what the caller knows it to be.

    Raises:
        LayerError: there are no maps in it, or none of the kind that the caller says.
    """
    if (
        layout in ("auto", "channels_first")
        and len(shape) == 4
        and (layout == "channels_first" or not _channels_are_last(shape, photo, layer))
    ):
        return Maps()
    if layout in ("auto", "channels_last") and len(shape) == 4:
        return Maps("channels_last")
    if layout in ("auto", "tokens") and len(shape) == 3 and (grid := _grid(shape[1], photo)):
        return Maps("tokens", *grid)
    expected = "(B, C, h, w), (B, h, w, C), or tokens (B, N, D) that are a grid over the photo"
    if layout != "auto":
        expected = f"{layout}, as layout= says"
    raise LayerError(f"layer {name!r} has no maps", expected=expected, got=tuple(shape))


def transformer_layer(model: nn.Module) -> str | None:
    """Which layer of a vision transformer to name: the first norm of its last block, after which the class token still
    looks at all others; None where there is nothing like it.
    """
    norms = [name for name, module in model.named_modules() if isinstance(module, nn.LayerNorm)]
    return f"for a vision transformer the first norm of its last block, {norms[-3]!r}" if len(norms) > 2 else None


def stretch(size: tuple[int, int], photo: tuple[int, int]) -> float:
    """By what factor, 1 or more, ``size`` has other proportions than the photo; infinite without positions."""
    (height, width), (full_height, full_width) = size, photo
    if not (height and width and full_height and full_width):
        return float("inf")
    ratio = (height * full_width) / (width * full_height)
    return max(ratio, 1 / ratio)


def _channels_are_last(shape: tuple[int, ...], photo: tuple[int, int], layer: nn.Module) -> bool:
    _, first, second, third = shape
    as_first, as_last = stretch((second, third), photo), stretch((first, second), photo)
    if (as_first <= _LARGEST_STRETCH) != (as_last <= _LARGEST_STRETCH):
        return as_last < as_first
    if isinstance(layer, _FEATURES_LAST):
        return True
    if isinstance(layer, _CHANNELS_FIRST):
        return False
    if (as_first <= _EXACT) != (as_last <= _EXACT):
        return as_last < as_first
    # torch's own order, unless all that has weights in there has its features last.
    weighing = [part for part in layer.modules() if part._parameters]
    return bool(weighing) and all(isinstance(part, _FEATURES_LAST) for part in weighing)


def _grid(tokens: int, photo: tuple[int, int]) -> tuple[int, tuple[int, int]] | None:
    """(tokens before the grid, its height and width) of ``tokens`` on a photo, for square patches; None without one."""
    found = []
    for prefix in _PREFIXES:
        count = tokens - prefix
        height = isqrt(count * photo[0] // photo[1]) if count > 1 else 0
        for rows in (height, height + 1):
            if rows and count % rows == 0 and rows * (count // rows) == count:
                size = rows, count // rows
                patches = photo[0] / size[0], photo[1] / size[1]
                if abs(patches[0] - patches[1]) < 1e-6 or stretch(size, photo) == 1:
                    found.append((prefix, size))
    return found[0] if len(found) == 1 else None
