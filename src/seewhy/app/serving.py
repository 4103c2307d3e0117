"""The server, bound and run until it is told to end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

from ..errors import InputError
from .connection import MOST_MESSAGE
from .guard import ANYWHERE, App

USUAL_PORT, NEXT_PORTS = 8765, 20
"""Where the page is, and how many ports after it are tried where that is taken."""

PARTING = 3.0
"""Seconds that running jobs have to end."""

SWITCH = 0.0005
"""Seconds after which a thread that computes in Python lets another one go on. With Python's own 5 ms, a dragged mask
waits that long after each of its hundred small operations while a network is being followed."""

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def bound(host: str, port: int | None) -> socket.socket:
    """A socket that listens soon.

    Args:
        host: a name or an address.
        port: 0 for any free one; None for the usual one, or the next that is free.

    Raises:
        InputError: there is no such address here, or the port is taken.
    """
    ports = [port] if port is not None else [*range(USUAL_PORT, USUAL_PORT + NEXT_PORTS), 0]
    error: OSError | None = None
    for each in ports:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host or None, each, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            made = socket.socket(family, kind, protocol)
        except (OSError, UnicodeError) as failed:
            raise InputError(f"there is no address {host!r} on this machine", got=failed) from failed
        try:
            if hasattr(socket, "SO_REUSEADDR") and not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(128)
        except OSError as failed:
            made.close()
            error = failed
            continue
        made.setblocking(False)
        return made
    what = f"the server cannot listen on {host}, port {port}: {error.strerror if error else ''}"
    raise InputError(what, expected="a free port, such as --port 0 finds") from error


def address(host: str, port: int, token: str) -> str:
    """What to open."""
    name = "localhost" if host in ANYWHERE else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/?token={token}"


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's, which cannot be shut down while its page is just leaving: the whole server would fail at its end."""

    def shutdown(self) -> None:
        """Tell the page that the server ends; where it has said farewell itself, only hang up."""
        try:
            super().shutdown()
        except InvalidState:
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's, but asleep while nothing happens: its own loop wakes up ten times a second."""

    def __init__(self, app: App):
        super().__init__(uvicorn.Config(
            app, http="h11", ws=WebSocketProtocol, lifespan="off", access_log=False, log_config=None,
            server_header=False, date_header=False, ws_max_size=MOST_MESSAGE, ws_per_message_deflate=False,
            timeout_graceful_shutdown=1, limit_concurrency=400,
        ))  # fmt: skip
        self._end: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        for name in ("uvicorn.error", "uvicorn.asgi"):  # what matters was told by us
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def capture_signals(self) -> Any:
        """The command has handlers of its own."""
        return nullcontext()

    async def main_loop(self) -> None:
        """Sleep until ``end`` is called."""
        await self.on_tick(0)
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        if not self.should_exit:
            await self._end.wait()

    def end(self) -> None:
        """From any thread, or a signal's handler."""
        self.should_exit = True
        if self._loop is not None and self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)


def serve(app: App, listening: socket.socket, started: Callable[[], None]) -> None:
    """Serve until a signal comes.

    Args:
        app: the server.
        listening: its socket, see ``bound``.
        started: called when it answers.
    """
    running, before = Server(app), sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        with _told_by_signals(running.end):
            asyncio.run(_serve(running, listening, started))
    finally:
        sys.setswitchinterval(before)


async def _serve(running: Server, listening: socket.socket, started: Callable[[], None]) -> None:
    serving = asyncio.ensure_future(running.serve([listening]))
    while not running.started and not serving.done():
        await asyncio.sleep(0.005)
    if running.started:
        started()
    await serving


@contextmanager
def _told_by_signals(end: Callable[[], None]) -> Iterator[None]:
    """Within, the first signal ends the server; one that comes later interrupts, as anywhere."""
    before: dict[Any, Any] = {}
    since: list[float] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if since and time.monotonic() - since[0] > 0.5:  # a terminal may send one to a process and its parent
            raise KeyboardInterrupt
        since.append(time.monotonic())
        end()

    for each in _SIGNALS:
        was = signal.getsignal(each)
        if was not in (signal.SIG_IGN, None):
            before[each] = was
            signal.signal(each, handle)
    try:
        yield
    finally:
        for each, was in before.items():
            signal.signal(each, was)
