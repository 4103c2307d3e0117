"""One stream of events for everything that takes long, and the way to cancel it.

Code that takes many steps calls ``progress`` after each, wherever it is; who started the work hears of it through a
listener, and can cancel it. The stream belongs to the context (``contextvars``): threads do not hear each other.

>>> heard = []
>>> with job("letters", listener=heard.append):
...     with part("a", 0, 0.5):
...         _ = progress(1, 2)
>>> [(event.kind, event.path, event.share) for event in heard]  # doctest: +NORMALIZE_WHITESPACE
[('started', ('letters',), 0.0), ('progress', ('letters', 'a'), 0.25), ('done', ('letters',), 1.0)]
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from .interrupts import shielded

Kind = Literal["started", "progress", "result", "done", "cancelled"]


@dataclass(frozen=True)
class Event:
    """Something that happened in a job.

    Attributes:
        kind: ``"started"``, ``"progress"``, ``"result"``, ``"done"`` or ``"cancelled"``. A job that fails raises.
        path: the job's name, then those of the parts that it is in, such as ("cat.jpg", "Occlusion").
        share: 0..1 of the whole job that is done; it never falls.
        done, total: steps of the innermost part; 0 of 0 where it has none.
        value: a result; or what a step gave, such as the image of an ascent; or None.
    """

    kind: Kind
    path: tuple[str, ...]
    share: float
    done: int = 0
    total: int = 0
    value: Any = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Of the innermost part."""
        return self.path[-1] if self.path else ""


Listener: TypeAlias = Callable[[Event], object]
"""Called with each event, in the thread that works. Where it returns True at a progress, the work that can stop early
and keep what it has, such as an ascent, does so. What it raises ends the job."""


class Cancelled(BaseException):
    """A job was cancelled. Like KeyboardInterrupt no ``Exception``, so that no handler takes it for a failure."""


class Cancellation:
    """A request to end a job, from any thread; it takes effect at the job's next step."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def cancel(self) -> None:
        """Ask for the end."""
        self._asked.set()

    @property
    def asked(self) -> bool:
        """Whether it was asked for."""
        return self._asked.is_set()


@dataclass
class _Job:
    listeners: list[Listener]
    cancellations: tuple[Cancellation, ...] = ()
    reached: float = 0.0
    raised: BaseException | None = None

    def tell(self, kind: Kind, path: tuple[str, ...], share: float, done: int, total: int, value: Any) -> bool:
        self.reached = min(max(self.reached, share), 1.0)
        event = Event(kind, path, self.reached, done, total, value)
        try:
            # All of them hear it, also where the first asks to stop.
            return True in [listener(event) is True for listener in self.listeners]
        except BaseException as error:
            self.raised = error
            raise


@dataclass(frozen=True)
class _Part:
    """A stretch of a job: from ``begin``, ``share`` of it long."""

    job: _Job
    path: tuple[str, ...] = ()
    begin: float = 0.0
    share: float = 1.0

    def tell(self, kind: Kind, done: int = 0, total: int = 0, value: Any = None) -> bool:
        within = done / total if total else 0.0
        return self.job.tell(kind, self.path, self.begin + self.share * within, done, total, value)


_current: ContextVar[_Part | None] = ContextVar("seewhy.events", default=None)


@shielded
def job(name: str, *, listener: Listener | None = None, cancellation: Cancellation | None = None) -> Iterator[None]:
    """Work that is told as a whole: started, then its progress and results, then done or cancelled.

    A job in a job has listeners of its own, and is cancelled with the outer one.

    Raises:
        Cancelled: within, where it was asked for.
    """
    outer = _current.get()
    asked = () if cancellation is None else (cancellation,)
    own = _Job([] if listener is None else [listener], asked + (() if outer is None else outer.job.cancellations))
    whole = _Part(own, (name,))
    token = _current.set(whole)
    try:
        whole.tell("started")
        yield
        whole.tell("done", 1, 1)
    except Cancelled:
        own.tell("cancelled", whole.path, own.reached, 0, 0, None)
        raise
    finally:
        _current.reset(token)


@shielded
def part(name: str, begin: float = 0.0, share: float = 1.0) -> Iterator[None]:
    """A part of the job or part around it: from ``begin``, ``share`` of it long. Without a job nothing is told."""
    outer = _current.get()
    if outer is None:
        yield
        return
    inner = _Part(outer.job, (*outer.path, name), outer.begin + outer.share * begin, outer.share * share)
    token = _current.set(inner)
    try:
        yield
    finally:
        _current.reset(token)


@shielded
def also(listener: Listener) -> Iterator[None]:
    """One more listener for the time of the block, of whatever runs in it; in or outside of a job."""
    outer = _current.get()
    if outer is None:
        token = _current.set(_Part(_Job([listener])))
        try:
            yield
        finally:
            _current.reset(token)
        return
    outer.job.listeners.append(listener)
    try:
        yield
    finally:
        outer.job.listeners.remove(listener)


def progress(done: int, total: int, value: Any = None) -> bool:
    """Tell that ``done`` of ``total`` steps of the current part are done; whether a listener asks to stop early.

    Raises:
        Cancelled: the job was cancelled.
    """
    current = _current.get()
    if current is None:
        return False
    checkpoint()
    return current.tell("progress", done, total, value)


def result(value: Any) -> None:
    """Tell a result of the current part."""
    current = _current.get()
    if current is not None:
        current.job.tell("result", current.path, current.job.reached, 0, 0, value)


def checkpoint() -> None:
    """To be called between forwards that tell nothing.

    Raises:
        Cancelled: the job was cancelled.
    """
    current = _current.get()
    if current is not None and any(each.asked for each in current.job.cancellations):
        raise Cancelled


def raised_by_a_listener(error: BaseException) -> bool:
    """Whether an exception came from a listener: whoever handles errors of the work lets it pass."""
    current = _current.get()
    return current is not None and current.job.raised is error
