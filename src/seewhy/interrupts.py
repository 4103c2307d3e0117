"""Ctrl-C, and every other signal that Python handles, kept out of the steps that must not be left half done.

Python runs a signal's handler between any two instructions of the main thread, also inside ``__enter__`` and
``__exit__``, and the handler of Ctrl-C raises there. ``contextlib.contextmanager`` does not help: an exception inside
its ``__exit__`` leaves the generator where it was. So, while a ``Shield`` is entered or left, signals wait until that
is done; in its block they come at once, as always.

Which of the two it is, is read from the stack of frames that the handler is given. A flag would have to be set by an
instruction, before which or after which a signal could still come.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from types import FrameType, TracebackType
from typing import Any, Generic, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGUSR1", "SIGUSR2")
_SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
"""Those whose handlers people let raise: to interrupt, to end, to limit time. Ctrl-C is the first that is taken."""

_theirs: dict[int, Callable[[int, FrameType | None], Any]] = {}
"""The handlers that were there before."""
_waiting: list[int] = []
"""Signals that came where they could not be handled yet."""
_depth = 0
"""Shields that the main thread is in."""


class Shield(AbstractContextManager[T], Generic[T]):
    """A context manager that a signal interrupts neither while it is entered nor while it is left."""

    def __init__(self, manager: AbstractContextManager[T]):
        self._manager = manager
        self._counted = False

    def __enter__(self) -> T:
        self._counted = _enter()
        try:
            value = self._manager.__enter__()
        except BaseException:
            if self._counted:
                _leave()
            raise
        if self._counted and _waiting and not _shielded(sys._getframe(1)):
            try:
                _handle_waiting()
            except BaseException as error:
                self._manager.__exit__(type(error), error, error.__traceback__)
                if self._counted:
                    _leave()
                raise
        return value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            left = self._manager.__exit__(kind, error, trace)
        finally:
            if self._counted:
                _leave()
            if self._counted and _waiting and not _shielded(sys._getframe(1)):
                _handle_waiting()
        if isinstance(error, SystemError) and isinstance(error.__cause__, KeyboardInterrupt):
            # Compiled code of torch's went on after it, which Python complains of.
            raise error.__cause__ from None
        return left


def shielded(function: Callable[P, Iterator[T]]) -> Callable[P, AbstractContextManager[T]]:
    """``contextlib.contextmanager``, entered and left without interruption; only what runs in its block, or through
    ``interruptible``, can be interrupted.
    """
    make = contextmanager(function)

    @wraps(function)
    def shield(*args: P.args, **kwargs: P.kwargs) -> AbstractContextManager[T]:
        return Shield(make(*args, **kwargs))

    return shield


def interruptible(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a call that signals may interrupt, though a Shield is being entered: it takes long, and what it
    leaves behind is put in order.
    """
    return function(*args, **kwargs)


_FINALIZERS = {"__del__": (".py",), "remove": ("weakref.py", "weak.py"), "_remove": ("_weakrefset.py",)}
"""The functions, and the ends of their files, that Python calls when an object goes, and whose exceptions it drops."""


def uninterrupted(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a call that is not to be left half done; signals that come meanwhile are handled after it."""
    counted = _enter()
    try:
        return function(*args, **kwargs)
    finally:
        if counted:
            _leave()
        if counted and _waiting and not _shielded(sys._getframe(1)):
            _handle_waiting()


def _shielded(frame: FrameType | None) -> bool:
    """Whether a signal must wait in this frame: the innermost of the frames that tell decides."""
    while frame is not None:
        code = frame.f_code
        if code is interruptible.__code__:
            return False
        if code in (Shield.__enter__.__code__, Shield.__exit__.__code__, uninterrupted.__code__):
            return True
        if code.co_filename.endswith(_FINALIZERS.get(code.co_name, ())) or _is_torchs(frame):
            return True
        frame = frame.f_back
    return False


def _is_torchs(frame: FrameType) -> bool:
    """Whether one of torch's own context managers is being entered or left. A generator of its that is interrupted goes
    on when it is collected, and then puts back what was before it, long after everything was put back.
    """
    code = frame.f_code
    if code.co_name not in ("__enter__", "__exit__"):
        return False
    file = code.co_filename
    if file == _CONTEXTLIB:
        generator = getattr(frame.f_locals.get("self"), "gen", None)
        file = generator.gi_code.co_filename if generator is not None else ""
    return _TORCH in file


_CONTEXTLIB = contextmanager.__code__.co_filename
_TORCH = f"{os.sep}torch{os.sep}"


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _shielded(frame):
        if number not in _waiting:  # as POSIX has it: the first one's exception would leave the others for later calls
            _waiting.append(number)
    else:
        handling(number, frame)


def handling(number: int, frame: FrameType | None) -> None:
    """Whatever was to be done at a signal; what it raises has this function in its traceback."""
    handler = _theirs.get(number, signal.default_int_handler if number == signal.SIGINT else None)
    if handler is not None:
        handler(number, frame)


def _handle_waiting() -> None:
    while _waiting:
        handling(_waiting.pop(0), sys._getframe(2))


def _enter() -> bool:
    """Take the handlers, the first time; False in another thread than the main one, where Python has no signals."""
    global _depth
    if threading.current_thread() is not threading.main_thread():
        return False
    if _depth == 0:
        try:
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler) and handler is not _on_signal:
                    _theirs[number] = handler
                    signal.signal(number, _on_signal)
        except BaseException:  # a handler that was not taken yet
            _give_back()
            raise
    _depth += 1
    return True


def _leave() -> None:
    """Give the handlers back, the last time."""
    global _depth
    _depth -= 1
    if _depth == 0 and threading.current_thread() is threading.main_thread():
        _give_back()


def _give_back() -> None:
    """The handlers are theirs again; those that others set meanwhile stay."""
    try:
        for number in reversed(_SIGNALS):
            if number in _theirs and signal.getsignal(number) is _on_signal:
                signal.signal(number, _theirs[number])
    except BaseException:  # a handler that was given back already
        _give_back()
        raise
