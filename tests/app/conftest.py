"""A server of the live page with one small model and a folder of three photos."""

import pytest
from pages import classifier, entered, listening, opened, png

from seewhy.app.live import Live
from seewhy.app.photos import FolderPhoto


@pytest.fixture
def folder(tmp_path):
    """Two photos of known classes and one that is none."""
    found = []
    for number, truth in enumerate(("red", "green")):
        path = tmp_path / truth / f"photo-{number}.png"
        path.parent.mkdir()
        path.write_bytes(png(number))
        found.append(FolderPhoto(str(path), path.name, (truth, truth)))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    return [*found, FolderPhoto(str(broken), broken.name)]


@pytest.fixture
def live(folder):
    made = Live([classifier()], folder)
    yield made
    made.close(20)


@pytest.fixture
def client(live):
    with entered(live) as client:
        yield client


@pytest.fixture
def page(client):
    with opened(client) as page:
        yield page


@pytest.fixture
def running(live):
    with listening(live) as running:
        yield running
