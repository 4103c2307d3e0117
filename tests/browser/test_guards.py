"""The tests in the browser see what they are there to see: a page that behaves passes, any other does not."""

import base64
import hashlib
import http.server
import threading

import pytest

from browser.axe import violations
from browser.chromium import Missing, executable
from browser.guard import guarded

STYLE = "body { color: #222; background: #fff }"
SCRIPT = "document.querySelector('p').textContent += ' ' + 6 * 7"

PICTURE = '<img alt="nothing" src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=">'


def document(body, *, script=SCRIPT, policy=True, head=""):
    """A page whose policy allows its own script and style and nothing else."""
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'" for part in (SCRIPT, STYLE)
    ]
    allowed = f"default-src 'none'; img-src data:; script-src {hashes[0]}; style-src {hashes[1]}"
    meta = f'<meta http-equiv="Content-Security-Policy" content="{allowed}">' if policy else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title>{meta}{head}'
        f"<style>{STYLE}</style></head><body><main><h1>A page</h1><p>The answer is</p>{body}</main>"
        f"<script>{script}</script></body></html>"
    )


@pytest.fixture
def saved(tmp_path):
    """Writes a page, and gives its address on disk."""

    def save(*given, **more):
        path = tmp_path / "page.html"
        path.write_text(document(*given, **more), "utf-8")
        return path.as_uri()

    return save


@pytest.fixture
def server(tmp_path):
    """The origin of a server of the folder that ``saved`` writes into; for 404 too."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given):
            super().__init__(*given, directory=tmp_path)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


def test_a_page_that_behaves_passes(page, saved):
    page.goto(saved(PICTURE))
    assert page.inner_text("p") == "The answer is 42"


def test_axe_finds_nothing_in_a_page_that_is_made_for_all(page, saved):
    page.goto(saved(PICTURE))
    assert violations(page) == []


def test_a_page_on_disk_needs_no_network(offline, saved):
    offline.goto(saved(""))
    assert offline.inner_text("p") == "The answer is 42"


BAD = {
    "an error in the console": ({"script": "console.error('oh')", "policy": False}, "console error: oh"),
    "a warning": ({"script": "console.warn('hm')", "policy": False}, "console warning: hm"),
    "an error that nobody catches": ({"script": "missing.part", "policy": False}, "uncaught error: .*missing"),
    "a promise that nobody catches": ({"script": "Promise.reject(Error('no'))", "policy": False}, "uncaught error: no"),
    "a script that the policy does not know": ({"script": "let a = 1"}, "content security policy: script-src"),
    "a policy's violation that is caught": (
        {"script": "try { eval('1') } catch {}", "head": "<meta http-equiv='Content-Security-Policy' "
         "content=\"script-src 'unsafe-inline'\">", "policy": False}, "content security policy: script-src"),
    "a picture from elsewhere": (
        {"script": "new Image().src = 'https://example.org/a.png'", "policy": False}, "external request: https://exam"),
    "a request that is not waited for": (
        {"script": "navigator.sendBeacon('https://example.org/b')", "policy": False}, "external request: https://exam"),
    "a socket to elsewhere": (
        {"script": "new WebSocket('wss://example.org/s')", "policy": False}, "external request: wss://example"),
    "another server on this machine": (
        {"script": "fetch('http://127.0.0.1:9').catch(() => 0)", "policy": False}, "external request: http://127"),
}  # fmt: skip


@pytest.mark.parametrize(("how", "said"), BAD.values(), ids=BAD)
def test_each_guard_sees_what_it_is_for(chromium, saved, how, said):
    with pytest.raises(AssertionError, match=said), guarded(chromium) as page:
        page.goto(saved("", **how))


def test_the_servers_own_requests_are_no_external_ones(open_page, saved, server):
    asking = "Promise.all(['/page.html', '/none'].map((path) => fetch(path)))"
    saved("", script=f"{asking}.then(([got]) => {{ document.title = got.status }})", policy=False)
    page = open_page(origins=[server])
    page.guard.expect("404")  # also of its favicon.ico, which a browser asks for or not
    page.goto(f"{server}/page.html")
    page.wait_for_function("document.title === '200'")


def test_a_complaint_that_is_expected_must_come(chromium, saved):
    with guarded(chromium) as page:
        page.guard.expect("console error: oh")
        page.goto(saved("", script="console.error('oh')", policy=False))
    with pytest.raises(AssertionError, match="no complaint"), guarded(chromium) as page:
        page.guard.expect("console error: oh")


@pytest.mark.parametrize("network", [True, False])
def test_offline_nothing_is_reached(open_page, saved, server, network):
    asking = f"fetch('{server}/page.html', {{mode: 'no-cors'}}).then(() => 'reached', () => 'not reached')"
    page = open_page(origins=[server], offline=not network)
    if not network:
        page.guard.expect("ERR_INTERNET_DISCONNECTED")
    page.goto(saved("", script=f"{asking}.then((said) => {{ document.title = said }})", policy=False))
    page.wait_for_function("document.title.endsWith('reached')")
    assert page.title() == ("reached" if network else "not reached")


def test_axe_sees_what_is_grave_under_a_strict_policy_and_in_frames(open_page, saved):
    page = open_page()
    page.goto(saved('<img src="data:,"><button></button>'))
    told = violations(page)
    assert any("image-alt" in line for line in told)
    assert any("button-name" in line for line in told)
    assert page.evaluate("typeof axe") == "undefined", "and the page does not see it"
    page.goto(saved("""<iframe title="f" srcdoc="<html lang='en'><title>t</title><img src='data:,'>"></iframe>"""))
    assert any("image-alt" in line for line in violations(page))


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("SEEWHY_CHROMIUM", str(tmp_path / "none"))
    with pytest.raises(Missing, match="SEEWHY_CHROMIUM"):
        executable()
