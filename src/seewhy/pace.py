"""How fast work goes, and how much longer it will take."""

from __future__ import annotations

import time
from collections.abc import Callable

FEWEST_SECONDS = 1.0
"""Before, nothing is estimated: the first steps pay for what is loaded and warmed up."""


class Pace:
    """The pace of the innermost part of a job that counts its steps.

    Args:
        clock: gives seconds.

    Attributes:
        path: of that part.
        done, total: its steps; 0 of 0 before any were heard of.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self.path: tuple[str, ...] = ()
        self.done = self.total = 0
        self._first = self._began = self._last = 0.0

    def hear(self, path: tuple[str, ...], done: int, total: int) -> None:
        """So many steps of a part are done. What was done when it was first heard of, such as by a run before this
        one, does not count as fast.
        """
        now = self._clock()
        if path != self.path or total != self.total:
            self.path, self._first, self._began = path, done, now
        self.done, self.total, self._last = done, total, now

    @property
    def rate(self) -> float | None:
        """Steps per second; None where it cannot be told yet."""
        steps, seconds = self.done - self._first, self._last - self._began
        return steps / seconds if steps > 0 and seconds >= FEWEST_SECONDS else None

    @property
    def left(self) -> float | None:
        """Seconds until the part is done, if it goes on like this; None where it cannot be told yet."""
        rate = self.rate
        if rate is None:
            return None
        return max(0.0, (self.total - self.done) / rate - (self._clock() - self._last))

    @property
    def text(self) -> str:
        """Such as "1,240 of 5,000, 85 a second, about 44 s left"; empty where there are no steps to count."""
        if self.total < 2:
            return ""
        parts = [f"{self.done:,} of {self.total:,}"]
        rate, left = self.rate, self.left
        if rate is not None and left is not None:
            parts.append(f"{number(rate)} a second" if rate >= 1 else f"{number(1 / rate)} s each")
            if self.done < self.total:
                parts.append(f"about {duration(left)} left")
        return ", ".join(parts)


def number(value: float) -> str:
    """Two digits where it is small: 0.85, 3.2, 85, 1,240."""
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.95 else f"{value:.2f}"


def duration(seconds: float) -> str:
    """A time for people, rounded as an estimate deserves: "8 s", "3 min", "2 h 10 min", "3 days"."""
    if seconds < 55:
        return f"{max(1, round(seconds))} s" if seconds < 20 else f"{5 * round(seconds / 5)} s"
    minutes = max(1, round(seconds / 60))
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(10 * round(minutes / 10), 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{round(seconds / 86400)} days"
