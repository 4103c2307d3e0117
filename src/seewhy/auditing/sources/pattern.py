"""Pattern: what repeats over photos, pixel by pixel, and how strongly one photo shows it at one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Pattern:
    """A stamp: out = (1 − alpha) · photo + alpha · colour within a box.

    Attributes:
        box: (top, left, height, width) in pixels that the model sees; of a moving one, where it was found first.
        alpha: (height, width) float32 in [0, 1], the opacity; 0 outside of the stamp.
        colour: (height, width, 3) float32 in [0, 255].
        share: of the photos of the class that were looked at, which show it.
        elsewhere: the same share of photos of other classes.
    """

    box: Box
    alpha: Floats
    colour: Floats
    share: float
    elsewhere: float


def components(hot: Mask, reach: int = 2) -> list[Mask]:
    """The parts of a mask (H, W) that lie more than ``reach`` pixels apart, the largest first."""
    left = {(int(y), int(x)) for y, x in np.argwhere(hot)}
    steps = [(dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]
    parts = []
    while left:
        start = min(left)
        left.remove(start)
        part, todo = np.zeros_like(hot), [start]
        while todo:
            y, x = todo.pop()
            part[y, x] = True
            near = [(y + dy, x + dx) for dy, dx in steps if (y + dy, x + dx) in left]
            left.difference_update(near)
            todo += near
        parts.append(part)
    return sorted(parts, key=lambda part: -int(part.sum()))


def box_of(mask: Mask) -> Box:
    """(top, left, height, width) around what is True."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(columns[0]), int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def gradients(pixels: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Differences to the lower and to the right neighbour of (..., H, W, C), 0 in the last row or column."""
    down, right = np.zeros_like(pixels), np.zeros_like(pixels)
    down[..., :-1, :, :] = np.diff(pixels, axis=-3)
    right[..., :-1, :] = np.diff(pixels, axis=-2)
    return down, right
