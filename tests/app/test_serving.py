"""The command as a person starts and ends it, and clients that behave badly, over real sockets."""

import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
import torch
from pages import Page, classifier, listening, png
from websockets.exceptions import ConnectionClosed

from seewhy.app import connection, outbox
from seewhy.app.live import Live
from seewhy.app.serving import address, bound
from seewhy.errors import InputError

ROOT = Path(__file__).parents[2]
OWN = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])}
TINY = ("--model", "nets.tiny:make", "--input-size", "40")
ADDRESS = r"http://127\.0\.0\.1:(\d+)/\?token=([\w-]{32})\n"


def begun(*arguments, **options):
    command = [sys.executable, "-m", "seewhy", "app", "--no-browser", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, env={**os.environ, **OWN}, cwd=ROOT, **options)


def ended(process, number=signal.SIGINT):
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in out + err
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_line_is_the_address_and_a_signal_ends_it(number):
    process = begun("examples/photos", *TINY, "--port", "0")
    line = process.stdout.readline()  # flushed, though stdout is a pipe
    found = re.fullmatch(ADDRESS, line)
    assert found, line
    base = f"http://127.0.0.1:{found.group(1)}"
    with httpx.Client(base_url=base, follow_redirects=True, timeout=60) as client:
        assert client.get("/").status_code == 403
        assert client.get(line.strip()).status_code == 200
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        import websockets.sync.client

        with websockets.sync.client.connect(
            base.replace("http", "ws") + "/live", origin=base, additional_headers={"cookie": cookie}
        ) as one:
            page = Page(_Texts(one))
            assert [photo["name"] for photo in page.hello["photos"]] == ["chelsea.png", "coffee.png"]
            # In the middle of an ascent.
            page.send(type="ascend", id=1, model=0, target=1, preset="simonyan", steps=2000)
            page.until(1, "frame")
            code, out, err = ended(process, number)
    assert (code, out) == (0, "")
    assert err.endswith("Ctrl-C ends it.\n")


def test_it_can_be_ended_while_the_model_is_still_being_looked_at():
    """The first explanation, of a grey picture, begins before the address is printed."""
    process = begun("--port", "0")
    assert re.fullmatch(ADDRESS, process.stdout.readline())
    code, out, err = ended(process)
    assert (code, out, err) == (0, "", "Ctrl-C ends it.\n")


class _Texts:
    """A client of websockets as the tests' pages use one."""

    def __init__(self, socket):
        self.send_text, self.receive_text = socket.send, socket.recv


def test_models_stand_side_by_side():
    process = begun(*TINY, "--model", "nets.tiny:make_flat", "--input-size", "28", "--port", "0")
    try:
        found = re.fullmatch(ADDRESS, process.stdout.readline())
        assert found
    finally:
        code, _, _ = ended(process)
    assert code == 0


@pytest.mark.parametrize(("arguments", "said"), [
    (("no-such-photo.jpg",), "does not exist"),
    (("--model", "nets.tiny:nothing"), "nothing"),
    ((*TINY, "--model", "nets.tiny:make_flat", "--weights", "a.pth"), "--weights"),
    ((*TINY, "--labels", "a.txt", "--labels", "b.txt"), "--labels"),
    ((*TINY, "--host", "no.such.host.invalid"), "no.such.host.invalid"),
    ((*TINY, "--host", "192.0.2.1"), "192.0.2.1"),
    ((*TINY, "--port", "70000"), "70000"),
])  # fmt: skip
def test_what_does_not_fit_is_said_before_anything_is_served(arguments, said):
    process = begun(*arguments)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert said in err
    assert "Traceback" not in err


def test_a_port_that_is_taken():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match="--port 0"):
            bound("127.0.0.1", port)


def test_the_next_free_port_is_taken_where_none_was_asked_for(monkeypatch):
    from seewhy.app import serving

    first = bound("127.0.0.1", 0)
    taken = first.getsockname()[1]
    monkeypatch.setattr(serving, "USUAL_PORT", taken)
    second = bound("127.0.0.1", None)
    assert second.getsockname()[1] != taken
    first.close()
    second.close()


@pytest.mark.parametrize(("host", "shown"), [
    ("127.0.0.1", "http://127.0.0.1:5/?token=t"), ("::1", "http://[::1]:5/?token=t"),
    ("0.0.0.0", "http://localhost:5/?token=t"), ("box.local", "http://box.local:5/?token=t"),
])  # fmt: skip
def test_addresses(host, shown):
    assert address(host, 5, "t") == shown


