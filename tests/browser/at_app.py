"""What a test does on the live page, and what it sees of it."""

import json
from contextlib import contextmanager

from browser.looking import until

APP = "document.querySelector('seewhy-app')"
WHAT_IF = "document.querySelector('seewhy-what-if')"
VIEWER = "document.querySelector('seewhy-viewer')"
IDLE = f"{APP}.running.size === 0 && {APP}.uploading === 0"


def arrived(page, served):
    """The page, as the address in the terminal opens it."""
    page.guard.allow(served.origin)
    page.goto(served.address)
    until(page, f"{APP}?.hello")
    return page


def explained(page, name=None, views=7):
    """When all maps of a photo are there; the photo that was chosen last, or one by its name."""
    named = "true" if name is None else f"{APP}.photo?.name === {json.dumps(name)}"
    until(page, f"{named} && {APP}.explanation && {IDLE} && {VIEWER}?.panes.length >= {views}", seconds=60)


def tab(page, name):
    page.get_by_role("group", name="What to look at").get_by_role("button", name=name).click()


def choose(page, name):
    """A photo of the rail."""
    page.locator("seewhy-rail button.photo", has_text=name).first.click()
    explained(page, name)


@contextmanager
def heard(page):
    """The messages that the server sends from here on, as they come."""
    found = []

    def hear(payload):
        found.append(json.loads(payload))

    sockets = []
    page.on("websocket", lambda socket: (sockets.append(socket), socket.on("framereceived", hear)))
    yield found


def shown(message):
    """The views of an ``explained``: id -> view."""
    return {view["id"]: view for view in message["explanation"]["targets"][0]["views"]}
