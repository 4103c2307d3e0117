"""axe-core: what a page does wrong for people who do not see it, or use no mouse."""

import os
from pathlib import Path

import pytest

INSTALLED = Path(__file__).with_name("node_modules") / "axe-core" / "axe.min.js"
GRAVE = ("serious", "critical")
RUN = "axe.run(document, {iframes: false, resultTypes: ['violations']})"


def source():
    """The script of axe-core: of ``SEEWHY_AXE``, or what npm has installed here; without it the test is skipped."""
    path = Path(os.environ.get("SEEWHY_AXE") or INSTALLED)
    if not path.is_file():
        pytest.skip(f"no axe-core: {path} is missing; npm ci --prefix tests/browser")
    return path.read_text("utf-8")


def violations(page, impacts=GRAVE):
    """A line for each element of the page, in any of its frames, that breaks one of axe's rules gravely.

    axe runs in worlds of its own: no policy of the page forbids it, and the page cannot see it.
    """
    session, script = page.context.new_cdp_session(page), source()
    try:
        session.send("Page.enable")
        found = []
        for frame in _frames(session.send("Page.getFrameTree")["frameTree"]):
            world = session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})
            where = {"contextId": world["executionContextId"]}
            _done(session.send("Runtime.evaluate", {"expression": f"{script};0", **where}))
            answer = session.send(
                "Runtime.evaluate", {"expression": RUN, "awaitPromise": True, "returnByValue": True, **where}
            )
            found += _done(answer)["value"]["violations"]
        return [
            f"{each['impact']}: {each['id']}: {each['help']}: {node['html'][:200]} ({node['target']})"
            for each in found if each["impact"] in impacts for node in each["nodes"]
        ]  # fmt: skip
    finally:
        session.detach()


def _frames(tree):
    yield tree["frame"]["id"]
    for child in tree.get("childFrames", ()):
        yield from _frames(child)


def _done(answer):
    if (failed := answer.get("exceptionDetails")) is not None:
        raise RuntimeError(failed.get("exception", {}).get("description") or failed["text"])
    return answer["result"]