def test_without_the_extra_it_says_what_to_install(seewhy_command, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, out, err = seewhy_command("app", "--no-browser")
    assert (code, out) == (2, "")
    assert 'pip install "seewhy[app]"' in err


def test_help_needs_neither_torch_nor_a_server():
    program = (
        "import sys; from seewhy.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'starlette', 'uvicorn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **OWN})
    assert "app" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_a_reader_that_does_not_read_is_left_and_nobody_else_notices(folder, monkeypatch):
    monkeypatch.setattr(outbox.Outbox.__init__, "__defaults__", (20, outbox.MOST_BYTES))
    monkeypatch.setattr(connection, "PARTING", 0.2)
    live = Live([classifier()], folder)
    with listening(live) as running:
        slow = socket.create_connection(("127.0.0.1", running.port))
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(
            f"GET /live HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nOrigin: {running.base}\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Cookie: {running.cookie}\r\n\r\n".encode()
        )
        work, done = live.work, []
        monkeypatch.setattr(live, "work", lambda job, asked: done.append(work(job, asked)))
        wait_for(lambda: live.pages == 1)
        for id in range(2000):  # answers of 4 kB and more that nobody takes; a newer question would cancel an older one
            slow.sendall(frame({"type": "channels", "id": id, "photo": "p1", "model": 0, "layer": "0", "count": 8}))
            wait_for(lambda id=id: len(done) > id or live.pages == 0)
            if live.pages == 0:
                break
        with running.socket() as one:
            page = Page(_Texts(one))
            assert page.ask(type="explain", id=1, photo="p1", model=0)[-1]["type"] == "done"
            wait_for(lambda: not live._running)
            assert page.ask(type="channels", id=2, photo="p2", model=0)[-1]["type"] == "done"
        wait_for(lambda: live.pages == 0)
        slow.close()
    assert live.close(20)


def frame(message):
    """A masked text frame, as a browser sends it."""
    content = json.dumps(message).encode()
    assert len(content) < 126
    return bytes([0x81, 0x80 | len(content), 0, 0, 0, 0]) + content


def wait_for(condition):
    done = threading.Event()
    for _ in range(2000):
        if condition():
            return True
        done.wait(0.01)
    raise AssertionError("it did not come to that")


def test_a_message_that_is_too_long_closes_that_page_alone(running):
    with running.socket() as one, running.socket() as other:
        page = Page(_Texts(one))
        Page(_Texts(other))
        other.send("x" * (connection.MOST_MESSAGE + 1))
        with pytest.raises(ConnectionClosed):
            other.recv(timeout=20)
        assert page.ask(type="channels", id=2, photo="p2", model=0)[-1]["type"] == "done"


def test_clients_that_vanish_leave_nothing_running(running, live):
    for _ in range(5):
        one = running.socket(legacy=True)
        page = Page(_Texts(one))
        page.send(type="ascend", id=1, model=0, target=1, preset="simonyan", steps=2000)
        page.until(1, "frame")
        one.socket.shutdown(socket.SHUT_RDWR)
        wait_for(lambda: not live._running)
    upload = socket.create_connection(("127.0.0.1", running.port))
    upload.sendall(
        f"POST /photos HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nOrigin: {running.base}\r\n"
        f"Cookie: {running.cookie}\r\nContent-Length: 100000\r\n\r\nhalf".encode()
    )
    place = Path(live.photos._place.name)
    wait_for(lambda: list(place.iterdir()))
    upload.close()
    wait_for(lambda: not list(place.iterdir()))
    assert running.client.get("/photos/p1/thumb").status_code == 200


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_it_ends_well_while_a_page_is_just_leaving(running):
    """And tells the others."""
    with running.socket() as leaving, running.socket() as other:
        assert json.loads(leaving.recv())["type"] == json.loads(other.recv())["type"] == "hello"
        connections, left = running.running.server_state.connections, threading.Event()

        def leave():
            port = leaving.socket.getsockname()[1]
            (own,) = [each for each in connections if each.transport.get_extra_info("peername")[1] == port]
            own.conn.send_close(1001)  # as the answer to a farewell of the page, before the line is cut
            left.set()

        running.running._loop.call_soon_threadsafe(leave)
        assert left.wait(20)
        running.running.end()
        with pytest.raises(ConnectionClosed) as closed:
            other.recv(20)
        assert closed.value.rcvd.code == 1012


def test_only_so_many_pages_are_open_at_once(running, monkeypatch):
    from seewhy.app import server

    monkeypatch.setattr(server, "MOST_PAGES", 1)
    with running.socket() as one:
        Page(_Texts(one))
        with running.socket() as two, pytest.raises(ConnectionClosed) as closed:
            two.recv(timeout=20)
        assert closed.value.rcvd.code == 1013
    wait_for(lambda: running.live.pages == 0)
    with running.socket() as three:
        Page(_Texts(three))


def test_asleep_while_nothing_happens(running, monkeypatch):
    """The event loop is woken by nobody, and no thread looks for work."""
    with running.socket() as one:
        page = Page(_Texts(one))
        page.ask(type="explain", id=1, photo="p1", model=0, methods=["cam"])
        loop = running.running._loop
        turns = []
        original = loop._selector.select
        monkeypatch.setattr(
            loop._selector, "select", lambda timeout=None: (turns.append(timeout), original(timeout))[1]
        )
        loop.call_soon_threadsafe(lambda: None)
        wait_for(lambda: turns)
        begun = len(turns)
        threading.Event().wait(1.0)
        assert len(turns) - begun <= 3, turns


def test_memory_is_flat_over_many_explanations(client, live, page):
    """By counts: after the caches are full, no explanation leaves an object behind."""

    def many(first, number):
        for id in range(first, first + number):
            photo = client.post("/photos", content=png(id), headers={"x-name": "a"}).json()["id"]
            last = page.ask(type="explain", id=id, photo=photo, model=0, methods=["grad_cam", "saliency"])[-1]
            assert last["type"] == "done"
        gc.collect()
        everything = gc.get_objects()
        return sum(issubclass(type(each), torch.Tensor) for each in everything), len(everything)

    from seewhy.app import photos

    photos_kept, photos.MOST_UPLOADS = photos.MOST_UPLOADS, 5
    try:
        many(0, 12)
        tensors, objects = many(12, 5)
        later = many(17, 25)
    finally:
        photos.MOST_UPLOADS = photos_kept
    assert later[0] <= tensors + 5
    assert later[1] <= objects + 1000
