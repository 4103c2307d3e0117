"""Ctrl-C, and being told to end: what was begun to be written is finished, then the command stops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class _State:
    depth = 0
    kept = False
    told = False


@contextmanager
def interruptible(*, to_the_end: bool = False) -> Iterator[None]:
    """Within, SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt, but not inside ``uninterrupted``.

    In another thread than the main one, where Python has no signals, nothing changes. A signal that was ignored
    before, as under nohup, stays ignored.

    Args:
        to_the_end: the process ends with it, and a signal afterwards cannot make that any sooner: it is ignored.
    """
    _State.depth, _State.kept, _State.told = 0, False, False
    before: dict[Any, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {each: was for each in SIGNALS if (was := signal.getsignal(each)) not in (signal.SIG_IGN, None)}
    for each in before:
        signal.signal(each, _told)
    try:
        yield
    finally:
        for each, was in before.items():
            signal.signal(each, signal.SIG_IGN if to_the_end else was)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A signal within is kept, and raises KeyboardInterrupt at the end."""
    _State.depth += 1
    try:
        yield
    finally:
        _State.depth -= 1
    if _State.kept and not _State.depth:
        _State.kept = False
        raise KeyboardInterrupt


def check() -> None:
    """Raise KeyboardInterrupt where there was a signal, even if foreign code swallowed it.

    Raises:
        KeyboardInterrupt: there was one.
    """
    if _State.told:
        raise KeyboardInterrupt


def _told(number: int, frame: Any) -> None:
    _State.told = True
    if _State.depth:
        _State.kept = True
    else:
        raise KeyboardInterrupt
