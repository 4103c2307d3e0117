"""The page of an audit: one HTML file that holds everything it needs. Without scripts it can be read as a whole; with
them its photos open in the viewer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment

from ... import events
from ...legible import in_one_line
from ...models import Classifier
from ...pictures.cells import percentage
from ...results.viewed import data_uri
from ...viewer.page import assemble
from ..eye import Eye
from ..finding import Finding
from ..passing.rows import Rows
from ..result import Audit
from . import tables
from .axis import points
from .example_shown import example_shown
from .mean_maps import MeanMap, MeanMaps
from .opened import Opened
from .page_pictures import MOST_PICTURES, Picture, Pictures
from .templating import LONGEST_TEXT, environment
from .told import USUAL, told

FILE = "audit.html"
STRIP = 8
"""Photos of a finding that are shown."""
ERRORS = 24
"""Photos of the errors that are shown."""
MOST_CLASSES = 30
"""Rows of the table of classes that are not folded."""


def render(
    audit: Audit,
    root: str | os.PathLike[str],
    classifier: Classifier,
    *,
    folder: str | os.PathLike[str] = USUAL,
    rows: Rows | None = None,
    pictures: Pictures | None = None,
) -> str:
    """The page as text, to be written as UTF-8.

    It asks for no other file, under a policy that lets in its own script, style sheet and pictures that it holds. Every
    text from outside is made legible and escaped. A photo that can no longer be read is said to be so.

    Args:
        audit: what was found.
        root: the folder of the photos.
        classifier: the model, which tells what it sees of photos.
        folder: where the audit is kept, for the commands that the page names.
        rows: of the pass, for the mean maps; None: there are none.
        pictures: of photos that were read before.
    """
    root = Path(root)
    labels = _labels(audit.model)
    shown = _Shown(pictures or Pictures(Eye(classifier, root)), Opened(classifier, root, labels))
    means = None if rows is None else MeanMaps(rows, labels, classifier.input_size)
    numbered = list(enumerate(audit.findings, 1))
    proven = [each for each in numbered if each[1].state == "proven"]
    others = [each for each in numbered if each[1].state != "proven"]
    # What is looked at first opens, where not all photos can.
    places = root, Path(folder)
    first = [_finding(*each, audit, places, shown, means) for each in proven]
    errors = [{**each, "picture": shown.error(each)} for each in tables.errors(audit.photos, ERRORS)]
    later = [_finding(*each, audit, places, shown, means) for each in others]
    groups = tables.groups(audit.findings)
    folded = [
        (name, title, some)
        for name, title in (("too_few", "Too few photos to tell"), ("not_proven", "Looked at, and not proven"))
        if (some := [each for each in later if each["finding"].state == name])
    ]
    return document(
        "audit.html", f"Audit of {root.name or root}", later=shown.opened.blocks.items(),
        audit=audit, photos=audit.photos, headline=audit.headline, root=str(root), counts=_counts(audit),
        errors=errors, error_count=_error_count(audit.photos), proven=first, folded=folded,
        groups=groups, **crossed_and_classes(audit.photos),
        contents=_contents(audit, len(proven), len(groups), folded),
    )  # fmt: skip


def document(
    template: str, title: str, *, later: Any = (), refresh: int | None = None, mark: str | None = None, **given: Any
) -> str:
    """A page of one of the templates.

    Args:
        template: its name.
        title: of the page.
        later, refresh, mark: see ``assemble``.
        given: what the template writes.
    """
    room = files("seewhy.auditing.pages")
    body = _environment().get_template(template).render(percentage=percentage, **given)
    page = assemble(
        in_one_line(title, LONGEST_TEXT), body, start=None, later=later, styles=("viewer", "report"),
        modules=[room.joinpath("js/audit.js").read_text("utf-8")],
        sheets=[room.joinpath("templates/audit.css").read_text("utf-8")], refresh=refresh, mark=mark,
    )  # fmt: skip
    return page.encode("utf-8", "replace").decode("utf-8")


def crossed_and_classes(photos: Mapping[str, Any]) -> dict[str, Any]:
    """What the templates write of classes, and of what is taken for what."""
    crossed, pairs = tables.confused(photos)
    return {
        "crossed": crossed, "pairs": pairs, "classes": tables.classes(photos), "most_classes": MOST_CLASSES,
    }  # fmt: skip


def photo_counts(photos: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(what is counted, the number, what is said beside it)."""
    count, accuracy = photos["count"], photos["accuracy"]
    return [
        (f"photo{'' if count == 1 else 's'}", f"{count:,}", ""),
        ("with a known class", f"{photos['labelled']:,}", ""),
        ("of these right", "–" if accuracy is None else percentage(accuracy), ""),
    ]


