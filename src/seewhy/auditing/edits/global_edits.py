"""Global: a change of the whole photo, such as a tint."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from ...core.gaussian import blur
from ...errors import InputError
from ..eye import Pixels
from .fills import rounded

Name = Literal[
    "tint", "gain", "brightness", "contrast", "saturation", "vignette", "blur", "sharpen", "pixelate", "noise",
    "specks", "jpeg",
]  # fmt: skip
LUMINANCE = np.array([0.299, 0.587, 0.114])
"""Of red, green and blue, as grey pictures are usually made (ITU-R BT.601)."""
OF_DETAILS = ("blur", "sharpen", "pixelate", "noise", "specks", "jpeg")


def from_middle(height: int, width: int) -> npt.NDArray[np.float64]:
    """(H, W), the squared distance from the middle of a photo, 1 in its corners."""
    down, across = (np.arange(side) - (side - 1) / 2 for side in (height, width))
    squared = down[:, None] ** 2 + across**2
    share: npt.NDArray[np.float64] = squared / max(float(squared.max()), 1e-9)
    return share


def _blurred(pixels: Pixels, deviation: float) -> npt.NDArray[np.float32]:
    photo = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
    soft: npt.NDArray[np.float32] = blur(photo, deviation)[0].permute(1, 2, 0).numpy()
    return soft


def _pixelated(pixels: Pixels, side: int) -> Pixels:
    high, wide = (-(-each // side) for each in pixels.shape[:2])
    padded = np.pad(pixels, ((0, high * side - pixels.shape[0]), (0, wide * side - pixels.shape[1]), (0, 0)), "edge")
    means = padded.reshape(high, side, wide, side, 3).mean((1, 3))
    return rounded(means.repeat(side, 0).repeat(side, 1)[: pixels.shape[0], : pixels.shape[1]])


@dataclass(frozen=True, eq=False)
class Global:
    """A change of the whole photo.

    Attributes:
        name: "tint": adds ``amount`` (red, green, blue); "gain": multiplies by it, each above 0;
            "brightness": adds ``amount`` to all; "contrast": multiplies what differs from the photo's mean by it;
            "saturation": multiplies what differs from each pixel's luminance by it; "vignette": darkens the corners by
            ``amount``, and less what is nearer to the middle; "blur": a Gaussian of ``amount`` pixels; "sharpen":
            adds ``amount`` times what a Gaussian of one pixel takes away; "noise": adds independent Gaussian noise;
            "pixelate": makes squares of ``amount`` pixels of one colour each; "specks": makes ``amount`` of the pixels
            black or white; "jpeg": stored at quality ``amount`` and read again.
        amount: in grey levels of 255, as a factor, as a share, in pixels or a quality.

    Raises:
        InputError: no such name, or an amount that does not fit.
    """

    name: Name
    amount: float | tuple[float, float, float]

    def __post_init__(self) -> None:
        if self.name not in get_args(Name):
            raise InputError("no such change of a whole photo", expected=" or ".join(get_args(Name)), got=self.name)
        if np.shape(self.amount) != ((3,) if self._in_colours else ()) or not np.isfinite(self.amount).all():
            raise InputError(f"the amount of {self.name} is {'three numbers' if self._in_colours else 'a number'}")
        if self.name not in ("tint", "brightness") and min(self._shift) <= 0 and not self._grey:
            raise InputError(f"the amount of {self.name} is above 0", got=self.amount)
        if self.name in ("vignette", "specks") and self._number >= 1:
            raise InputError(f"the amount of {self.name} does not fit", expected="a share below 1", got=self.amount)
        if self.name == "pixelate" and self._number < 2:
            raise InputError("the amount of pixelate does not fit", expected="2 pixels or more", got=self.amount)
        if self.name == "jpeg" and not 1 <= self._number <= 100:
            raise InputError("the amount of jpeg does not fit", expected="a quality in 1 to 100", got=self.amount)

    def added(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """The photo, changed."""
        if self.name == "blur":
            return rounded(_blurred(pixels, self._number))
        if self.name == "sharpen":
            return rounded(pixels + self._number * (pixels - _blurred(pixels, 1.0)))
        if self.name == "noise":  # of a photo without colours it has none
            depth = 1 if (pixels == pixels[..., :1]).all() else 3
            return rounded(pixels + rng.normal(0, self._number, (*pixels.shape[:2], depth)))
        if self.name == "pixelate":
            return _pixelated(pixels, round(self._number))
        if self.name == "specks":
            drawn = rng.random(pixels.shape[:2])[..., None] / self._number
            return np.where(drawn < 0.5, np.uint8(0), np.where(drawn < 1, np.uint8(255), pixels))
        if self.name == "jpeg":
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "JPEG", quality=round(self._number))
            return np.asarray(Image.open(file).convert("RGB"))
        if self.name == "gain":
            return rounded(pixels * self._shift)
        if self.name == "vignette":
            return rounded(pixels * (1 - self._number * from_middle(*pixels.shape[:2])[..., None]))
        if self.name in ("contrast", "saturation"):
            return rounded(self._kept(pixels) + self._shift * (pixels - self._kept(pixels)))
        return rounded(pixels + self._shift)

    def removed(self, pixels: Pixels) -> list[Pixels]:
        """The photo with a change of its light or colours taken off; of its details none can be; colours are lost."""
        if self._of_details or self._grey:
            return []
        if self.name == "gain":
            return [rounded(pixels / self._shift)]
        if self.name == "vignette":
            return [rounded(pixels / (1 - self._number * from_middle(*pixels.shape[:2])[..., None]))]
        if self.name in ("contrast", "saturation"):
            return [rounded(self._kept(pixels) + (pixels - self._kept(pixels)) / self._shift)]
        return [rounded(pixels - self._shift)]

    def control(self, pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
        """The photo under another change as large, whatever ``other`` is: noise for blur and JPEG, else a colour."""
        if self._of_details and self.name != "noise":
            return rounded(pixels + rng.normal(0, self._size(pixels, rng), pixels.shape))
        if self.name == "gain":  # the same three, or their inverses, of other channels
            gains = rng.permutation(np.log(self._shift)) * rng.choice((-1, 1))
            return rounded(pixels * np.exp(gains - max(gains.max(), 0.0)))
        large = float(np.linalg.norm(self._shift))
        if self.name not in ("tint", "brightness"):
            large = float(np.sqrt(3)) * self._size(pixels, rng)
        direction = rng.normal(size=3)
        return rounded(pixels + direction * (large / np.linalg.norm(direction)))

    def describe(self) -> dict[str, Any]:
        """Its name in words and its amount, ready for JSON."""
        red, green, blue = (float(each) for each in self._shift)
        words = {
            "tint": f"a tint of {red:+.0f} red, {green:+.0f} green, {blue:+.0f} blue",
            "gain": f"{100 * red:.0f} % of the red, {100 * green:.0f} % of the green, {100 * blue:.0f} % of the blue",
            "brightness": f"brightness {red:+.0f}",
            "contrast": f"{100 * red:.0f} % of the contrast",
            "saturation": "no colours" if self._grey else f"{100 * red:.0f} % of the saturation",
            "vignette": f"a vignette (corners {100 * red:.0f} % darker)",
            "specks": f"black and white specks on {100 * red:.2g} % of the pixels",
            "noise": f"noise of {red:.2g} grey levels",
            "blur": f"a blur of {red:.2g} pixels",
            "pixelate": f"squares of {red:.0f} × {red:.0f} pixels",
            "sharpen": f"edges sharpened by {100 * red:.0f} %",
            "jpeg": f"JPEG at quality {red:.0f}",
        }
        amount = [red, green, blue] if self._in_colours else red
        return {
            "edit": self.name, "name": words[self.name], "amount": amount,
            "fills": [] if self._of_details or self._grey else ["taken off"],
            "control": "under another change as large",
        }  # fmt: skip

    def _kept(self, pixels: Pixels) -> Any:
        """What a change of contrast or saturation leaves: the photo's mean, or each pixel's luminance."""
        return pixels.mean() if self.name == "contrast" else (pixels @ LUMINANCE)[..., None]

    def _size(self, pixels: Pixels, rng: np.random.Generator) -> float:
        """The root mean square of the change."""
        change = self.added(pixels, rng).astype(np.float64) - pixels
        return float(np.sqrt((change**2).mean()))

    @property
    def _of_details(self) -> bool:
        return self.name in OF_DETAILS

    @property
    def _grey(self) -> bool:
        return self.name == "saturation" and self._number == 0

    @property
    def _in_colours(self) -> bool:
        return self.name in ("tint", "gain")

    @property
    def _number(self) -> float:
        return float(self._shift[0])

    @property
    def _shift(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.broadcast_to(np.asarray(self.amount, np.float64), 3)
