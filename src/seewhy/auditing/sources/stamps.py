"""Stamps: patterns that repeat over photos of one class far beyond the others."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from ...pictures.cells import percentage
from ..candidate import Candidate
from ..edits.stamp import Stamp
from ..evidence import Evidence
from .coloured_marks import coloured_mark
from .fixed_stamps import LEAST_STEP, beyond, chance, fitted_again, fixed_stamps, median_steps, reduced, shown
from .moving_stamps import at_one_place, matching, moving_stamp
from .pattern import Mask, Pattern, Pixels
from .whole_patterns import WholePattern, unlike, whole_pattern

LEAST = 20
"""Fewer proposing photos of a class than this say nothing of it."""
OWN, OTHERS = 300, 600
"""At most so many photos of a class, and of the others, are looked at for patterns."""
OF_OTHERS = 96
"""Photos of others that two kinds of stamps are put on, to tell which of them it is."""
CARRIERS = 4000
"""Carriers are looked for among at most so many rows of the class."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sample:
    """Proposing photos of one class, and of the others: row numbers and pixels (N, H, W, 3)."""

    index: int
    own_rows: Numbers
    own: Pixels
    other_rows: Numbers
    others: Pixels


def stamps(evidence: Evidence, classes: Container[str] | None = None) -> list[Candidate]:
    """Stamps of every class with at least 20 proposing photos, as candidates for interventions.

    Fixed ones, opaque or translucent: ``fixed_stamps.py``, after Dekel et al. 2017; or a pattern that is added to the
    whole photo, where that makes other photos more like those of the class: ``whole_patterns.py``. Where a class has
    neither, moving ones: ``moving_stamps.py``, ``coloured_marks.py``. The same evidence gives the same candidates.

    Args:
        evidence: the photos and the model.
        classes: names of those whose stamps are looked for; None: of all. It does not change what is found of them.

    Raises:
        PhotoError: a photo cannot be read any more.
    """
    found: list[Candidate] = []
    samples = list(sampled(evidence))
    limits = thresholds(evidence, samples)
    for sample, limit in zip(samples, limits, strict=True):
        if classes is not None and evidence.label(sample.index) not in classes:
            continue
        random = evidence.random(f"stamps of {sample.index}")
        patterns = fixed_stamps(sample.own, sample.others, limit, random)
        whole = whole_pattern(sample.own, sample.others, evidence.rows.truth[sample.other_rows], random)
        if whole is not None and _nearer(evidence, sample, whole, patterns):
            found.append(_of_whole_photo(evidence, sample, whole))
            continue
        if not patterns:
            maps = evidence.rows.maps[sample.own_rows]
            tag = moving_stamp(sample.own, maps, sample.others, random) or coloured_mark(sample.own, sample.others)
            if tag is not None:
                carriers = rows_that(evidence, sample, partial(matching, pattern=tag))
                fixed = at_one_place(sample.own, tag)
                edit = _stamp(evidence, fixed or tag, moving=fixed is None)
                if edit.moving:  # the network has learned it where it is
                    carrying = sample.own[matching(sample.own, tag)]
                    edit = replace(edit, places=tuple(map(edit.found, carrying)))
                found.append(candidate(evidence, sample.index, 1, fixed or tag, carriers, edit))
        for number, pattern in enumerate(patterns, 1):
            carriers = rows_that(evidence, sample, partial(shown, pattern=pattern))
            again = fitted_again(sample.own, sample.others, pattern, random)
            edit, *likely = (_stamp(evidence, each, moving=False) for each in (pattern, *again))
            found.append(candidate(evidence, sample.index, number, pattern, carriers, edit, likely))
    return found


