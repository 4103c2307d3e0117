"""A photo on its way in: streamed to a file, never held in memory, and refused as soon as it is too large."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from ..errors import PhotoError
from .live import Live

MOST_BYTES = 30 << 20

AT_ONCE, MOST_WAITING = 6, 100
"""Uploads that are read at the same time, and those that wait for that."""

STALLED = 30.0
"""Seconds after which an upload that sends nothing is given up."""

MOST_DRAINED = 4 * MOST_BYTES
"""Of one that is too large so much is read and dropped, or its sender would not read the answer."""


class Refused(Exception):
    """An upload that is not taken.

    Attributes:
        status: of the answer.
    """

    def __init__(self, status: int, why: str):
        super().__init__(why)
        self.status = status


class Uploads:
    """Takes photos from the page.

    Args:
        live: keeps them.
        most: bytes of one.
    """

    def __init__(self, live: Live, most: int = MOST_BYTES):
        self._live, self._most = live, most
        self._reading = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def take(self, request: Request) -> Response:
        """One upload; gives the answer."""
        if self._waiting >= MOST_WAITING:
            return refusal(429, "too many photos at once: please wait until these are done")
        self._waiting += 1
        try:
            async with self._reading:
                return JSONResponse(await self._taken(request), 201)
        except Refused as error:
            return refusal(error.status, str(error))
        except PhotoError as error:
            return refusal(413 if " is too large" in str(error) else 415, str(error))
        finally:
            self._waiting -= 1

    async def _taken(self, request: Request) -> dict[str, Any]:
        name = unquote(request.headers.get("x-name", ""))
        path = self._live.photos.place()
        try:
            await self._write(request, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return await asyncio.wrap_future(self._live.uploads.submit(partial(self._live.take, path, name)))

    async def _write(self, request: Request, path: Path) -> None:
        size = 0
        chunks = request.stream()
        with path.open("wb") as file:
            async for chunk in _in_time(chunks):
                size += len(chunk)
                if size > self._most:
                    await self._drain(chunks)
                    raise Refused(413, f"this photo is too large; at most {self._most / 2**20:g} MiB are taken")
                file.write(chunk)
        if size == 0:
            raise Refused(415, "this is an empty file")

    async def _drain(self, chunks: AsyncIterator[bytes]) -> None:
        left = MOST_DRAINED
        with suppress(Refused, ClientDisconnect):
            async for chunk in _in_time(chunks):
                left -= len(chunk)
                if left < 0:
                    return


async def _in_time(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while True:
        try:
            yield await asyncio.wait_for(chunks.__anext__(), STALLED)
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError:
            raise Refused(408, "this upload stopped halfway") from None


def refusal(status: int, why: str) -> Response:
    """An answer that says why not, in one sentence."""
    return JSONResponse({"error": why}, status)
