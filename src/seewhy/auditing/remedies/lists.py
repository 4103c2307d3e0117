"""Lists for a person to work through, as CSV: labels that may be wrong, and photos that are there more than once."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ...files import write_text
from ..result import Audit

RELABEL, DUPLICATES = "relabel.csv", "duplicates.csv"

_SUSPECT = ("path", "given", "suggested", "probability_given", "probability_suggested", "score")
_COPY = ("finding", "group", "path", "label", "what")
_ACTS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula at the beginning of a cell."""


def write_lists(audit: Audit, folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """Write relabel.csv and duplicates.csv into ``folder``, each whole or not at all, and return their paths.

    Only lists of what the audit looked for are written. Paths that a spreadsheet would take for a formula begin with
    ``./``, other texts with an apostrophe. A byte of a file name that is no UTF-8 is an escape.

    Raises:
        OutputError: one exists and ``overwrite`` is False, or cannot be written.
    """
    asked = audit.made.get("sources") or ()
    texts = [(RELABEL, relabel_list, "labels"), (DUPLICATES, duplicate_list, "duplicates")]
    written = []
    for name, text, source in texts:
        if source in asked:
            write_text(Path(folder) / name, text(audit), overwrite=overwrite)
            written.append(Path(folder) / name)
    return written


def relabel_list(audit: Audit) -> str:
    """CSV of the photos whose label may be wrong, the most doubtful first."""
    return _table(_SUSPECT, (
        [_path(each["path"]), *(_cell(each[name]) for name in _SUSPECT[1:])]
        for finding in audit.findings if finding.kind == "label"
        for each in finding.detail.get("suspects", ())
    ))  # fmt: skip


def duplicate_list(audit: Audit) -> str:
    """CSV of the photos that are there more than once, group by group, and what to do with each: of one label, "keep"
    the first and "leave out" the others; of several, "decide"; in another folder too, "also" and its path there.
    """
    return _table(_COPY, _copies(audit))


def _copies(audit: Audit) -> Iterator[list[Any]]:
    for finding in audit.findings:
        if finding.kind != "duplicate":
            continue
        for number, group in enumerate(finding.detail.get("groups", ()), 1):
            differ = len({label for label in group["labels"] if label is not None}) > 1
            for place, (path, label) in enumerate(zip(group["paths"], group["labels"], strict=True)):
                what = "decide" if differ else "leave out" if place else "keep"
                yield [_cell(finding.id), number, _path(path), _cell(label), what]
        for number, (path, other) in enumerate(finding.detail.get("pairs", ()), 1):
            yield [_cell(finding.id), number, _path(path), "", f"also {other}"]


def _table(names: Iterable[str], lines: Iterable[list[Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(lines)
    return text.getvalue()


def _path(path: str) -> str:
    return f"./{path}" if path.startswith(_ACTS) else path


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_ACTS) else value
