"""The page of an audit: one HTML file that holds everything it needs, and runs nothing."""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from ..errors import SeewhyError
from ..legible import in_one_line, legible, message
from ..models import Classifier
from ..pictures.cells import percentage
from ..results.viewed import data_uri
from ..viewer.page import NO_ICON, stylesheet
from .eye import Eye
from .finding import Finding
from .interval import LEVELS, drawn, numbers, points
from .result import Audit

FILE = "audit.html"
STRIP = 8
"""Photos of a finding that are shown."""
MOST_PICTURES = 400
"""Pictures of a page; findings after these are told in words."""
SIDE, QUALITY = 224, 82
MOST_CLASSES = 30
"""Rows of the table of classes that are not folded."""
LONGEST_TEXT = 4000

STATES = {"proven": "Proven", "not_proven": "Not proven", "too_few": "Too few photos"}
KINDS = {
    "stamp": "Stamp or mark", "component": "Part of the photo", "global": "Property of the whole photo",
    "sensitivity": "Sensitivity", "preprocessing": "Preprocessing", "label": "Label", "duplicate": "Duplicates",
    "slice": "Weak group", "calibration": "Calibration",
}  # fmt: skip

UNITS = {
    "preprocessing": ("change of accuracy", "prepared otherwise"),
    "sensitivity": ("change of accuracy", "changed so"),
    "slice": ("difference of accuracy", "than the rest"),
    "calibration": ("what it says, less how often it is right", ""),
}
"""What an effect is of, and what the row of the drawing is called; else it is a change of a probability."""


@dataclass(frozen=True)
class Picture:
    """A carrier: its path and its pixels as the model sees them; ``uri`` is None where it cannot be read."""

    path: str
    uri: str | None = None
    error: str | None = None
    coarse: bool = False


ANSWERS = {"spurious": "answered: spurious", "real": "answered: part of the object", "unknown": "answered: not known"}
ASKED = ("stamp", "component", "global")
"""Kinds of which a person has to say whether they are part of the object."""


def render(audit: Audit, root: str | os.PathLike[str], eye: Eye | Classifier) -> str:
    """The page as text, to be written as UTF-8.

    It has no script and asks for no other file, under a policy that lets in its own style sheet and pictures that it
    holds. Every text from outside is made legible and escaped. A photo that can no longer be read is said to be so.

    Args:
        audit: what was found.
        root: the folder of the photos.
        eye: shows photos as the model sees them; a classifier where there is none yet.
    """
    shown = _Pictures(Eye(eye.classifier if isinstance(eye, Eye) else eye, root))
    findings = [_finding(number, each, audit, Path(root), shown) for number, each in enumerate(audit.findings, 1)]
    style = _style()
    page: str = _template().render(
        audit=audit, photos=audit.photos, headline=audit.headline, style=Markup(style), policy=_policy(style),
        suspected=sum(each.suspected_shortcut and each.state == "proven" for each in audit.findings),
        icon=Markup(NO_ICON), title=f"Audit of {Path(root).name or root}", root=str(root),
        proven=[each for each in findings if each["finding"].state == "proven"],
        folded=[
            (name, title, some)
            for name, title in (("too_few", "Too few photos to tell"), ("not_proven", "Looked at, and not proven"))
            if (some := [each for each in findings if each["finding"].state == name])
        ],
        classes=_classes(audit), most_classes=MOST_CLASSES, percentage=percentage,
    )  # fmt: skip
    return page.encode("utf-8", "replace").decode("utf-8")


def shell_quoted(word: str) -> str:
    r"""A word for a POSIX shell; one that holds what acts or hides, such as a line end, as bash's ``$'a\x0ab'``."""
    if legible(word) == word:
        return shlex.quote(word)
    data = os.fsencode(word)
    plain = "".join(chr(b) if 32 <= b < 127 and b not in b"'\\" else f"\\x{b:02x}" for b in data)
    return f"$'{plain}'"


