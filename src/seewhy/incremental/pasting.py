"""Copies of a photo with something pasted in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .windows import Ints


def pasted(x: Tensor, boxes: Ints, fill: Tensor | Sequence[Tensor]) -> Tensor:
    """Copies of ``x`` (1, C, H, W), each showing ``fill`` inside one of M boxes, (M, C, H, W), in the memory order of
    ``x``: a network may rely on it.

    Args:
        x: one photo.
        boxes: (M, 4) top, left, bottom, right.
        fill: (C, H, W), of which the part under each box is shown; or (C, h, w) for each box.
    """
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    order = torch.channels_last if last else torch.contiguous_format
    if x.is_cuda and isinstance(fill, Tensor):
        top, left, bottom, right = torch.from_numpy(boxes).to(x.device).T[:, :, None]
        rows, columns = (torch.arange(side, device=x.device) for side in x.shape[2:])
        down, across = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
        inside = down[:, None, :, None] & across[:, None, None]
        return torch.where(inside, fill, x).contiguous(memory_format=order)
    images = x.repeat(len(boxes), 1, 1, 1).contiguous(memory_format=order)
    for number, (image, box) in enumerate(zip(images, boxes, strict=True)):
        cut_out(image, box)[:] = cut_out(fill, box) if isinstance(fill, Tensor) else fill[number]
    return images


def cut_out(image: Tensor, box: Ints) -> Tensor:
    """(C, H, W) -> the part in a box, top, left, bottom, right."""
    top, left, bottom, right = box.tolist()
    return image[:, top:bottom, left:right]
