"""A job: one thing that a page asked for, done in a thread, told as it goes, and ended when nobody waits for it."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from .. import events
from ..errors import InputError, ModelError, SeewhyError
from ..legible import message
from .outbox import Merge, Outbox
from .priority import Priority

TOLD_EVERY = 0.04
"""Seconds between two messages of progress."""

LONGEST_PAUSE = 1800.0
"""Seconds; a pause holds a copy of a network."""


class JobControl(events.Cancellation):
    """How a job is ended, stopped with what it has, or paused; from any thread."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._paused = self.stopped = False
        self.pausable = True

    def cancel(self) -> None:
        """Ask for the end, also of a pause."""
        super().cancel()
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        """The work is to end with what it has."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()

    def pause(self) -> None:
        """The work waits at its next step.

        Raises:
            InputError: it holds the model itself, which others wait for.
        """
        if not self.pausable:
            what = "this network cannot be copied, so making its images cannot be paused: everyone would wait"
            raise InputError(what, expected="to be stopped instead")
        with self._changed:
            self._paused = True

    def resume(self) -> None:
        """The work goes on."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def check(self) -> None:
        """Raise Cancelled where the end was asked for."""
        if self.asked:
            raise events.Cancelled

    def wait(self) -> None:
        """To be called at each step by work that can be paused."""
        end = time.monotonic() + LONGEST_PAUSE
        with self._changed:
            while self._paused and self.pausable and not self.stopped and not self.asked:
                if (left := end - time.monotonic()) <= 0:
                    self.stopped = True
                    return
                self._changed.wait(left)


class Job:
    """One job of one page.

    Args:
        id: the number that the page gave it.
        outbox: of the page.
        priority: of the server.
    """

    def __init__(self, id: int, outbox: Outbox, priority: Priority):
        self.id, self.priority = id, priority
        self.control = JobControl()
        self._outbox = outbox
        self._told = 0.0

    def tell(self, type: str, **fields: Any) -> None:
        """A result. Raises Cancelled where the end was asked for: a page that has asked for something else is not to be
        shown this after that.
        """
        self.control.check()
        self._outbox.put({"type": type, "id": self.id, **fields})

    def tell_latest(self, type: str, merge: Merge | None = None, **fields: Any) -> None:
        """In the place of what waits of the same type."""
        self._outbox.latest((type, self.id), {"type": type, "id": self.id, **fields}, merge)

    def wait_for_reader(self) -> None:
        """Until there is room for results; raises Cancelled."""
        self._outbox.wait_for_room(self.control)

    def progress(self, share: float, part: str) -> None:
        """How far it is; most of it is left out."""
        now = time.monotonic()
        if now - self._told >= TOLD_EVERY:
            self._told = now
            self.tell_latest("progress", share=round(min(1.0, max(0.0, share)), 4), part=message(part))

    def listener(self, begin: float = 0.0, share: float = 1.0) -> events.Listener:
        """Hears the events of a stretch of the job: tells them, and lets what is urgent go first."""

        def listen(event: events.Event) -> None:
            if event.kind == "progress":
                self.priority.give_way()
                self.progress(begin + share * event.share, event.name)

        return listen

    def run(self, function: Callable[[Job], None]) -> None:
        """Do it; whatever it raises is told, and nothing is raised."""
        try:
            self.control.check()
            function(self)
        except events.Cancelled:
            self._end({"type": "cancelled"})
        except BaseException as error:  # noqa: BLE001 - a model is foreign code
            self._end(failure(error))
        else:
            self._end({"type": "done"})

    def _end(self, last: Mapping[str, Any]) -> None:
        self._outbox.forget(("progress", self.id))
        self._outbox.put({**last, "id": self.id})


def failure(error: BaseException) -> dict[str, Any]:
    """What the page is told of an error; one that nobody foresaw is told on stderr as well."""
    if not isinstance(error, SeewhyError):
        if isinstance(error, MemoryError):
            error = ModelError("there is not enough memory for this", expected="a smaller photo or network")
        else:
            log(error)
            error = ModelError(f"the model failed: {type(error).__name__}: {error}")
    return {"type": "error", "message": str(error), "kind": type(error).__name__}


def log(error: BaseException) -> None:
    """A line on stderr; with SEEWHY_TRACEBACK in the environment, where it came from."""
    if os.environ.get("SEEWHY_TRACEBACK"):
        traceback.print_exception(error)
    print(f"seewhy: {message(f'{type(error).__name__}: {error}')}", file=sys.stderr, flush=True)
