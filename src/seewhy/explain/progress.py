"""How far a photo's explanation is: parts of parts, whose shares add up whatever is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[str, float], None]
"""Called with what is being done, and the share of the photo's work that is done."""


@dataclass(frozen=True)
class Portion:
    """A stretch of the whole, from ``begin``, ``share`` of it long."""

    progress: Progress
    begin: float = 0.0
    share: float = 1.0

    def part(self, begin: float, share: float) -> Portion:
        """A stretch of this one."""
        return Portion(self.progress, self.begin + self.share * begin, self.share * share)

    def steps(self, what: str) -> Callable[[int, int], None]:
        """Called with the steps done and the steps in all, tells how far the whole is."""
        return lambda done, total: self.progress(what, self.begin + self.share * done / max(1, total))


def never_back(progress: Progress) -> Progress:
    """The same, for people: a method that begins again, another way, is no step back, and nothing is more than all."""
    reached = 0.0

    def told(what: str, share: float) -> None:
        nonlocal reached
        reached = min(max(reached, share), 1.0)
        progress(what, reached)

    return told
