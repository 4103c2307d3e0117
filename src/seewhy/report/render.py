"""One self-contained page for a run: it needs no network, no script and no other file."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from PIL import Image

from seewhy.errors import InputError
from seewhy.legible import in_one_line
from seewhy.pictures.cells import percentage
from seewhy.pictures.colormaps import Kind, Scale, number
from seewhy.pictures.notebook import encoded
from seewhy.pictures.panels import MapPanel, PicturePanel, colour_bar, enlarge
from seewhy.report.entries import Failure, Item, RunInfo
from seewhy.report.summary import Row, in_order, summed_up
from seewhy.results import Explained, Explanation, View
from seewhy.results.drawing import panel_of
from seewhy.results.readable import readable
from seewhy.results.saved import figures

SIZES = ((10, 448, 80), (50, 224, 75))
"""(photos, pixels, quality): of so many photos at most, a picture's longer side and how well it is encoded."""
SMALLEST = (160, 60)
"""Of more photos: the pictures in full lie beside the report."""
THUMBNAIL = 64

Pictured = Callable[[Any], dict[str, object]]


def render_report(items: Iterable[Item], *, run: RunInfo, count: int | None = None) -> str:
    """The page as text, to be written as UTF-8.

    Every text is escaped, and so are control characters in it; pictures are embedded, the smaller the more photos there
    are. Photos whose true class is known are sorted, the wrong ones first. Nothing of an item is kept but its part of
    the page, so that items may be read one by one.

    Args:
        items: the photos; may be none.
        run: what they have in common.
        count: how many items there are; None where ``items`` has a length.
    """
    number_of = len(items) if count is None else count  # type: ignore[arg-type]
    pictured = _pictured(number_of)
    rows: list[Row] = []
    sections: dict[int, Markup] = {}
    methods: dict[str, View] = {}
    for place, item in enumerate(items, 1):
        found = item.shown
        links = _links(item)
        try:
            section = _section(found, place, pictured, links, number_of == 1)
        except InputError as error:  # it was read, and cannot be drawn: such as one that was made up
            found = Failure(found.photo.path if isinstance(found, Explanation) else found.path, str(error))
            section = _section(found, place, pictured, {}, number_of == 1)
        if isinstance(found, Explanation):
            crop = found.photo.crop
            rows.append(Row.of(place, found, pictured(crop, THUMBNAIL)))  # type: ignore[call-arg]
            methods |= {view.id: view for each in found.targets for view in each.views.values()}
        else:
            rows.append(Row(place, found.path))
        sections[place] = section
    ordered = in_order(rows)
    page = _template("report.html.j2").render(
        run=run, rows=ordered, sections=[sections[row.number] for row in ordered], summary=summed_up(rows),
        methods=list(methods.values()), bars=_bars(),
    )  # fmt: skip
    return page.encode("utf-8", "replace").decode("utf-8")  # a path may hold bytes that are no UTF-8


def _section(
    found: Explanation | Failure, place: int, pictured: Pictured, links: Mapping[str, str], alone: bool
) -> Markup:
    """A photo's part of the page; ``alone``: with everything about its methods."""
    section: Markup = _template("photo.html.j2").module.photo(found, place, pictured, links, alone)  # type: ignore[attr-defined]
    return section


KINDS: tuple[Kind, ...] = ("sequential", "diverging")


@lru_cache(maxsize=2)
def _template(name: str) -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.globals.update(panel_of=panel_of, alt=_alt, is_failure=_is_failure, bar_class=_bar_class)
    environment.filters.update(percentage=percentage, number=number, one_line=in_one_line, readable=readable)
    return environment.from_string(files("seewhy.report").joinpath(name).read_text("utf-8"))


LONGEST_TEXT = 10_000
"""Characters of any one text in the page: a hostile label may be a megabyte long, and stands in it many times."""


def _shown(value: object) -> object:
    """Every text of the page: no character in it acts, not even after it was escaped for HTML."""
    return in_one_line(value, LONGEST_TEXT) if isinstance(value, str) and not isinstance(value, Markup) else value


def _pictured(photos: int) -> Pictured:
    """What makes the attributes of an ``img``: src, width, height."""
    longest, quality = next((size[1:] for size in SIZES if photos <= size[0]), SMALLEST)

    def picture(shown: Image.Image | MapPanel | PicturePanel, side: int = longest) -> dict[str, object]:
        width, height = shown.size
        factor = side / max(width, height)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        image = enlarge(shown, size) if isinstance(shown, Image.Image) else shown.picture(size)
        return {"src": _data(image, quality), "width": size[0], "height": size[1]}

    return picture


def _data(image: Image.Image, quality: int) -> str:
    kind, data = encoded(image, quality, effort=0)
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _links(item: Item) -> Mapping[str, str]:
    """The key of a target -> its figure in full, relative to the report."""
    if not item.folder or not isinstance(item.shown, Explanation):
        return {}
    return {found.key: f"./{_quoted(item.folder)}/{_quoted(name)}" for name, found in figures(item.shown).items()}


def _quoted(name: str) -> str:
    return quote(name, safe="", errors="surrogateescape")  # a name may hold bytes that are no UTF-8


def _alt(panel: MapPanel | PicturePanel, found: Explained) -> str:
    """What a picture shows, for people who do not see it."""
    if isinstance(panel, PicturePanel):
        return f"{panel.title} for {found.name}"
    values = panel.values
    strongest = np.abs(values).reshape(-1, *values.shape[-2:]).max(axis=0)
    if not strongest.any():
        return f"{panel.title} map for {found.name}: all zero"
    row, column = np.unravel_index(int(strongest.argmax()), strongest.shape)
    across = ("left", "middle", "right")[int(3 * column / strongest.shape[1])]
    down = ("top", "centre", "bottom")[int(3 * row / strongest.shape[0])]
    return f"{panel.title} map for {found.name}: strongest at the {down} {across}; scale {panel.scale.label}"


def _bars() -> dict[str, str]:
    """The four colour bars that there are, by their class in the style sheet."""
    return {
        f"{kind}-{'fine' if fine else 'coarse'}": _data(colour_bar(Scale(0, 1, kind), fine, (256, 12)), 90)
        for kind in KINDS for fine in (False, True)
    }  # fmt: skip


def _bar_class(panel: MapPanel) -> str:
    return f"{panel.scale.kind}-{'fine' if panel.fine else 'coarse'}" if panel.scale.high else "zero"


def _is_failure(found: object) -> bool:
    return isinstance(found, Failure)