class _Pictures:
    """Photos as data URIs, at most so many."""

    def __init__(self, eye: Eye):
        self._eye = eye
        self._left = MOST_PICTURES
        self._known: dict[str, Picture] = {}

    def of(self, paths: tuple[str, ...]) -> list[Picture]:
        chosen = paths[: min(STRIP, self._left)]
        self._left -= len(chosen)
        return [self._picture(path) for path in chosen]

    def _picture(self, path: str) -> Picture:
        if path not in self._known:
            try:
                image = Image.fromarray(self._eye.pixels([path])[0])
            except (SeewhyError, OSError, ValueError) as error:
                self._known[path] = Picture(path, error=message(error))
            else:
                coarse = max(image.size) < 112
                image.thumbnail((SIDE, SIDE))
                self._known[path] = Picture(path, data_uri(image, QUALITY), coarse=coarse)
        return self._known[path]


def _finding(number: int, finding: Finding, audit: Audit, root: Path, shown: _Pictures) -> dict[str, Any]:
    box = _box(finding)
    of = "" if finding.class_name is None else f" of {finding.class_name}"
    unit, measured = UNITS.get(finding.kind, (f"change of the probability{of}", "put into photos"))
    return {
        "unit": unit, "measured": measured,
        "number": number, "finding": finding, "state": STATES[finding.state], "kind": KINDS[finding.kind],
        "sentence": finding.sentence[:1].upper() + finding.sentence[1:], "drawing": drawn(finding),
        "box": box, "place": None if box is None else _place(*box), "pictures": shown.of(finding.carriers),
        "commands": _commands(finding, audit, root, box),
        "interval": None if finding.ci is None else f"{points(finding.ci[0])} to {points(finding.ci[1])}",
        "levels": numbers(finding.controls) if finding.kind in LEVELS else {},
        "why": str(finding.detail.get("why") or ""), "answer": ANSWERS.get(finding.answer or ""),
        "outlined": finding.kind == "stamp" and not (finding.transform or {}).get("moving"),
        "quoted": shell_quoted(finding.id),
        "asked": finding.state == "proven" and finding.answer is None and finding.kind in ASKED,
    }  # fmt: skip


def _box(finding: Finding) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """((top, left, height, width), (height, width) of what the model sees); None where there is no region."""
    try:
        box, of = (tuple(map(float, finding.region[key])) for key in ("box", "of"))  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        return None
    return (box, of) if len(box) == 4 and len(of) == 2 and min(of) > 0 else None


def _place(box: tuple[float, ...], of: tuple[float, ...]) -> str:
    """Where a box lies, in words."""
    top, left, height, width = box
    down = ("top", "middle", "bottom")[min(int(3 * (top + height / 2) / of[0]), 2)]
    across = ("left", "centre", "right")[min(int(3 * (left + width / 2) / of[1]), 2)]
    share = percentage(height * width / (of[0] * of[1]))
    return f"{down} {across}, {share} of what the model sees"


def _commands(finding: Finding, audit: Audit, root: Path, box: Any) -> list[str]:
    if not finding.carriers:
        return []
    path = str(root / finding.carriers[0])
    path = shell_quoted(f"./{path}" if path.startswith("-") else path)
    model = shell_quoted(str(audit.model.get("spec") or "MODEL"))
    target = "" if finding.class_name is None else f" --target {shell_quoted(finding.class_name)}"
    commands = [f"seewhy explain {path} --model {model}{target}"]
    if box is not None:
        corner = ",".join(str(round(each)) for each in box[0])
        commands.insert(0, f"seewhy what-if {path} --box {corner} --model {model}{target}")
    return commands


def _classes(audit: Audit) -> list[tuple[str, int, float]]:
    known = audit.photos.get("classes") or {}
    rows = [(str(name), int(each["photos"]), float(each["accuracy"])) for name, each in known.items()]
    return sorted(rows, key=lambda row: (row[2], -row[1], row[0]))


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def _style() -> str:
    own = files("seewhy.auditing").joinpath("templates/audit.css").read_text("utf-8")
    return stylesheet("viewer") + own


def _legible(value: Any) -> Any:
    return in_one_line(value, LONGEST_TEXT) if isinstance(value, str) and not isinstance(value, Markup) else value


@lru_cache(maxsize=1)
def _template() -> Any:
    loader = PackageLoader("seewhy.auditing", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, finalize=_legible, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["points"] = points
    return environment.get_template("audit.html")
