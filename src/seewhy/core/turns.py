"""One thread at a time works on a model: another one that wants it, or a part of it, waits for its turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from functools import cached_property

from ..errors import ModelError
from ..interrupts import interruptible, shielded

PATIENCE = 600.0
"""Seconds that a thread waits for its turn; a thread that waits for one that waits for it would wait for ever."""

POLL = 0.002
"""Seconds from one look to the next: no lock is held by who is interrupted while it waits."""

_lock = threading.Lock()
_turns: list[_Turn] = []
_waiting: dict[threading.Thread, threading.Thread] = {}
"""Who waits for whom."""


class _Turn:
    def __init__(self, parts: Sequence[object]):
        self.thread = threading.current_thread()
        self._parts = parts

    @cached_property
    def ids(self) -> frozenset[int]:
        """The resources that are locked: two models can share layers, or tied weights."""
        return frozenset(map(id, self._parts))


@shielded
def turn(parts: Sequence[object]) -> Iterator[None]:
    """No other thread explains a model with any of these modules, parameters and buffers for the time of the block.

    Raises:
        ModelError: another thread has held it for ten minutes, or waits for what this one holds.
    """
    mine = _Turn(parts)
    started = time.monotonic()
    try:
        while (other := _begin(mine)) is not None:
            check_wait(other, started, "this model")
            interruptible(time.sleep, POLL)
    finally:
        waits_no_more()
    try:
        yield
    finally:
        with _lock:
            if mine in _turns:
                _turns.remove(mine)


def check_wait(other: threading.Thread | None, since: float, what: str) -> None:
    """Note that this thread waits for another one, which has ``what``.

    Raises:
        ModelError: it has had it since ten minutes ago (``time.monotonic``), or waits itself for this thread.
    """
    me = threading.current_thread()
    if other is None:
        return
    _waiting[me] = other
    if time.monotonic() - since > PATIENCE or _waits_for(other, me):
        raise ModelError(
            f"the thread {other.name!r} is at work on {what}, and does not come to an end",
            expected="one thread at a time, no block of seewhy.record left open, and no listener that asks back",
        )


def waits_no_more() -> None:
    """This thread has what it waited for, or has given up."""
    _waiting.pop(threading.current_thread(), None)


def _begin(mine: _Turn) -> threading.Thread | None:
    """Acquire the turn, or return the thread to wait for."""
    with _lock:
        _turns[:] = [held for held in _turns if held.thread.is_alive()]
        for held in _turns:
            if held.thread is not mine.thread and not held.ids.isdisjoint(mine.ids):
                _waiting[mine.thread] = held.thread
                return held.thread
        _turns.append(mine)
    return None


def _waits_for(thread: threading.Thread, me: threading.Thread) -> bool:
    seen = set()
    while thread in _waiting and thread not in seen:
        seen.add(thread)
        thread = _waiting[thread]
        if thread is me:
            return True
    return False
