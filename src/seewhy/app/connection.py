"""One page at the other end of a WebSocket: its messages in, its results out, its jobs ended when it leaves."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from ..errors import InputError, SeewhyError
from .jobs import Job, failure, log
from .live import Live
from .messages import Control, Malformed, Predict, WhatIf, parsed
from .outbox import Outbox

MOST_MESSAGE = 64 << 10
"""Characters of a message."""

TRY_AGAIN_LATER = 1013
PARTING = 2.0
"""Seconds that a reader who is too slow has to take the word that it is."""


class Connection:
    """Serves one page until one of both ends leaves."""

    def __init__(self, socket: WebSocket, live: Live):
        self._socket, self._live = socket, live
        self._outbox = Outbox()
        self._jobs: dict[int, Job] = {}
        self._kinds: dict[object, Job] = {}
        self._moves: dict[int, WhatIf] = {}
        self._moving: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the end."""
        ways = (self._receive(), self._send(), self._outbox.overflow())
        ends = [asyncio.create_task(each) for each in ways]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for job in list(self._jobs.values()):
                job.control.cancel()
            self._outbox.close()
            left = {*ends, *self._tasks}
            for task in left:
                task.cancel()
            await asyncio.wait(left)
            for task in left:
                if not task.cancelled() and (error := task.exception()) is not None:
                    log(error)
            if self._socket.application_state is WebSocketState.CONNECTED:
                with suppress(Exception):
                    await asyncio.wait_for(self._socket.close(TRY_AGAIN_LATER), PARTING)

    async def _receive(self) -> None:
        self._start(self._hello())
        with suppress(WebSocketDisconnect):
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                self._take(message.get("text"))

    async def _send(self) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):  # RuntimeError: it has left meanwhile
            while True:
                await self._socket.send_text(await self._outbox.next())

    async def _hello(self) -> None:
        for warm in self._live.warm:
            await asyncio.shield(asyncio.wrap_future(warm))  # others wait for it too
        self._outbox.put(await asyncio.wrap_future(self._live.drawings.submit(self._live.hello)))

    def _take(self, text: str | None) -> None:
        """One message; nothing that it holds raises."""
        try:
            if text is None or len(text) > MOST_MESSAGE:
                raise Malformed(None, InputError("a message is text", expected=f"at most {MOST_MESSAGE} characters"))
            asked = parsed(text, len(self._live.models))
        except Malformed as malformed:
            self._outbox.put({**failure(malformed.error), "id": malformed.id})
            return
        try:
            if isinstance(asked, Control):
                self._control(asked)
            elif isinstance(asked, WhatIf):
                self._move(asked)
            else:
                self._begin(asked)
        except SeewhyError as error:
            self._outbox.put({**failure(error), "id": asked.id})

    def _control(self, asked: Control) -> None:
        job = self._jobs.get(asked.job)
        if job is None:
            return  # it is done already
        control = job.control
        {"cancel": control.cancel, "pause": control.pause, "resume": control.resume, "stop": control.stop}[asked.what]()

    def _begin(self, asked: Any) -> None:
        """A job; the older one of its kind and model is cancelled, so a page has few at a time."""
        if asked.id in self._jobs:
            raise InputError("a job with this number is being done", expected="a new number for each message")
        kind = (type(asked), asked.model, isinstance(asked, Predict) and asked.photos is None)
        if (older := self._kinds.get(kind)) is not None:
            older.control.cancel()
        job = Job(asked.id, self._outbox, self._live.priority)
        self._jobs[asked.id] = self._kinds[kind] = job
        self._start(self._follow(job, kind, asked))

    async def _follow(self, job: Job, kind: object, asked: Any) -> None:
        try:
            await asyncio.wrap_future(self._live.jobs.submit(partial(self._live.work, job, asked)))
        finally:
            self._jobs.pop(job.id, None)
            if self._kinds.get(kind) is job:
                del self._kinds[kind]

    def _move(self, asked: WhatIf) -> None:
        """The newest place of a mask; of those before, only the one that is being computed is answered."""
        self._moves[asked.model] = asked
        if asked.model not in self._moving:
            self._moving.add(asked.model)
            self._start(self._answer_moves(asked.model))

    async def _answer_moves(self, model: int) -> None:
        try:
            while (asked := self._moves.pop(model, None)) is not None:
                scores = await asyncio.wrap_future(self._live.moves.submit(partial(self._answer, asked)))
                self._outbox.latest(("scores", model), scores)
        finally:
            self._moving.discard(model)

    def _answer(self, asked: WhatIf) -> dict[str, Any]:
        try:
            return self._live.answers.ask(asked, self._live.models[asked.model])
        except BaseException as error:  # noqa: BLE001 - a model is foreign code
            return {**failure(error), "id": asked.id}

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
