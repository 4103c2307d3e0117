"""Photos that are there twice: byte for byte, or nearly, with one label or with several; or in another folder as well.

Near duplicates have perceptual hashes that differ in at most 4 of 64 bits, and are one picture when they are compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...pictures import read_photo
from ..evidence import Evidence
from ..finding import Finding
from ..likeness import Likeness, Read, linked
from ..passing.hashes import near_pairs
from ..passing.rows import Ints, Rows

MOST_GROUPS = 1_000
"""Groups that are listed in a finding."""

Groups = list[npt.NDArray[np.int64]]


def duplicates(evidence: Evidence) -> list[Finding]:
    """At most five findings: exact and near duplicates, of one label and of several, and what another folder holds as
    well; [] where there are none.

    Exact ones are facts, and "proven"; near ones are for a person to look at. Where labels are not known, duplicates
    count as of one label.
    """
    rows = evidence.rows
    exact = exact_groups(rows)
    copies = np.zeros(len(rows), np.bool_)
    for group in exact:
        copies[group[1:]] = True  # one of each stands for all of them among the near ones
    near = near_groups(evidence, np.flatnonzero(~copies))
    found = []
    for name, groups in (("exact", exact), ("near", near)):
        several = [group for group in groups if len(np.unique(rows.truth[group][rows.known[group]])) > 1]
        one = [group for group in groups if len(np.unique(rows.truth[group][rows.known[group]])) <= 1]
        found += [_finding(evidence, name, part, differ) for part, differ in ((several, True), (one, False)) if part]
    return found + leaked(evidence)


def exact_groups(rows: Rows) -> Groups:
    """Photos with the same SHA-256, two or more, by their first photo."""
    by_digest: dict[str, list[int]] = {}
    for row, digest in enumerate(rows.digests):
        if digest:
            by_digest.setdefault(digest, []).append(row)
    return [np.array(group) for group in by_digest.values() if len(group) > 1]


def near_groups(evidence: Evidence, among: Ints) -> Groups:
    """Photos of ``among`` (row numbers) that are linked by near duplicates, two or more, by their first photo."""
    rows, likeness = evidence.rows, Likeness()
    photos = [(path, partial(evidence.eye.photo, path)) for path in (rows.paths[row] for row in among.tolist())]
    groups = linked(len(among), near_pairs(rows.hashes[among]), lambda a, b: likeness(photos[a], photos[b]))
    return [np.asarray(among[group], np.int64) for group in groups]


def leaked(evidence: Evidence) -> list[Finding]:
    """The photos that another folder holds as well, such as that of the photos that the model was trained on."""
    rows, other = evidence.rows, evidence.other
    if other is None:
        return []
    likeness = Likeness()
    photos: list[tuple[object, Read]] = [(path, partial(evidence.eye.photo, path)) for path in rows.paths]
    photos += [((path,), partial(_photo, other.root / path)) for path in other.paths]
    digests = (*rows.digests, *other.digests)

    def alike(a: int, b: int) -> bool:
        return digests[a] == digests[b] or likeness(photos[a], photos[b])

    hashes = np.concatenate([rows.hashes, np.array(other.hashes, np.uint64)])
    pairs = []
    for group in linked(len(photos), near_pairs(hashes), alike):
        there = [number - len(rows) for number in group if number >= len(rows)]
        pairs += [(row, there[0]) for row in group if row < len(rows) and there]
    if not pairs:
        return []
    exact = len({row for row, _ in pairs if rows.digests[row] in set(other.digests)})
    return [Finding(
        id="duplicate-leak",
        kind="duplicate",
        sentence=f"{len(pairs)} of {len(rows)} photos are in the other folder as well ({exact} of them byte for byte)",
        state="proven" if exact else "not_proven",
        carriers=tuple(_paths(rows, [row for row, _ in pairs])),
        remedy=("leave them out of one of the two: an accuracy on photos that were trained on says little",),
        detail={
            "pairs": [[rows.paths[row], other.paths[number]] for row, number in pairs[:MOST_GROUPS]],
            "accuracy_on_them": _accuracy(rows, [row for row, _ in pairs]),
            "accuracy_on_others": _accuracy(rows, sorted(set(range(len(rows))) - {row for row, _ in pairs})),
        },
    )]  # fmt: skip


def _photo(path: Path) -> Image.Image:
    return read_photo(path).image


def _accuracy(rows: Rows, which: list[int]) -> float | None:
    known = [row for row in which if rows.known[row]]
    return float(rows.right[known].mean()) if known else None


def _finding(evidence: Evidence, name: str, groups: Groups, differ: bool) -> Finding:
    rows = evidence.rows
    members = [int(row) for group in groups for row in group]
    extra = len(members) - len(groups)
    how = "byte for byte" if name == "exact" else "nearly"
    what = f"{len(members)} photos are {len(groups)} photos, each there more than once {how}"
    if differ:
        sentence, first = f"{what}, with different labels", "decide on one label for each, and keep one photo"
    else:
        sentence, first = what, f"keep one of each, and leave out {extra}: copies count twice in an accuracy"
    detail = {
        "groups": [
            {"paths": _paths(rows, group), "labels": [_label(evidence, row) for row in group.tolist()]}
            for group in groups[:MOST_GROUPS]
        ],
        "photos_to_leave_out": extra,
    }
    return Finding(
        id=f"duplicate-{name}{'-labels' if differ else ''}",
        kind="duplicate",
        sentence=sentence,
        state="proven" if name == "exact" else "not_proven",
        explained=sum(_contradicted(rows, group) for group in groups),
        carriers=tuple(_paths(rows, members)),
        remedy=(first, "copies must be on the same side of a split into training and test photos"),
        detail=detail,
    )


def _contradicted(rows: Rows, group: Ints) -> int:
    """How many labels of one photo must be wrong at least: all but those of the most frequent class."""
    labels = rows.truth[group][rows.known[group]]
    return len(labels) - int(np.unique(labels, return_counts=True)[1].max(initial=0))


def _paths(rows: Rows, members: Iterable[int]) -> list[str]:
    return [rows.paths[int(row)] for row in members]


def _label(evidence: Evidence, row: int) -> str | None:
    return evidence.label(int(evidence.rows.truth[row])) if evidence.rows.known[row] else None
