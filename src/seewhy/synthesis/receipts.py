"""The account beside a picture that ascent made: what the network really says of it, and how it may mislead."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..core.guest import original
from ..core.target import Target
from ..errors import InputError
from .path import Likeness, in_words
from .pixels import Normalization
from .spectrum import high_share, natural, slope
from .verdicts import verdicts

JPEG_QUALITY = 50

AT_ONCE = 8
"""Pictures per forward."""


@dataclass(frozen=True)
class Verdict:
    """What one network says of one picture.

    Attributes:
        score: of the target, before the softmax.
        probability: of the target.
        rank: 1 where the target is the most probable class.
    """

    score: float
    probability: float
    rank: int


@dataclass(frozen=True)
class Receipt:
    """One picture's account; ``str`` says it in plain words.

    Attributes:
        own: the network itself, of the picture as shown, without transforms.
        hurt: the same after the picture was halved and doubled in size, mirrored and saved as JPEG at quality 50.
        other: a second, independent network; None if there is none, or it does not know the class.
        slope: of log magnitude over log frequency; ``natural_slope`` is that of photos, with their deviation.
        high: the share of the energy in waves finer than eight pixels; ``natural_high`` that of photos.
        path: how near, layer by layer, the picture's activations run to those of real photos of its class.
        seed, attempts: the one that it was made from, and how often it was tried; None and 1 where chance had no part.
        note: anything else to know of it, one sentence.
    """

    own: Verdict
    hurt: Verdict
    other: Verdict | None
    slope: float
    natural_slope: tuple[float, float]
    high: float
    natural_high: tuple[float, float]
    path: tuple[Likeness, ...] = ()
    note: str = ""
    seed: int | None = None
    attempts: int = 1

    def describe(self) -> dict[str, Any]:
        """Ready for JSON, with the plain words."""
        return {**asdict(self), "in_words": str(self)}

    def __str__(self) -> str:
        said = [f"The network gives it {_percent(self.own.probability)}{_place(self.own)}."]
        kept = "keeps" if self.hurt.rank == 1 else "loses"
        said.append(f"Halved, mirrored and as a JPEG it {kept} the first place ({_percent(self.hurt.probability)}).")
        if self.other is not None:
            said.append(f"A second network gives it {_percent(self.other.probability)}{_place(self.other)}.")
        mean, deviation = self.natural_high
        if self.high > mean + 2 * deviation:
            said.append(f"{_percent(self.high)} of its energy is in fine waves, photos have {_percent(mean)}.")
        if self.attempts > 1:
            said.append(f"It is the best of {self.attempts} attempts, from seed {self.seed}.")
        return " ".join([*said, *in_words(self.path), *([self.note] if self.note else [])])


def receipts(
    model: object,
    images: Tensor,
    target: Target,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    second: Any = None,
    second_target: Target = None,
    paths: Sequence[tuple[Likeness, ...]] = (),
) -> list[Receipt]:
    """One account per picture.

    Args:
        model: a module, or a ``Classifier`` (which knows its mean and deviation).
        images: (B, C, H, W) pixels in [0, 1], as ``visualize`` gives them.
        target: a class, or one per picture.
        mean, std: for a bare module.
        second: another ``Classifier``, trained independently, that judges as well.
        second_target: the target's number there; None: the same number.
        paths: what ``synthesis.path.likeness`` found, one per picture.

    Raises:
        SeewhyError: something of the above does not fit.
    """
    mean, std = mean or getattr(model, "mean", None), std or getattr(model, "std", None)
    if mean is None or std is None:
        raise InputError("a bare module does not know how it reads pixels", expected="mean= and std=, or a Classifier")
    own = _verdicts(original(model), images, target, mean, std)
    hurt = _verdicts(original(model), damaged(images), target, mean, std)
    others: list[Verdict | None] = [None] * len(images)
    if second is not None:
        seen = F.interpolate(images, size=tuple(second.input_size), mode="bilinear", antialias=True).clamp(0, 1)
        wanted = target if second_target is None else second_target
        others = [*_verdicts(original(second), seen, wanted, second.mean, second.std)]
    known = natural()
    slopes, highs = slope(images).tolist(), high_share(images).tolist()
    return [
        Receipt(
            own[row], hurt[row], others[row], slopes[row], (known.slope, known.slope_deviation), highs[row],
            (known.high, known.high_deviation), paths[row] if paths else (),
        )
        for row in range(len(images))
    ]  # fmt: skip


def damaged(images: Tensor) -> Tensor:
    """(B, C, H, W) in [0, 1], halved and doubled in size, mirrored, and saved as JPEG at quality 50."""
    height, width = images.shape[-2:]
    small = F.interpolate(images, size=(max(1, height // 2), max(1, width // 2)), mode="area")
    blurred = F.interpolate(small, size=(height, width), mode="bilinear", align_corners=False).flip(-1)
    return torch.stack([_jpeg(image) for image in blurred]).to(images)


def _jpeg(image: Tensor) -> Tensor:
    """(C, H, W), as one picture in colour; of another number of channels than three, each as one in grey."""
    array = (image.clamp(0, 1) * 255).round().byte().cpu().numpy()
    if len(array) == 3:
        return _saved(array.transpose(1, 2, 0)).permute(2, 0, 1)
    return torch.stack([_saved(channel) for channel in array])


def _saved(array: Any) -> Tensor:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "JPEG", quality=JPEG_QUALITY)
    return torch.from_numpy(np.array(Image.open(file), dtype=np.float32)) / 255


def _verdicts(module: Any, images: Tensor, target: Target, mean: Any, std: Any) -> list[Verdict]:
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    said = verdicts(module, Normalization(mean, std, like.float()), images.to(like.device), target, AT_ONCE)
    assert said.probability is not None
    assert said.rank is not None
    rows = zip(said.score.tolist(), said.probability.tolist(), said.rank.tolist(), strict=True)
    return [Verdict(*row) for row in rows]


def _place(verdict: Verdict) -> str:
    return "" if verdict.rank == 1 else f", place {verdict.rank}"


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0.001 <= share <= 0.999 else ("over 99.9%" if share > 0.5 else "under 0.1%")
