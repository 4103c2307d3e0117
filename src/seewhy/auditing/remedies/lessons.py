"""What a last layer learns from, and what it is measured on: photos in groups, some made with the finding's edit.

A group is a class with or without what was found. Photos of other classes hardly ever carry it by themselves, and
without them nothing tells the last layer that it is no evidence; the class itself may hardly ever be without it. So it
is put into the former and taken out of the latter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..candidate import Candidate
from ..evidence import Evidence
from ..eye import Pixels
from ..sources.stamps import seen
from .head import features_of

Ints = npt.NDArray[np.integer[Any]]
Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FEWEST = 5
"""Photos of a group below which it is left out."""

ENOUGH = 20
"""Photos of a group on the measuring half below which those that are made are counted with it."""

MADE = 2000
"""About the most photos of other classes that it is put into, on either half; as many of each class."""

NONE = -1
"""The group of photos that count in none."""


class Photos(NamedTuple):
    """N photos: features (N, D), true classes (N,) and groups (N,), 2 * class + whether they carry it."""

    features: Doubles
    classes: Ints
    groups: Ints

    @classmethod
    def together(cls, *parts: Photos) -> Photos:
        """One after the other."""
        features, classes, groups = (np.concatenate(each) for each in zip(*parts, strict=True))
        return cls(features, classes, groups)

    def where(self, there: Mask) -> Photos:
        """Some of them."""
        return Photos(self.features[there], self.classes[there], self.groups[there])


@dataclass(frozen=True, eq=False)
class Lessons:
    """Photos of both halves of an audit.

    Attributes:
        plain: of the proposing half, as they are.
        made: of the same half, with the candidate put in or taken out; none where there is no candidate.
        measured: of the other half, as they are, and made ones of groups that have too few.
        real: (n,) bool, which of ``measured`` are as they are.
        counts: photos of each group, by its name: learned from, and measured on.
        notes: what was left out or made, a line each.
    """

    plain: Photos
    made: Photos
    measured: Photos
    real: Mask
    counts: Mapping[str, list[int]]
    notes: tuple[str, ...]


def lessons(
    evidence: Evidence, carries: Mask, candidate: Candidate | None, outputs: int, rng: np.random.Generator
) -> Lessons:
    """The photos of an audit in groups: of each class, those that carry something and those that do not.

    Args:
        evidence: the photos and the model.
        carries: (N,) bool, which rows carry it.
        candidate: to put into photos and take out of them; None: only photos as they are.
        outputs: K, of the last layer.
        rng: draws the photos that are changed.

    Raises:
        InputError: there is a class without photos, or too few photos with or without the candidate.
    """
    rows = evidence.rows
    features, groups = rows.features.astype(np.float64), np.where(rows.known, 2 * rows.truth + carries, NONE)
    learned, measured = (np.flatnonzero(rows.known & side) for side in (evidence.proposing, ~evidence.proposing))
    plain, real = (Photos(features[side], rows.truth[side], groups[side]) for side in (learned, measured))
    made = added = real.where(np.zeros(len(measured), np.bool_))
    notes = []
    if candidate is not None:
        made = _made(evidence, candidate, learned, groups, rng, 2)
        added = _made(evidence, candidate, measured, groups, rng, 1)
        few = [group for group in np.unique(added.groups) if (real.groups == group).sum() < ENOUGH]
        added = added.where(np.isin(added.groups, few))
        for group in few:
            if group % 2 == 0:
                count = int((added.groups == group).sum())
                notes.append(f"made by taking it off: {_name(evidence, group)}, {count} of the photos measured on")
        if carried := [group for group in few if group % 2]:
            notes.append(f"photos of {len(carried)} classes were measured on with it put into them as well")
    everything = Photos.together(real, added)
    counts = {}
    groups = everything.groups.copy()
    for group in np.union1d(np.union1d(plain.groups, made.groups), everything.groups):
        here = [int((each == group).sum()) for each in (Photos.together(plain, made).groups, everything.groups)]
        if here[1] < FEWEST:
            groups[everything.groups == group] = NONE
            notes.append(f"left out of the groups: {_name(evidence, group)}: {here[1]} photos, fewer than {FEWEST}")
        else:
            counts[_name(evidence, group)] = here
    _check(evidence, plain, Photos.together(plain, made), groups, candidate, outputs)
    whether = np.arange(len(groups)) < len(measured)
    return Lessons(plain, made, everything._replace(groups=groups), whether, counts, tuple(notes))


def has_both(evidence: Evidence, carries: Mask, candidate: Candidate) -> bool:
    """Whether either half has photos of the candidate's class without it, or can have them made; else nothing tells
    what the class is without it. A stamp can always be taken out; of details of the whole photo, such as a blur,
    nothing can.
    """
    rows = evidence.rows
    bare = rows.known & (rows.truth == candidate.class_index) & ~carries
    halves = (int((bare & side).sum()) for side in (evidence.proposing, ~evidence.proposing))
    return bool(candidate.edit.describe().get("fills")) or min(halves) >= FEWEST


def variants(
    evidence: Evidence, candidate: Candidate, hosts: Ints, rng: np.random.Generator
) -> tuple[Doubles, Doubles, Doubles]:
    """(m, D) features of photos as they are, with the candidate, and with another photo's content at its place.

    Raises:
        InputError: there are too few hosts.
    """
    if len(hosts) < FEWEST:
        raise InputError("too few photos of other classes to put it into", got=len(hosts))
    pixels = seen(evidence, hosts.astype(np.int64))
    others = np.roll(pixels, 1, 0)  # hosts are in a random order
    draws = [int(each) for each in rng.integers(1 << 62, size=len(hosts))]
    added = [candidate.edit.added(each, np.random.default_rng(seed)) for each, seed in zip(pixels, draws, strict=True)]
    control = [
        candidate.edit.control(each, other, np.random.default_rng(seed))
        for each, other, seed in zip(pixels, others, draws, strict=True)
    ]
    there, put, beside = (features_of(evidence.eye, np.asarray(each)) for each in (pixels, added, control))
    return there, put, beside


def _made(
    evidence: Evidence, candidate: Candidate, rows: Ints, groups: Ints, rng: np.random.Generator, fills: int
) -> Photos:
    """Photos of other classes with the candidate in them, and carriers with it taken out, ``fills`` times each."""
    truth, index = evidence.rows.truth, candidate.class_index
    drawn = rng.permutation(rows)
    bare = drawn[(groups[drawn] % 2 == 0) & (truth[drawn] != index)]
    most = max(FEWEST, MADE // max(1, len(np.unique(truth[bare]))))
    hosts = np.concatenate([bare[:0], *(bare[truth[bare] == each][:most] for each in np.unique(truth[bare]))])
    carriers = drawn[groups[drawn] == 2 * index + 1][:most]
    pixels: list[Pixels] = [candidate.edit.added(each, rng) for each in seen(evidence, hosts.astype(np.int64))]
    of = [*hosts]
    for row, photo in zip(carriers, seen(evidence, carriers.astype(np.int64)), strict=True):
        without = candidate.edit.removed(photo)
        kept = [without[each] for each in rng.permutation(len(without))[:fills]]
        pixels += kept
        of += [row] * len(kept)
    if not of:
        empty = np.zeros(0, np.int64)
        return Photos(np.zeros((0, evidence.rows.features.shape[1])), empty, empty)
    classes = truth[np.array(of, np.int64)]
    carry = np.arange(len(of)) < len(hosts)
    return Photos(features_of(evidence.eye, np.asarray(pixels)), classes, 2 * classes + carry)


def _check(
    evidence: Evidence, plain: Photos, learned: Photos, measured: Ints, candidate: Candidate | None, outputs: int
) -> None:
    counts = np.bincount(plain.classes, minlength=outputs)
    if (missing := np.flatnonzero(counts < FEWEST)).size:
        names = ", ".join(evidence.label(each) for each in missing[:5])
        expected = f"at least {FEWEST} on either half of every class of the model"
        raise InputError("a new last layer needs photos of each class", expected=expected, got=f"too few of {names}")
    if candidate is None:
        return
    for group, how in ((2 * candidate.class_index, "without"), (2 * candidate.class_index + 1, "with")):
        if (learned.groups == group).sum() < FEWEST or not (measured == group).any():
            raise InputError(
                f"too few photos of {candidate.class_name} {how} what was found",
                expected=f"at least {FEWEST} on either half",
            )


def _name(evidence: Evidence, group: int) -> str:
    return f"{evidence.label(int(group) // 2)}, {'with' if group % 2 else 'without'} it"
