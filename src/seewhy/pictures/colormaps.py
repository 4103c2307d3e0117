"""Colours for numbers: two colour maps of our own, others on request, and the scale that says what a colour stands for.

Zero is paper in both maps, and evidence is ink on it: the sequential map runs from paper through amber and
red to plum, the diverging one from paper to blue (against) or to red (for). Lightness falls steadily with the
magnitude, so that the maps survive grey printing and colour-blind eyes, and the two arms of the diverging
map are equally dark at equal magnitudes. Both are curves through a few anchors in OKLab (Ottosson 2020),
walked at constant speed, so that equal steps of the value look equally large.

Nothing is min-max normalised: a sequential scale starts at zero, a diverging one is centred on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import InputError, close_matches, plain
from seewhy.pictures.borrowed import BORROWED, borrowed

Kind = Literal["sequential", "diverging"]
Floats = NDArray[np.floating]

PAPER = (0.975, 0.004, 80.0)
# Anchors as (lightness 0..1, chroma, hue in degrees) of OKLab; all of them, and the way between, are in sRGB.
SEQUENTIAL = (
    PAPER,
    (0.89, 0.11, 85.0),
    (0.77, 0.155, 60.0),
    (0.63, 0.195, 32.0),
    (0.47, 0.18, 8.0),
    (0.31, 0.13, 345.0),
)
POSITIVE = (PAPER, (0.86, 0.075, 65.0), (0.69, 0.15, 48.0), (0.52, 0.165, 37.0), (0.33, 0.115, 29.0))
NEGATIVE = (PAPER, (0.86, 0.065, 240.0), (0.69, 0.115, 248.0), (0.52, 0.14, 256.0), (0.33, 0.12, 262.0))
STEPS = 256

OWN = "seewhy"
COLORMAPS = (OWN, *BORROWED)
"""Names of colour maps; the first is ours, which is used unless another is asked for."""

PIXEL_LEVEL = 64 * 64  # maps with at least so many values are judged by a percentile
PERCENTILE = 99.5
FAINT = 2.0  # a map is called faint where its scale ends at so many times its largest value
SPIKY = 1.5  # ... where the largest value is so many times the percentile


@dataclass(frozen=True)
class Scale:
    """What the colours of one map stand for.

    Attributes:
        low: the value at the low end; 0, or ``-high`` when diverging.
        high: the value at the high end; 0 only where the whole map is zero.
        kind: ``"sequential"`` or ``"diverging"``.
        clipped: some values lie beyond the ends and are shown in the colour of the end.
        label: the scale in words, such as ``"0 … ≥ 3.1e-4 (99.5th percentile)"``.
        remark: what must be said beside the ends, such as that they are a percentile; else empty.
    """

    low: float
    high: float
    kind: Kind
    clipped: bool = False
    label: str = ""
    remark: str = ""

    @classmethod
    def of(
        cls, values: Floats, kind: Kind | None = None, *, at_least: float = 0.0, limit: float | None = None
    ) -> Scale:
        """The scale that fits a map.

        The map is sequential from zero if none of its values is negative, else diverging around zero with
        equal limits. The limit is the largest magnitude; only for a pixel-level map whose largest values
        stand far out it is their 99.5th percentile, and the scale says that it clips.

        Args:
            values: any shape, finite.
            kind: ``"diverging"`` for a map that could have been negative but happens not to be.
            at_least: the scale ends no lower: a map far below it is painted as faint as it is.
            limit: the end of the scale, whatever the map holds: for maps that share one.

        Raises:
            InputError: a value is not finite, there is none, or a sequential scale meets a negative value.
        """
        if values.size == 0 or not np.isfinite(values).all():
            raise InputError("a map cannot be drawn", expected="finite values", got="none, or NaN or infinity")
        magnitudes = np.abs(values.astype(np.float64))
        negative = bool((values < 0).any())
        if kind == "sequential" and negative:
            raise InputError("a sequential scale starts at zero", expected="no negative value")
        kind = kind or ("diverging" if negative else "sequential")
        largest = float(magnitudes.max())
        high = _robust(magnitudes, largest)
        clipped = high < largest
        remark = f"ends at the {PERCENTILE:g}th percentile" if clipped else ""
        if limit is not None:
            high, clipped, remark = limit, largest > limit, "scale shared by what is compared"
        elif 0 < high < at_least:
            high, clipped, remark = at_least, False, ""
        if high > FAINT * largest > 0:
            remark = "; ".join(filter(None, [remark, f"faint: the largest value is {number(largest)}"]))
        low = -high if kind == "diverging" else 0.0
        scale = cls(low, high, kind, clipped, remark=remark)
        return cls(low, high, kind, clipped, scale._words(), remark)

    @property
    def ends(self) -> tuple[str, str]:
        """The two ends in words: ``("≤ −0.31", "≥ 0.31")``."""
        if self.high == 0:
            return ("all zero", "")
        low, high = number(self.low), number(self.high)
        if not self.clipped:
            return (low, high)
        return (f"≤ {low}" if self.kind == "diverging" else low, f"≥ {high}")

    def _words(self) -> str:
        low, high = self.ends
        if not high:
            return low
        middle = "0 … " if self.kind == "diverging" else ""
        return f"{low} … {middle}{high}" + (f" ({self.remark.removeprefix('ends at the ')})" if self.remark else "")


def _robust(magnitudes: NDArray[np.float64], largest: float) -> float:
    """The end of a map's own scale: its largest magnitude, or a percentile where a few pixels stand far out."""
    if magnitudes.size < PIXEL_LEVEL:
        return largest
    robust = float(np.percentile(magnitudes, PERCENTILE))
    return robust if 0 < robust * SPIKY < largest else largest


