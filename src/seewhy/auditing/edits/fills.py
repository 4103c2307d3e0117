"""What a hole in a photo is filled with: a blur of what surrounds it, or what lies beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...core.gaussian import blur
from ..eye import Pixels

FILLS = ("blur", "neighbour")
"""The fills of ``filled``, in its order."""

WIDEST = 32.0
"""Pixels: the largest deviation of the blur."""

Mask = npt.NDArray[np.bool_]


def filled(pixels: Pixels, hole: Mask) -> list[Pixels]:
    """``pixels`` (H, W, 3) uint8 with ``hole`` (H, W) filled, once per fill; empty where all of it is a hole."""
    if hole.all():
        return []
    if not hole.any():
        return [pixels.copy() for _ in FILLS]
    blurred = _surroundings(pixels, hole)
    return [_with(pixels, hole, blurred), _with(pixels, hole, _beside(pixels, hole, blurred))]


def blurred(values: npt.NDArray[np.floating[Any]], deviation: float) -> npt.NDArray[np.floating[Any]]:
    """Values (H, W, 3) under a Gaussian blur, of their own precision."""
    photo = torch.from_numpy(values).permute(2, 0, 1)[None]
    soft: npt.NDArray[np.floating[Any]] = blur(photo, deviation)[0].permute(1, 2, 0).numpy()
    return soft


def rounded(values: npt.NDArray[np.floating[Any]]) -> Pixels:
    """The nearest uint8 of values in [0, 255]; what lies beyond is cut off."""
    nearest: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return nearest


def _with(pixels: Pixels, hole: Mask, values: npt.NDArray[np.floating[Any]]) -> Pixels:
    out: Pixels = np.where(hole[..., None], rounded(values), pixels)
    return out


def _surroundings(pixels: Pixels, hole: Mask) -> npt.NDArray[np.floating[Any]]:
    """A blur of what is outside the hole alone, as wide as the hole is."""
    tall, wide = (np.ptp(axis) + 1 for axis in np.nonzero(hole))
    outside = torch.from_numpy((~hole).astype(np.float32))[None, None]
    photo = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
    sums = blur(torch.cat([photo * outside, outside], 1), min(WIDEST, max(1.0, min(tall, wide) / 2)))[0]
    mean = torch.from_numpy(pixels[~hole].mean(0).astype(np.float32))[:, None, None]
    weight = sums[3:]
    values: npt.NDArray[np.floating[Any]] = (
        torch.where(weight > 1e-4, sums[:3] / weight.clamp(min=1e-4), mean).permute(1, 2, 0).numpy()
    )
    return values


def _beside(pixels: Pixels, hole: Mask, blurred: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """What lies one width or height further; else the photo moved by half, ``blurred`` where that is a hole too."""
    height, width = hole.shape
    rows, columns = np.nonzero(hole)
    tall, wide = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    top, left = int(rows.min()), int(columns.min())
    down, right = height // 2, width // 2
    for by_down, by_right in sorted(((0, -wide), (0, wide), (-tall, 0), (tall, 0)), key=lambda by: abs(by[0] + by[1])):
        if 0 <= top + by_down <= height - tall and 0 <= left + by_right <= width - wide:
            down, right = by_down, by_right
            break
    moved = np.roll(pixels, (-down, -right), (0, 1))
    still = np.roll(hole, (-down, -right), (0, 1))[..., None]
    values: npt.NDArray[np.floating[Any]] = np.where(still, blurred, moved)
    return values
