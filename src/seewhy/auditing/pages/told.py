"""A finding as the page tells it: words, numbers, the drawing of its effect, commands to check it by hand."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from ...legible import legible
from ...pictures.cells import percentage
from ..finding import Finding
from .axis import points
from .interval import LEVELS, drawn, numbers

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

ANSWERS = {"spurious": "answered: spurious", "real": "answered: part of the object", "unknown": "answered: not known"}
USUAL = Path("seewhy-audit")
"""The folder of an audit, where none is named."""
ASKED = ("stamp", "component", "global")
"""Kinds of which a person has to say whether they are part of the object."""


def to_answer(finding: Finding) -> bool:
    """Whether a person has to say of it if it is part of the object."""
    return finding.state == "proven" and finding.answer is None and finding.kind in ASKED


def told(number: int, finding: Finding, spec: Any, root: Path, folder: Path = USUAL) -> dict[str, Any]:
    """What the template writes of a finding, but for its pictures.

    Args:
        number: its place on the page.
        finding: to be told.
        spec: of the model.
        root: the folder of the photos.
        folder: of the audit.
    """
    box = _box(finding)
    of = "" if finding.class_name is None else f" of {finding.class_name}"
    unit, measured = UNITS.get(finding.kind, (f"change of the probability{of}", "put into photos"))
    if finding.kind == "preprocessing" and finding.detail.get("of") == "lead":
        unit = "photos in which the true class leads by more, less those by less"
    return {
        "unit": unit, "measured": measured,
        "number": number, "finding": finding, "state": STATES[finding.state], "kind": KINDS[finding.kind],
        "sentence": finding.sentence[:1].upper() + finding.sentence[1:], "drawing": drawn(finding),
        "box": box, "place": None if box is None else _place(*box),
        "commands": _commands(finding, spec, root, box), "remedy": finding.remedy,
        "interval": None if finding.ci is None else f"{points(finding.ci[0])} to {points(finding.ci[1])}",
        "levels": numbers(finding.controls) if finding.kind in LEVELS else {},
        "why": str(finding.detail.get("why") or ""), "answer": ANSWERS.get(finding.answer or ""),
        "outlined": finding.kind == "stamp" and not (finding.transform or {}).get("moving"),
        "carriers": len(finding.carriers), "asked": to_answer(finding),
        "answering": f"seewhy answer {shell_quoted(str(folder))} {shell_quoted(finding.id)} spurious|real|unknown",
        "pictures": [], "mean": None, "example": None,
    }  # fmt: skip


def undecided(number: int, finding: Finding, state: str, spec: Any, root: Path) -> dict[str, Any]:
    """The same of what is not decided yet: ``state`` says so, and nothing is advised or asked."""
    carriers = finding.detail.get("carriers")
    about = {**told(number, finding, spec, root), "state": state, "commands": [], "remedy": (), "asked": False}
    return {**about, "carriers": carriers} if isinstance(carriers, int) else about


def shell_quoted(word: str) -> str:
    r"""A word for a POSIX shell; one that holds what acts or hides, such as a line end, as bash's ``$'a\x0ab'``."""
    if legible(word) == word:
        return shlex.quote(word)
    data = os.fsencode(word)
    plain = "".join(chr(b) if 32 <= b < 127 and b not in b"'\\" else f"\\x{b:02x}" for b in data)
    return f"$'{plain}'"


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


def _commands(finding: Finding, spec: Any, root: Path, box: Any) -> list[str]:
    if not finding.carriers:
        return []
    path = str(root / finding.carriers[0])
    path = shell_quoted(f"./{path}" if path.startswith("-") else path)
    model = shell_quoted(str(spec or "MODEL"))
    target = "" if finding.class_name is None else f" --target {shell_quoted(finding.class_name)}"
    commands = [f"seewhy explain {path} --model {model}{target}"]
    if box is not None:
        corner = ",".join(str(round(each)) for each in box[0])
        commands.insert(0, f"seewhy what-if {path} --box {corner} --model {model}{target}")
    return commands
