"""What is ascended: variables that make an image, and how a photo is written in them.

All but ``PixelImage`` are waves. Their colours are decorrelated: three planes that move independently become red, green
and blue by L, with L L^T the correlation of colours in natural photos. Around the network's own mean, where zero
variables lie, and with its own deviations telling how much each colour moves:

    pixels = sigmoid(logit(mean) + contrast * std / average(std) * L irfft2(magnitude * variables))
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from .pixels import Normalization
from .spectrum import natural, natural_magnitudes, power_law
from .streams import Streams, normal

_EDGE = 0.5 / 255
"""Photos are kept this far from black and white, where the sigmoid never arrives."""


FAINT = 0.01
"""The deviation of the variables that an image of noise starts with; at 1 it is as rich in contrast as a photo."""


class Image(ABC):
    """Variables that make a batch of images."""

    variables: tuple[Tensor, ...]

    @abstractmethod
    def x(self) -> Tensor:
        """The images as the network reads them, (B, C, H, W), differentiable in ``variables``."""

    def shown(self, x: Tensor, streams: Streams) -> Tensor:
        """What the network is shown of ``x``."""
        return x

    def opacity(self) -> Tensor | None:
        """(B, 1, H, W) in [0, 1]; None for an image without an alpha channel."""
        return None


class PixelImage(Image):
    """The image itself, unbounded, in the network's units (Simonyan 2013)."""

    def __init__(self, start: Tensor):
        self.variables = (start.clone().requires_grad_(),)

    def x(self) -> Tensor:
        return self.variables[0] * 1


class _Waves(Image):
    """Images as waves in decorrelated colours, through a sigmoid."""

    def __init__(self, like: Tensor, scale: Normalization, contrast: float):
        self.scale, self.size = scale, (like.shape[2], like.shape[3])
        self._origin = scale.mean.clamp(_EDGE, 1 - _EDGE).logit()
        self._mix = colour_mixing(like.shape[1], like)
        self._contrast = contrast * scale.std / scale.std.mean()

    def _image(self, waves: Tensor) -> Tensor:
        planes = torch.fft.irfft2(waves, s=self.size)
        colours = torch.matmul(self._mix, planes.flatten(2)).view(planes.shape)
        return self.scale.to_network((self._origin + self._contrast * colours).sigmoid())

    def _waves(self, x: Tensor) -> Tensor:
        """The waves (B, C, H, W // 2 + 1), complex, whose image is ``x`` as the network reads it."""
        pixels = self.scale.to_pixels(x).to(x.dtype).clamp(_EDGE, 1 - _EDGE)
        colours = ((pixels.logit() - self._origin) / self._contrast).flatten(2)
        waves: Tensor = torch.fft.rfft2(torch.matmul(torch.linalg.inv(self._mix), colours).view(x.shape))
        return waves


class FourierImage(_Waves):
    """Waves whose magnitude falls off as f^-decay (Olah 2017).

    A step that is even in the variables is then, in pixels, as smooth and as coloured as a photo.
    """

    def __init__(
        self,
        start: Tensor,
        scale: Normalization,
        decay: float,
        contrast: float = 1.5,
        noise: Sequence[Generator] | None = None,
    ):
        """``noise``: one per image; instead of ``start``, faint noise as smooth and as coloured as a photo."""
        super().__init__(start, scale, contrast)
        self._magnitude = power_law(*self.size, decay).to(start)
        variables = self.encode(start)
        if noise is not None:
            variables = FAINT * normal(noise, variables)
        self.variables = (variables.requires_grad_(),)

    def x(self) -> Tensor:
        return self._image(torch.view_as_complex(self.variables[0]) * self._magnitude)

    def encode(self, x: Tensor) -> Tensor:
        """The variables whose image is ``x`` (B, C, H, W), as the network reads it; (B, C, H, W // 2 + 1, 2)."""
        return torch.view_as_real(self._waves(x) / self._magnitude).contiguous()


class PhaseImage(_Waves):
    """Only the phase of each wave moves; its magnitude is natural photos', or the start's (MaCo, Fel 2023).

    The phases are the variables brought back to the mean and deviation of the start's phases. The steps are then as
    small as the variables have grown, and the waves settle; phases that were the variables themselves would turn by
    the full learning rate in every step, and stay noise.
    """

    def __init__(self, start: Tensor, scale: Normalization, noise: Sequence[Generator] | None = None):
        """``noise``: one per image; random phases and natural photos' magnitudes, instead of those of ``start``."""
        super().__init__(start, scale, contrast=1.0)
        waves = self._waves(start)
        self._magnitude, phase = waves.abs(), waves.angle()
        if noise is not None:
            self._magnitude = natural_magnitudes(*self.size, start.shape[1]).to(start)
            phase = torch.fft.rfft2(normal(noise, start)).angle()
        self._mean, self._spread = _moments(phase)
        self.variables = (phase.requires_grad_(),)

    def x(self) -> Tensor:
        mean, spread = _moments(self.variables[0])
        phase = self._mean + self._spread * (self.variables[0] - mean) / spread
        return self._image(torch.polar(self._magnitude.expand_as(phase), phase))


class TransparentImage(Image):
    """An image with an alpha channel: what is not painted lets noise through, new in each look (Mordvintsev 2018).

    So the network can only rest on what is painted; with a penalty on the opacity, nothing else is painted.
    """

    def __init__(self, colours: Image, start: Tensor, decay: float):
        """``start``: (B, 1, H, W) opacity in (0, 1)."""
        self._colours = colours
        unit = Normalization((0.5,), (0.5,), start)
        self._alpha = FourierImage(unit.to_network(start), unit, decay)
        self._unit = unit
        self._natural = power_law(start.shape[2], start.shape[3], decay).to(start)
        self.variables = (*colours.variables, *self._alpha.variables)

    def x(self) -> Tensor:
        return self._colours.x()

    def opacity(self) -> Tensor:
        return self._unit.to_pixels(self._alpha.x())

    def shown(self, x: Tensor, streams: Streams) -> Tensor:
        waves = torch.fft.rfft2(streams.normal(x)) * self._natural
        background = torch.fft.irfft2(waves, s=x.shape[-2:]) / (x.shape[2] * x.shape[3]) ** 0.5
        return torch.lerp(background, x, self.opacity().to(x))


def _moments(phase: Tensor) -> tuple[Tensor, Tensor]:
    """Each image's mean and deviation, (B, 1, 1, 1)."""
    mean = phase.mean((1, 2, 3), keepdim=True)
    return mean, (phase - mean).square().mean((1, 2, 3), keepdim=True).clamp(min=1e-20).sqrt()


def colour_mixing(channels: int, like: Tensor) -> Tensor:
    """L with L L^T the correlation of colours in photos: uncorrelated planes times L are coloured like photos.

    For anything but three channels L is the identity.
    """
    if channels != 3:
        return torch.eye(channels).to(like)
    mixing: Tensor = torch.linalg.cholesky(natural().correlation).to(like)
    return mixing
