"""compare: two models on the same photos, and the stamps of an audit put into the same photos for both.

``comparison.py`` holds what comes of it; ``remedies/comparing.py`` is of ``fix``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ... import events
from ...errors import InputError, plain
from ...models import Classifier, load
from ...pictures import read_photo
from ..evidence import Evidence
from ..eye import Eye
from ..passing.collection import collection_of
from ..passing.one_pass import rows_of
from ..passing.rows import UNKNOWN, Ints, Rows
from ..result import FILE, Audit
from ..split import proposing_of
from .audits import compare_audits
from .both import Side, comparison_of
from .comparison import Comparison
from .repeating import Repeated, repeat

MOST_NAMED = 5
"""Missing labels that an error names."""


def compare(
    a: Classifier | str | os.PathLike[str],
    b: Classifier | str | os.PathLike[str],
    photos: str | os.PathLike[str] | None = None,
    *,
    truth: str | os.PathLike[str] = "folders",
    audit: Audit | str | os.PathLike[str] | None = None,
    seed: int = 0,
    batch_size: int = 64,
    listener: events.Listener | None = None,
    cancellation: events.Cancellation | None = None,
) -> Comparison:
    """What changes from one model to another, or from one audit to another, on the same photos: which are right, class
    by class and slice by slice (McNemar's exact test), what the maps of the photos that changed show, and what the
    stamps of an audit do to either.

    Slices are the fifths of the photos by each property, and clusters of features on which one of the models was found
    to be weak. Stamps are found again with the model that was audited, if it is one of the two, else with the first;
    they are put into the photos that did not propose them. All tests are corrected for each other (Benjamini and
    Hochberg 1995).

    Args:
        a, b: classifiers, or SPECs for ``seewhy.load``: their classes are the same ones, in any order. Or two folders
            that ``audit`` wrote with ``output_dir``, whose effects are those that they measured.
        photos: a folder; of two audits, where their photos are now, None: where they were.
        truth: of two models, as for ``audit``.
        audit: of two models, its stamps are repeated: an ``Audit``, or a folder with findings.json; None: none are.
        seed: of the places and controls of stamps, and of clusters.
        batch_size: images per forward.
        listener: hears the events of the work.
        cancellation: ends it at the next step when it is asked to.

    Returns:
        A ``Comparison``; ``save`` writes compare.html and compare.json.

    Raises:
        InputError: there are no photos for two models; a class of one model is missing in the other; no photo has a
            known class; no stamp of the audit can be repeated; two audits have no photo in common.
        ModelError: a model cannot be loaded, or gives no class scores.
        Cancelled: it was cancelled.
    """
    with events.job("Comparison", listener=listener, cancellation=cancellation):
        if not isinstance(a, Classifier) and not isinstance(b, Classifier) and _audits(a, b, photos):
            if audit is not None:
                raise InputError("two audits are compared by what they measured", expected="no further audit")
            return compare_audits(a, b, photos)
        if photos is None:
            raise InputError("two models are compared on photos", expected="a folder, or two audits")
        found = Audit.load(audit) if audit is not None and not isinstance(audit, Audit) else audit
        models = [each if isinstance(each, Classifier) else load(os.fspath(each)) for each in (a, b)]
        return _of_models(models, photos, truth, found, seed, batch_size)


def is_audit(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is one that ``audit`` wrote."""
    return (Path(folder) / FILE).is_file()


def _audits(a: str | os.PathLike[str], b: str | os.PathLike[str], photos: object) -> bool:
    """Whether two audits are meant: both are there, or both are folders and nothing is there to look at."""
    return (is_audit(a) and is_audit(b)) or (photos is None and os.path.isdir(a) and os.path.isdir(b))


def _of_models(
    models: Sequence[Classifier],
    photos: str | os.PathLike[str],
    truth: str | os.PathLike[str],
    found: Audit | None,
    seed: int,
    batch_size: int,
) -> Comparison:
    collection = collection_of(photos, models[0], truth)
    if not (collection.truth != UNKNOWN).any():
        why = f": {collection.notes[0]}" if collection.notes else ""
        raise InputError(f"no photo has a known class{why}", expected="folders named like classes, or --truth FILE.csv")
    to_b = _same_names(models)
    collections = (collection, replace(collection, truth=_translated(collection.truth, to_b)))
    rows: list[Rows] = []
    unreadable: list[tuple[str, str]] = []
    for number, (model, own) in enumerate(zip(models, collections, strict=True)):
        with (
            events.part("AB"[number], 0.4 * number, 0.4),
            tempfile.TemporaryDirectory(prefix="seewhy-compare-") as folder,
        ):
            one, left_out = rows_of(own, model, folder, batch_size=batch_size)
            rows.append(one)
            unreadable += left_out
    notes = [*collection.notes, *dict.fromkeys(f"{path} cannot be read: {why}" for path, why in unreadable)]
    repeated: list[Repeated] = []
    if found is not None:
        with events.part("Stamps", 0.8, 0.2):
            repeated, more = _repeated(found, models, rows, collection.root, to_b, seed, batch_size)
        notes += more
    at = {path: number for number, path in enumerate(rows[1].paths)}
    both = [(i, at[path]) for i, path in enumerate(rows[0].paths) if path in at and rows[0].known[i]]
    if not both:
        raise InputError("no photo with a known class can be read by both models")
    # In the numbers of the first model: the order of a model's classes changes nothing.
    numbered = (rows[0], _renumbered(rows[1], np.argsort(to_b)))
    slices_seed = seed if found is None else int(found.made.get("seed", 0))
    a, b = (
        Side(_about(model), own, models[0].label, _seen(model, collection.root), slices_seed)
        for model, own in zip(models, numbered, strict=True)
    )
    return comparison_of(a, b, both, repeated=repeated, notes=notes)


def _seen(model: Classifier, root: Path) -> Callable[[str], Image.Image]:
    return lambda path: model.crop(read_photo(root / path).image)


def _about(model: Classifier) -> dict[str, str | None]:
    about = {"model": model.name, "weights": model.weights_hash, "preprocessing": str(model.transform)}
    return {"audit": None, **about}


def _renumbered(rows: Rows, classes: Ints) -> Rows:
    """The same rows, ``classes`` (K,) being the new number of each class."""
    return replace(
        rows, truth=_translated(rows.truth, classes), predicted=classes[rows.predicted],
        top_classes=classes[rows.top_classes],
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
    evidence = Evidence(own, Eye(models[which], root, batch_size), proposing_of(own, split_seed), split_seed)
    done, more = repeat(found.findings, evidence, models[1 - which], to_other, seed, swapped=which == 1)
    stamps = [each for each in found.findings if each.kind == "stamp" and each.answer != "real"]
    if stamps and not done:
        raise InputError("no stamp of the audit can be repeated", expected="the photos that were audited", got=more[-1])
    if not stamps:
        more.append("the audit holds no stamp to repeat")
    return done, [*notes, *more]
