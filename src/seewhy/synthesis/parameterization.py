"""What is ascended: pixels, waves, or the phases of waves; with an alpha channel or without.

Frozen values that say how an image is written in variables; the variables themselves are in ``images``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from ..errors import InputError
from .checked import check_number
from .images import FourierImage, Image, PhaseImage, PixelImage, TransparentImage
from .objectives import Objective, opacity
from .pixels import Normalization

DECAY = 1.3
"""Of the spectrum, where none is given: about that of natural photos."""

HALF_PAINTED = 0.5
"""The opacity that an image with an alpha channel starts with."""


@dataclass(frozen=True)
class Parameterization:
    """How an image is written in variables.

    Attributes:
        decay: of the spectrum of the waves that are moved, f^-decay: those of ``Fourier``, and of an alpha channel.
        alpha: gives the image an alpha channel, with this weight of the penalty on its opacity; None: none.

    Raises:
        InputError: a number is out of range, or ``decay`` would change nothing.
    """

    decay: float | None = None
    alpha: float | None = None
    kind: ClassVar[str]

    def __post_init__(self) -> None:
        if self.alpha is not None:
            check_number("alpha, the weight of the penalty on opacity,", self.alpha)
        has_spectrum = self.alpha is not None or isinstance(self, Fourier)
        if self.decay is not None and not has_spectrum:
            raise InputError(
                f"decay would change nothing with parameterization {self.kind!r}",
                expected="parameterization='fourier', or alpha=", got=f"decay={self.decay:g}",
            )  # fmt: skip
        if has_spectrum:
            object.__setattr__(self, "decay", DECAY if self.decay is None else self.decay)
            if not isfinite(self._decay):
                raise InputError("decay is a finite number", got=self.decay)

    def changed(
        self, parameterization: str | None = None, decay: float | None = None, alpha: float | None = None
    ) -> Parameterization:
        """The same with what is given instead of its own.

        Raises:
            InputError: there is no such parameterization; or as above.
        """
        kind, alpha = type(self), self.alpha if alpha is None else alpha
        if parameterization is not None:
            kinds: dict[str, type[Parameterization]] = {each.kind: each for each in (Pixels, Fourier, Phase)}
            if parameterization not in kinds:
                raise InputError(f"there is no parameterization {parameterization!r}", expected=", ".join(kinds))
            kind = kinds[parameterization]
        if decay is None and (alpha is not None or kind is Fourier):
            decay = self.decay
        return kind(decay, alpha)

    def image(self, start: Tensor, scale: Normalization, noise: Sequence[Generator] | None) -> Image:
        """The variables whose image is ``start``.

        Args:
            start: (B, C, H, W) as the network reads it.
            scale: between pixels and what the network reads.
            noise: one generator per image, where the start is noise: waves draw their own.
        """
        colours = self._colours(start, scale, noise)
        if self.alpha is None:
            return colours
        return TransparentImage(colours, torch.full_like(start[:, :1], HALF_PAINTED), self._decay)

    def penalty(self) -> Objective | None:
        """On the opacity."""
        return None if self.alpha is None else self.alpha * opacity()

    @property
    def params(self) -> dict[str, Any]:
        """What has a part in the result."""
        own = {"parameterization": self.kind, "decay": self.decay, "alpha": self.alpha}
        return {name: value for name, value in own.items() if value is not None}

    def _colours(self, start: Tensor, scale: Normalization, noise: Sequence[Generator] | None) -> Image:
        raise NotImplementedError

    @property
    def _decay(self) -> float:
        assert self.decay is not None
        return self.decay


@dataclass(frozen=True)
class Pixels(Parameterization):
    """The image itself, unbounded, in the network's units (Simonyan 2013)."""

    kind = "pixels"

    def _colours(self, start: Tensor, scale: Normalization, noise: Sequence[Generator] | None) -> Image:
        return PixelImage(start)


@dataclass(frozen=True)
class Fourier(Parameterization):
    """Waves whose magnitude falls off as f^-decay, in decorrelated colours (Olah 2017)."""

    kind = "fourier"

    def _colours(self, start: Tensor, scale: Normalization, noise: Sequence[Generator] | None) -> Image:
        return FourierImage(start, scale, self._decay, noise=noise)


@dataclass(frozen=True)
class Phase(Parameterization):
    """The phase of each wave; its magnitude stays natural photos', or the start's (MaCo, Fel 2023)."""

    kind = "phase"

    def _colours(self, start: Tensor, scale: Normalization, noise: Sequence[Generator] | None) -> Image:
        return PhaseImage(start, scale, noise)
