"""Stamp: a patch of pixels that may repeat over photos, put in, taken out, and swapped for other content."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from ...errors import InputError
from ..eye import Pixels
from .colour_names import colour_name
from .fills import FILLS, filled, rounded

Floats = npt.NDArray[np.floating[Any]]
Place = tuple[int, int]

VISIBLE = 0.02
"""The alpha from which on a pixel belongs to a stamp."""

SPANS = 0.9
"""The share of a photo's side that a frame or a bar reaches over at least."""

OPAQUE = 0.95
"""The mean alpha of its pixels from which on a stamp is called opaque."""


@dataclass(frozen=True, eq=False)
class Stamp:
    """``(1 - alpha) * photo + alpha * colour`` in a box.

    Attributes:
        top, left: where its box is.
        alpha: (h, w), in [0, 1].
        colour: (h, w, 3), in [0, 255].
        moving: it is found anywhere: put at a random one of ``places``, and taken out where it fits best.
        places: where photos carry a moving one; (): anywhere.
        of: (H, W) of the photos, where known: only to say in words where it is.
    """

    top: int
    left: int
    alpha: Floats
    colour: Floats
    moving: bool = False
    of: tuple[int, int] | None = None
    places: tuple[Place, ...] = ()

    def __post_init__(self) -> None:
        if self.alpha.ndim != 2 or self.colour.shape != (*self.alpha.shape, 3) or not self.alpha.size:
            shapes = self.alpha.shape, self.colour.shape
            raise InputError(
                "a stamp has one alpha and one colour for each pixel", expected="(h, w), (h, w, 3)", got=shapes
            )
        if not (self.alpha.min() >= 0 and self.alpha.max() <= 1 and np.isfinite(self.colour).all()):
            raise InputError("the alpha of a stamp is in [0, 1], and its colour is finite")

    def added(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """The photo with the stamp on it.

        Raises:
            InputError: it reaches beyond the photo.
        """
        return self._blended(pixels, self.colour, self._place(pixels, rng))

    def removed(self, pixels: Pixels) -> list[Pixels]:
        """The photo with the stamp's pixels filled, once per fill of ``fills.FILLS``.

        Raises:
            InputError: it reaches beyond the photo.
        """
        hole = np.zeros(pixels.shape[:2], bool)
        hole[self._box(pixels, self.found(pixels))] = self.alpha > VISIBLE
        return filled(pixels, hole)

    def control(self, pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
        """The photo with what ``other`` has there, under the same alpha; where the same ``rng`` would put the stamp.

        Raises:
            InputError: it reaches beyond the photo.
        """
        place = self._place(pixels, rng)
        return self._blended(pixels, other[self._box(other, place)].astype(np.float64), place)

    def elsewhere(self, pixels: Pixels, rng: np.random.Generator) -> Stamp:
        """The same stamp, fixed at a random place."""
        top, left = self._anywhere(pixels, rng)
        return replace(self, top=top, left=left, moving=False)

    def found(self, pixels: Pixels) -> Place:
        """(top, left): its place; of a moving one, where the photo is nearest to its colours."""
        if not self.moving:
            return self.top, self.left
        photo = torch.from_numpy(pixels.astype(np.float64)).permute(2, 0, 1)[None]
        alpha = torch.from_numpy(self.alpha.astype(np.float64))[None, None]
        colour = torch.from_numpy(self.colour.astype(np.float64)).permute(2, 0, 1)[None]
        far = F.conv2d((photo**2).sum(1, keepdim=True), alpha) - 2 * F.conv2d(photo, colour * alpha)
        top, left = divmod(int(far[0, 0].argmin()), far.shape[-1])
        return top, left

    def describe(self) -> dict[str, Any]:
        """Its name in words, its box, and what it looks like, ready for JSON."""
        tall, wide = self.alpha.shape
        seen = self.alpha[self.alpha > VISIBLE]
        strength = float(seen.mean()) if len(seen) else 0.0
        looks = "an opaque" if strength >= OPAQUE else "a translucent"
        weights = np.broadcast_to(self.alpha[..., None], self.colour.shape)
        mean = np.average(self.colour, (0, 1), weights) if strength else self.colour.mean((0, 1))
        where = " at any place" if self.moving else self._words()
        return {
            "edit": "stamp", "name": f"{looks} {colour_name(mean.tolist())} {tall} × {wide} {self._shape()}{where}",
            "moving": self.moving,
            "box": [self.top, self.left, tall, wide], "alpha": round(strength, 4),
            "colour": [round(float(each), 1) for each in mean], "fills": list(FILLS),
            "control": "with a control there",
        }  # fmt: skip

    def _shape(self) -> str:
        """A frame is around the middle, a bar along a side."""
        if self.of is None or self.moving:
            return "stamp"
        tall, wide = (side >= SPANS * whole for side, whole in zip(self.alpha.shape, self.of, strict=True))
        middle = self.alpha[tuple(slice(side // 4, side - side // 4) for side in self.alpha.shape)]
        if tall and wide and not (middle > VISIBLE).any():
            return "frame"
        return "bar" if tall != wide else "stamp"

    def _words(self) -> str:
        if self._shape() == "frame":
            return ""
        if self.of is None:
            return f" at row {self.top}, column {self.left}"
        tall, wide = self.alpha.shape
        down, across = (self.top + tall / 2) / self.of[0], (self.left + wide / 2) / self.of[1]
        names = ("top", "", "bottom")[min(2, int(3 * down))], ("left", "", "right")[min(2, int(3 * across))]
        return " " + (" ".join(filter(None, names)) or "in the middle")

    def _place(self, pixels: Pixels, rng: np.random.Generator) -> Place:
        if not self.moving:
            return self.top, self.left
        return self.places[int(rng.integers(len(self.places)))] if self.places else self._anywhere(pixels, rng)

    def _anywhere(self, pixels: Pixels, rng: np.random.Generator) -> Place:
        down, across = (max(0, a - b) for a, b in zip(pixels.shape, self.alpha.shape, strict=False))
        return int(rng.integers(down + 1)), int(rng.integers(across + 1))

    def _box(self, pixels: Pixels, place: Place) -> tuple[slice, slice]:
        (top, left), (tall, wide), (height, width) = place, self.alpha.shape, pixels.shape[:2]
        if not (0 <= top <= height - tall and 0 <= left <= width - wide):
            got = f"{tall} x {wide} at row {top}, column {left}"
            raise InputError("a stamp reaches beyond the photo", expected=f"a box in {height} x {width}", got=got)
        return slice(top, top + tall), slice(left, left + wide)

    def _blended(self, pixels: Pixels, colour: Floats, place: Place) -> Pixels:
        box = self._box(pixels, place)
        alpha = self.alpha[..., None]
        out: Pixels = pixels.copy()
        out[box] = rounded((1 - alpha) * pixels[box] + alpha * colour)
        return out
