"""fix: train the last layer again so that a class no longer leans on a stamp, and measure whether it helped."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InputError, close_matches
from ..legible import in_one_line
from ..models import Classifier
from .candidate import Candidate
from .collection import collection_of
from .evidence import Evidence
from .eye import Eye
from .finding import Finding
from .passing import rows_of
from .remedies.again import Again, measured_again
from .remedies.comparing import NAMES, Comparison, Measured
from .remedies.head import Head, copied, features_of, head_of, probabilities, with_head
from .remedies.last_layer import last_layer
from .result import Audit
from .sources.stamps import seen, stamps
from .split import alike, proposing

Ints = npt.NDArray[np.integer[Any]]
Doubles = npt.NDArray[np.float64]

FEWEST = 5
"""Photos of a group, on either half, below which it is left out."""

HOSTS = 200
"""The most photos that the stamp is put into."""

BEFORE, AFTER, LONGER = "before", "after", "just trained longer"


class _Photos(NamedTuple):
    """N photos to learn from: features (N, D), classes (N,) and groups (N,)."""

    features: Doubles
    classes: Ints
    groups: Ints


@dataclass(frozen=True, eq=False)
class Fixed:
    """A new last layer, and what it changes on photos that it was not trained on.

    Attributes:
        finding: what it is against.
        head: the new last layer, of the first seed.
        values: for "before", "after" and "just trained longer": the median over seeds of "clean accuracy", "worst
            group accuracy", "effect" (of the stamp on the probability of the class, beyond its controls) and "called"
            (the share of photos that the stamp turns into the class).
        seeds: the same for each seed.
        change: for "after - before" and "after - just trained longer": {"median": ..., "ci": [low, high]} of each.
        groups: photos of each group: on the proposing half, which it was trained on, and on the measuring half.
        again: what the mended model was audited for again.
        notes: what was left out, a line each.
    """

    finding: Finding
    head: Head
    values: Mapping[str, Mapping[str, float]]
    seeds: Mapping[str, Mapping[str, list[float]]]
    change: Mapping[str, Mapping[str, Mapping[str, Any]]]
    groups: Mapping[str, list[int]]
    again: Again
    notes: tuple[str, ...] = ()

    @property
    def helped(self) -> bool:
        """The worst group is better, or the stamp does less, beyond chance, and neither is worse beyond chance."""
        than = self.change["after - before"]
        worst, effect = than["worst group accuracy"]["ci"], than["effect"]["ci"]
        return bool((worst[0] > 0 or effect[1] < 0) and not (worst[1] < 0 or effect[0] > 0))

    @property
    def sentence(self) -> str:
        """Whether it helped, in one sentence."""
        than = self.change["after - before"]
        told = ", ".join(
            f"{name} {than[name]['median']:+.3f} [{than[name]['ci'][0]:+.3f}, {than[name]['ci'][1]:+.3f}]"
            for name in NAMES[:3]
        )
        worse = [name for name in NAMES[:2] if than[name]["ci"][1] < 0]
        worse += [name for name in NAMES[2:] if than[name]["ci"][0] > 0]
        said = "helped" if self.helped else "did not help beyond chance"
        if worse:
            said = f"{'helped, but ' if self.helped else ''}made worse: {' and '.join(worse)}"
        return f"the new last layer {said}; {told}"

    def describe(self) -> dict[str, Any]:
        """Everything but the weights, ready for JSON."""
        return {
            "finding": self.finding.id, "class": self.finding.class_name, "layer": self.head.name,
            "helped": self.helped, "sentence": self.sentence, "values": self.values, "seeds": self.seeds,
            "change": self.change, "groups": self.groups, "again": self.again.describe(),
            "notes": list(self.notes),
        }  # fmt: skip


def fix(
    audit_dir: str | os.PathLike[str], photos: str | os.PathLike[str], classifier: Classifier,
    finding_id: str | None = None, seeds: int = 5, *, truth: str | os.PathLike[str] = "folders", batch_size: int = 64,
    written: Callable[[Head], Classifier] | None = None,
) -> Fixed:  # fmt: skip
    """Train the last layer again, with as many photos of each class with and without a stamp, which is put into
    photos of other classes and taken out of those that carry it.

    The proposing half of the audit's photos is what it is trained on (``remedies.last_layer``, after Kirichenko et
    al. 2023); the other half, what it is measured on, beside the same training without balance. The model that is
    given is not changed. Then the new model is audited again: for the stamp, for all stamps, and for calibration.

    Args:
        audit_dir: what ``audit`` wrote with ``output_dir``: findings.json and rows.
        photos: the audited folder.
        classifier: the audited model.
        finding_id: a stamp; None: the first that is a suspected shortcut.
        seeds: how many times it is trained, at least 5; medians count.
        truth: as for ``audit``.
        batch_size: images per forward.
        written: given the new last layer, gives the model that is audited again, such as one that was written to a
            file and read; None: a copy of ``classifier`` with it.

    Raises:
        InputError: there is no such finding, there are no rows, or too few photos with or without the stamp.
        ModelError: the network has no linear last layer on pooled features; says why.
        OutputError: the rows are of another model or of other photos.
    """
    if seeds < 5:
        raise InputError("a median needs seeds", expected="at least 5", got=seeds)
    found = Audit.load(audit_dir)
    finding = _stamp(found, finding_id)
    evidence = _evidence(Path(audit_dir), photos, copied(classifier), found, truth, batch_size)
    candidate = _candidate(evidence, finding)
    rows, eye = evidence.rows, evidence.eye
    head = head_of(eye, seen(evidence, np.arange(min(2, len(rows)))))
    if rows.features.shape[1] != head.weight.shape[1]:
        got = f"{rows.features.shape[1]} and {head.weight.shape[1]}"
        raise InputError("the rows do not hold what the last layer reads", expected="as many features", got=got)
    carries = np.isin(np.array(rows.paths, object), np.array(finding.carriers, object))
    groups = np.where(rows.known, 2 * rows.truth + carries, -1)
    learned, measured, notes, counts = _halves(evidence, groups)
    _check_groups(evidence, groups[learned], groups[measured], candidate, len(head.weight))
    features = rows.features.astype(np.float64)
    hosts = np.flatnonzero(~evidence.proposing & rows.known & ~carries & (rows.truth != candidate.class_index))
    rng = evidence.random(f"fix {finding.id}")
    variants = _variants(evidence, candidate, rng.permutation(hosts)[:HOSTS], rng)

    def tried(one: Head) -> Measured:
        right = probabilities(one, features[measured]).argmax(1) == rows.truth[measured]
        return _measured(one, right, variants, candidate.class_index)

    plain = _Photos(features[learned], rows.truth[learned], groups[learned])
    counterfactual = _counterfactual(evidence, candidate, rng.permutation(learned), groups, rng)
    heads = {
        name: [Head(head.name, *last_layer(*given, seed=seed, balanced=name == AFTER)) for seed in range(seeds)]
        for name, given in ((AFTER, _together(plain, counterfactual)), (LONGER, plain))
    }
    ways = {BEFORE: [tried(head)] * seeds, **{name: [tried(each) for each in many] for name, many in heads.items()}}
    comparison = Comparison(groups[measured], len(variants[0]), rng)
    mended = with_head(eye.classifier, heads[AFTER][0]) if written is None else written(heads[AFTER][0])
    return Fixed(
        finding=finding, head=heads[AFTER][0], notes=tuple(notes), groups=counts,
        again=measured_again(finding, candidate, evidence, mended),
        values={name: comparison.values(way) for name, way in ways.items()},
        seeds={name: comparison.each(way) for name, way in ways.items()},
        change={
            f"{AFTER} - {other}": comparison.difference(ways[AFTER], ways[other]) for other in (BEFORE, LONGER)
        },
    )  # fmt: skip


def _stamp(found: Audit, finding_id: str | None) -> Finding:
    known = {each.id: each for each in found.findings if each.kind == "stamp"}
    if finding_id is None:
        first = next((each for each in known.values() if each.suspected_shortcut and each.state == "proven"), None)
        first = first or next((each for each in known.values() if each.suspected_shortcut), None)
        if first is None:
            raise InputError("the audit holds no stamp that is a suspected shortcut, so there is nothing to mend")
        return first
    if finding_id not in known:
        expected = ", ".join(known) or "an audit that found one"
        raise InputError(
            f"there is no stamp {finding_id!r} in the audit", expected=expected, close=close_matches(finding_id, known)
        )
    if known[finding_id].answer == "real":
        raise InputError(f"{finding_id} was answered to be real, part of the object", expected="another finding")
    return known[finding_id]


def _evidence(folder: Path, photos: Any, classifier: Classifier, found: Audit, truth: Any, batch_size: int) -> Evidence:
    if not (folder / "rows").is_dir():
        what = f"{in_one_line(folder)} holds no rows"
        raise InputError(what, expected="the --output-dir of an audit, with its folder rows")
    collection = collection_of(photos, classifier, truth)
    rows, _ = rows_of(collection, classifier, folder / "rows", batch_size=batch_size)
    seed = int(found.made.get("seed", 0))
    half = proposing(rows.truth, alike(rows.digests, rows.hashes), seed)
    return Evidence(rows, Eye(classifier, collection.root, batch_size), half, seed)


def _candidate(evidence: Evidence, finding: Finding) -> Candidate:
    """The stamp with its pixels: the same evidence gives the same candidates."""
    for each in stamps(evidence):
        if each.id == finding.id:
            return each
    raise InputError(f"{finding.id} is not found in these photos any more", expected="the folder that was audited")


def _halves(evidence: Evidence, groups: Ints) -> tuple[Ints, Ints, list[str], dict[str, list[int]]]:
    """Rows to learn from and to measure on, without groups that are too small; what was left out; photos of groups."""
    learned, measured = (np.flatnonzero((groups >= 0) & side) for side in (evidence.proposing, ~evidence.proposing))
    notes, counts, small = [], {}, []
    for group in np.unique(groups[groups >= 0]):
        name = f"{evidence.label(int(group) // 2)}, {'with' if group % 2 else 'without'} it"
        here = [int((groups[side] == group).sum()) for side in (learned, measured)]
        if min(here) < FEWEST:
            small.append(group)
            notes.append(f"left out: {name}: {here[0]} and {here[1]} photos, fewer than {FEWEST}")
        else:
            counts[name] = here
    kept = [side[~np.isin(groups[side], small)] for side in (learned, measured)]
    return kept[0], kept[1], notes, counts


def _check_groups(evidence: Evidence, learned: Ints, measured: Ints, candidate: Candidate, outputs: int) -> None:
    missing = sorted(set(range(outputs)) - set((learned // 2).tolist()))
    if missing:
        names = ", ".join(evidence.label(each) for each in missing[:5])
        expected = f"at least {FEWEST} on either half of every class of the model"
        raise InputError("a new last layer needs photos of each class", expected=expected, got=f"none of {names}")
    for group, how in ((2 * candidate.class_index, "without"), (2 * candidate.class_index + 1, "with")):
        if not ((learned == group).any() and (measured == group).any()):
            raise InputError(
                f"too few photos of {candidate.class_name} {how} the stamp",
                expected=f"at least {FEWEST} on either half",
            )


def _counterfactual(
    evidence: Evidence, candidate: Candidate, rows: Ints, groups: Ints, rng: np.random.Generator
) -> _Photos:
    """Photos of other classes with the stamp put into them, and carriers with it taken out of them.

    The former hardly ever carry it by themselves, and without them nothing tells the last layer that it is no evidence;
    without the latter as many photos of every group would be as few as the class has without it.
    """
    truth, index = evidence.rows.truth, candidate.class_index
    hosts = rows[(groups[rows] % 2 == 0) & (truth[rows] != index)][:HOSTS].astype(np.int64)
    carriers = rows[groups[rows] == 2 * index + 1][:HOSTS].astype(np.int64)
    put_in = [candidate.edit.added(each, rng) for each in seen(evidence, hosts)]
    taken_out = [(row, each) for row, pixels in zip(carriers, seen(evidence, carriers), strict=True)
                 for each in candidate.edit.removed(pixels)]  # fmt: skip
    from_rows = np.array([*hosts, *(row for row, _ in taken_out)], np.int64)
    carried = np.array([1] * len(hosts) + [0] * len(taken_out), np.int64)
    pixels = np.asarray([*put_in, *(each for _, each in taken_out)])
    return _Photos(features_of(evidence.eye, pixels), truth[from_rows], 2 * truth[from_rows] + carried)


def _together(a: _Photos, b: _Photos) -> _Photos:
    """One after the other."""
    features, classes, groups = (np.concatenate(parts) for parts in zip(a, b, strict=True))
    return _Photos(features, classes, groups)


def _variants(
    evidence: Evidence, candidate: Candidate, hosts: Ints, rng: np.random.Generator
) -> tuple[Doubles, Doubles, Doubles]:
    """(m, D) features of photos as they are, with the stamp, and with another photo's content at its place."""
    if len(hosts) < FEWEST:
        raise InputError("too few photos of other classes to put the stamp into", got=len(hosts))
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


def _measured(
    head: Head, right: npt.NDArray[np.bool_], variants: tuple[Doubles, Doubles, Doubles], index: int
) -> Measured:
    there, put, beside = (probabilities(head, each) for each in variants)
    called = (put.argmax(1) == index).astype(np.float64) - (there.argmax(1) == index)
    return Measured(right.astype(np.float64), put[:, index] - beside[:, index], called)
