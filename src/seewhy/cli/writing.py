"""Results are drawn and written beside the work on the next photo: drawing takes about as long as explaining."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from ..interrupts import uninterrupted

AT_ONCE = 2
"""Results that are drawn at a time, and that may wait: each holds its maps in memory."""

Then = Callable[[BaseException | None], None]


class Writer:
    """Jobs done by other threads, and finished by the thread that asked for them, in the order of asking."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, "seewhy-writer")
        self._waiting: deque[tuple[Future[None], Then]] = deque()

    def put(self, job: Callable[[], None], then: Then) -> None:
        """Do ``job``; then call ``then`` in this thread, with what it raised. Waits where too many are waiting."""
        uninterrupted(self._begin, job, then)
        self.settle(AT_ONCE)

    def settle(self, most: int = 0) -> None:
        """Finish what is done, and wait until no more than ``most`` are left. Ctrl-C leaves the others for the next
        call.
        """
        while self._waiting and (len(self._waiting) > most or self._waiting[0][0].done()):
            wait([self._waiting[0][0]])
            uninterrupted(self._finish)

    def _begin(self, job: Callable[[], None], then: Then) -> None:
        self._waiting.append((self._pool.submit(job), then))

    def _finish(self) -> None:
        future, then = self._waiting.popleft()
        then(future.exception())
