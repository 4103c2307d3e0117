"""Differences with their intervals, a row each, drawn on one scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import floor, isfinite

from .interval import points, round_step

WIDTH = 240.0
EDGE = 16.0
"""Units of the drawing, and those on either side that hold no value."""


@dataclass(frozen=True)
class Axis:
    """One scale for several rows.

    Attributes:
        low, high: the values at its ends; 0 lies between them, or at one.
        ticks: (value, x, text).
        width: of the drawing.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, float, str], ...]
    width: float = WIDTH

    @property
    def zero(self) -> float:
        """Where no difference lies."""
        return self.x(0.0)

    def x(self, value: float) -> float:
        """Where a value lies."""
        return _x(value, self.low, self.high)


def axis_of(values: Iterable[float], text: Callable[[float], str] = points) -> Axis:
    """A scale with round ends that holds these values, and 0; ``text`` writes a value."""
    known = [0.0, *(value for value in values if isfinite(value))]
    step = round_step(max(known) - min(known))
    low, high = floor(min(known) / step + 1e-9) * step, -floor(-max(known) / step + 1e-9) * step
    high = max(high, low + step)
    steps = [round(low + step * number, 9) for number in range(round((high - low) / step) + 1)]
    return Axis(low, high, tuple((value, _x(value, low, high), text(value)) for value in steps))


def _x(value: float, low: float, high: float) -> float:
    return round(EDGE + (value - low) / (high - low) * (WIDTH - 2 * EDGE), 2)
