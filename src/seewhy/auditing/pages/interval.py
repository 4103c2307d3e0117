"""An effect with its 95 % interval beside its controls, as coordinates of a small drawing on one scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from ..finding import Finding
from .axis import axis_of, points

WIDTH = 320.0
EDGE = 14.0
"""Pixels of the drawing, and those on either side that hold no value."""
LINE = 24.0
"""Pixels from one value to the next below."""
LEVELS = ("preprocessing", "sensitivity", "calibration")
"""Kinds whose controls are levels, such as that before the change, which do not lie on a scale of changes."""


@dataclass(frozen=True)
class Mark:
    """One value: its name, its text, where it lies, and its interval."""

    name: str
    value: float
    x: float
    y: float
    low: float | None = None
    high: float | None = None
    x1: float | None = None
    x2: float | None = None

    @property
    def text(self) -> str:
        """In percentage points."""
        return points(self.value)


@dataclass(frozen=True)
class Drawing:
    """An effect and its controls; ``ticks`` are (value, x, text), ``zero`` is where no change lies."""

    effect: Mark
    controls: tuple[Mark, ...]
    ticks: tuple[tuple[float, float, str], ...]
    zero: float
    height: float
    width: float = WIDTH


def drawn(finding: Finding) -> Drawing | None:
    """The drawing of a finding; None where nothing was measured."""
    if finding.effect is None or not isfinite(finding.effect):
        return None
    controls: dict[str, float] = {} if finding.kind in LEVELS else numbers(finding.controls)
    interval = finding.ci if finding.ci is not None and all(map(isfinite, finding.ci)) else None
    axis = axis_of([finding.effect, *controls.values(), *(interval or ())], width=WIDTH, edge=EDGE)
    x = axis.x
    ends = (None,) * 4 if interval is None else (*interval, x(interval[0]), x(interval[1]))
    effect = Mark("effect", finding.effect, x(finding.effect), LINE / 2, *ends)
    marks = tuple(Mark(name, value, x(value), LINE * (row + 1.5)) for row, (name, value) in enumerate(controls.items()))
    return Drawing(effect, marks, axis.ticks, axis.zero, LINE * (1 + len(marks)))


def numbers(values: Mapping[str, object]) -> dict[str, float]:
    """Those that are finite numbers."""
    return {
        str(name): float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and isfinite(value)
    }  # fmt: skip
