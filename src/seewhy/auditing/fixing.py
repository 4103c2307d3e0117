"""fix: train the last layer again so that a class no longer leans on what was found, and measure whether it helped."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, close_matches
from ..models import Classifier
from .candidate import Candidate
from .evidence import Evidence
from .eye import Eye
from .finding import Finding
from .passing.collection import collection_of
from .passing.one_pass import rows_of
from .passing.shards import rows_folder
from .remedies.again import Again, measured_again
from .remedies.comparing import Comparison, Measured
from .remedies.head import Head, copied, head_of, probabilities, with_head
from .remedies.known import REMEDIES, Remedy
from .remedies.lessons import has_both, lessons, variants
from .result import Audit
from .sources.components import components
from .sources.global_properties import global_properties
from .sources.slices import slice_of
from .sources.stamps import seen, stamps
from .split import proposing_of

Ints = npt.NDArray[np.integer[Any]]
Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

HOSTS = 200
"""The most photos that its effect is measured on."""

BEFORE, AFTER, LONGER = "before", "after", "just trained longer"

CANDIDATES: dict[str, Callable[[Evidence], Sequence[Finding | Candidate]]] = {
    "stamp": stamps,
    "component": components,
    "global": global_properties,
}
"""Where findings that can be put into photos come from, by their kind."""
GROUPED = ("stamp", "global")
"""Kinds that photos carry or do not, so that they tell groups."""


@dataclass(frozen=True, eq=False)
class Fixed:
    """A new last layer, and what it changes on photos that it was not trained on.

    Attributes:
        remedy: how it was trained.
        finding: what it is against; None: nothing in particular.
        head: the new last layer, of the first seed.
        longer: what it is compared with: trained longer, with nothing known of groups; of the first seed.
        values: for "before", "after" and "just trained longer": the median over seeds of "clean accuracy" (on photos
            as they are), "worst group accuracy", and where it can be put into photos "effect" (on the probability of
            the class, beyond its controls) and "called" (the share of photos that it turns into the class).
        seeds: the same for each seed.
        change: for "after - before" and "after - just trained longer": {"median": ..., "ci": [low, high]} of each.
        groups: photos of each group: on the proposing half, which it was trained on, and on the measuring half.
        again: what the mended model was audited for again.
        notes: what was left out or made, a line each.
    """

    remedy: Remedy
    finding: Finding | None
    head: Head
    longer: Head
    values: Mapping[str, Mapping[str, float]]
    seeds: Mapping[str, Mapping[str, list[float]]]
    change: Mapping[str, Mapping[str, Mapping[str, Any]]]
    groups: Mapping[str, list[int]]
    again: Again
    notes: tuple[str, ...] = ()

    @property
    def helped(self) -> bool:
        """The worst group is better, or the effect is less, beyond chance, and neither is worse beyond chance."""
        than = {name: each["ci"] for name, each in self.change["after - before"].items()}
        worst, effect = than["worst group accuracy"], than.get("effect", (0.0, 0.0))
        return bool((worst[0] > 0 or effect[1] < 0) and not (worst[1] < 0 or effect[0] > 0))

    @property
    def beyond_longer(self) -> bool:
        """The worst group is better, or the effect is less, beyond chance than after training longer."""
        than = {name: each["ci"] for name, each in self.change[f"{AFTER} - {LONGER}"].items()}
        return bool(than["worst group accuracy"][0] > 0 or than.get("effect", (0.0, 0.0))[1] < 0)

    @property
    def sentence(self) -> str:
        """Whether it helped, in one sentence."""
        than = self.change["after - before"]
        told = ", ".join(
            f"{name} {each['median']:+.3f} [{each['ci'][0]:+.3f}, {each['ci'][1]:+.3f}]"
            for name, each in than.items() if name != "called"
        )  # fmt: skip
        worse = [name for name, each in than.items() if "accuracy" in name and each["ci"][1] < 0]
        worse += [name for name, each in than.items() if "accuracy" not in name and each["ci"][0] > 0]
        said = "helped" if self.helped else "did not help beyond chance"
        if self.helped and not self.beyond_longer:
            said = "helped no more than just training longer"
        if worse:
            said = f"{f'{said}, but ' if self.helped else ''}made worse: {' and '.join(worse)}"
        return f"the new last layer {said}; {told}"

    def describe(self) -> dict[str, Any]:
        """Everything but the weights, ready for JSON."""
        return {
            "finding": None if self.finding is None else self.finding.id,
            "class": None if self.finding is None else self.finding.class_name,
            "remedy": self.remedy.name, "layer": self.head.name,
            "helped": self.helped, "beyond_longer": self.beyond_longer, "sentence": self.sentence,
            "values": self.values, "seeds": self.seeds,
            "change": self.change, "groups": self.groups, "again": self.again.describe(),
            "notes": list(self.notes),
        }  # fmt: skip


def fix(
    audit_dir: str | os.PathLike[str], photos: str | os.PathLike[str], classifier: Classifier,
    finding_id: str | None = None, seeds: int = 5, *, remedy: str | None = None,
    truth: str | os.PathLike[str] = "folders", batch_size: int = 64,
    written: Callable[[Head], Classifier] | None = None,
) -> Fixed:  # fmt: skip
    """Train the last layer again.

    Against a stamp or a property of the whole photo: with as many photos of each class with and without it, which is
    put into photos of other classes and taken out of those that carry it ("dfr": ``remedies.last_layer``, after
    Kirichenko et al. 2023). Against a component or a slice, where nothing was found that is a suspected shortcut, and
    where there are no photos of its class without what was found and none can be made, as of a blur: with those photos
    of each class that the model is least sure about ("self": ``remedies.selective``, after LaBonte et al. 2023).

    The proposing half of the audit's photos is what it is trained on; the other half, what it is measured on, beside
    the same training on photos as they are. Groups are each class with and without what was found; where nothing was,
    in and out of the slices in which the model is weak. The model that is given is not changed. Then the new model is
    audited again: for the finding, for all stamps, and for calibration.

    Args:
        audit_dir: what ``audit`` wrote with ``output_dir``: findings.json and rows.
        photos: the audited folder.
        classifier: the audited model.
        finding_id: a stamp, component, slice or property; None: the first stamp or property that is a suspected
            shortcut, proven ones before others, or none.
        seeds: how many times it is trained, at least 5; medians count.
        remedy: a name of ``remedies.known.REMEDIES``; None: as above.
        truth: as for ``audit``.
        batch_size: images per forward.
        written: given the new last layer, gives the model that is audited again, such as one that was written to a
            file and read; None: a copy of ``classifier`` with it.

    Raises:
        InputError: there is no such finding or remedy, there are no rows, or too few photos of a class, or with or
            without what was found.
        ModelError: the network has no linear last layer on pooled features; says why.
        OutputError: the rows are of another model or of other photos.
    """
    if seeds < 5:
        raise InputError("a median needs seeds", expected="at least 5", got=seeds)
    found = Audit.load(audit_dir)
    finding = _finding(found, finding_id)
    _known(remedy, finding)
    evidence = _evidence(Path(audit_dir), photos, copied(classifier), found, truth, batch_size)
    candidate = None if finding is None or finding.kind == "slice" else _candidate(evidence, finding)
    rows, eye = evidence.rows, evidence.eye
    head = head_of(eye, seen(evidence, np.arange(min(2, len(rows)))))
    if rows.features.shape[1] != head.weight.shape[1]:
        got = f"{rows.features.shape[1]} and {head.weight.shape[1]}"
        raise InputError("the rows do not hold what the last layer reads", expected="as many features", got=got)
    carries = _carries(evidence, found, finding)
    rng = evidence.random(f"fix {'' if finding is None else finding.id}")
    grouped = candidate if finding is not None and finding.kind in GROUPED else None
    way = _remedy(remedy, grouped is not None and has_both(evidence, carries, grouped))
    taught = lessons(evidence, carries, grouped if way.groups else None, len(head.weight), rng)
    there = put = beside = np.zeros((0, rows.features.shape[1]))
    if candidate is not None:
        hosts = ~evidence.proposing & rows.known & ~carries & (rows.truth != candidate.class_index)
        there, put, beside = variants(evidence, candidate, rng.permutation(np.flatnonzero(hosts))[:HOSTS], rng)

    def tried(one: Head) -> Measured:
        right = probabilities(one, taught.measured.features).argmax(1) == taught.measured.classes
        if candidate is None:
            return Measured(right.astype(np.float64), np.zeros(0), np.zeros(0))
        return _measured(one, right, (there, put, beside), candidate.class_index)

    heads = {
        name: [Head(head.name, *fitted(taught, head, seed)) for seed in range(seeds)]
        for name, fitted in ((AFTER, way.fit), (LONGER, way.longer))
    }
    ways = {BEFORE: [tried(head)] * seeds, **{name: [tried(each) for each in many] for name, many in heads.items()}}
    comparison = Comparison(taught.measured.groups, len(there), rng, taught.real)
    mended = with_head(eye.classifier, heads[AFTER][0]) if written is None else written(heads[AFTER][0])
    return Fixed(
        remedy=way, finding=finding, head=heads[AFTER][0], longer=heads[LONGER][0], notes=taught.notes,
        groups=taught.counts, again=measured_again(finding, candidate, evidence, mended),
        values={name: comparison.values(each) for name, each in ways.items()},
        seeds={name: comparison.each(each) for name, each in ways.items()},
        change={
            f"{AFTER} - {other}": comparison.difference(ways[AFTER], ways[other]) for other in (BEFORE, LONGER)
        },
    )  # fmt: skip


def _finding(found: Audit, finding_id: str | None) -> Finding | None:
    kinds = (*CANDIDATES, "slice")
    known = {each.id: each for each in found.findings if each.kind in kinds}
    if finding_id is None:
        suspected = [each for each in known.values() if each.kind in GROUPED and each.transform is not None
                     and each.suspected_shortcut and each.answer != "real"]  # fmt: skip
        return min(suspected, key=lambda each: each.state != "proven", default=None)
    if finding_id not in known:
        expected = ", ".join(known) or "an audit that found one"
        what = f"there is no {', '.join(kinds[:-1])} or {kinds[-1]} {finding_id!r} in the audit"
        raise InputError(what, expected=expected, close=close_matches(finding_id, known))
    if known[finding_id].answer == "real":
        raise InputError(f"{finding_id} was answered to be real, part of the object", expected="another finding")
    if known[finding_id].kind in CANDIDATES and known[finding_id].transform is None:
        expected = "a finding that can be put into photos"
        raise InputError(f"no last layer can be trained against {finding_id}, which is of the files", expected=expected)
    return known[finding_id]


def _known(name: str | None, finding: Finding | None) -> None:
    """Refuses a remedy that there is not, and one that does not fit."""
    known = {each.name: each for each in REMEDIES}
    if name is None:
        return
    if name not in known:
        close = close_matches(name, known)
        raise InputError(f"there is no remedy {name!r}", expected=" or ".join(known), close=close)
    if known[name].groups and (finding is None or finding.kind not in GROUPED):
        got = "no suspected shortcut" if finding is None else f"a {finding.kind}"
        expected = "a stamp or a property of the whole photo"
        raise InputError(f"{name} needs groups of photos with and without what was found", expected=expected, got=got)


def _remedy(name: str | None, both: bool) -> Remedy:
    """The one of that name; else the first that fits photos of which there are ``both`` groups, or not."""
    return next(each for each in REMEDIES if each.name == name or (name is None and (both or not each.groups)))


def _evidence(folder: Path, photos: Any, classifier: Classifier, found: Audit, truth: Any, batch_size: int) -> Evidence:
    there = rows_folder(folder)
    collection = collection_of(photos, classifier, truth)
    rows, _ = rows_of(collection, classifier, there, batch_size=batch_size)
    seed = int(found.made.get("seed", 0))
    return Evidence(rows, Eye(classifier, collection.root, batch_size), proposing_of(rows, seed), seed)


def _candidate(evidence: Evidence, finding: Finding) -> Candidate:
    """The finding with its pixels: the same evidence gives the same candidates."""
    for each in CANDIDATES[finding.kind](evidence):
        if each.id == finding.id and isinstance(each, Candidate):
            return each
    raise InputError(f"{finding.id} is not found in these photos any more", expected="the folder that was audited")


def _carries(evidence: Evidence, found: Audit, finding: Finding | None) -> Mask:
    """(N,) bool: which rows carry it; of a slice, those in it; where there is none, those in any weak slice."""
    if finding is not None and finding.kind != "slice":
        return np.isin(np.array(evidence.rows.paths, object), np.array(finding.carriers, object))
    inside = np.zeros(len(evidence.rows), np.bool_)
    for each in found.findings if finding is None else (finding,):
        if each.kind == "slice":
            inside |= slice_of(evidence, each.id).inside
    return inside


def _measured(
    head: Head, right: npt.NDArray[np.bool_], variants: tuple[Doubles, Doubles, Doubles], index: int
) -> Measured:
    there, put, beside = (probabilities(head, each) for each in variants)
    called = (put.argmax(1) == index).astype(np.float64) - (there.argmax(1) == index)
    return Measured(right.astype(np.float64), put[:, index] - beside[:, index], called)
