"""Small random changes before each look: what survives them is not a trick of a few pixels.

Each is a frozen value, called with images as the network reads them and a generator; a list of them is applied in
order. All randomness comes from the generator. In an ascent, each image is changed as it would be alone: those here
are ``batched``, they take all images and draw for each from its own stream (``synthesis.streams``); any other function
of an image and a generator is called for one image after the other, with the image's own generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, TypeAlias, TypeVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..core.gaussian import blur
from ..errors import InputError
from .streams import Streams

G = TypeVar("G", bound="Graded")


class Graded:
    """A change whose numbers say how strong it is."""

    def graded(self: G, share: float) -> G:
        """The same, at this share of its strength."""
        strengths = {part.name: share * getattr(self, part.name) for part in fields(self)}  # type: ignore[arg-type]
        return replace(self, **strengths)  # type: ignore[type-var]


class _Batched:
    """A change that takes all images at once and draws for each from its own stream."""

    batched: ClassVar[bool] = True


Transform: TypeAlias = Callable[[Tensor, Generator], Tensor]
LEAST_BLUR = 0.25
"""In pixels; a Gaussian narrower than this changes nothing that can be seen."""


@dataclass(frozen=True)
class Warp(_Batched, Graded):
    """Rotate, scale and shift, each image by its own draw, in one bilinear resampling; the border is mirrored.

    Attributes:
        rotate: degrees, at most so many to either side.
        scale: at most this share larger or smaller.
        shift: at most this share of the image's side, each way.
    """

    rotate: float = 0.0
    scale: float = 0.0
    shift: float = 0.0

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        angle, size, across, down = _uniform(x, generator, 4) * 2 - 1
        angle, size = angle * math.radians(self.rotate), 1 / (1 + size * self.scale)
        stretch = x.shape[2] / x.shape[3]  # rotation in pixels, although the grid's unit is half a side
        top = torch.stack([size * angle.cos(), -size * angle.sin() * stretch, 2 * self.shift * across], 1)
        bottom = torch.stack([size * angle.sin() / stretch, size * angle.cos(), 2 * self.shift * down], 1)
        grid = F.affine_grid(torch.stack([top, bottom], 1), list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def jitter(pixels: int, side: int) -> Warp:
    """Shift by at most so many pixels of an image with this side."""
    return Warp(shift=pixels / side)


def rotate(degrees: float) -> Warp:
    """Rotate by at most so many degrees."""
    return Warp(rotate=degrees)


def scale(share: float) -> Warp:
    """Scale by at most this share."""
    return Warp(scale=share)


@dataclass(frozen=True)
class Framed(_Batched):
    """A rim of the mean colour, ``transforms`` that may move it into view, and the middle cut out again.

    Attributes:
        rim: the rim's width, as a share of the shorter side.
        transforms: what happens in between, in order.
    """

    rim: float
    transforms: tuple[Transform, ...] = ()

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        height, width = x.shape[2:]
        rim = round(self.rim * min(height, width))
        framed = apply(self.transforms, F.pad(x, (rim,) * 4), generator)
        return framed[:, :, rim : rim + height, rim : rim + width]


@dataclass(frozen=True)
class RandomCrop(_Batched, Graded):
    """A window of between ``least`` and ``most`` of each side, anywhere, resized to the whole."""

    least: float = 0.6
    most: float = 1.0

    def graded(self, share: float) -> RandomCrop:
        """What it leaves out is its strength."""
        return RandomCrop(1 - share * (1 - self.least), 1 - share * (1 - self.most))

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        share, across, down = _uniform(x, generator, 3)
        share = self.least + (self.most - self.least) * share
        across, down = (1 - share) * (2 * across - 1), (1 - share) * (2 * down - 1)
        zero = torch.zeros_like(share)
        matrix = torch.stack([torch.stack([share, zero, across], 1), torch.stack([zero, share, down], 1)], 1)
        grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


@dataclass(frozen=True)
class Noise(_Batched, Graded):
    """Gaussian, of this deviation in the network's unit."""

    deviation: float

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        return x + self.deviation * _normal(x, generator)


@dataclass(frozen=True)
class Colour(_Batched, Graded):
    """Each channel times its own 1 +- ``gain`` and plus its own +- ``offset``, in the network's unit."""

    gain: float = 0.1
    offset: float = 0.1

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        draws = _uniform(x, generator, 2 * x.shape[1]) * 2 - 1
        gain, offset = draws.view(2, x.shape[1], len(x)).transpose(1, 2)[..., None, None]
        coloured: Tensor = x * (1 + self.gain * gain) + self.offset * offset
        return coloured


@dataclass(frozen=True)
class Blur(_Batched, Graded):
    """A Gaussian of up to ``most`` pixels, one draw for the batch: what survives it is not in the finest waves."""

    most: float = 2.0

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        sigma = self.most * float(torch.rand((), generator=generator))
        return blur(x, sigma) if sigma > LEAST_BLUR else x


@dataclass(frozen=True)
class Mirror(_Batched):
    """Left and right exchanged, for about every second image."""

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        swap = _uniform(x, generator, 1).view(-1, 1, 1, 1) < 0.5
        return torch.where(swap, x.flip(-1), x)


def apply(transforms: Sequence[Transform], x: Tensor, generator: Generator, strength: float = 1.0) -> Tensor:
    """All of them, in order; those that are ``Graded`` at this share of their strength."""
    for transform in transforms:
        graded = transform.graded(strength) if isinstance(transform, Graded) and strength < 1 else transform
        if isinstance(generator, Streams) and not getattr(transform, "batched", False):
            changed = [graded(one, own) for one, own in zip(torch.split(x, 1), generator.images, strict=True)]
            if any(len(one) != 1 for one in changed):
                raise InputError(f"a transform changes an image to one image: {transform}", got=len(changed[0]))
            x = torch.cat(changed)
        else:
            x = graded(x, generator)
    return x


def _uniform(x: Tensor, generator: Generator, count: int) -> Tensor:
    """(count, B) in [0, 1), where the images are."""
    if isinstance(generator, Streams):
        return generator.uniform(count).to(x).T
    return torch.rand(len(x), count, generator=generator).to(x).T


def _normal(x: Tensor, generator: Generator) -> Tensor:
    """Of the shape of ``x``."""
    if isinstance(generator, Streams):
        return generator.normal(x)
    return torch.randn(x.shape, generator=generator).to(x)
