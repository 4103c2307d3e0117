"""The image as pixels, in the units the network reads: (v - mean) / std, with zero the mean colour."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from ..errors import InputError
from .streams import normal


class Normalization:
    """Between pixels in [0, 1] and what the network reads.

    Args:
        mean, std: per channel, for pixels in [0, 1].
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], like: Tensor):
        if len(mean) != len(std) or not all(isfinite(m) and 0 < s < inf for m, s in zip(mean, std, strict=True)):
            raise InputError("mean and std are one number per channel, std above zero", got=f"{mean}, {std}")
        self.numbers = tuple(mean), tuple(std)
        self.mean = torch.as_tensor(tuple(mean)).to(like).view(1, -1, 1, 1)
        self.std = torch.as_tensor(tuple(std)).to(like).view(1, -1, 1, 1)

    def to_network(self, pixels: Tensor) -> Tensor:
        return (pixels - self.mean) / self.std

    def to_pixels(self, x: Tensor) -> Tensor:
        """(B, C, H, W) float32 in [0, 1]: what leaves the range is cut off."""
        return (x * self.std + self.mean).clamp(0, 1).float()


def starting_image(
    start: Any, scale: Normalization, batch: int, size: tuple[int, int], streams: Sequence[Generator]
) -> Tensor:
    """The image that the ascent starts from, (B, C, H, W), as the network reads it.

    Args:
        start: "grey" (the mean colour, all zeros), "noise" (Gaussian around it, a tenth of the network's unit), a
            PIL image, or pixels (C, H, W) or (B, C, H, W) in [0, 1].
        streams: of the noise, one per image.
    """
    mean = scale.mean
    shape = (batch, mean.shape[1], *size)
    if isinstance(start, str):
        if start == "grey":
            return mean.new_zeros(shape)
        if start == "noise":
            return 0.1 * normal(streams, mean.expand(shape))
        raise InputError(f"there is no start {start!r}", expected="grey, noise, a photo or pixels in [0, 1]")
    if not isinstance(start, Tensor):
        start = _pixels(start, mean.shape[1], size)
    if start.dim() == 3:
        start = start[None]
    if start.dim() != 4 or start.shape[-2:] != size or start.shape[1] != mean.shape[1] or len(start) not in (1, batch):
        raise InputError("this start does not fit", expected=f"pixels {shape}", got=tuple(start.shape))
    if start.min() < 0 or start.max() > 1:
        raise InputError("a start is given as pixels", expected="numbers in [0, 1]", got=f"up to {start.abs().max():g}")
    return scale.to_network(start.to(mean)).expand(shape).clone()


def _pixels(photo: Any, channels: int, size: tuple[int, int]) -> Tensor:
    try:
        image = photo.convert("RGB" if channels == 3 else "L").resize((size[1], size[0]))
    except AttributeError as error:
        raise InputError("this is not a start", expected="grey, noise, a PIL image or a tensor", got=photo) from error
    pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 255)
    return pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1)


def to_image(pixels: Tensor) -> Image.Image:
    """(C, H, W) in [0, 1] as a picture, RGB: the first three channels, or the first as grey."""
    array = (pixels.detach().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(array[..., :3] if array.shape[2] >= 3 else array[..., 0]).convert("RGB")
