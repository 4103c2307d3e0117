"""Which photos candidates are made of, and which ones interventions are measured on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .passing.rows import Rows

Ints = npt.NDArray[np.integer[Any]]


def proposing(truth: Ints, groups: Ints, seed: int = 0) -> npt.NDArray[np.bool_]:
    """(N,) bool: half of the photos of each class, whole groups at a time.

    A group counts for the class that most of it has. In each class the groups are drawn in a random order, large ones
    first, each for the half that has fewer photos so far: the halves differ by at most the largest group.

    Args:
        truth: (N,), the class of each photo; -1 where nobody knows it, a class of its own here.
        groups: (N,), equal for photos that must not be parted, such as duplicates.
        seed: of the draw.

    Raises:
        InputError: not as many of one as of the other.
    """
    if truth.shape != groups.shape or truth.ndim != 1:
        raise InputError("each photo has one class and one group", expected=truth.shape, got=groups.shape)
    chosen = np.zeros(len(truth), bool)
    if not len(truth):
        return chosen
    rng = np.random.default_rng([seed, *b"proposing"])
    classes, of_class = np.unique(truth, return_inverse=True)
    _, of_group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    pairs, counts = np.unique(np.stack([of_group, of_class]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], -counts, pairs[0]))
    firsts = order[np.unique(pairs[0][order], return_index=True)[1]]
    stratum = pairs[1][firsts]
    takes = np.zeros(len(sizes), bool)
    for index in range(len(classes)):
        members = rng.permutation(np.flatnonzero(stratum == index))
        members = members[np.argsort(-sizes[members], kind="stable")]
        ahead = 0
        for group in members:
            takes[group] = ahead < 0 or (ahead == 0 and rng.random() < 0.5)
            ahead += int(sizes[group]) if takes[group] else -int(sizes[group])
    chosen[:] = takes[of_group]
    return chosen


def proposing_of(rows: Rows, seed: int) -> npt.NDArray[np.bool_]:
    """(N,) bool: the same of an audit's rows, where photos that are alike stay together."""
    return proposing(rows.truth, alike(rows.digests, rows.hashes), seed)


def alike(digests: Sequence[str], hashes: npt.NDArray[np.uint64]) -> Ints:
    """(N,) int64, one number for photos that are the same file or have the same perceptual hash, through any others."""
    parent = np.arange(len(digests))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = int(parent[index])
        return index

    seen: dict[object, int] = {}
    for index, (digest, number) in enumerate(zip(digests, hashes.tolist(), strict=True)):
        for key in (digest, number):
            parent[root(index)] = root(seen.setdefault(key, index))
    return np.asarray([root(index) for index in range(len(digests))], np.int64)
