"""The live page's server, without a browser: called in the process, or listening on a port of its own."""

import io
import json
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import websockets.sync.client
from PIL import Image
from starlette.testclient import TestClient
from torch import nn

import seewhy
from nets import tiny
from seewhy.app.server import server
from seewhy.app.serving import Server, bound

PORT, TOKEN = 8765, "the-right-token"
BASE, LIVE = f"http://127.0.0.1:{PORT}", f"ws://127.0.0.1:{PORT}/live"
LABELS = ["red", "green", "<script>alert(1)</script>", "a\u202eb\x1b[31m"]


def picture(seed=0, size=(60, 48)):
    """Coloured noise, smooth enough for maps to differ."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def png(seed=0, size=(60, 48)):
    file = io.BytesIO()
    picture(seed, size).save(file, "PNG")
    return file.getvalue()


class OnDemand(nn.Module):
    """The small network, which fails where it is told to, and waits where it is told to."""

    def __init__(self):
        super().__init__()
        self.body = tiny.make()
        self.broken, self.calls = False, 0
        self.gate = threading.Event()
        self.gate.set()

    def __deepcopy__(self, memo):
        twin = OnDemand()
        twin.body.load_state_dict(self.body.state_dict())
        twin.gate = self.gate
        return twin

    def forward(self, x):
        self.calls += 1
        assert self.gate.wait(60)
        if self.broken:
            raise RuntimeError("out of order\n\x1b[2J")
        return self.body(x)


def classifier(module=None, labels=LABELS):
    return seewhy.classifier((module or tiny.make()).eval(), labels=labels, size=40)


@contextmanager
def entered(live, **options):
    """A browser's session in the process, through the guard."""
    app = server(live, host="127.0.0.1", port=PORT, token=TOKEN, **options)
    with TestClient(app, base_url=BASE, raise_server_exceptions=True) as client:
        assert client.get("/", params={"token": TOKEN}).status_code == 200
        client.headers["origin"] = BASE
        yield client


class Page:
    """What the page does over its WebSocket."""

    def __init__(self, socket):
        self.socket = socket
        self.hello = self.receive()
        assert self.hello["type"] == "hello"

    def send(self, **message):
        self.socket.send_text(json.dumps(message))

    def receive(self):
        text = self.socket.receive_text()
        assert text.isascii()
        return json.loads(text, parse_constant=pytest.fail)

    def until(self, id, *ends):
        """The messages of one job, without those of progress, to its end."""
        ends = ends or ("done", "cancelled", "error")
        found = []
        while True:
            message = self.receive()
            if message.get("id") == id and message["type"] != "progress":
                found.append(message)
                if message["type"] in ends:
                    return found

    def ask(self, **message):
        self.send(**message)
        return self.until(message["id"])


@contextmanager
def opened(client):
    with client.websocket_connect(LIVE, headers={"origin": BASE, "cookie": cookie(client)}) as socket:
        yield Page(socket)


def cookie(client):
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


def upload(client, content=None, name="cat.png", **headers):
    return client.post("/photos", content=png() if content is None else content, headers={"x-name": name, **headers})


@contextmanager
def listening(live, **options):
    """A real server on a port of its own, in a thread."""
    socket = bound("127.0.0.1", 0)
    port = socket.getsockname()[1]
    app = server(live, host="127.0.0.1", port=port, token=TOKEN, **options)
    running = Server(app)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [socket]})
    thread.start()
    try:
        base = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=base, timeout=60, headers={"origin": base}) as client:
            while not running.started:
                time.sleep(0.01)
            assert client.get("/", params={"token": TOKEN}, follow_redirects=True).status_code == 200
            yield SimpleNamespace(
                base=base, port=port, client=client, cookie=cookie(client), running=running, live=live,
                socket=lambda **more: _socket(base, cookie(client), **more),
            )  # fmt: skip
    finally:
        running.end()
        thread.join(30)
        assert not thread.is_alive()


def _socket(base, cookie, **more):
    return websockets.sync.client.connect(
        base.replace("http", "ws") + "/live", origin=base, additional_headers={"cookie": cookie}, max_size=None, **more
    )  # fmt: skip
