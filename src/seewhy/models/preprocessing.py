"""From a photo to the tensor a model takes, with Pillow and nothing of torchvision.

The picture that the model sees is a picture here too (``crop``), so that a heatmap can be drawn on exactly
those pixels and never on the uncropped photo.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from seewhy.errors import InputError

from .limits import MOST_CHANNELS, MOST_SIDE, MOST_VALUES, shown

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MOST_PIXELS = 1 << 25  # of a whole resized photo: 100 MB

MOST_BORROWED = 1 << 27  # of a photo resized by another library so that its shorter side is the model's: 400 MB
MOST_RESIZED = 4 * MOST_SIDE  # of the box that a photo is resized to before the crop

Fit = Literal["cover", "stretch", "contain"]
Order = Literal["RGB", "BGR", "L"]


@dataclass(frozen=True)
class Preprocessing:
    """Resize, crop from the centre, scale to [0, 1], subtract the mean, divide by the deviation.

    Attributes:
        input_size: (H, W) of what the model takes.
        mean, std: per channel, for pixels in [0, 1]; one value each for a model of grey pictures.
        resize: the box (H, W) that the photo is resized to before the crop; None: ``input_size``.
        fit: "cover" keeps the photo's ratio and just covers the box (for a square box: its shorter side is
            the box's); "stretch" gives up the ratio; "contain" keeps it and stays within the box.
        interpolation: a filter of Pillow in lower case: "bilinear", "bicubic", "lanczos", "nearest", ...
        order: the channels as the model takes them; None: others than a photo has, as many as ``mean``.
        fill: the colour around a photo that is smaller than the crop.
        offset: how half a pixel is rounded when the crop is centred: "round" as torchvision and timm do,
            "floor" as transformers.
    """

    input_size: tuple[int, int]
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    resize: tuple[int, int] | None = None
    fit: Fit = "cover"
    interpolation: str = "bilinear"
    order: Order | None = "RGB"
    fill: tuple[int, int, int] = (0, 0, 0)
    offset: Literal["round", "floor"] = "round"

    def __post_init__(self) -> None:
        channels = len(self.mean if self.order is None else self.order)
        if len(self.mean) != channels or len(self.std) != channels:
            raise InputError(
                "mean and std do not fit the model's channels",
                expected=f"{channels} values each",
                got=f"{len(self.mean)} and {len(self.std)}",
            )
        check_normalisation(self.mean, self.std)
        check_size(self.input_size, channels)
        check_size(self.resize or self.input_size, most=MOST_RESIZED)
        if self.interpolation.upper() not in Image.Resampling.__members__:
            names = ", ".join(name.lower() for name in Image.Resampling.__members__)
            raise InputError("unknown interpolation", expected=f"one of {names}", got=self.interpolation)

    def crop(self, image: Image.Image) -> Image.Image:
        """The pixels that the model sees, as an RGB picture of ``input_size``."""
        image = as_rgb(image)
        if self.order == "L":
            image = image.convert("L").convert("RGB")
        (height, width), (scaled_height, scaled_width) = self.input_size, self._scaled(image)
        left, top = self._start(scaled_width, width), self._start(scaled_height, height)
        x0, x1 = max(left, 0), min(left + width, scaled_width)
        y0, y1 = max(top, 0), min(top + height, scaled_height)
        seen = _resized_part(
            image,
            (scaled_width, scaled_height),
            (x0, y0, x1, y1),
            Image.Resampling[self.interpolation.upper()],
        )
        if seen.size == (width, height):
            return seen
        canvas = Image.new("RGB", (width, height), self.fill)
        canvas.paste(seen, (x0 - left, y0 - top))
        return canvas

    def box(self, image: Image.Image) -> tuple[float, float, float, float]:
        """Where the crop lies on the photo: left, top, right, bottom in the photo's pixels, which may be outside."""
        (height, width), (scaled_height, scaled_width) = self.input_size, self._scaled(image)
        left, top = self._start(scaled_width, width), self._start(scaled_height, height)
        across, down = image.width / scaled_width, image.height / scaled_height
        return left * across, top * down, (left + width) * across, (top + height) * down

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """A picture as the model's input: (1, C, H, W) float32, normalised.

        Raises:
            InputError: not a picture, one without pixels, or a model of other channels than a photo has.
        """
        return self.normalised(self.crop(image))

    def normalised(self, seen: Image.Image) -> torch.Tensor:
        """Pixels that the model sees, as ``crop`` gives them, or a part of these: (1, C, h, w) float32, normalised.

        Raises:
            InputError: the model reads other channels than a photo has.
        """
        return self.normalised_pixels(np.asarray(as_rgb(seen))[None])

    def normalised_pixels(self, seen: npt.NDArray[np.uint8]) -> torch.Tensor:
        """The same of several at once: (B, h, w, 3) uint8 as (B, C, h, w) float32, each bit for bit as by itself.

        Raises:
            InputError: the model reads other channels than a photo has.
        """
        if self.order is None:
            what = f"a photo has 3 channels and the model reads {len(self.mean)}"
            raise InputError(what, expected="inputs of your own making: seewhy.attribute(classifier, inputs)")
        pixels = torch.from_numpy(np.array(seen)).permute(0, 3, 1, 2)
        if self.order == "BGR":
            pixels = pixels.flip(1)
        return _normalised(pixels[:, : len(self.order)], self.mean, self.std)

    def __str__(self) -> str:
        """One line for people."""
        height, width = self.input_size
        if self.resize in (None, self.input_size) and self.fit == "stretch":
            way = f"resized to {height} × {width}"
        elif self.fit == "cover":
            way = f"shorter side to {min(self.resize or self.input_size)}, then the centre {height} × {width}"
        else:
            way = f"{self.fit} {self.resize or self.input_size}, then the centre {height} × {width}"
        return f"{way}; {self.interpolation}; mean {_numbers(self.mean)}, deviation {_numbers(self.std)}"

    def describe(self) -> dict[str, Any]:
        """Every parameter, ready for JSON."""
        return {**asdict(self), "resize": self.resize or self.input_size}

    def _scaled(self, image: Image.Image) -> tuple[int, int]:
        """(H, W) of the whole photo after the resize."""
        height, width = self.resize or self.input_size
        if self.fit == "stretch":
            return height, width
        fits_height = image.width * height >= image.height * width  # the photo is wider than the box
        if self.fit == "contain":
            fits_height = not fits_height
        # Down, as torchvision rounds; timm rounds to the nearest where the box is not square or contains.
        rounded: Callable[[float], int] = int if self.fit == "cover" and height == width else round
        if fits_height:
            return height, max(rounded(height * image.width / image.height), 1)
        return max(rounded(width * image.height / image.width), 1), width

    def _start(self, scaled: int, size: int) -> int:
        """Where the crop begins along one axis; negative where there is a border instead."""
        if self.offset == "floor":
            return (scaled - size) // 2
        return -((size - scaled) // 2) if scaled < size else round((scaled - size) / 2)


@dataclass(frozen=True)
class BorrowedPreprocessing:
    """Another library's transform, for one that ``Preprocessing`` cannot express.

    Attributes:
        transform: a picture -> (C, H, W) or (1, C, H, W), normalised.
        input_size, mean, std: what the transform comes to, so that ``crop`` can undo the normalisation.
    """

    transform: Callable[[Image.Image], torch.Tensor]
    input_size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        check_normalisation(self.mean, self.std)
        check_size(self.input_size, len(self.mean))

    def crop(self, image: Image.Image) -> Image.Image:
        """The pixels that the model sees, as an RGB picture of ``input_size``, read back from its input."""
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        pixels = (self(image)[0] * std + mean).clamp(0, 1).mul(255).round().to(torch.uint8)
        return Image.fromarray(pixels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())

    def box(self, image: Image.Image) -> None:
        """None: where another library's crop lies on the photo is not known."""

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """A picture as the model's input: (1, C, H, W) float32, normalised.

        Raises:
            InputError: not a picture, one without pixels, or one so narrow that resizing it would take too much memory.
        """
        image = as_rgb(image)
        longer, shorter = max(image.size), min(image.size)
        if longer * (2 * max(self.input_size)) ** 2 > MOST_BORROWED * shorter:
            what = "the photo is too narrow for this model's own transform, which resizes all of it"
            raise InputError(what, got=f"{image.width} x {image.height}")
        inputs = self.transform(image).to(torch.float32)
        return inputs if inputs.ndim == 4 else inputs[None]

    def normalised(self, seen: Image.Image) -> torch.Tensor:
        """Pixels that the model sees, as ``crop`` gives them, or a part of these: (1, C, h, w) float32, normalised."""
        return self.normalised_pixels(np.asarray(as_rgb(seen))[None])

    def normalised_pixels(self, seen: npt.NDArray[np.uint8]) -> torch.Tensor:
        """The same of several at once: (B, h, w, 3) uint8 as (B, C, h, w) float32, each bit for bit as by itself."""
        pixels = torch.from_numpy(np.array(seen)).permute(0, 3, 1, 2)
        return _normalised(pixels[:, : len(self.mean)], self.mean, self.std)

    def __str__(self) -> str:
        """One line for people."""
        return " ".join(repr(self.transform).split())

    def describe(self) -> dict[str, Any]:
        """What is known of the transform, ready for JSON."""
        known = {"input_size": self.input_size, "mean": self.mean, "std": self.std}
        return {**known, "transform": " ".join(repr(self.transform).split())}


def check_size(size: tuple[int, ...], channels: int = 1, most: int = MOST_SIDE) -> None:
    """Raises InputError where pictures of ``size`` (H, W) are none, or larger than is believed."""
    if not all(side >= 1 for side in size):
        raise InputError("a size must be at least 1 x 1", got=shown(size))
    if max(size) > most:
        raise InputError("a size is too large", expected=f"at most {most:,} pixels a side", got=shown(size))
    if channels > MOST_CHANNELS or channels * math.prod(size) > MOST_VALUES:
        expected = f"at most {MOST_CHANNELS:,} channels, and {MOST_VALUES:,} numbers in all"
        raise InputError("a picture is too large", expected=expected, got=f"{channels:,} channels of {shown(size)}")


def check_normalisation(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    """Raises InputError where a mean is no number, or a deviation none that can be divided by."""
    if not all(map(math.isfinite, mean)):
        raise InputError("mean must be finite", got=shown(mean))
    if not all(value > 0 and math.isfinite(value) for value in std):
        raise InputError("std must be positive, and finite", got=shown(std))


def _normalised(pixels: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    centre, scale = (torch.tensor(values).view(1, -1, 1, 1) for values in (mean, std))
    return ((pixels.to(torch.float32).div(255) - centre) / scale).contiguous()


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(dict.fromkeys(f"{value:.3g}" for value in values))


def _resized_part(
    image: Image.Image, size: tuple[int, int], box: tuple[int, int, int, int], resampling: Image.Resampling
) -> Image.Image:
    """``image`` resized to ``size`` (W, H), and of that the part in ``box``."""
    if size[0] * size[1] <= MOST_PIXELS:
        return image.resize(size, resampling).crop(box)
    # A photo of 10,000 x 1 pixels would become one of 2,560,000 x 256. Resizing only the part gives the same
    # but for one or two grey levels of rounding.
    across, down = image.width / size[0], image.height / size[1]
    x0, y0, x1, y1 = box
    part = (x0 * across, y0 * down, min(x1 * across, image.width), min(y1 * down, image.height))
    return image.resize((x1 - x0, y1 - y0), resampling, box=part)


def as_rgb(image: Image.Image) -> Image.Image:
    """The picture in RGB; what is transparent, rotated or deeper than 8 bits is the reader's business."""
    if not isinstance(image, Image.Image):
        raise InputError("a picture is needed", expected="a PIL.Image.Image", got=type(image).__name__)
    if 0 in image.size:
        raise InputError("the picture has no pixels", got=f"{image.width} x {image.height}")
    return image if image.mode == "RGB" else image.convert("RGB")
