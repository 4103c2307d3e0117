"""How strong something is along the way of an ascent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from ..errors import InputError

Schedule: TypeAlias = "str | Callable[[float], float]"
"""A name in ``SCHEDULES``, or a function: share of the steps done, 0 to 1 -> share of the full strength."""

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: 0.55 + 0.45 * math.cos(math.pi * done),
    "hill": lambda done: min(1.0, 0.2 + 2 * done, 1 - (done - 0.7) / 0.6),
}
"""Cosine falls to a tenth. Hill rises from a fifth, has all of it from two fifths of the way to seven tenths, and falls
to a half."""


def check_schedule(schedule: Schedule) -> None:
    """Raises InputError where it is neither a function nor a name that is known."""
    if not callable(schedule) and schedule not in SCHEDULES:
        expected = f"{', '.join(SCHEDULES)}, or a function of 0 to 1"
        raise InputError(f"there is no schedule {schedule!r}", expected=expected)


def scheduled(schedule: Schedule, done: float) -> float:
    """A schedule's value when this share of the steps is done."""
    return float((SCHEDULES[schedule] if isinstance(schedule, str) else schedule)(done))


def named(part: Any) -> str:
    """What a schedule or an optimizer, given by its name or as a function, is called among the parameters."""
    return part if isinstance(part, str) else getattr(part, "__name__", str(part))