def number(value: float) -> str:
    """A number for people: two or three digits, a real minus sign, ``3.1e-4`` when it is small."""
    size = abs(value)
    text = f"{size:.3g}" if size >= 10 else f"{size:.2g}" if size >= 1e-3 or size == 0 else f"{size:.1e}"
    digits, _, power = text.partition("e")
    text = f"{digits}e{int(power)}" if power else digits
    return f"−{text}" if value < 0 else text


def colourise(values: Floats, scale: Scale, colormap: str = OWN) -> NDArray[np.uint8]:
    """The colours of a map.

    Args:
        values: (h, w), finite; beyond the ends of the scale the colour of the end is shown.
        scale: what the colours stand for.
        colormap: one of ``COLORMAPS``.

    Returns:
        (h, w, 3) uint8, sRGB. In our colour map zero is exactly the colour of paper.

    Raises:
        InputError: there is no such colour map.
    """
    return table(scale.kind, colormap)[position(values, scale)]


def position(values: Floats, scale: Scale) -> NDArray[np.int32]:
    """Where each value stands in ``table(scale.kind)``; what lies beyond the ends of the scale, at the end."""
    # The middle of the diverging table is zero itself; each arm has STEPS - 1 colours beside it.
    least = 0 if scale.kind == "sequential" else 1 - STEPS
    if scale.high == 0:
        return np.full(values.shape, -least, dtype=np.int32)
    share = values / np.float64(scale.high)
    share *= STEPS - 1
    np.rint(share, out=share)
    found: NDArray[np.int32] = share.clip(least, STEPS - 1, out=share).astype(np.int32)
    found -= least
    return found


def find_colormap(name: str) -> str:
    """The name of a colour map as ``COLORMAPS`` has it, however it is written.

    Raises:
        InputError: there is none such.
    """
    found = next((known for known in COLORMAPS if isinstance(name, str) and plain(known) == plain(name)), None)
    if found is None:
        close = close_matches(name, COLORMAPS) if isinstance(name, str) else ()
        expected = None if close else ", ".join(COLORMAPS)
        raise InputError(f"there is no colour map {name!r}", expected=expected, close=close)
    return found


def table(kind: Kind, name: str = OWN) -> NDArray[np.uint8]:
    """The colours from the low to the high end of a scale, (256, 3) or (511, 3) uint8; not to be written to.

    Of a diverging scale the middle colour is zero's. A colour map that is not ours has one way only, and runs along the
    whole of it from the low to the high end.

    Args:
        kind: of the scale.
        name: one of ``COLORMAPS``.

    Raises:
        InputError: there is no such colour map.
    """
    return _table(kind, find_colormap(name))


@lru_cache(maxsize=2 * len(COLORMAPS))
def _table(kind: Kind, name: str) -> NDArray[np.uint8]:
    if name != OWN:
        colours = borrowed(name, STEPS if kind == "sequential" else 2 * STEPS - 1)
    elif kind == "sequential":
        colours = srgb(curve(SEQUENTIAL))
    else:
        colours = np.concatenate([srgb(curve(NEGATIVE))[:0:-1], srgb(curve(POSITIVE))])
    found = np.rint(colours * 255).clip(0, 255).astype(np.uint8)
    found.setflags(write=False)
    return found


def curve(anchors: tuple[tuple[float, float, float], ...], steps: int = STEPS) -> NDArray[np.float64]:
    """Walk from the first anchor to the last in equal steps along a smooth path.

    Returns:
        (steps, 3) OKLab coordinates.
    """
    lightness, chroma, hue = np.array(anchors).T
    lab = np.stack([lightness, chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))], axis=1)
    at = np.linspace(0, len(anchors) - 1, 64 * (len(anchors) - 1) + 1)
    path = np.stack([_smooth(at, lab[:, axis]) for axis in range(3)], axis=1)
    walked = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    even = np.linspace(0, walked[-1], steps)
    return np.stack([np.interp(even, walked, path[:, axis]) for axis in range(3)], axis=1)


def _smooth(at: NDArray[np.float64], anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    """A cubic through anchors at 0, 1, 2, … (Catmull-Rom; the ends continue straight)."""
    padded = np.concatenate([[2 * anchors[0] - anchors[1]], anchors, [2 * anchors[-1] - anchors[-2]]])
    i = np.minimum(at.astype(int), len(anchors) - 2)
    t = at - i
    before, here, there, after = (padded[i + k] for k in range(4))
    slope_here, slope_there = (there - before) / 2, (after - here) / 2
    rest = there - here
    bend = 3 * rest - 2 * slope_here - slope_there
    found: NDArray[np.float64] = here + t * (slope_here + t * (bend + t * (slope_here + slope_there - 2 * rest)))
    return found


def srgb(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """OKLab (..., 3) to sRGB 0..1; outside that range where the colour is beyond what sRGB can show."""
    return encode(linear_rgb(lab))


def encode(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light to the sRGB transfer curve (continued straight below zero)."""
    curved = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, curved)


def linear_rgb(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """OKLab to linear sRGB: the two matrices of Ottosson's definition."""
    to_cones = np.array(
        [
            [1.0, 0.3963377774, 0.2158037573],
            [1.0, -0.1055613458, -0.0638541728],
            [1.0, -0.0894841775, -1.2914855480],
        ]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    cones: NDArray[np.float64] = (lab @ to_cones.T) ** 3
    light: NDArray[np.float64] = cones @ to_rgb.T
    return light
