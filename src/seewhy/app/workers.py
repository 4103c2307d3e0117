"""Threads that do what blocks: models and decoders are foreign code, and the server's own thread must never wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Workers:
    """At most ``most`` threads, begun when they are needed and kept, since each has thread pools of torch's own.

    They are daemons: a foreign network that never returns does not keep the process from ending, as the threads of
    ``concurrent.futures`` would.
    """

    def __init__(self, most: int, name: str):
        self._most, self._name = most, name
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._lock = threading.Condition()
        self._threads = self._free = self._waiting = 0

    @property
    def waiting(self) -> int:
        """How much was submitted that no thread has begun."""
        return self._waiting

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """What the function gives or raises, once a thread is free."""
        future: Future[T] = Future()
        with self._lock:
            self._waiting += 1
            self._work.put((future, function))
            if self._waiting > self._free and self._threads < self._most:
                self._threads += 1
                self._free += 1
                name = f"seewhy-{self._name}-{self._threads}"
                threading.Thread(target=self._run, name=name, daemon=True).start()
        return future

    def wait_until_idle(self, patience: float) -> bool:
        """Whether all that was submitted comes to its end within so many seconds."""
        with self._lock:
            return self._lock.wait_for(lambda: self._waiting == 0 and self._free == self._threads, patience)

    def _run(self) -> None:
        while True:
            future, function = self._work.get()
            with self._lock:
                self._waiting -= 1
                self._free -= 1
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as error:  # noqa: BLE001 - whoever asked hears of it
                    future.set_exception(error)
            del future, function  # a thread that waits holds on to nothing
            with self._lock:
                self._free += 1
                self._lock.notify_all()
