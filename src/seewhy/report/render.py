"""The report of a run: the viewer over all of its photos, in one page that needs no other file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any
from urllib.parse import quote

from PIL import Image

from seewhy.errors import InputError
from seewhy.legible import in_one_line
from seewhy.pictures import percentage
from seewhy.report.entries import Failure, Item, RunInfo
from seewhy.report.means import Means
from seewhy.report.summary import Row, Summary, in_order, summed_up
from seewhy.results import Explanation
from seewhy.results.saved import figures
from seewhy.results.viewed import data_uri, viewed
from seewhy.viewer.page import assemble

THUMBNAIL = 96
"""Pixels of a thumbnail's longer side: twice what it is shown at."""

LONGEST_TEXT = 4000


def render_report(items: Iterable[Item], *, run: RunInfo, count: int | None = None) -> str:
    """The page as text, to be written as UTF-8.

    Each photo's data is a block of JSON that is read when the photo is looked at; nothing in any text acts. Photos
    whose true class is known are sorted, the wrong ones first. Nothing of an item is kept but its part of the page, so
    that items may be read one by one.

    Args:
        items: the photos; may be none.
        run: what they have in common.
        count: how many items there are; None where ``items`` has a length.
    """
    rows: list[Row] = []
    blocks: dict[int, tuple[str, Any]] = {}
    means = Means()
    for number, item in enumerate(items, 1):
        found = item.shown
        if isinstance(found, Explanation):
            try:
                blocks[number] = f"photo-{number}", {**viewed(found), "figures": _links(item)}
                rows.append(Row.of(number, found, _thumbnail(found.photo.crop)))
                means.add(found)
                continue
            except InputError as error:  # it was read, and cannot be drawn: such as one that was made up
                found = Failure(found.photo.path, str(error))
        rows.append(Row(number, found.path, error=found.error))
    summary = summed_up(rows)
    ordered = in_order(rows)
    first = [blocks.pop(row.number) for row in ordered[:1] if row.number in blocks]
    about = {
        "facts": [[_line(name), _line(text)] for name, text in _facts(run)],
        "rows": [_row(row) for row in ordered],
        "summary": None if summary is None else _summary(summary),
        "means": means.told(),
    }
    title = f"seewhy: {len(rows)} photo{'' if len(rows) == 1 else 's'}, {_line(run.model)}"
    page = assemble(
        title, _without_script(rows, run), start="start_report", blocks=[("seewhy-run", about), *first],
        later=blocks.values(),
        styles=("viewer", "report"),
    )  # fmt: skip
    return page.encode("utf-8", "replace").decode("utf-8")  # a path may hold bytes that are no UTF-8


def _without_script(rows: list[Row], run: RunInfo) -> str:
    """What the page says where scripts may not run: what was predicted, and where the figures are."""
    said = "".join(f"<li>{escape(_said(row))}</li>" for row in rows)
    what = (
        "The maps are drawn by this page's own script, which was not run here. figure.png of each photo shows them too."
    )
    return (
        f'<noscript><main><h1>Why the model decided</h1><p>{escape(_line(run.model))}</p><p>{what}</p><ul>{said}</ul>'
        "</main></noscript>"
    )  # fmt: skip


def _said(row: Row) -> str:
    if row.predicted is None:
        return f"{_line(row.path)}: {_line(row.error or 'not explained')}"
    truth = f", truly {row.truth}" if row.right is False else ""
    return f"{_line(row.path)}: {_line(row.predicted)} {percentage(row.probability)}{_line(truth)}"


def _facts(run: RunInfo) -> Iterable[tuple[str, str]]:
    yield from (("Model", run.model), ("Weights", run.weights), ("Command", run.command), ("Date", run.date))
    yield "seewhy", run.version
    yield from run.facts.items()


def _row(row: Row) -> dict[str, Any]:
    known = row.predicted is not None and row.probability == row.probability
    return {
        "number": row.number,
        "name": _line(row.path.replace("\\", "/").rstrip("/").rpartition("/")[2] or row.path),
        "path": _line(row.path),
        "predicted": None if row.predicted is None else _line(row.predicted),
        "probability": row.probability if known else None,
        "truth": None if row.truth is None else _line(row.spelled or row.truth),
        "right": row.right,
        "thumbnail": row.thumbnail,
        "error": None if row.error is None else _line(row.error),
    }


def _summary(summary: Summary) -> dict[str, Any]:
    return {
        "right": summary.right,
        "known": summary.known,
        "classes": [_line(name) for name in summary.classes],
        "table": [list(line) for line in summary.table],
        "confused": [[_line(truth), _line(predicted), count] for truth, predicted, count in summary.confused],
    }


def _thumbnail(crop: Image.Image) -> str:
    small = crop.convert("RGB")
    small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return data_uri(small, 60)


def _line(text: str) -> str:
    return in_one_line(text, LONGEST_TEXT)


def _links(item: Item) -> Mapping[str, str]:
    """The key of a target -> its figure in full, relative to the report."""
    if not item.folder or not isinstance(item.shown, Explanation):
        return {}
    return {found.key: f"./{_quoted(item.folder)}/{_quoted(name)}" for name, found in figures(item.shown).items()}


def _quoted(name: str) -> str:
    return quote(name, safe="", errors="surrogateescape")  # a name may hold bytes that are no UTF-8
