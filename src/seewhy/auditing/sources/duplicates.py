"""Photos that are there twice: byte for byte, or nearly, with one label or with several.

Near duplicates differ in at most 4 of the 64 bits of the perceptual hash. They are found by bands: of 5 bands of bits
at least one is the same in two hashes that differ in at most 4 bits, so only hashes that share a band are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from ..evidence import Evidence
from ..finding import Finding
from ..rows import Floats, Ints, Rows
from .labels import unit

MOST_BITS = 4
BANDS = ((0, 13), (13, 13), (26, 13), (39, 13), (52, 12))
"""First bit and number of bits; one more than the bits that may differ."""
LEAST_COSINE = 0.9
"""Of the features of two near duplicates: a smooth photo has the hash of many others."""
CHUNK = 512
MOST_GROUPS = 1_000
"""Groups that are listed in a finding."""

Groups = list[npt.NDArray[np.int64]]
_BITS = np.array([bin(value).count("1") for value in range(1 << 16)], np.uint8)


def duplicates(evidence: Evidence) -> list[Finding]:
    """At most four findings: exact and near duplicates, of one label and of several; [] where there are none.

    Exact ones are facts, and "proven"; near ones are for a person to look at. Where labels are not known, duplicates
    count as of one label.
    """
    rows = evidence.rows
    exact = exact_groups(rows)
    copies = np.zeros(len(rows), np.bool_)
    for group in exact:
        copies[group[1:]] = True  # one of each stands for all of them among the near ones
    near = near_groups(rows, np.flatnonzero(~copies))
    found = []
    for name, groups in (("exact", exact), ("near", near)):
        several = [group for group in groups if len(np.unique(rows.truth[group][rows.known[group]])) > 1]
        one = [group for group in groups if len(np.unique(rows.truth[group][rows.known[group]])) <= 1]
        found += [_finding(evidence, name, part, differ) for part, differ in ((several, True), (one, False)) if part]
    return found


def exact_groups(rows: Rows) -> Groups:
    """Photos with the same SHA-256, two or more, by their first photo."""
    by_digest: dict[str, list[int]] = {}
    for row, digest in enumerate(rows.digests):
        if digest:
            by_digest.setdefault(digest, []).append(row)
    return [np.array(group) for group in by_digest.values() if len(group) > 1]


def near_groups(rows: Rows, among: Ints) -> Groups:
    """Photos of ``among`` (row numbers) that are linked by near duplicates, two or more, by their first photo."""
    hashes, features = rows.hashes[among], unit(rows.features[among])
    parent = np.arange(len(among))
    for first, second in near_pairs(hashes):
        for a, b in zip(first.tolist(), second.tolist(), strict=True):
            if _alike(features, a, b):
                x, y = _root(parent, a), _root(parent, b)
                parent[max(x, y)] = min(x, y)
    by_root: dict[int, list[int]] = {}
    for number in range(len(among)):
        by_root.setdefault(_root(parent, number), []).append(int(among[number]))
    return [np.array(group) for group in by_root.values() if len(group) > 1]


def near_pairs(hashes: npt.NDArray[np.uint64], most: int = MOST_BITS) -> Iterator[tuple[Ints, Ints]]:
    """Pairs of hashes (N,) uint64 that differ in at most ``most`` <= 4 bits, as arrays of first and second; a pair may
    come more than once. Of many equal hashes each is paired with the first of them only.
    """
    distinct, first, of = np.unique(hashes, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[of] != np.arange(len(hashes)))
    if len(again):
        yield first[of][again], again
    for start, width in BANDS:
        band = (distinct >> np.uint64(start)) & np.uint64((1 << width) - 1)
        order = np.argsort(band, kind="stable")
        edges = np.flatnonzero(np.diff(band[order])) + 1
        for bucket in np.split(order, edges):
            for begin in range(0, len(bucket) if len(bucket) > 1 else 0, CHUNK):
                part = bucket[begin : begin + CHUNK]
                close = bits(distinct[part][:, None] ^ distinct[bucket][None, :]) <= most
                a, b = np.nonzero(close)
                later = part[a] < bucket[b]
                if later.any():
                    yield first[part[a[later]]], first[bucket[b[later]]]


def bits(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """How many bits are set in each."""
    parts = np.ascontiguousarray(words)[..., None].view(np.uint16)
    counted: npt.NDArray[np.int64] = _BITS[parts].sum(-1, dtype=np.int64)
    return counted


def _alike(features: Floats, a: int, b: int) -> bool:
    """Also by what the model makes of them; features of nothing tell nothing."""
    left, right = features[a], features[b]
    return not left.any() or not right.any() or float(left @ right) >= LEAST_COSINE


def _root(parent: Ints, number: int) -> int:
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = int(parent[number])
    return number


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
