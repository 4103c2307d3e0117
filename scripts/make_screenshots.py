"""Takes the screenshots of README and docs anew: python scripts/make_screenshots.py [PAGE...]

Each page is opened in Chromium at the widths of a phone, a laptop and a wide screen, in light and in dark. A page that
writes to the console, or asks for anything outside of this machine, is not photographed: that is an error.
"""

from __future__ import annotations

import io
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
    """

    address: str
    origins: tuple[str, ...] = ()
    ready: Callable[[Any], None] = lambda page: None


@contextmanager
def report() -> Iterator[Shown]:
    """The report of the example photos, as ``seewhy explain`` writes it."""
    photos = sorted(path for path in (ROOT / "examples" / "photos").iterdir() if path.suffix != ".md")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "seewhy", "explain", *photos, "--output-dir", f"{folder}/run"]
        subprocess.run([*command, "--no-figure"], check=True)
        yield Shown(Path(folder, "run", "report.html").as_uri())


PAGES: dict[str, Callable[[], AbstractContextManager[Shown]]] = {"report": report}
"""By the names of their pictures. The live page gets its place here, with the origin of its server."""


def main(names: list[str]) -> None:
    FIGURES.mkdir(parents=True, exist_ok=True)
    with running(executable()) as browser:
        for name in names or PAGES:
            with PAGES[name]() as shown:
                for screen in SCREENS:
                    for scheme in SCHEMES:
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
