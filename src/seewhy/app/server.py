"""What the server answers: the page, photos, pictures, and the WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from ..errors import MissingExtraError, SeewhyError
from ..pictures import Photo, png_bytes
from .connection import TRY_AGAIN_LATER, Connection
from .drawn import DRAWINGS
from .guard import App, Guard, Receive, Scope, Send
from .jobs import log
from .live import Live
from .page import page
from .photos import check_id
from .uploads import MOST_BYTES, Uploads, refusal

MOST_PAGES = 24
"""WebSockets at the same time."""


def server(live: Live, *, host: str, port: int, token: str, most_bytes: int = MOST_BYTES) -> Guard:
    """The whole server, as ASGI has it.

    Args:
        live: the models and photos.
        host, port: what it is bound to.
        token: the secret in its address.
        most_bytes: of an upload.
    """
    answers = _Answers(live, most_bytes)
    routes = [
        Route("/", answers.page, methods=["GET"]),
        Route("/photos", answers.upload, methods=["POST"]),
        Route("/photos/{id}/crop/{model}", answers.crop, methods=["GET"]),
        Route("/photos/{id}/{kind}", answers.drawing, methods=["GET"]),
        Route("/ascents/{id}/{name}", answers.ascent, methods=["GET"]),
        WebSocketRoute("/live", answers.live),
    ]
    handlers: Any = {HTTPException: _no_such, SeewhyError: _cannot}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return Guard(_calm(app), host, port, token)


class _Answers:
    def __init__(self, live: Live, most_bytes: int):
        self._live, self._uploads = live, Uploads(live, most_bytes)

    async def page(self, request: Request) -> Response:
        html, policy = page()
        return HTMLResponse(html, headers={"content-security-policy": policy})

    async def upload(self, request: Request) -> Response:
        return await self._uploads.take(request)

    async def drawing(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in DRAWINGS:
            raise HTTPException(404)
        return await self._drawn(partial(self._live.photos.drawing, check_id(request.path_params["id"]), kind))

    async def crop(self, request: Request) -> Response:
        number = request.path_params["model"]
        if not (number.isascii() and number.isdigit() and len(number) < 6 and int(number) < len(self._live.models)):
            raise HTTPException(404)
        model = self._live.models[int(number)]

        def draw(photo: Photo) -> bytes:
            return png_bytes(model.classifier.crop(photo.image))

        id = check_id(request.path_params["id"])
        return await self._drawn(partial(self._live.photos.kept_drawing, id, ("crop", model.number), draw))

    async def ascent(self, request: Request) -> Response:
        id, name = request.path_params["id"], request.path_params["name"]
        kind, content = await self._in_thread(partial(self._live.ascents.picture, id, name))
        return Response(content, media_type=kind)

    async def live(self, socket: WebSocket) -> None:
        await socket.accept()
        if self._live.pages >= MOST_PAGES:
            await socket.close(TRY_AGAIN_LATER)
            return
        self._live.pages += 1
        try:
            await Connection(socket, self._live).run()
        finally:
            self._live.pages -= 1

    async def _drawn(self, draw: Callable[[], bytes]) -> Response:
        content = await self._in_thread(draw)
        return Response(content, media_type=_KINDS.get(content[:4], "image/jpeg"))

    async def _in_thread(self, function: Callable[[], Any]) -> Any:
        return await asyncio.wrap_future(self._live.drawings.submit(function))


_KINDS = {b"RIFF": "image/webp", b"\x89PNG": "image/png"}


async def _no_such(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return refusal(
        status, {404: "there is nothing here", 405: "this cannot be done here"}.get(status, "not understood")
    )


async def _cannot(request: Request, error: Exception) -> Response:
    return refusal(501 if isinstance(error, MissingExtraError) else 404, str(error))


def _calm(app: App) -> App:
    """Whatever nobody foresaw is told on stderr, and to the page in one sentence; never where it came from."""

    async def calm(scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await app(scope, receive, sending)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - the last place where it can be caught
            log(error)
            if scope["type"] == "http" and not begun:
                await refusal(503, "this went wrong; the terminal says how")(scope, receive, send)

    return calm
