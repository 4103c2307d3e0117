"""Ways to ascend, named after their source, with the parameters that it published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import InputError, close_matches
from .transforms import Blur, Colour, Framed, Mirror, Noise, RandomCrop, Transform, Warp


@dataclass(frozen=True)
class Preset:
    """Everything about an ascent but its target.

    Attributes:
        name: what it is called.
        source: where it comes from, and what of it is ours.
        parameterization: "pixels", "fourier" or "phase"; see ``synthesis.images``.
        start: what it starts from unless told otherwise.
        steps: how many.
        l2: weight of the penalty ||I||^2.
        learning_rate: the optimizer's.
        optimizer: the name of any optimizer of ``torch.optim``, or a function of (variables, lr=) that makes one.
        decay: of the spectrum, for "fourier".
        schedule: of the learning rate: a name in ``synthesis.stepping.SCHEDULES``, or a function of the share done.
        normalize: divide each image's gradient by its root mean square.
        gradient_blur: a Gaussian of this deviation, in pixels, over the gradient at the pixels (0: none).
        gradient_clip: the most that the length of an image's gradient at the variables may be (0: any).
        blur_every, blur: every so many steps a Gaussian of this deviation over the pixels (0: never).
        small_norm: the share of pixels, those of the smallest norm, that is set to zero after each step.
        small_contribution: the same, for those that contribute least, |x * gradient|.
        shrink: the optimizer's weight decay. "adamw" takes it off the variables themselves, each step: a wave that no
            look asks for fades.
        probability: weight of the logarithm of the probability beside the score: it also lowers the other classes.
        ghosts: each look goes through a network whose channels are off by this share; see ``synthesis.ghosts``.
        strength: of transforms and ghosts, along the way: a schedule as above. "hill" grows, so that the class is found
            before it is made to hold, and eases at the end.
        transforms: before each look.
    """

    name: str
    source: str
    parameterization: str = "fourier"
    start: str = "grey"
    steps: int = 256
    l2: float = 0.0
    learning_rate: float = 0.05
    optimizer: str | Callable[..., Any] = "adam"
    decay: float = 1.3
    schedule: str | Callable[[float], float] = "constant"
    normalize: bool = False
    gradient_blur: float = 0.0
    gradient_clip: float = 0.0
    blur_every: int = 0
    blur: float = 0.0
    small_norm: float = 0.0
    small_contribution: float = 0.0
    shrink: float = 0.0
    probability: float = 0.0
    ghosts: float = 0.0
    strength: str | Callable[[float], float] = "constant"
    transforms: tuple[Transform, ...] = ()


PRESETS: tuple[Preset, ...] = (
    Preset(
        "default",
        "seewhy's own: Olah 2017 with waves that fade unless they are asked for, looked at through many changes, by "
        "ghosts of the network",
        optimizer="adamw", shrink=0.12, start="noise", schedule="cosine", learning_rate=0.14, decay=1.5,
        probability=2.0, ghosts=0.1, strength="hill",
        transforms=(Warp(rotate=15, scale=0.2, shift=0.05), RandomCrop(0.75, 1.0), Blur(2), Mirror(), Colour(0.1, 0.1),
                    Noise(0.05)),
    ),
    Preset(
        "simonyan",
        "Simonyan 2013, eq. 1, the notes' own: plain ascent on pixels; the step's length is ours",
        parameterization="pixels", l2=1e-4, learning_rate=0.02, optimizer="sgd", normalize=True,
    ),
    Preset(
        "yosinski",
        "Yosinski 2015, arXiv:1506.06579: L2 decay 1e-4 and a blur of 1 pixel every 4 steps; the step's length is ours",
        parameterization="pixels", steps=500, l2=1e-4, learning_rate=0.05, optimizer="sgd", normalize=True,
        blur_every=4, blur=1.0,
    ),
    Preset(
        "olah",
        "Olah 2017 (Feature Visualization, Distill): Fourier with 1/f, decorrelated colours, pad 12, jitter 8, scale "
        "0.9 to 1.1, rotation to 10 degrees, jitter 4; Adam 0.05, 512 steps",
        steps=512, start="noise", decay=1.0,
        transforms=(Framed(12 / 224, (Warp(shift=8 / 248), Warp(scale=0.1), Warp(rotate=10), Warp(shift=4 / 248))),),
    ),
    Preset(
        "maco",
        "MaCo, Fel 2023, arXiv:2306.06805: the phase alone, natural magnitudes, crops and noise; NAdam 1.0, 256 steps. "
        "Ours: one crop of most of the image per step, where the paper looks at 32 small ones",
        parameterization="phase", start="noise", learning_rate=1.0, optimizer="nadam",
        transforms=(RandomCrop(0.85, 1.0), Noise(0.16)),
    ),
)  # fmt: skip


def find_preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        InputError: there is none; says which are close.
    """
    names = [preset.name for preset in PRESETS]
    for preset in PRESETS:
        if preset.name == name.lower():
            return preset
    raise InputError(f"there is no preset {name!r}", expected=", ".join(names), close=close_matches(name, names))
