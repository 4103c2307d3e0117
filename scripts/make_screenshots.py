"""Takes the screenshots of README and docs anew: python scripts/make_screenshots.py [PAGE...]

Each page is opened in Chromium at the widths of a phone, a laptop and a wide screen, in light and in dark. A page that
writes to the console, or asks for anything outside of this machine, is not photographed: that is an error.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
MOST_BYTES = 200_000
sys.path.insert(0, str(ROOT / "tests"))  # the same Chromium, and the same guard, as the tests'

from browser.chromium import executable, running  # noqa: E402
from browser.guard import guarded  # noqa: E402


@dataclass(frozen=True)
class Screen:
    """Width and height in CSS pixels, and how many of its own pixels one of these has."""

    width: int
    height: int
    density: float


SCREENS = {"phone": Screen(390, 844, 3), "laptop": Screen(1280, 800, 2), "wide": Screen(1920, 1080, 1)}
SCHEMES = ("light", "dark")


@dataclass(frozen=True)
class Shown:
    """A page that can be opened.

    Attributes:
        address: of the page.
        origins: of servers that it may ask.
        ready: brings an opened page to where it is photographed.
        screens, schemes: the pictures that are taken of it.
    """

    address: str
    origins: tuple[str, ...] = ()
    ready: Callable[[Any], None] = lambda page: None
    screens: tuple[str, ...] = tuple(SCREENS)
    schemes: tuple[str, ...] = SCHEMES


@contextmanager
def report() -> Iterator[Shown]:
    """The report of the example photos, as ``seewhy explain`` writes it."""
    photos = sorted(path for path in (ROOT / "examples" / "photos").iterdir() if path.suffix != ".md")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "seewhy", "explain", *photos, "--output-dir", f"{folder}/run"]
        subprocess.run([*command, "--no-figure"], check=True)
        yield Shown(Path(folder, "run", "report.html").as_uri())


def live(ready: Callable[[Any], None], **which: Any) -> Callable[[], AbstractContextManager[Shown]]:
    """The live page with the example photos, at one of its parts."""

    @contextmanager
    def served() -> Iterator[Shown]:
        command = [sys.executable, "-m", "seewhy", "app", str(ROOT / "examples" / "photos"), "--port", "0"]
        with subprocess.Popen([*command, "--no-browser"], stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            try:
                yield Shown(address, (address.partition("/?")[0],), ready, **which)
            finally:
                server.terminate()

    return served


def _explained(page: Any) -> None:
    page.locator("seewhy-pane[data-view=occlusion] .ends").first.wait_for()
    page.locator("seewhy-app[data-busy=false]").wait_for(timeout=120_000)


def _what_if(page: Any) -> None:
    _explained(page)
    page.get_by_role("button", name="What if?").click()
    page.get_by_role("button", name="Disc").click()
    stage = page.locator("seewhy-what-if .stage").first
    box = stage.bounding_box()
    for across, down in ((0.66, 0.4), (0.28, 0.42)):
        stage.hover(position={"x": box["width"] * across, "y": box["height"] * down})
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * across, box["y"] + box["height"] * down)
        page.mouse.up()
        page.wait_for_timeout(1000)
        page.get_by_role("button", name="Pin this").click()


def _channels(page: Any) -> None:
    _explained(page)
    page.get_by_role("button", name="Channels").click()
    page.locator("seewhy-channels .tile").nth(11).wait_for()


def _ascent(page: Any) -> None:
    _explained(page)
    page.get_by_role("button", name="Class picture", exact=True).click()
    page.get_by_role("button", name="Start", exact=True).click()
    page.locator("main > seewhy-ascent .said", has_text=re.compile("Step 1[5-9][0-9] ")).wait_for(timeout=300_000)


_ONE: dict[str, Any] = {"screens": ("laptop",), "schemes": ("light",)}

PAGES: dict[str, Callable[[], AbstractContextManager[Shown]]] = {
    "report": report,
    "app": live(_explained),
    "app-what-if": live(_what_if, **_ONE),
    "app-channels": live(_channels, screens=("laptop",), schemes=("dark",)),
    "app-ascent": live(_ascent, **_ONE),
}
"""By the names of their pictures."""


def main(names: list[str]) -> None:
    FIGURES.mkdir(parents=True, exist_ok=True)
    with running(executable()) as browser:
        for name in names or PAGES:
            with PAGES[name]() as shown:
                for screen in shown.screens:
                    for scheme in shown.schemes:
                        path = FIGURES / f"{name}-{screen}-{scheme}.webp"
                        path.write_bytes(small(photograph(browser, shown, SCREENS[screen], scheme)))
                        print(f"{path.name} {path.stat().st_size:,} bytes", flush=True)


def photograph(browser: Any, shown: Shown, screen: Screen, scheme: str) -> Image.Image:
    """What is on the screen when the page has come to rest."""
    how = {
        "viewport": {"width": screen.width, "height": screen.height},
        "device_scale_factor": screen.density,
        "color_scheme": scheme,
        "reduced_motion": "reduce",
    }
    with guarded(browser, origins=shown.origins, **how) as page:
        page.goto(shown.address)
        shown.ready(page)
        page.evaluate("document.fonts.ready")
        return Image.open(io.BytesIO(page.screenshot(animations="disabled", caret="hide"))).convert("RGB")


def small(picture: Image.Image) -> bytes:
    """A WebP without loss where that is small enough, else of the best quality that is."""
    for quality in (None, *range(95, 0, -5)):
        how: dict[str, Any] = {"lossless": True} if quality is None else {"quality": quality}
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", method=6, **how)
        if buffer.tell() <= MOST_BYTES:
            return buffer.getvalue()
    raise ValueError(f"{picture.size} cannot be written in {MOST_BYTES:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
