"""A page that may not complain and may not call anybody: whatever it does beside that fails the test."""

import re
from contextlib import contextmanager
from urllib.parse import urlsplit

LOCAL = ("file", "data", "blob", "about")
"""Schemes of what a page has without a network."""


class Guard:
    """What the pages of a browser context did that they may not do.

    Args:
        origins: of servers that may be asked, such as "http://127.0.0.1:8765"; their WebSockets too.

    Attributes:
        complaints: a line each.
    """

    def __init__(self, context, origins=()):
        self.complaints = []
        self._expected = []
        self._origins = {_origin(each) for each in origins}
        context.on("page", self._listen)
        context.on("console", self._hear)
        context.on("weberror", lambda event: self._complain(f"uncaught error: {event.error}"))
        context.on("request", lambda request: self._look_at(request.url))

    def allow(self, origin):
        """A server's origin, for one that is started after the page was opened."""
        self._origins.add(_origin(origin))

    def expect(self, pattern):
        """A complaint that is part of the test, such as Chromium's line on an upload that was refused; it must come."""
        self._expected.append(re.compile(pattern))

    def check(self):
        """Raises AssertionError where there was a complaint that was not expected, or an expected one did not come."""
        for pattern in self._expected:
            assert any(map(pattern.search, self.complaints)), f"no complaint of the page matches {pattern.pattern!r}"
        left = [line for line in self.complaints if not any(pattern.search(line) for pattern in self._expected)]
        assert not left, "the page complained:\n" + "\n".join(left)

    def watch(self, page):
        """The console tells of most violations of a policy, and this of all, also where the page catches the error."""
        session = page.context.new_cdp_session(page)
        session.on("Audits.issueAdded", self._read)
        session.send("Audits.enable")

    def _listen(self, page):
        page.on("crash", lambda _: self._complain("the page crashed"))
        page.on("websocket", lambda socket: self._look_at(socket.url))

    def _hear(self, message):
        if message.type in ("error", "warning"):
            self._complain(f"console {message.type}: {message.text}")

    def _look_at(self, url):
        if urlsplit(url).scheme not in LOCAL and _origin(url) not in self._origins:
            self._complain(f"external request: {url}")

    def _read(self, event):
        issue = event["issue"]
        if issue["code"] == "ContentSecurityPolicyIssue":
            about = issue["details"]["contentSecurityPolicyIssueDetails"]
            self._complain(f"content security policy: {about['violatedDirective']} {about.get('blockedURL', 'inline')}")

    def _complain(self, line):
        self.complaints.append(line)


@contextmanager
def guarded(browser, *, origins=(), **context):
    """A page in a browser context of its own; ``page.guard`` is its ``Guard``.

    Args:
        origins: see ``Guard``.
        context: of Playwright's ``new_context``, such as ``offline=True``, ``viewport=``, ``color_scheme="dark"``.

    Raises:
        AssertionError: at the end, where a page of the context complained.
    """
    opened = browser.new_context(**context)
    opened.set_default_timeout(20_000)
    guard = Guard(opened, origins)
    try:
        page = opened.new_page()
        page.guard = guard
        guard.watch(page)
        yield page
        for each in opened.pages if context.get("java_script_enabled", True) else ():  # without, no timer ends
            each.evaluate("() => new Promise((done) => setTimeout(done))")  # what is under way is told
        guard.check()
    finally:
        opened.close()


def _origin(url):
    """Scheme, host and port; of a WebSocket those of the page that may open it."""
    parts = urlsplit(url)
    return {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme), parts.hostname, parts.port
