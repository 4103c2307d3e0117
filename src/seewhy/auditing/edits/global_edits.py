"""Global: a change of the whole photo, such as a tint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputError
from ..eye import Pixels
from .changes import CHANGES, Amount
from .fills import rounded


@dataclass(frozen=True, eq=False)
class Global:
    """A change of the whole photo.

    Attributes:
        name: "tint": adds ``amount`` (red, green, blue); "gain": multiplies by it, each above 0;
            "brightness": adds ``amount`` to all; "contrast": multiplies what differs from the photo's mean by it;
            "saturation": multiplies what differs from each pixel's luminance by it; "grey": leaves the luminance alone;
            "vignette": darkens the corners by ``amount``, and less what is nearer to the middle; "blur": a Gaussian of
            ``amount`` pixels; "sharpen": adds ``amount`` times what a Gaussian of one pixel takes away; "pixelate":
            makes squares of ``amount`` pixels of one colour each; "noise": adds independent Gaussian noise; "specks":
            makes ``amount`` of the pixels black or white; "jpeg": stored at quality ``amount`` and read again.
        amount: in grey levels of 255, as a factor, as a share, in pixels or a quality; of "grey" 1.

    Raises:
        InputError: no such name, or an amount that does not fit.
    """

    name: str
    amount: float | tuple[float, float, float]

    def __post_init__(self) -> None:
        if self.name not in CHANGES:
            raise InputError("no such change of a whole photo", expected=" or ".join(CHANGES), got=self.name)
        change = CHANGES[self.name]
        if np.shape(self.amount) != ((3,) if change.in_colours else ()) or not np.isfinite(self.amount).all():
            raise InputError(f"the amount of {self.name} is {'three numbers' if change.in_colours else 'a number'}")
        if not (change.least < self._amount.min() and self._amount.max() <= change.most):
            raise InputError(f"the amount of {self.name} does not fit", expected=change.fits, got=self.amount)

    def added(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """The photo, changed."""
        return rounded(CHANGES[self.name].made(pixels, self._amount, rng))

    def removed(self, pixels: Pixels) -> list[Pixels]:
        """The photo with a change of its light or colours taken off; lost details and colours do not return."""
        taken_off = CHANGES[self.name].taken_off
        return [] if taken_off is None else [rounded(taken_off(pixels, self._amount))]

    def control(self, pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
        """The photo under another change as large, whatever ``other`` is: noise for one of details, else a colour."""
        if CHANGES[self.name].of_details and self.name != "noise":
            return rounded(pixels + rng.normal(0, self._size(pixels, rng), pixels.shape))
        if self.name == "gain":  # the same three, or their inverses, of other channels
            gains = rng.permutation(np.log(self._amount)) * rng.choice((-1, 1))
            return rounded(pixels * np.exp(gains - max(gains.max(), 0.0)))
        large = float(np.linalg.norm(self._amount))
        if self.name not in ("tint", "brightness"):
            large = float(np.sqrt(3)) * self._size(pixels, rng)
        direction = rng.normal(size=3)
        return rounded(pixels + direction * (large / np.linalg.norm(direction)))

    def describe(self) -> dict[str, Any]:
        """Its name in words and its amount, ready for JSON."""
        change = CHANGES[self.name]
        amount = self._amount.tolist()
        return {
            "edit": self.name, "name": change.words(self._amount), "amount": amount if change.in_colours else amount[0],
            "fills": [] if change.taken_off is None else ["taken off"], "control": "under another change as large",
        }  # fmt: skip

    def _size(self, pixels: Pixels, rng: np.random.Generator) -> float:
        """The root mean square of the change."""
        change = self.added(pixels, rng).astype(np.float64) - pixels
        return float(np.sqrt((change**2).mean()))

    @property
    def _amount(self) -> Amount:
        return np.broadcast_to(np.asarray(self.amount, np.float64), 3)
