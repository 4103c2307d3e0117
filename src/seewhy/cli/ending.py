"""A command that is told to end, by Ctrl-C or otherwise, ends in order: what was begun to be written is finished."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

_told = False


@contextmanager
def ended_by_signals(*, to_the_end: bool = False) -> Iterator[None]:
    """Within, SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt, once ``seewhy.interrupts`` lets them through.

    In another thread than the main one, where Python has no signals, nothing changes. A signal that was ignored
    before, as under nohup, stays ignored.

    Args:
        to_the_end: the process ends with it, and a signal afterwards cannot make that any sooner: it is ignored.
    """
    global _told
    _told = False
    before: dict[Any, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {each: was for each in SIGNALS if (was := signal.getsignal(each)) not in (signal.SIG_IGN, None)}
    for each in before:
        signal.signal(each, _end)
    try:
        yield
    finally:
        for each, was in before.items():
            signal.signal(each, signal.SIG_IGN if to_the_end else was)


def check() -> None:
    """Raise KeyboardInterrupt where there was a signal, even if foreign code swallowed it.

    Raises:
        KeyboardInterrupt: there was one.
    """
    if _told:
        raise KeyboardInterrupt


def _end(number: int, frame: Any) -> None:
    global _told
    _told = True
    raise KeyboardInterrupt
