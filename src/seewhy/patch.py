"""Something laid over a photo, in the pixels that the model sees."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from .core.gaussian import blur
from .errors import InputError
from .models import Classifier
from .pictures import Photo
from .pictures.in_memory import as_photo

Pixels = npt.NDArray[np.uint8]

SHAPES = ("box", "disc")
FILLS = ("blur", "colour", "patch")
USUAL_SIGMA = 1 / 20
"""Of the longer side of what the model sees: what is smaller than an eye or a wheel can no longer be told."""
KEPT = 4
"""Blurred photos, and photos that patches were cut from, that are kept for the next patch."""


@dataclass(frozen=True)
class Patch:
    """What is laid over a photo, and where: in pixels of what the model sees, before normalisation.

    Attributes:
        box: top, left, height, width; inside what the model sees.
        shape: "box", or "disc": the ellipse that the box holds; outside of it the photo stays.
        fill: "blur", the photo itself blurred; "colour"; or "patch", a part of another photo or of the same.
        sigma: of the blur, in pixels; None: a twentieth of the longer side of what the model sees.
        colour: red, green, blue, 0..255; None: the model's mean colour.
        source: the photo that a patch is cut from, as the model would see it: a path, a PIL image, an array or a
            ``Photo``; None: the photo itself.
        source_corner: top and left of what is cut out; None: those of the box.

    Raises:
        InputError: one of these makes no sense, or belongs to another fill.
    """

    box: tuple[int, int, int, int]
    shape: str = "box"
    fill: str = "blur"
    sigma: float | None = None
    colour: tuple[int, int, int] | None = None
    source: Any = None
    source_corner: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name, value, known in (("shape", self.shape, SHAPES), ("fill", self.fill, FILLS)):
            if not isinstance(value, str) or value not in known:
                raise InputError(f"a patch has no such {name}", expected=" or ".join(known), got=repr(value)[:80])
        box = whole_numbers(self.box, 4, "the box of a patch", "top, left, height, width")
        if min(box[:2]) < 0 or min(box[2:]) < 1:
            raise InputError("the box of a patch lies inside the photo", expected="height and width above 0", got=box)
        object.__setattr__(self, "box", box)
        self._check_fill()

    def _check_fill(self) -> None:
        of_fill = {"sigma": "blur", "colour": "colour", "source": "patch", "source_corner": "patch"}
        for name, fill in of_fill.items():
            if getattr(self, name) is not None and self.fill != fill:
                raise InputError(f"{name} belongs to another fill", expected=f"fill={fill!r}", got=repr(self.fill))
        if self.sigma is not None and (
            isinstance(self.sigma, bool) or not isinstance(self.sigma, int | float) or not self.sigma > 0
            or not isfinite(self.sigma)
        ):  # fmt: skip
            raise InputError("sigma is the width of a blur", expected="pixels, above 0", got=repr(self.sigma)[:80])
        if self.colour is not None:
            colour = whole_numbers(self.colour, 3, "a colour", "red, green, blue")
            if not all(0 <= part <= 255 for part in colour):
                raise InputError("a colour has parts from 0 to 255", got=colour)
            object.__setattr__(self, "colour", colour)
        if self.source_corner is not None:
            corner = whole_numbers(self.source_corner, 2, "the corner of what is cut out", "top, left")
            object.__setattr__(self, "source_corner", corner)

    def __str__(self) -> str:
        top, left, height, width = self.box
        inside = {"blur": "blurred", "colour": "the mean colour", "patch": "a part of the same photo"}[self.fill]
        if self.sigma is not None:
            inside += f" by {self.sigma:g} pixels"
        if self.colour is not None:
            inside = "#{:02x}{:02x}{:02x}".format(*self.colour)
        if self.source is not None:
            inside = "a part of another photo"
        if self.source_corner is not None:
            inside += f", from {self.source_corner[0]}, {self.source_corner[1]}"
        return f"{self.shape} of {height} × {width} at {top}, {left}: {inside}"


class Canvas:
    """A photo as the model sees it, on which patches are laid.

    Args:
        classifier: knows what it sees of a photo.
        photo: the upright photo.

    Attributes:
        pixels: (H, W, 3) uint8, what the model sees.
        inputs: (1, C, H, W), the same as the model takes it.
    """

    def __init__(self, classifier: Classifier, photo: Photo):
        self._classifier = classifier
        self.inputs = classifier.preprocess(photo.image)
        self.pixels: Pixels = np.array(classifier.crop(photo.image))
        self._blurred: OrderedDict[float, Pixels] = OrderedDict()
        self._sources: OrderedDict[int, tuple[Photo, Pixels]] = OrderedDict()

    def laid(self, patch: Patch) -> tuple[Tensor, Pixels]:
        """A patch as the model takes it, (C, h, w), and all that it then sees, (H, W, 3) uint8.

        Outside of a disc the patch is the photo's own input, bit for bit.

        Raises:
            InputError: the patch does not lie inside the photo, or what is cut out not inside its source.
            PhotoError: the source cannot be read.
        """
        if not isinstance(patch, Patch):
            raise InputError("this is no patch", expected="a seewhy.Patch", got=type(patch).__name__)
        top, left, height, width = patch.box
        here = _inside(self.pixels, (top, left), (height, width), "the patch", "what the model sees")
        drawn = self._drawn(patch)
        part = Image.fromarray(drawn)
        if len(self._classifier.mean) == 1:  # it sees grey pictures
            part = part.convert("L").convert("RGB")
            drawn = np.array(part)
        inputs, seen = self._classifier.normalised(part)[0], self.pixels.copy()
        if patch.shape == "disc":
            inside = disc(height, width)
            drawn = np.where(inside[:, :, None], drawn, seen[here])
            own = self.inputs[0, :, here[0], here[1]]
            inputs = torch.where(torch.from_numpy(inside).to(own.device), inputs.to(own), own)
        seen[here] = drawn
        return inputs, seen

    def _drawn(self, patch: Patch) -> Pixels:
        """(h, w, 3), what the box of the patch is filled with."""
        top, left, height, width = patch.box
        if patch.fill == "blur":
            drawn: Pixels = self._in_blur(patch.sigma)[top : top + height, left : left + width]
            return drawn
        if patch.fill == "colour":
            return np.full((height, width, 3), self._mean if patch.colour is None else patch.colour, np.uint8)
        corner = (top, left) if patch.source_corner is None else patch.source_corner
        source = self._seen_of(patch.source)
        return source[_inside(source, corner, (height, width), "what is cut out", "its source, as the model sees it")]

    @property
    def _mean(self) -> tuple[int, ...]:
        return tuple(round(255 * min(max(part, 0.0), 1.0)) for part in self._in_rgb(self._classifier.mean))

    def _in_rgb(self, mean: Sequence[float]) -> Sequence[float]:
        if len(mean) == 1:
            return (*mean, *mean, *mean)
        return mean[::-1] if getattr(self._classifier.transform, "order", None) == "BGR" else mean

    def _in_blur(self, sigma: float | None) -> Pixels:
        """(H, W, 3), all that the model sees, blurred."""
        longer = max(self.pixels.shape[:2])
        sigma = longer * USUAL_SIGMA if sigma is None else float(sigma)
        if sigma > longer:
            raise InputError("the blur is wider than what the model sees", expected=f"at most {longer}", got=sigma)
        if sigma not in self._blurred:
            colours = torch.from_numpy(self.pixels).permute(2, 0, 1)[None].float()
            blurred = blur(colours, sigma)[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
            self._blurred[sigma] = blurred.contiguous().numpy()
            while len(self._blurred) > KEPT:
                self._blurred.popitem(last=False)
        return self._blurred[sigma]

    def _seen_of(self, source: Any) -> Pixels:
        """(H, W, 3), what the model sees of another photo; kept for a ``Photo``, since anything else may change."""
        if source is None:
            return self.pixels
        if id(source) in self._sources:
            return self._sources[id(source)][1]
        seen: Pixels = np.array(self._classifier.crop(as_photo(source).image))
        if isinstance(source, Photo):
            self._sources[id(source)] = (source, seen)  # keeps it alive, so that its id is no other's
            while len(self._sources) > KEPT:
                self._sources.popitem(last=False)
        return seen


def disc(height: int, width: int) -> npt.NDArray[np.bool_]:
    """(height, width): whether a pixel's centre lies in the ellipse that the box holds."""
    down, across = ((np.arange(side) + 0.5) * 2 / side - 1 for side in (height, width))
    inside: npt.NDArray[np.bool_] = down[:, None] ** 2 + across**2 <= 1
    return inside


def _inside(
    pixels: Pixels, corner: tuple[int, int], size: tuple[int, int], what: str, where: str
) -> tuple[slice, slice]:
    (top, left), (height, width) = corner, size
    if min(corner) < 0 or top + height > pixels.shape[0] or left + width > pixels.shape[1]:
        raise InputError(
            f"{what} does not lie inside {where}", expected=f"rows up to {pixels.shape[0]}, columns up to "
            f"{pixels.shape[1]}", got=f"rows {top} to {top + height}, columns {left} to {left + width}",
        )  # fmt: skip
    return slice(top, top + height), slice(left, left + width)


def whole_numbers(value: Any, count: int, what: str, expected: str) -> Any:
    """A tuple of ``count`` ints, of whatever holds them; raises InputError about ``what`` otherwise."""
    try:
        if any(isinstance(part, bool | np.bool_) for part in value):
            raise TypeError
        numbers = tuple(operator.index(part) for part in value)
        if len(numbers) != count:
            raise TypeError
    except TypeError as error:
        raise InputError(f"{what} is made of {count} whole numbers", expected=expected, got=repr(value)[:80]) from error
    return numbers
