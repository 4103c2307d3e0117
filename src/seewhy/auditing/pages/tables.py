"""The tables of an audit's page: classes, what is taken for what, weak groups, errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..finding import Finding

MOST_CROSSED = 20
"""Classes of a table of true and predicted classes; of more classes, the most frequent pairs are listed."""
MOST_PAIRS = 24
SHADES = 5
"""Steps of the colour of a cell of that table."""


def classes(photos: Mapping[str, Any]) -> list[tuple[str, int, float]]:
    """(name, photos, share right), the worst first."""
    known = photos.get("classes") or {}
    rows = [(str(name), int(each["photos"]), float(each["accuracy"])) for name, each in known.items()]
    return sorted(rows, key=lambda row: (row[2], -row[1], row[0]))


@dataclass(frozen=True)
class Crossed:
    """A table of counts, true classes down and predicted ones across.

    Attributes:
        names: of its columns.
        rows: for each true class its name, and for each column a count and a shade, 0 for what is right or none.
    """

    names: list[str]
    rows: list[tuple[str, list[tuple[int, int, bool]]]]


def confused(photos: Mapping[str, Any]) -> tuple[Crossed | None, list[tuple[str, str, int]]]:
    """The table where there are few classes, and the most frequent pairs (true class, what it is called, count)."""
    pairs = [(str(truth), str(called), int(count)) for truth, called, count in photos.get("confused") or ()]
    known = {name: (count, share) for name, count, share in classes(photos)}
    names = sorted({*known, *(called for _, called, _ in pairs)})
    if not pairs or len(names) > MOST_CROSSED or len(known) < len({truth for truth, _, _ in pairs}):
        return None, pairs[:MOST_PAIRS]
    counts = {(truth, called): count for truth, called, count in pairs}
    counts |= {(name, name): round(count * share) for name, (count, share) in known.items()}
    most = max(count for _, _, count in pairs)

    def cell(truth: str, called: str) -> tuple[int, int, bool]:
        count = counts.get((truth, called), 0)
        right = truth == called
        return count, 0 if right or not count else max(1, round(SHADES * count / most)), right

    rows = [(truth, [cell(truth, called) for called in names]) for truth in names if truth in known]
    return Crossed(names, rows), pairs[:MOST_PAIRS]


def groups(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Weak groups, each with the number of its finding, how many photos it has, and how many of them are right."""
    found = []
    for number, each in enumerate(findings, 1):
        about = each.detail
        if each.kind == "slice" and {"group", "photos", "accuracy", "accuracy_of_the_rest"} <= set(about):
            found.append({
                "number": number, "name": str(about["group"]), "photos": int(about["photos"]), "state": each.state,
                "right": float(about["accuracy"]), "rest": float(about["accuracy_of_the_rest"]),
            })  # fmt: skip
    return found


def errors(photos: Mapping[str, Any], most: int) -> list[dict[str, Any]]:
    """The wrong photos that the model is surest of: path, class, called, probability."""
    return [dict(each) for each in (photos.get("errors") or ())[:most]]
