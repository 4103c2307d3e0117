"""audit: one pass over a folder, candidates from several sources, interventions that decide, findings."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from .. import __version__, events
from ..errors import InputError, PhotoError, close_matches
from ..models import Classifier
from ..session import Session
from .candidate import Candidate
from .correction import corrected
from .evidence import Evidence
from .eye import Eye
from .finding import Finding
from .interventions import decide
from .mistakes import confused, errors
from .other_folder import other_folder
from .passing.collection import Collection, collection_of
from .passing.gone import still_there
from .passing.one_pass import rows_of
from .passing.rows import Rows
from .passing.shards import ROWS
from .result import Audit
from .sources.calibration import calibration
from .sources.components import components
from .sources.duplicates import duplicates
from .sources.global_properties import global_properties
from .sources.labels import labels
from .sources.preprocessing import preprocessing
from .sources.sensitivity import sensitivity
from .sources.slices import slices
from .sources.stamps import stamps
from .split import proposing_of
from .stages import INTERVENTIONS, OTHER_FOLDER, PHOTOS, Passed, Plan, Proposed

Source: TypeAlias = Callable[[Evidence], Sequence[Finding | Candidate]]

SOURCES: dict[str, Source] = {
    "preprocessing": preprocessing,
    "stamps": stamps,
    "global": global_properties,
    "components": components,
    "sensitivity": sensitivity,
    "labels": labels,
    "duplicates": duplicates,
    "slices": slices,
    "calibration": calibration,
}
"""Where findings come from, by name. A source is one function in a file of its own, and an entry here."""

OF_CALLED = ("stamps",)
"""Sources that take what photos are called for their classes where no truth is known at all."""

RETRIES = 2
"""How often an audit begins anew after its pass, without photos that are gone."""


def audit(
    photos: str | os.PathLike[str],
    model: object = "efficientnet_lite0",
    *,
    truth: str | os.PathLike[str] = "folders",
    other: str | os.PathLike[str] | None = None,
    sources: Sequence[str] | None = None,
    output_dir: str | os.PathLike[str] | None = None,
    seed: int = 0,
    batch_size: int = 64,
    engine: str = "local",
    workers: int | None = None,
    overwrite: bool = False,
    listener: events.Listener | None = None,
    cancellation: events.Cancellation | None = None,
) -> Audit:
    """What a model leans on and where it fails, over a folder of photos: each candidate is proposed on one half of the
    photos and decided by interventions on the other, beside matched controls.

    Args:
        photos: a folder; folders in it that are named like classes tell the true classes.
        model: a SPEC for ``seewhy.load``, a ``Classifier``, a ``torch.nn.Module``, or a ``Session``.
        truth: "folders", or a CSV file with the columns path and label. Where no truth is known at all, stamps are
            looked for in the photos that are called each class, and duplicates; no more can be said then.
        other: another folder, such as that of the training photos: photos that are in both are said.
        sources: names of ``SOURCES``; None: all of them.
        output_dir: where the rows of the pass are kept, in the folder "rows", so that an audit that was interrupted
            goes on; None: nothing is kept.
        seed: of every draw: the same seed gives the same findings.
        batch_size: images per forward.
        engine: "local"; or "ray", where the pass is made by workers of a Ray cluster, with the same rows.
        workers: how many of a cluster that is begun for it; None: as many as there are processors.
        overwrite: whether rows in ``output_dir`` that are of another model or of other photos are replaced.
        listener: hears the events of the work.
        cancellation: ends it at the next step when it is asked to.

    Returns:
        An ``Audit``; ``save`` writes findings.json.

    Raises:
        InputError: there is no photo, or no such source, or an argument makes no sense.
        OutputError: ``output_dir`` holds the rows of another pass, or cannot be written.
        PhotoError: photos go, or change, again and again while the audit runs.
        ModelError: the model cannot be loaded, or gives no class scores.
        Cancelled: it was cancelled.
    """
    chosen = _chosen(sources)
    _check(seed, batch_size)
    session = model if isinstance(model, Session) else Session(model)
    job = events.job(f"Audit of {_name(photos)}", listener=listener, cancellation=cancellation)
    with job, session.turn(cancellation) as classifier, _rows_in(output_dir) as folder:
        collection = collection_of(photos, classifier, truth)
        others = () if other is None else (OTHER_FOLDER,)
        events.result(Plan((PHOTOS, *others, *(name.capitalize() for name in chosen), INTERVENTIONS)))
        with events.part(PHOTOS, 0, 0.4):
            rows, unreadable = rows_of(
                collection, classifier, folder, batch_size=batch_size, engine=engine, workers=workers,
                overwrite=overwrite,
            )  # fmt: skip
        with events.part(OTHER_FOLDER, 0.4, 0.1):
            there = None if other is None else other_folder(other)
        for last in (False,) * RETRIES + (True,):
            eye = Eye(classifier, collection.root, batch_size, dict(zip(rows.paths, rows.digests, strict=True)))
            evidence = Evidence(rows, eye, proposing_of(rows, seed), seed, there)
            about = _passed(classifier, collection, unreadable, evidence)
            events.result(about)
            try:
                findings = _found(chosen, evidence)
            except PhotoError:
                rows, gone = still_there(rows, collection.root)
                if last or not gone:
                    raise
                unreadable = [*unreadable, *gone]
            else:
                return Audit(
                    model=about.model, photos=_with_failures(about.photos, eye.failures),
                    findings=tuple(corrected(findings)),
                    made={"seewhy": __version__, "seed": seed, "sources": list(chosen),
                        "forwards": eye.forwards + len(rows), "forwards_saved": eye.saved},
                )  # fmt: skip
        raise AssertionError("the last round returns or raises")


def _name(photos: object) -> str:
    return Path(photos).name if isinstance(photos, str | os.PathLike) else ""


def _check(seed: object, batch_size: object) -> None:
    for name, value, least in (("seed", seed, 0), ("batch_size", batch_size, 1)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise InputError(f"{name} is a whole number", expected=f"at least {least}", got=repr(value))


def _passed(
    classifier: Classifier, collection: Collection, unreadable: Sequence[tuple[str, str]], evidence: Evidence
) -> Passed:
    return Passed(
        model={
            "spec": classifier.name, "weights": classifier.weights_hash,
            "preprocessing": str(classifier.transform), "notes": list(classifier.notes),
            "labels": {str(index): evidence.label(index) for index in _classes(evidence.rows)},
        },
        photos=_said_of(collection, evidence.rows, unreadable, evidence),
    )  # fmt: skip


def _with_failures(photos: Mapping[str, Any], failures: Sequence[str]) -> dict[str, Any]:
    """With a note on changed photos that the model said nothing of."""
    said = [f"the model said nothing of {len(failures)} changed photos: {failures[0]}"] if failures else []
    return {**photos, "notes": [*photos["notes"], *said]}


def _classes(rows: Rows) -> list[int]:
    """Those that a photo has, or is taken for."""
    return sorted({*rows.truth[rows.known].tolist(), *rows.predicted.tolist()})


def _chosen(names: Sequence[str] | None) -> dict[str, Source]:
    if names is None:
        return SOURCES
    for name in names:
        if name not in SOURCES:
            expected = ", ".join(SOURCES)
            raise InputError(f"there is no source {name!r}", expected=expected, close=close_matches(str(name), SOURCES))
    return {name: SOURCES[name] for name in names}


def _found(sources: dict[str, Source], evidence: Evidence) -> list[Finding]:
    findings: list[Finding] = []
    candidates: list[Candidate] = []
    called = replace(evidence, rows=replace(evidence.rows, truth=evidence.rows.predicted))
    for number, (name, source) in enumerate(sources.items()):
        with events.part(name.capitalize(), 0.5 + 0.3 * number / len(sources), 0.3 / len(sources)):
            events.progress(0, 1)
            found = source(called if name in OF_CALLED and not evidence.rows.known.any() else evidence)
            candidates += [each for each in found if isinstance(each, Candidate)]
            findings += [each for each in found if isinstance(each, Finding)]
            events.result(Proposed.of(found, evidence.rows))
            events.checkpoint()
    with events.part(INTERVENTIONS, 0.8, 0.2):
        return [*findings, *decide(candidates, evidence)]


def _said_of(
    collection: Collection, rows: Rows, unreadable: Sequence[tuple[str, str]], evidence: Evidence
) -> dict[str, Any]:
    known = rows.known
    accuracy = float(rows.right[known].mean()) if known.any() else None
    classes = {
        evidence.label(int(index)): {
            "photos": int((rows.truth == index).sum()),
            "accuracy": float(rows.right[rows.truth == index].mean()),
        }
        for index in np.unique(rows.truth[known])
    }
    return {
        "folder": str(collection.root), "count": len(rows), "labelled": int(known.sum()), "accuracy": accuracy,
        "classes": classes, "errors": errors(rows, evidence.label), "confused": confused(rows, evidence.label),
        "unreadable": [list(each) for each in unreadable], "notes": list(collection.notes),
    }  # fmt: skip


@contextmanager
def _rows_in(output_dir: str | os.PathLike[str] | None) -> Iterator[Path]:
    if output_dir is not None:
        yield Path(output_dir) / ROWS
        return
    with tempfile.TemporaryDirectory(prefix="seewhy-audit-") as folder:
        yield Path(folder)
