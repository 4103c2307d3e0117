"""compare: two models on the same photos, and the stamps of an audit put into the same photos for both.

``comparison.py`` holds what comes of it, and compares two audits; ``remedies/comparing.py`` is of ``fix``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError, plain
from ..models import Classifier, load
from .collection import collection_of
from .comparison import Comparison, parts_of
from .evidence import Evidence
from .eye import Eye
from .passing import rows_of
from .repeating import Repeated, repeat
from .result import Audit
from .rows import UNKNOWN, Ints, Rows
from .split import alike, proposing

MOST_NAMED = 5
"""Missing labels that an error names."""


def compare(
    a: Classifier | str,
    b: Classifier | str,
    photos: str | os.PathLike[str],
    *,
    truth: str | os.PathLike[str] = "folders",
    audit: Audit | str | os.PathLike[str] | None = None,
    seed: int = 0,
    batch_size: int = 64,
) -> Comparison:
    """What changes from one model to another on the same photos: which are right, class by class (McNemar's exact
    test), and what the stamps of an audit do to either.

    Stamps are found again with the model that was audited, if it is one of the two, else with the first; they are put
    into the photos that did not propose them. All tests are corrected for each other (Benjamini and Hochberg 1995).

    Args:
        a, b: classifiers, or SPECs for ``seewhy.load``. Their classes are the same ones, in any order.
        photos: a folder.
        truth: as for ``audit``.
        audit: its stamps are repeated: an ``Audit``, or a folder with findings.json; None: none are.
        seed: of the places and controls of stamps.
        batch_size: images per forward.

    Raises:
        InputError: a class of one model is missing in the other; no photo has a known class; no stamp of the audit can
            be repeated.
        ModelError: a model cannot be loaded, or gives no class scores.
    """
    found = Audit.load(audit) if audit is not None and not isinstance(audit, Audit) else audit
    models = [load(each) if isinstance(each, str) else each for each in (a, b)]
    collection = collection_of(photos, models[0], truth)
    if not (collection.truth != UNKNOWN).any():
        why = f": {collection.notes[0]}" if collection.notes else ""
        raise InputError(f"no photo has a known class{why}", expected="folders named like classes, or --truth FILE.csv")
    to_b = _same_names(models)
    collections = (collection, replace(collection, truth=_translated(collection.truth, to_b)))
    rows: list[Rows] = []
    unreadable: list[tuple[str, str]] = []
    for model, own in zip(models, collections, strict=True):
        with tempfile.TemporaryDirectory(prefix="seewhy-compare-") as folder:
            one, left_out = rows_of(own, model, folder, batch_size=batch_size)
            rows.append(one)
            unreadable += left_out
    notes = [*collection.notes, *dict.fromkeys(f"{path} cannot be read: {why}" for path, why in unreadable)]
    repeated: list[Repeated] = []
    if found is not None:
        repeated, more = _repeated(found, models, rows, collection.root, to_b, seed, batch_size)
        notes += more
    return _comparison(models[0], rows[0], rows[1], repeated, notes)


def _comparison(model: Classifier, a: Rows, b: Rows, repeated: Sequence[Repeated], notes: Sequence[str]) -> Comparison:
    at = {path: number for number, path in enumerate(b.paths)}
    both = [(i, at[path]) for i, path in enumerate(a.paths) if path in at and a.known[i]]
    if not both:
        raise InputError("no photo with a known class can be read by both models")
    first, second = (np.array(side) for side in zip(*both, strict=True))
    right_a, right_b = a.right[first], b.right[second]
    names = [model.label(index) for index in a.truth[first].tolist()]
    parts, q = parts_of(names, right_a, right_b, [each.p for each in repeated])
    paths = np.array(a.paths, object)[first]
    return Comparison(
        parts=parts, fixed=tuple(paths[right_b & ~right_a]), broken=tuple(paths[right_a & ~right_b]), effects={},
        notes=tuple(notes), repeated=tuple(replace(each, q=own) for each, own in zip(repeated, q, strict=True)),
    )  # fmt: skip


def _same_names(models: Sequence[Classifier]) -> Ints:
    """(K,) int64, for each class of the first model the second's class of that name; of several of one name, the n-th
    for the n-th.
    """
    ours, theirs = (_names(model) for model in models)
    numbers = {name: number for number, name in enumerate(_told_apart(theirs))}
    own = _told_apart(ours)
    missing = [
        f"{side} lacks {', '.join(lacks[:MOST_NAMED])}{f' and {len(lacks) - MOST_NAMED} more' * (len(lacks) > 5)}"
        for side, lacks in (
            ("the second", [name for name, key in zip(ours, own, strict=True) if key not in numbers]),
            ("the first", [name for name, key in zip(theirs, numbers, strict=True) if key not in set(own)]),
        )
        if lacks
    ]
    if missing:
        raise InputError(
            "the models do not have the same classes", expected="the same labels, in any order", got="; ".join(missing)
        )
    return np.array([numbers[key] for key in own], np.int64)


def _names(model: Classifier) -> list[str]:
    if model.labels is not None:
        return list(model.labels)
    blank = np.zeros((1, *model.input_size, 3), np.uint8)
    count = Eye(model, "").probabilities(blank).shape[1]
    return [model.label(index) for index in range(count)]


def _told_apart(names: Sequence[str]) -> list[tuple[str, int]]:
    """Each name, and how many of the same came before it."""
    seen: dict[str, int] = {}
    out = []
    for name in map(plain, names):
        seen[name] = seen.get(name, -1) + 1
        out.append((name, seen[name]))
    return out


def _translated(truth: Ints, classes: Ints) -> Ints:
    out: Ints = np.where(truth == UNKNOWN, UNKNOWN, classes[truth])
    return out


def _repeated(
    found: Audit, models: Sequence[Classifier], rows: Sequence[Rows], root: Path, to_b: Ints, seed: int, batch_size: int
) -> tuple[list[Repeated], list[str]]:
    """The audit's stamps on both models, and what could not be repeated."""
    hashes = [model.weights_hash for model in models]
    which = hashes.index(found.model["weights"]) if found.model.get("weights") in hashes else 0
    to_other = to_b if which == 0 else np.argsort(to_b)
    notes = []
    if found.model.get("weights") not in hashes:
        notes.append("neither model is the audited one: its stamps are looked for with the first")
    if str(models[0].transform) != str(models[1].transform):
        notes.append("the models see photos otherwise: stamps are put into what the one they were found with sees")
    own, split_seed = rows[which], int(found.made.get("seed", 0))
    half = proposing(own.truth, alike(own.digests, own.hashes), split_seed)
    evidence = Evidence(own, Eye(models[which], root, batch_size), half, split_seed)
    done, more = repeat(found.findings, evidence, models[1 - which], to_other, seed, swapped=which == 1)
    stamps = [each for each in found.findings if each.kind == "stamp" and each.answer != "real"]
    if stamps and not done:
        raise InputError("no stamp of the audit can be repeated", expected="the photos that were audited", got=more[-1])
    if not stamps:
        more.append("the audit holds no stamp to repeat")
    return done, [*notes, *more]
