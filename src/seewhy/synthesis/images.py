"""What is ascended: variables that make an image, and how a photo is written in them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from .pixels import Scale

CORRELATION = ((1.0, 0.917, 0.821), (0.917, 1.0, 0.894), (0.821, 0.894, 1.0))
"""Correlation of red, green and blue in natural photos: the mean over 26 photographs, cropped to 224 pixels."""

_EDGE = 0.5 / 255
"""Photos are kept this far from black and white, where the sigmoid never arrives."""


class Image(ABC):
    """Variables that make a batch of images."""

    variables: Tensor

    @abstractmethod
    def x(self) -> Tensor:
        """The images as the network reads them, (B, C, H, W), differentiable in ``variables``."""


class Pixels(Image):
    """The image itself, unbounded, in the network's units (Simonyan 2013)."""

    def __init__(self, start: Tensor):
        self.variables = start.clone().requires_grad_()

    def x(self) -> Tensor:
        return self.variables * 1


@dataclass(frozen=True)
class Spectrum:
    """Waves that fall off as natural photos' do.

    Attributes:
        decay: the magnitude of a wave of frequency f goes as f^-decay; natural photos' with about 1.3.
        contrast: how far unit variables spread the pixels before the sigmoid.
    """

    decay: float = 1.3
    contrast: float = 1.5

    def magnitudes(self, height: int, width: int, like: Tensor) -> Tensor:
        """(H, W // 2 + 1), so scaled that unit variables spread the plane by about one."""
        rows = torch.fft.fftfreq(height, device=like.device)[:, None]
        columns = torch.fft.rfftfreq(width, device=like.device)[None]
        frequency = (rows.square() + columns.square()).sqrt().clamp(min=1 / max(height, width))
        magnitude = frequency**-self.decay
        scaled: Tensor = magnitude / magnitude.square().mean().sqrt() * math.sqrt(height * width)
        return scaled


class Fourier(Image):
    """Waves with a decaying magnitude and decorrelated colours, through a sigmoid to pixels (Olah 2017).

    pixels = sigmoid(contrast * L irfft(magnitude * variables)), with L L^T the colours' correlation: a step that is
    even in the variables is, in pixels, as smooth and as coloured as a photo.
    """

    def __init__(self, start: Tensor, scale: Scale, spectrum: Spectrum, noise: torch.Generator | None = None):
        """``noise``: instead of ``start``, faint noise as smooth and as coloured as a photo."""
        self.scale, self.spectrum = scale, spectrum
        self.height, self.width = start.shape[-2:]
        self._magnitude = spectrum.magnitudes(self.height, self.width, start)
        self._mix = colour_mixing(start.shape[1], start)
        variables = self.encode(start)
        if noise is not None:
            variables = 0.01 * torch.randn(variables.shape, generator=noise).to(variables)
        self.variables = variables.requires_grad_()

    def x(self) -> Tensor:
        waves = torch.view_as_complex(self.variables) * self._magnitude
        plane = torch.fft.irfft2(waves, s=(self.height, self.width))
        pixels = torch.einsum("ij,bjhw->bihw", self._mix, plane).mul(self.spectrum.contrast).sigmoid()
        return self.scale.to_network(pixels)

    def encode(self, x: Tensor) -> Tensor:
        """The variables whose image is ``x`` (B, C, H, W), as the network reads it; (B, C, H, W // 2 + 1, 2)."""
        pixels = self.scale.to_pixels(x).to(x.dtype).clamp(_EDGE, 1 - _EDGE)
        plane = torch.einsum("ij,bjhw->bihw", torch.linalg.inv(self._mix), pixels.logit() / self.spectrum.contrast)
        return torch.view_as_real(torch.fft.rfft2(plane) / self._magnitude).contiguous()


class Phase(Image):
    """Only the phase of each wave moves; the magnitudes are a photo's own or natural photos' (MaCo, Fel 2023)."""

    def __init__(self, start: Tensor, scale: Scale, spectrum: Spectrum, magnitude: Tensor | None = None):
        self.scale, self.spectrum = scale, spectrum
        self.height, self.width = start.shape[-2:]
        self._mix = colour_mixing(start.shape[1], start)
        plane = torch.einsum("ij,bjhw->bihw", torch.linalg.inv(self._mix), self._plane(start))
        waves = torch.fft.rfft2(plane)
        natural = spectrum.magnitudes(self.height, self.width, start).expand_as(waves.real)
        self._magnitude = natural * 1.0 if magnitude is None else magnitude
        self.variables = waves.angle().requires_grad_()

    @classmethod
    def of_photo(cls, x: Tensor, scale: Scale, spectrum: Spectrum) -> Phase:
        """With the magnitudes of ``x`` itself, so that the image starts as that photo."""
        phase = cls(x, scale, spectrum)
        plane = torch.einsum("ij,bjhw->bihw", torch.linalg.inv(phase._mix), phase._plane(x))
        phase._magnitude = torch.fft.rfft2(plane).abs()
        return phase

    def x(self) -> Tensor:
        waves = torch.polar(self._magnitude, self.variables)
        plane = torch.fft.irfft2(waves, s=(self.height, self.width))
        pixels = torch.einsum("ij,bjhw->bihw", self._mix, plane).mul(self.spectrum.contrast).sigmoid()
        return self.scale.to_network(pixels)

    def _plane(self, x: Tensor) -> Tensor:
        return self.scale.to_pixels(x).to(x.dtype).clamp(_EDGE, 1 - _EDGE).logit() / self.spectrum.contrast


def colour_mixing(channels: int, like: Tensor) -> Tensor:
    """L with L L^T the correlation of colours in photos: uncorrelated variables times L are coloured like photos.

    The network's own mean and deviation are the ``Scale``'s part; for anything but three channels L is the identity.
    """
    if channels != 3:
        return torch.eye(channels).to(like)
    mixing: Tensor = torch.linalg.cholesky(torch.tensor(CORRELATION)).to(like)
    return mixing
