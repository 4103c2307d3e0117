"""Spectra: how strong the waves of an image are by their frequency, in natural photos and in any image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

TABLE = Path(__file__).with_name("natural_spectrum.tsv")
"""Made by ``scripts/make_natural_spectrum.py`` from four photographs in the public domain."""

BAND = 0.02, 0.36
"""Cycles per pixel between which a slope is measured: below is the composition, above the camera and the JPEG."""

HIGH = 0.125
"""Cycles per pixel above which a wave counts as high: eight pixels or less from crest to crest."""

GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Natural:
    """What ``natural_spectrum.tsv`` holds.

    Attributes:
        frequency: (N,) in cycles per pixel, rising.
        magnitude: (3, N) of a wave in each decorrelated colour, over the square root of the image's pixels.
        correlation: (3, 3) of red, green and blue.
        slope, slope_deviation, high, high_deviation: mean and deviation, over photos, of ``slope`` and ``high_share``.
    """

    frequency: Tensor
    magnitude: Tensor
    correlation: Tensor
    slope: float
    slope_deviation: float
    high: float
    high_deviation: float


@lru_cache(maxsize=1)
def natural() -> Natural:
    """The spectrum of natural photos."""
    rows: dict[str, list[list[float]]] = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, *numbers = line.split("\t")
            rows.setdefault(name, []).append([float(number) for number in numbers])
    waves = torch.tensor(rows["wave"]).T
    (slope,), (high,) = rows["slope"], rows["high"]
    return Natural(waves[0], waves[1:], torch.tensor(rows["correlation"]), *slope, *high)


def frequencies(height: int, width: int) -> Tensor:
    """Cycles per pixel of each wave of a real image, (H, W // 2 + 1), as ``rfft2`` orders them."""
    rows, columns = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]
    frequency: Tensor = (rows.square() + columns.square()).sqrt()
    return frequency


def power_law(height: int, width: int, decay: float) -> Tensor:
    """f^-decay, (H, W // 2 + 1), so scaled that waves with unit variables spread the image by about one."""
    magnitude = frequencies(height, width).clamp(min=1 / max(height, width)) ** -decay
    scaled: Tensor = magnitude / magnitude.square().mean().sqrt() * math.sqrt(height * width)
    return scaled


def natural_magnitudes(height: int, width: int, channels: int) -> Tensor:
    """Those of natural photos, (C, H, W // 2 + 1), in decorrelated colours; the first colour's for every other C.

    Between the measured frequencies, and beyond them, along straight lines of the logarithms.
    """
    known = natural()
    x, wanted = known.frequency.log(), frequencies(height, width).clamp(min=1 / max(height, width)).log()
    right = torch.searchsorted(x, wanted).clamp(1, len(x) - 1)
    share = (wanted - x[right - 1]) / (x[right] - x[right - 1])
    y = known.magnitude.log() if channels == 3 else known.magnitude[:1].log().expand(channels, -1)
    return torch.exp(y[:, right - 1] + share * (y[:, right] - y[:, right - 1])) * math.sqrt(height * width)


def slope(pixels: Tensor) -> Tensor:
    """The slope of log magnitude over log frequency, each octave of ``BAND`` weighing alike, (B,).

    Args:
        pixels: (B, C, H, W) in [0, 1].

    Returns:
        About -1.3 for photos; NaN for images of one colour or under 16 pixels.
    """
    magnitude, frequency = _waves(pixels)
    inside = (frequency >= BAND[0]) & (frequency <= BAND[1])
    x, weight = (
        frequency[inside].log(),
        frequency[inside] ** -2,
    )  # a ring's number of waves grows as f, an octave's as f^2
    y = magnitude[:, inside].log()
    x = x - (weight * x).sum() / weight.sum()
    return (weight * x * y).sum(1) / (weight * x * x).sum()


def high_share(pixels: Tensor) -> Tensor:
    """The share of the energy, but for the mean, that is in waves finer than eight pixels, (B,)."""
    magnitude, frequency = _waves(pixels)
    energy = magnitude.square()
    return energy[:, frequency > HIGH].sum(1) / energy[:, frequency > 0].sum(1)


def _waves(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Magnitudes (B, waves) of the grey image under a Hann window, which keeps its borders out, and frequencies."""
    pixels = pixels.detach().float().cpu()
    height, width = pixels.shape[-2:]
    grey = torch.einsum("c,bchw->bhw", torch.tensor(GREY), pixels) if pixels.shape[1] == 3 else pixels.mean(1)
    window = torch.hann_window(height, periodic=False)[:, None] * torch.hann_window(width, periodic=False)
    grey = (grey - grey.mean((1, 2), keepdim=True)) * window
    return torch.fft.rfft2(grey).abs().flatten(1), frequencies(height, width).flatten()
