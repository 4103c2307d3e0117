"""Ways to ascend, named after their source, with the parameters that it published.

Each is a function that gives an ``Ascent``; what it is called with takes the place of the source's own:
``presets.simonyan(steps=64, l2=1e-3)``, see ``Ascent.but``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import InputError, close_matches
from .ascent import Ascent
from .filters import BlurEvery
from .network import Network
from .optimizer import Optimizer
from .parameterization import Fourier, Phase, Pixels
from .penalties import Penalties
from .transforms import Blur, Colour, Framed, Mirror, Noise, RandomCrop, Warp


def default(**changes: Any) -> Ascent:
    """Waves that fade unless they are asked for, looked at through many changes, by ghosts of the network."""
    return Ascent(
        "default",
        "seewhy's own: Olah 2017 with waves that fade unless they are asked for, looked at through many changes, by "
        "ghosts of the network",
        image=Fourier(decay=1.5), start="noise", penalties=Penalties(probability=2.0), strength="hill",
        transforms=(Warp(rotate=15, scale=0.2, shift=0.05), RandomCrop(0.75, 1.0), Blur(2), Mirror(), Colour(0.1, 0.1),
                    Noise(0.05)),
        optimizer=Optimizer("adamw", learning_rate=0.14, schedule="cosine", shrink=0.12), network=Network(ghosts=0.1),
    ).but(**changes)  # fmt: skip


def simonyan(**changes: Any) -> Ascent:
    """Plain ascent on pixels, with a penalty on their square (Simonyan 2013, eq. 1)."""
    return Ascent(
        "simonyan",
        "Simonyan 2013, eq. 1, the notes' own: plain ascent on pixels; the step's length is ours",
        image=Pixels(), penalties=Penalties(l2=1e-4),
        optimizer=Optimizer("sgd", learning_rate=0.02, normalize=True),
    ).but(**changes)  # fmt: skip


def yosinski(**changes: Any) -> Ascent:
    """The same, blurred every fourth step (Yosinski 2015)."""
    return Ascent(
        "yosinski",
        "Yosinski 2015, arXiv:1506.06579: L2 decay 1e-4 and a blur of 1 pixel every 4 steps; the step's length is ours",
        steps=500, image=Pixels(), penalties=Penalties(l2=1e-4),
        optimizer=Optimizer("sgd", learning_rate=0.05, normalize=True), filters=(BlurEvery(4, 1.0),),
    ).but(**changes)  # fmt: skip


def olah(**changes: Any) -> Ascent:
    """Waves in decorrelated colours under random changes (Olah 2017)."""
    return Ascent(
        "olah",
        "Olah 2017 (Feature Visualization, Distill): Fourier with 1/f, decorrelated colours, pad 12, jitter 8, scale "
        "0.9 to 1.1, rotation to 10 degrees, jitter 4; Adam 0.05, 512 steps",
        steps=512, image=Fourier(decay=1.0), start="noise",
        transforms=(Framed(12 / 224, (Warp(shift=8 / 248), Warp(scale=0.1), Warp(rotate=10), Warp(shift=4 / 248))),),
    ).but(**changes)  # fmt: skip


def maco(**changes: Any) -> Ascent:
    """The phase alone, under natural magnitudes (Fel 2023)."""
    return Ascent(
        "maco",
        "MaCo, Fel 2023, arXiv:2306.06805: the phase alone, natural magnitudes, crops and noise; NAdam 1.0, 256 steps. "
        "Ours: one crop of most of the image per step, where the paper looks at 32 small ones",
        image=Phase(), start="noise", transforms=(RandomCrop(0.85, 1.0), Noise(0.16)),
        optimizer=Optimizer("nadam", learning_rate=1.0),
    ).but(**changes)  # fmt: skip


PRESETS: dict[str, Callable[..., Ascent]] = {make.__name__: make for make in (default, simonyan, yosinski, olah, maco)}


def find_preset(name: str) -> Ascent:
    """The preset of this name.

    Raises:
        InputError: there is none; says which are close.
    """
    if not isinstance(name, str):
        raise InputError("a preset is meant by its name", expected="ascent= for an Ascent", got=type(name).__name__)
    if name.lower() not in PRESETS:
        known = ", ".join(PRESETS)
        raise InputError(f"there is no preset {name!r}", expected=known, close=close_matches(name, PRESETS))
    return PRESETS[name.lower()]()
