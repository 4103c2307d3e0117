"""One self-contained page for a run: it needs no network, no script and no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import numpy as np
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from PIL import Image

from seewhy.legible import in_one_line
from seewhy.pictures.cells import percentage
from seewhy.pictures.colormaps import Kind, number, table
from seewhy.pictures.panels import ErrorPanel, MapPanel, PicturePanel, enlarge
from seewhy.report.entries import PhotoEntry, RunInfo

LONGEST = 448  # pixels of a picture's longer side: two for each point of a card
STOPS = 24


def render_report(entries: Sequence[PhotoEntry], *, run: RunInfo) -> str:
    """The page as text, to be written as UTF-8.

    Every text is escaped, and so are control characters in it; pictures are embedded as JPEG. Photos that failed are
    shown with their error.

    Args:
        entries: the photos, in the order in which they are shown; may be empty.
        run: what they have in common.
    """
    page = _template().render(entries=entries, run=run, scales={k: _gradient(k) for k in KINDS})
    return page.encode("utf-8", "replace").decode("utf-8")  # a path may hold bytes that are no UTF-8


KINDS: tuple[Kind, ...] = ("sequential", "diverging")


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.globals.update(picture=_picture, is_error=_is_error, is_map=_is_map, alt=_alt)
    environment.filters.update(percentage=percentage, number=number, one_line=in_one_line)
    return environment.from_string(files("seewhy.report").joinpath("report.html.j2").read_text("utf-8"))


LONGEST_TEXT = 10_000
"""Characters of any one text in the page: a hostile label may be a megabyte long, and stands in it many times."""


def _shown(value: object) -> object:
    """Every text of the page: no character in it acts, not even after it was escaped for HTML."""
    return in_one_line(value, LONGEST_TEXT) if isinstance(value, str) and not isinstance(value, Markup) else value


def _picture(shown: Image.Image | MapPanel | PicturePanel) -> dict[str, object]:
    """The attributes of an ``img``: src, width, height."""
    width, height = shown.size
    factor = LONGEST / max(width, height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    image = enlarge(shown, size) if isinstance(shown, Image.Image) else shown.picture(size)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90, subsampling=0)  # thin coloured lines need their full colour
    source = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return {"src": source, "width": size[0], "height": size[1]}


def _alt(panel: MapPanel | PicturePanel, target: str) -> str:
    """What a picture shows, for people who do not see it."""
    if isinstance(panel, PicturePanel):
        return f"{panel.title} for {target}"
    values = panel.values
    strongest = np.abs(values).reshape(-1, *values.shape[-2:]).max(axis=0)
    if not strongest.any():
        return f"{panel.title} map for {target}: all zero"
    row, column = np.unravel_index(int(strongest.argmax()), strongest.shape)
    across = ("left", "middle", "right")[int(3 * column / strongest.shape[1])]
    down = ("top", "centre", "bottom")[int(3 * row / strongest.shape[0])]
    return f"{panel.title} map for {target}: strongest at the {down} {across}; scale {panel.scale.label}"


def _gradient(kind: Kind) -> str:
    colours = table(kind)
    at = np.linspace(0, len(colours) - 1, STOPS + 1).round().astype(int)
    return ",".join(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in colours[at].tolist())


def _is_error(panel: object) -> bool:
    return isinstance(panel, ErrorPanel)


def _is_map(panel: object) -> bool:
    return isinstance(panel, MapPanel)
