"""What gives way to what: a mask that is being dragged comes first, then explanations, then whole folders."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

GRACE = 0.08
"""Seconds after an urgent answer for which others still wait: while a pointer moves, the next question is near."""

STEP_WAITS, FOLDER_WAITS = 0.25, 2.0
"""Seconds that a step of a job, and a photo of a folder, wait at most: nothing waits for ever."""


class Priority:
    """Kept by all threads of the server. Nothing is looked at while nothing runs."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._urgent = self._jobs = 0
        self._quiet = 0.0

    @contextmanager
    def urgent(self) -> Iterator[None]:
        """A block for which every step of other jobs waits."""
        with self._changed:
            self._urgent += 1
        try:
            yield
        finally:
            with self._changed:
                self._urgent -= 1
                self._quiet = time.monotonic() + GRACE
                self._changed.notify_all()

    @contextmanager
    def job(self) -> Iterator[None]:
        """A block for which work on whole folders waits."""
        with self._changed:
            self._jobs += 1
        try:
            yield
        finally:
            with self._changed:
                self._jobs -= 1
                self._changed.notify_all()

    def give_way(self) -> None:
        """To be called by a job at each step."""
        self._wait(STEP_WAITS, folder=False)

    def give_way_to_all(self) -> None:
        """To be called by work on a folder at each photo."""
        self._wait(FOLDER_WAITS, folder=True)

    def _wait(self, most: float, *, folder: bool) -> None:
        end = time.monotonic() + most
        with self._changed:
            while (now := time.monotonic()) < end:
                busy = self._urgent > 0 or (folder and self._jobs > 0)
                if not busy and now >= self._quiet:
                    return
                self._changed.wait((end if busy else min(end, self._quiet)) - now)