class _Shown:
    """The pictures of one page, and which of them open; as many as a page may hold."""

    def __init__(self, pictures: Pictures, opened: Opened):
        self._pictures, self.opened = pictures, opened
        self._left = MOST_PICTURES - ERRORS

    def of(self, finding: Finding) -> list[Picture]:
        """The photos of a finding, each with the map of its class."""
        found = self._pictures.of(finding.carriers[: min(STRIP, self._left)])
        self._left -= len(found)
        return [self._opening(each, [finding.class_name]) for each in found]

    def example(self, finding: Finding) -> dict[str, Any] | None:
        """One photo of another class, beside which it is shown under what was found."""
        example = example_shown(finding)
        if example is None or self._left < 1:
            return None
        (found,) = self._pictures.of([example["path"]])
        self._left -= 1
        return {**example, "photo": self._opening(found, [finding.class_name])}

    def error(self, about: Mapping[str, Any]) -> Picture:
        """A photo that is taken for another class, with the maps of both."""
        (found,) = self._pictures.of([str(about["path"])])
        return self._opening(found, [about["called"], about["class"]], about["class"])

    def _opening(self, picture: Picture, classes: Sequence[str | None], truth: str | None = None) -> Picture:
        return picture if picture.uri is None else picture.opening(self.opened.of(picture.path, classes, truth))


def _finding(
    number: int, finding: Finding, audit: Audit, places: tuple[Path, Path], shown: _Shown, means: MeanMaps | None
) -> dict[str, Any]:
    about = told(number, finding, audit.model.get("spec"), *places)
    about |= {
        "pictures": shown.of(finding), "mean": _drawn(None if means is None else means.of(finding)),
        "example": shown.example(finding),
    }  # fmt: skip
    events.progress(number, len(audit.findings))
    return about


def _drawn(mean: MeanMap | None) -> dict[str, Any] | None:
    """A mean map for the template."""
    if mean is None:
        return None
    width, height = mean.image.size
    return {"uri": data_uri(mean.image, 80), "width": width, "height": height, "count": mean.count}


def _counts(audit: Audit) -> list[tuple[str, str, str]]:
    proven = [each for each in audit.findings if each.state == "proven"]
    suspected = sum(each.suspected_shortcut for each in proven)
    return [
        *photo_counts(audit.photos),
        (f"finding{'' if len(proven) == 1 else 's'} proven", f"{len(proven)}", f"of {len(audit.findings)}"),
        (f"suspected shortcut{'' if suspected == 1 else 's'}", f"{suspected}", ""),
    ]


def _error_count(photos: Mapping[str, Any]) -> str:
    """How many are wrong; empty where nobody counted."""
    if photos["accuracy"] is None:
        return ""
    return f"{round(photos['labelled'] * (1 - photos['accuracy'])):,}"


def _contents(
    audit: Audit, proven: int, groups: int, folded: Sequence[tuple[str, str, Sequence[Any]]]
) -> list[tuple[str, str, Any]]:
    """(id, title, count) of the sections that there are."""
    photos = audit.photos
    all_of_them = [
        ("proven", "Proven", proven, True),
        ("errors", "Errors", _error_count(photos), bool(photos.get("errors"))),
        ("confusion", "What is taken for what", "", bool(photos.get("confused"))),
        ("classes", "Classes", len(photos.get("classes") or ()), bool(photos.get("classes"))),
        ("groups", "Weak groups", groups, bool(groups)),
        *((name, title, len(some), True) for name, title, some in folded),
        ("unreadable", "Unreadable", len(photos.get("unreadable") or ()), bool(photos.get("unreadable"))),
        ("notes", "Notes", "", bool(photos.get("notes"))),
    ]
    return [(id, title, count) for id, title, count, there in all_of_them if there]


def _labels(model: Mapping[str, Any]) -> dict[int, str]:
    return {int(index): str(name) for index, name in (model.get("labels") or {}).items()}


def _together(text: str) -> str:
    """With what belongs together on one line: a number and its unit, and the sides of a box."""
    return re.sub(r"(?<=\d) (?=[%×])|(?<=[\d ]×) (?=\d)", "\u00a0", str(text))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return environment(points=points, together=_together)
