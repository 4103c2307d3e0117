"""Timing that means something on a noisy machine: interleaved, paired, medians of ratios."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def paired(contenders: Mapping[str, Callable[[], object]], repeats: int, warm: int = 1) -> dict[str, list[float]]:
    """Seconds of each contender in each round; all run once in every round, in turn."""
    for _ in range(warm):
        for run in contenders.values():
            run()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(repeats):
        names = list(contenders)
        # Another one begins in each round, so that none always follows the same.
        for name in names[round_ % len(names) :] + names[: round_ % len(names)]:
            start = time.perf_counter()
            contenders[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], name: str, to: str) -> float:
    """The median, over rounds, of one contender's time over another's in the same round."""
    return statistics.median(a / b for a, b in zip(seconds[name], seconds[to], strict=True))


def median(seconds: Mapping[str, list[float]], name: str) -> float:
    """Median seconds."""
    return statistics.median(seconds[name])
