"""Which Chromium the tests run, and how it is started."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever a page asks for, nothing leaves this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


class Missing(Exception):
    """Something is not installed that the tests in the browser need; says what."""


def executable():
    """The path of a Chromium: of ``SEEWHY_CHROMIUM``, or where systems have it."""
    if given := os.environ.get("SEEWHY_CHROMIUM"):
        if not Path(given).is_file():
            raise Missing(f"no Chromium: SEEWHY_CHROMIUM is {given}, and there is no such file")
        return given
    names = ("/usr/bin/chromium", "chromium", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise Missing(f"no Chromium: none of {', '.join(names)}, and SEEWHY_CHROMIUM is not set")
    return found


@contextmanager
def running(path):
    """That Chromium, as a Playwright browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise Missing("no playwright: pip install playwright") from error
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
