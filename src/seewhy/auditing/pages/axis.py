"""A scale with round ends, for drawings of changes and their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import floor, isfinite, log10

WIDTH = 240.0
EDGE = 16.0
"""Units of a drawing of several rows, and those on either side that hold no value."""
MOST_TICKS = 5


@dataclass(frozen=True)
class Axis:
    """One scale for several values.

    Attributes:
        low, high: the values at its ends; 0 lies between them, or at one.
        ticks: (value, x, text).
        width, edge: of the drawing, and of what holds no value on either side.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, float, str], ...] = ()
    width: float = WIDTH
    edge: float = EDGE

    @property
    def zero(self) -> float:
        """Where no difference lies."""
        return self.x(0.0)

    def x(self, value: float) -> float:
        """Where a value lies."""
        share: float = (value - self.low) / (self.high - self.low)
        return round(self.edge + share * (self.width - 2 * self.edge), 2)


def points(share: float) -> str:
    """A change of a share in percentage points, with its sign: "+63", "−0.4"."""
    value = round(100 * share, 6)
    text = f"{abs(value):.0f}" if abs(value) >= 9.95 or value == round(value) else f"{abs(value):.1f}"
    return text if float(text) == 0 else f"{'−' if value < 0 else '+'}{text}"


def axis_of(
    values: Iterable[float], text: Callable[[float], str] = points, *, width: float = WIDTH, edge: float = EDGE
) -> Axis:
    """A scale with round ends that holds these values, and 0; ``text`` writes a value."""
    known = [0.0, *(value for value in values if isfinite(value))]
    step = round_step(max(known) - min(known))
    low, high = floor(min(known) / step + 1e-9) * step, -floor(-max(known) / step + 1e-9) * step
    bare = Axis(low, max(high, low + step), width=width, edge=edge)
    steps = [round(low + step * number, 9) for number in range(round((bare.high - low) / step) + 1)]
    return replace(bare, ticks=tuple((value, bare.x(value), text(value)) for value in steps))


def round_step(span: float) -> float:
    """A round step of which at most ``MOST_TICKS`` cover a span."""
    least = max(span, 1e-3) / (MOST_TICKS - 1)
    power = float(10.0 ** floor(log10(least)))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= least * (1 - 1e-9))
