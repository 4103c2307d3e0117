"""AddedPattern: a fixed pattern that is added to the whole photo, such as the lines of a scanner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..eye import Pixels
from .fills import blurred, rounded

Floats = npt.NDArray[np.floating[Any]]

WIDE = 1 / 8
"""Of a photo's longer side, the deviation of the blur beyond which detail is not fine."""


@dataclass(frozen=True, eq=False)
class AddedPattern:
    """``photo + values``.

    Attributes:
        values: (H, W, 3), in grey levels of 255.
    """

    values: Floats

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.values.shape[2] != 3 or not np.isfinite(self.values).all():
            got = self.values.shape
            raise InputError("an added pattern has a finite value for each pixel", expected="(H, W, 3)", got=got)

    def added(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """The photo with the pattern."""
        return rounded(pixels + self.values)

    def removed(self, pixels: Pixels) -> list[Pixels]:
        """The photo with the pattern taken off."""
        return [rounded(pixels - self.values)]

    def control(self, pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
        """The photo with the fine detail of ``other`` added, as strong as the pattern."""
        detail = fine(other)
        if not (size := _size(detail)):  # a photo of one colour has none
            detail = rng.normal(size=other.shape)
            size = _size(detail)
        return rounded(pixels + detail * (self.strength / size))

    @property
    def strength(self) -> float:
        """The root mean square of its values."""
        return _size(self.values)

    def describe(self) -> dict[str, Any]:
        """Its name in words and its strength, ready for JSON."""
        return {
            "edit": "pattern", "name": f"a pattern of {self.strength:.2g} grey levels over the whole photo",
            "amount": round(self.strength, 3), "fills": ["taken off"],
            "control": "with another photo's detail added",
        }  # fmt: skip


def fine(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(H, W, 3) without what a wide blur leaves of it."""
    photo = np.asarray(values, np.float64)
    detail: npt.NDArray[np.float64] = photo - blurred(photo, WIDE * max(values.shape[:2]))
    return detail


def _size(values: Floats) -> float:
    return float(np.sqrt(np.square(values, dtype=np.float64).mean()))
