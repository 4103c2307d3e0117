"""What a client is still to be sent: bounded, whatever the client does.

A result is kept until it is sent. Of progress and of frames only the newest is kept: a slow reader is behind by one.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from ..core.attribution import jsonable
from ..events import Cancellation, Cancelled

MOST, MOST_BYTES = 256, 64 << 20
"""Results, and their characters, that wait for a reader. One explanation with seven maps has some 300,000."""

LOOK = 0.1
"""Seconds between two looks at a cancellation while a job waits for a reader."""

Message = Mapping[str, Any]
Merge = Callable[[Message, Message], Message]


def dumped(message: Message) -> str:
    """As JSON, in ASCII: whatever characters names have, lone surrogates among them. What is not finite is null."""
    try:
        return json.dumps(message, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(jsonable(message), allow_nan=False, separators=(",", ":"))


class Outbox:
    """Filled by any thread, emptied by the event loop in which it was made."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES):
        self._loop = asyncio.get_running_loop()
        self._filled, self._overflown = asyncio.Event(), asyncio.Event()
        self._changed = threading.Condition()
        self._waiting: dict[object, str | Message] = {}
        self._results = self._size = 0
        self._most, self._most_bytes = most, most_bytes
        self._closed = False

    def put(self, message: Message) -> None:
        """A result: it is sent, and after everything that was put before it."""
        text = dumped(message)
        with self._changed:
            if self._closed:
                return
            full = self._results >= self._most or (self._results and self._size + len(text) > self._most_bytes)
            if not full:
                self._waiting[object()] = text
                self._results += 1
                self._size += len(text)
        if full:
            self.close()
        self._wake(self._overflown if full else self._filled)

    def latest(self, key: object, message: Message, merge: Merge | None = None) -> None:
        """In the place of what waits under the same key; ``merge(old, new)`` makes one of the two."""
        with self._changed:
            if self._closed:
                return
            old = self._waiting.get(key)
            self._waiting[key] = merge(old, message) if merge and isinstance(old, Mapping) else message
        self._wake(self._filled)

    def forget(self, key: object) -> None:
        """What waits under this key is not to be sent any more."""
        with self._changed:
            self._waiting.pop(key, None)

    def wait_for_room(self, cancellation: Cancellation) -> None:
        """Until half of it is free: for jobs with thousands of results.

        Raises:
            Cancelled: it was cancelled meanwhile.
        """
        with self._changed:
            while not self._closed and self._results > self._most // 2:
                if cancellation.asked:
                    raise Cancelled
                self._changed.wait(LOOK)

    async def next(self) -> str:
        """The oldest, once there is one."""
        while True:
            with self._changed:
                if self._waiting:
                    key = next(iter(self._waiting))
                    found = self._waiting.pop(key)
                    if isinstance(found, str):
                        self._results -= 1
                        self._size -= len(found)
                        self._changed.notify_all()
                    return found if isinstance(found, str) else dumped(found)
                self._filled.clear()
            await self._filled.wait()

    async def overflow(self) -> None:
        """Come back once more waits than is kept: the reader is too slow, and nothing is sent any more."""
        await self._overflown.wait()

    def close(self) -> None:
        """Nothing is sent any more."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _wake(self, event: asyncio.Event) -> None:
        try:
            self._loop.call_soon_threadsafe(event.set)
        except RuntimeError:  # the loop has ended before the job did
            self.close()
