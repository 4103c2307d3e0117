"""An effect with its 95 % interval beside its controls, as coordinates of a small drawing on one scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, isfinite, log10

from .finding import Finding

WIDTH = 320.0
EDGE = 14.0
"""Pixels of the drawing, and those on either side that hold no value."""
LINE = 24.0
"""Pixels from one value to the next below."""
MOST_TICKS = 5
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
    values = [0.0, finding.effect, *controls.values(), *(interval or ())]
    step = round_step(max(values) - min(values))
    low, high = floor(min(values) / step + 1e-9) * step, -floor(-max(values) / step + 1e-9) * step
    high = max(high, low + step)

    def x(value: float) -> float:
        share: float = (value - low) / (high - low)
        return round(EDGE + share * (WIDTH - 2 * EDGE), 2)

    ends = (None,) * 4 if interval is None else (*interval, x(interval[0]), x(interval[1]))
    effect = Mark("effect", finding.effect, x(finding.effect), LINE / 2, *ends)
    marks = tuple(Mark(name, value, x(value), LINE * (row + 1.5)) for row, (name, value) in enumerate(controls.items()))
    steps = [round(low + step * number, 9) for number in range(round((high - low) / step) + 1)]
    ticks = tuple((value, x(value), points(value)) for value in steps)
    return Drawing(effect, marks, ticks, x(0.0), LINE * (1 + len(marks)))


def points(share: float) -> str:
    """A change of a share in percentage points, with its sign: "+63", "−0.4"."""
    value = round(100 * share, 6)
    text = f"{abs(value):.0f}" if abs(value) >= 9.95 or value == round(value) else f"{abs(value):.1f}"
    return text if float(text) == 0 else f"{'−' if value < 0 else '+'}{text}"


def numbers(values: Mapping[str, object]) -> dict[str, float]:
    """Those that are finite numbers."""
    return {
        str(name): float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and isfinite(value)
    }  # fmt: skip


def round_step(span: float) -> float:
    """A round step of which at most ``MOST_TICKS`` cover a span."""
    least = max(span, 1e-3) / (MOST_TICKS - 1)
    power = float(10.0 ** floor(log10(least)))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= least * (1 - 1e-9))
