"""A real Chromium for the tests of the pages; where there is none, they are skipped and say what is missing."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from browser.chromium import Missing, executable, running
from browser.guard import guarded
from browser.made import Served, explain_all, options, write_photos


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def chromium():
    """Of the package, not of the session: while Playwright runs, nothing else in this thread can use asyncio."""
    try:
        with running(executable()) as browser:
            yield browser
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="package")
def run(chromium, tmp_path_factory):
    """A folder that the command wrote; see ``explain_all``. Not made where there is no Chromium to look at it."""
    return explain_all(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="package")
def served(chromium, tmp_path_factory):
    """The live page of the small model, with a folder of photos, three of which it takes for another class."""
    folder = tmp_path_factory.mktemp("app")
    photos = write_photos(folder / "photos")
    with Served(photos, *options(folder)) as found:
        found.photos = photos
        yield found


@pytest.fixture
def open_page(chromium):
    """Opens guarded pages, see ``guarded``; what they complained about fails the test at its end."""
    with ExitStack() as opened:
        yield lambda **given: opened.enter_context(guarded(chromium, **given))


@pytest.fixture
def page(open_page):
    """An empty guarded page."""
    return open_page()


@pytest.fixture
def offline(open_page):
    """An empty guarded page without a network."""
    return open_page(offline=True)
