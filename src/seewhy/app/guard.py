"""Who may ask: the browser that was given the token, from the page itself, under this server's own name.

The server runs on the user's machine, where every page that the browser shows can reach it. So a request needs a
cookie, which only the address in the terminal gives (the token); its Host must be this server's, or a page whose name
was led to 127.0.0.1 (DNS rebinding) would be the same origin as ours; and it must come from our own page: cookies tell
neither ports nor, in older browsers, sites apart.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
"""On every answer; the page has a policy of its own."""

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
ANYWHERE = ("0.0.0.0", "::", "")

HTTP = 80
"""The port that browsers leave out of Host and Origin."""


class Guard:
    """Around the whole server.

    Args:
        app: answers those who may ask.
        host, port: what the server is bound to.
        token: the secret in the address.
    """

    def __init__(self, app: App, host: str, port: int, token: str):
        self._app, self._host, self._port, self._token = app, host, port, token
        self.cookie = f"seewhy-{port}"
        self._session = secrets.token_urlsafe(32)  # not the token: a cookie is sent to other ports of this host too

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:  # the server's own start and end
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _Headers(scope)
        entry = scope["path"] == "/" and scope["method"] == "GET"
        if (why := self._foreign(headers, navigation=entry, writes=scope["method"] != "GET")) is not None:
            await _answer(send, 403, why)
        elif entry and scope["query_string"]:
            await self._enter(scope, headers, send)
        elif not self._known(headers):
            await _answer(send, 403, REFUSED)
        else:
            await self._app(scope, receive, send)

    async def _enter(self, scope: Scope, headers: _Headers, send: Send) -> None:
        """The token becomes a cookie, and leaves the address."""
        given = _token_in(scope["query_string"])
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            await _answer(send, 403, REFUSED)
            return
        cookie = f"{self.cookie}={self._session}; HttpOnly; SameSite=Strict; Path=/"
        if headers.one("sec-fetch-site") in ("cross-site", "same-site"):
            # A redirect that another site began would come without the cookie, since that is SameSite=Strict.
            await _answer(send, 200, _ONWARD, {"set-cookie": cookie}, "text/html; charset=utf-8")
        else:
            await _answer(send, 303, "", {"set-cookie": cookie, "location": "/"})

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _Headers(scope)
        ours = headers.one("origin") == f"http://{headers.one('host')}"
        if self._foreign(headers, writes=True) is not None or not ours or not self._known(headers):
            await receive()  # the request to connect
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: 403
            return
        await self._app(scope, receive, send)

    def _foreign(self, headers: _Headers, *, writes: bool, navigation: bool = False) -> str | None:
        """Why a request cannot be from our own page; None where it can."""
        host = headers.one("host")
        if host is None or not self._is_ours(host):
            return f"This server answers to http://{self._shown_host}:{self._port} only.\n"
        origin = headers.one("origin")
        if origin is not None and origin != f"http://{host}":
            return _CROSS_SITE
        site = headers.one("sec-fetch-site")
        told = {"same-origin", "none"}
        if navigation and headers.one("sec-fetch-mode") == "navigate" and headers.one("sec-fetch-dest") == "document":
            told |= {"cross-site", "same-site"}  # a link, which gives nothing to the page that it stands on
        if site is not None and site not in told:
            return _CROSS_SITE
        if writes and origin is None:  # every browser says where a request that changes something comes from
            return _CROSS_SITE
        return None

    def _is_ours(self, host: str) -> bool:
        end = f":{self._port}"
        if not host.endswith(end) and self._port != HTTP:
            return False
        name = host.removesuffix(end).lower()
        if name in LOOPBACK or name.strip("[]") == self._host.lower():
            return True
        return self._host in ANYWHERE and (_is_address(name.strip("[]")) or name == socket.gethostname().lower())

    @property
    def _shown_host(self) -> str:
        return "localhost" if self._host in ANYWHERE else self._host

    def _known(self, headers: _Headers) -> bool:
        # By hand: http.cookies drops whatever follows a cookie that it cannot read, and other servers of this host, on
        # other ports, set what they like.
        given = [part.strip().partition("=") for part in (headers.one("cookie") or "").split(";")]
        found = [value for name, _, value in given if name == self.cookie]
        return any(hmac.compare_digest(value.encode(), self._session.encode()) for value in found)


class _Headers:
    def __init__(self, scope: Scope):
        self._pairs: list[tuple[bytes, bytes]] = scope["headers"]

    def one(self, name: str) -> str | None:
        """The value; None where there is none, or more than one: which of them counts, nobody can say."""
        found = [value for key, value in self._pairs if key.lower() == name.encode()]
        return found[0].decode("latin-1") if len(found) == 1 else None


def _token_in(query: bytes) -> str:
    """The token in an address; empty where there is none."""
    try:
        return parse_qs(query.decode("latin-1"), max_num_fields=4).get("token", [""])[0]
    except ValueError:  # more fields than anything of ours has
        return ""


def _is_address(name: str) -> bool:
    """A name in numbers cannot be led elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = {key.decode("latin-1").lower() for key, _ in message.get("headers", [])}
            more = [(key.encode(), value.encode()) for key, value in HEADERS.items() if key not in given]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return sending


async def _answer(
    send: Send, status: int, text: str, headers: dict[str, str] | None = None, kind: str = "text/plain; charset=utf-8"
) -> None:
    body = text.encode()
    told = {"content-type": kind, "content-length": str(len(body)), **(headers or {})}
    pairs = [(key.encode(), value.encode("latin-1")) for key, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


REFUSED = "seewhy: please open the address that was printed in the terminal; it holds the key to this page.\n"
_CROSS_SITE = "seewhy: this request comes from another page, and is not answered.\n"
_ONWARD = '<!doctype html><meta http-equiv="refresh" content="0; url=/"><title>seewhy</title>'
