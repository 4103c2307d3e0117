"""Threads that want one thing get it one after the other, in the order in which they asked."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator

from ..errors import ModelError
from ..events import Cancellation, Cancelled
from ..interrupts import interruptible, shielded
from .turns import check_wait, waits_no_more

LOOK = 0.05
"""Seconds from one look at a cancellation to the next, while waiting."""


class Queue:
    """Turns in the order of asking."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: deque[object] = deque()
        self._owner: threading.Thread | None = None

    @shielded
    def turn(self, cancellation: Cancellation | None = None) -> Iterator[None]:
        """The model is this thread's for the time of the block.

        Raises:
            ModelError: it is this thread's already, or another one's that waits for this thread, or has held it for
                ten minutes.
            Cancelled: it was cancelled while it waited.
        """
        if self._owner is threading.current_thread():
            what = "the session is at work in this thread already, as in a listener to its events"
            raise ModelError(what, expected="to be asked after that, or another Session")
        ticket, since, owner = object(), time.monotonic(), self._owner
        with self._condition:
            self._waiting.append(ticket)
        try:
            while not self._mine(ticket):
                if cancellation is not None and cancellation.asked:
                    raise Cancelled
                if self._owner is not owner:  # it goes on
                    since, owner = time.monotonic(), self._owner
                check_wait(owner, since, "this session")
                interruptible(self._wait)
            self._owner = threading.current_thread()
            waits_no_more()
            yield
        finally:
            waits_no_more()
            with self._condition:
                if self._owner is threading.current_thread():
                    self._owner = None
                self._waiting.remove(ticket)
                self._condition.notify_all()

    def _mine(self, ticket: object) -> bool:
        with self._condition:
            return self._waiting[0] is ticket

    def _wait(self) -> None:
        with self._condition:
            self._condition.wait(LOOK)
