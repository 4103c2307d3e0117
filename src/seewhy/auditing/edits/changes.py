"""Changes of the whole photo: how each is made, how it is taken off where that can be, and its name in words."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..eye import Pixels
from .fills import blurred

Amount: TypeAlias = npt.NDArray[np.float64]
"""(3,), of red, green and blue; the same three times where it is one number."""
Values: TypeAlias = npt.NDArray[Any]
"""(H, W, 3), to be rounded and cut to 0 to 255."""

LUMINANCE = np.array([0.299, 0.587, 0.114])
"""Of red, green and blue, as grey pictures are usually made (ITU-R BT.601)."""
NEAR = 1.0
"""The deviation, in pixels, of the blur that sharpening takes away."""


@dataclass(frozen=True)
class Change:
    """A kind of change.

    Attributes:
        words: its name with its amount.
        made: photos (H, W, 3) uint8 under it.
        taken_off: the same before it; None: what it takes cannot be got back.
        least, most: between which an amount is; ``least`` itself is no amount.
        fits: what is expected of an amount, in words.
        in_colours: the amount is one number for each of red, green and blue.
        of_details: it changes the details of a photo, not its light or colours.
    """

    words: Callable[[Amount], str]
    made: Callable[[Pixels, Amount, np.random.Generator], Values]
    taken_off: Callable[[Pixels, Amount], Values] | None = None
    least: float = 0.0
    most: float = np.inf
    fits: str = "above 0"
    in_colours: bool = False
    of_details: bool = False


def from_middle(height: int, width: int) -> npt.NDArray[np.float64]:
    """(H, W), the squared distance from the middle of a photo, 1 in its corners."""
    down, across = (np.arange(side) - (side - 1) / 2 for side in (height, width))
    squared = down[:, None] ** 2 + across**2
    share: npt.NDArray[np.float64] = squared / max(float(squared.max()), 1e-9)
    return share


def _mean(pixels: Pixels) -> Any:
    return pixels.mean()


def _luminance(pixels: Pixels) -> Any:
    return (pixels @ LUMINANCE)[..., None]


def _about(kept: Callable[[Pixels], Any], words: str) -> Change:
    """A change that multiplies what differs from what it keeps."""
    return Change(
        words=lambda amount: f"{100 * amount[0]:.0f} % of the {words}",
        made=lambda pixels, amount, rng: kept(pixels) + amount * (pixels - kept(pixels)),
        taken_off=lambda pixels, amount: kept(pixels) + (pixels - kept(pixels)) / amount,
    )


def _light_kept(pixels: Pixels, amount: Amount) -> Values:
    return 1 - amount * from_middle(*pixels.shape[:2])[..., None]


def _noisy(pixels: Pixels, amount: Amount, rng: np.random.Generator) -> Values:
    """A photo without colours gets none."""
    depth = 1 if (pixels == pixels[..., :1]).all() else 3
    return pixels + rng.normal(0, amount[0], (*pixels.shape[:2], depth))


def _specked(pixels: Pixels, amount: Amount, rng: np.random.Generator) -> Values:
    drawn = rng.random(pixels.shape[:2])[..., None] / amount[0]
    return np.where(drawn < 0.5, 0, np.where(drawn < 1, 255, pixels))


def _in_squares(pixels: Pixels, amount: Amount, rng: np.random.Generator) -> Values:
    side = round(float(amount[0]))
    high, wide = (-(-each // side) for each in pixels.shape[:2])
    padded = np.pad(pixels, ((0, high * side - pixels.shape[0]), (0, wide * side - pixels.shape[1]), (0, 0)), "edge")
    means = padded.reshape(high, side, wide, side, 3).mean((1, 3))
    squares: Values = means.repeat(side, 0).repeat(side, 1)[: pixels.shape[0], : pixels.shape[1]]
    return squares


def _stored(pixels: Pixels, amount: Amount, rng: np.random.Generator) -> Values:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=round(float(amount[0])))
    return np.asarray(Image.open(file).convert("RGB"))


CHANGES: dict[str, Change] = {
    "tint": Change(
        words=lambda amount: f"a tint of {amount[0]:+.0f} red, {amount[1]:+.0f} green, {amount[2]:+.0f} blue",
        made=lambda pixels, amount, rng: pixels + amount,
        taken_off=lambda pixels, amount: pixels - amount,
        least=-np.inf,
        in_colours=True,
    ),
    "gain": Change(
        words=lambda amount: "{:.0f} % of the red, {:.0f} % of the green, {:.0f} % of the blue".format(*100 * amount),
        made=lambda pixels, amount, rng: pixels * amount,
        taken_off=lambda pixels, amount: pixels / amount,
        in_colours=True,
    ),
    "brightness": Change(
        words=lambda amount: f"brightness {amount[0]:+.0f}",
        made=lambda pixels, amount, rng: pixels + amount,
        taken_off=lambda pixels, amount: pixels - amount,
        least=-np.inf,
    ),
    "contrast": _about(_mean, "contrast"),
    "saturation": _about(_luminance, "saturation"),
    "grey": Change(
        words=lambda amount: "no colours",
        made=lambda pixels, amount, rng: _luminance(pixels).repeat(3, 2),
    ),
    "vignette": Change(
        words=lambda amount: f"a vignette (corners {100 * amount[0]:.0f} % darker)",
        made=lambda pixels, amount, rng: pixels * _light_kept(pixels, amount),
        taken_off=lambda pixels, amount: pixels / _light_kept(pixels, amount),
        most=0.999,
        fits="a share below 1",
    ),
    "blur": Change(
        words=lambda amount: f"a blur of {amount[0]:.2g} pixels",
        made=lambda pixels, amount, rng: blurred(pixels.astype(np.float32), float(amount[0])),
        of_details=True,
    ),
    "sharpen": Change(
        words=lambda amount: f"edges sharpened by {100 * amount[0]:.0f} %",
        made=lambda pixels, amount, rng: pixels + amount * (pixels - blurred(pixels.astype(np.float32), NEAR)),
        of_details=True,
    ),
    "pixelate": Change(
        words=lambda amount: "squares of {0:.0f} × {0:.0f} pixels".format(amount[0]),
        made=_in_squares,
        least=1.5,
        fits="2 pixels or more",
        of_details=True,
    ),
    "noise": Change(
        words=lambda amount: f"noise of {amount[0]:.2g} grey levels",
        made=_noisy,
        of_details=True,
    ),
    "specks": Change(
        words=lambda amount: f"black and white specks on {100 * amount[0]:.2g} % of the pixels",
        made=_specked,
        most=0.999,
        fits="a share below 1",
        of_details=True,
    ),
    "jpeg": Change(
        words=lambda amount: f"JPEG at quality {amount[0]:.0f}",
        made=_stored,
        least=0.5,
        most=100,
        fits="a quality in 1 to 100",
        of_details=True,
    ),
}