def sampled(evidence: Evidence) -> Iterator[Sample]:
    """A sample for each class that has enough photos and is not alone."""
    rows = evidence.rows
    usable = evidence.proposing & rows.known
    classes, counts = np.unique(rows.truth[usable], return_counts=True)
    each = max(1, OTHERS // max(1, len(classes) - 1))
    drawn: dict[int, tuple[Numbers, Pixels]] = {}
    for index in classes:
        numbers = np.flatnonzero(usable & (rows.truth == index))
        most = OWN if len(numbers) >= LEAST else each
        random = evidence.random(f"stamps: photos of {index}")
        numbers = np.sort(random.choice(numbers, min(most, len(numbers)), replace=False))
        drawn[int(index)] = numbers, seen(evidence, numbers)
    for index, count in zip(classes, counts, strict=True):
        rest = [(n[:: -(-len(n) // each)], p[:: -(-len(n) // each)]) for k, (n, p) in drawn.items() if k != index]
        if count >= LEAST and sum(len(n) for n, _ in rest) >= LEAST:
            numbers, pixels = (np.concatenate(part) for part in zip(*rest, strict=True))
            yield Sample(int(index), *drawn[int(index)], numbers, pixels)


def seen(evidence: Evidence, numbers: Numbers) -> Pixels:
    """(N, H, W, 3) uint8, the photos of these rows as the model sees them."""
    return evidence.eye.pixels([evidence.rows.paths[number] for number in numbers])


def thresholds(evidence: Evidence, samples: list[Sample]) -> list[float]:
    """For each class, what median steps must exceed: chance by a quarter, other classes' own looks by a half."""
    high, by_chance = [], []
    for sample in samples:
        others = reduced(sample.others)
        high.append(float(beyond(median_steps(reduced(sample.own)), median_steps(others)).max()))
        by_chance.append(chance(others, len(sample.own), evidence.random(f"stamps: chance {sample.index}"), groups=4))
    looks = [float(np.median(np.delete(high, n))) if len(high) > 1 else 0.0 for n in range(len(high))]
    return [max(LEAST_STEP, 1.25 * luck, 1.5 * look) for luck, look in zip(by_chance, looks, strict=True)]


def rows_that(evidence: Evidence, sample: Sample, show: Callable[[Pixels], Mask]) -> Numbers:
    """Numbers of the rows that show a pattern: of all the class's, proposing or not, and of the others looked at."""
    numbers = np.flatnonzero(evidence.rows.truth == sample.index)
    if len(numbers) > CARRIERS:
        random = evidence.random(f"stamps: carriers of {sample.index}")
        numbers = np.sort(random.choice(numbers, CARRIERS, replace=False))
    carry = [part[show(seen(evidence, part))] for part in np.array_split(numbers, -(-len(numbers) // 256))]
    return np.sort(np.concatenate([*carry, sample.other_rows[show(sample.others)]]))


def candidate(
    evidence: Evidence, index: int, number: int, pattern: Pattern, carriers: Numbers, edit: Stamp,
    as_likely: Sequence[Stamp] = (),
) -> Candidate:  # fmt: skip
    """A pattern as a candidate; ``as_likely`` are other fits of it."""
    name = evidence.label(index)
    place = "at changing places" if edit.moving else "at one place"
    top, left, height, width = pattern.box
    return Candidate(
        id=f"stamp-{name}-{number}",
        kind="stamp",
        class_index=index,
        class_name=name,
        edit=edit,
        carriers=carriers,
        repeats=True,
        why=f"a pattern of {height}×{width} pixels repeats {place} {_among(name, pattern)}",
        region={"box": [top, left, height, width], "of": list(evidence.eye.classifier.input_size)},
        as_likely=tuple(as_likely),
    )


def _nearer(evidence: Evidence, sample: Sample, whole: WholePattern, patterns: Sequence[Pattern]) -> bool:
    """Whether what is added to the whole photo makes others more like photos of the class than fixed stamps do."""
    rng = np.random.default_rng(0)  # fixed stamps draw nothing
    some = sample.others[:: -(-len(sample.others) // OF_OTHERS)]
    stamped = list(some)
    for each in patterns:
        stamp = _stamp(evidence, each, moving=False)
        stamped = [stamp.added(photo, rng) for photo in stamped]
    put = np.stack([whole.edit.added(photo, rng) for photo in some])
    return unlike(sample.own, put) < unlike(sample.own, np.stack(stamped))


def _of_whole_photo(evidence: Evidence, sample: Sample, pattern: WholePattern) -> Candidate:
    name = evidence.label(sample.index)
    return Candidate(
        id=f"stamp-{name}-1", kind="stamp", class_index=sample.index, class_name=name, edit=pattern.edit,
        carriers=rows_that(evidence, sample, pattern.shown), repeats=True,
        why=f"one pattern is added to the whole photo {_among(name, pattern)}",
        as_likely=pattern.again,
    )  # fmt: skip


def _among(name: str, pattern: Pattern | WholePattern) -> str:
    share, elsewhere = percentage(pattern.share), percentage(pattern.elsewhere)
    return f"in {share} of the photos of {name} that were looked at, and in {elsewhere} of the others"


def _stamp(evidence: Evidence, pattern: Pattern, moving: bool) -> Stamp:
    top, left, _, _ = pattern.box
    return Stamp(top, left, pattern.alpha, pattern.colour, moving, evidence.eye.classifier.input_size)
