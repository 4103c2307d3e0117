"""Cutouts: parts of some photos, pasted into others at the place that they came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..eye import Pixels
from .fills import FILLS, filled

Box = tuple[int, int, int, int]
"""Top, left, height, width."""


@dataclass(frozen=True, eq=False)
class Cutouts:
    """Parts of photos that show the same, if not the same pixels.

    Attributes:
        parts: (h, w, 3) uint8 each, and the box that it was cut from; at least one.
        where: the box of a photo (H, W, 3) that shows it.
        name: what they show, in words.
    """

    parts: Sequence[tuple[Pixels, Box]]
    where: Callable[[Pixels], Box]
    name: str

    def added(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """The photo with a random part pasted in."""
        part, box = self._drawn(rng)
        return _pasted(pixels, part, box)

    def removed(self, pixels: Pixels) -> list[Pixels]:
        """The photo with what it shows filled, once per fill of ``fills.FILLS``."""
        return _without(pixels, self.where(pixels))

    def control(self, pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
        """The photo with what ``other`` has in the box that the same ``rng`` would paste into."""
        _, box = self._drawn(rng)
        top, left, height, width = box
        return _pasted(pixels, other[top : top + height, left : left + width], box)

    def elsewhere(self, pixels: Pixels, rng: np.random.Generator) -> Cutouts:
        """The same, but shown at a random place."""
        height, width = self.where(pixels)[2:]
        top, left = (
            int(rng.integers(side - own + 1)) for side, own in zip(pixels.shape, (height, width), strict=False)
        )
        return Cutouts(self.parts, lambda _: (top, left, height, width), self.name)

    def describe(self) -> dict[str, Any]:
        """What they show, and their boxes, ready for JSON."""
        return {
            "edit": "cutouts", "name": self.name, "boxes": [list(box) for _, box in self.parts], "fills": list(FILLS),
            "control": "with a control there",
        }  # fmt: skip

    def _drawn(self, rng: np.random.Generator) -> tuple[Pixels, Box]:
        return self.parts[int(rng.integers(len(self.parts)))]


def _pasted(pixels: Pixels, part: Pixels, box: Box) -> Pixels:
    top, left, height, width = box
    out: Pixels = pixels.copy()
    out[top : top + height, left : left + width] = part
    return out


def _without(pixels: Pixels, box: Box) -> list[Pixels]:
    top, left, height, width = box
    hole = np.zeros(pixels.shape[:2], bool)
    hole[top : top + height, left : left + width] = True
    return filled(pixels, hole)
