"""What a mended model is audited for again: what was to be mended, all other stamps, calibration, accuracies."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ...errors import InputError
from ...models import Classifier
from ..candidate import Candidate
from ..correction import corrected
from ..evidence import Evidence
from ..eye import Eye
from ..finding import Finding
from ..interventions import decide
from ..passing.collection import Collection
from ..passing.one_pass import rows_of
from ..sources.calibration import calibration
from ..sources.slices import retold
from ..sources.stamps import stamps


@dataclass(frozen=True, eq=False)
class Again:
    """The same photos, audited with the mended model.

    Attributes:
        before: the finding, with the model as it was; None: there was none in particular.
        after: the same put into the same photos, with the mended model; of a slice, the accuracy in it. Its q is over
            what is tested again.
        others: all else that was found again: stamps of any class, and calibration.
        error: the expected calibration error, "before" and "after"; None: too few photos.
        classes: by name, how many photos were measured on, and the accuracy on them "before" and "after"; of the half
            that no last layer was trained on.
    """

    before: Finding | None
    after: Finding | None
    others: tuple[Finding, ...]
    error: Mapping[str, float] | None
    classes: Mapping[str, Mapping[str, float]]

    def describe(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "before": None if self.before is None else _numbers(self.before),
            "after": None if self.after is None else _numbers(self.after), "calibration_error": self.error,
            "others": [{"id": each.id, "sentence": each.sentence, **_numbers(each)} for each in self.others],
            "classes": self.classes,
        }  # fmt: skip


def measured_again(finding: Finding | None, candidate: Candidate | None, before: Evidence, mended: Classifier) -> Again:
    """One more pass over the photos, with another model.

    Args:
        finding: what was mended; None: nothing in particular.
        candidate: the same, as it was put into photos; None where it is a slice.
        before: the photos, and the model as it was.
        mended: the new model.

    Raises:
        InputError: a photo cannot be read any more.
        ModelError: the model gives no class scores.
    """
    eye = Eye(mended, before.eye.root, before.eye.batch_size)
    known = before.rows
    with tempfile.TemporaryDirectory(prefix="seewhy-audit-") as folder:
        photos = Collection(eye.root, known.paths, np.asarray(known.truth, np.int64))
        rows, unreadable = rows_of(photos, mended, folder, batch_size=eye.batch_size)
    if unreadable:
        raise InputError("a photo cannot be read any more", expected="the folder that was audited", got=unreadable[0])
    after = Evidence(rows, eye, before.proposing, before.seed)
    given = [] if candidate is None else [candidate]
    others = [_told_apart(each, given) for each in stamps(after) if not any(_same(each, one) for one in given)]
    weak = [retold(after, finding.id)] if finding is not None and finding.kind == "slice" else []
    found = corrected([*decide([*given, *others], after), *weak, *calibration(after)])
    again = next((each for each in found if finding is not None and each.id == finding.id), None)
    return Again(
        finding, again, tuple(each for each in found if each is not again), _errors(before, found),
        _accuracies(before, after),
    )  # fmt: skip


def _same(one: Candidate, other: Candidate) -> bool:
    """Whether two are one stamp."""
    if type(one.edit) is not type(other.edit) or one.class_index != other.class_index:
        return False
    return all(map(np.array_equal, vars(one.edit).values(), vars(other.edit).values()))


def _told_apart(one: Candidate, given: Sequence[Candidate]) -> Candidate:
    """A moving stamp is found by the model's maps: under a new model it may be another one, of the same name."""
    return replace(one, id=f"{one.id}-new") if any(one.id == each.id for each in given) else one


def _errors(before: Evidence, found: list[Finding]) -> dict[str, float] | None:
    sides = {"before": calibration(before), "after": [each for each in found if each.kind == "calibration"]}
    errors = {name: float(each[0].detail["expected_calibration_error"]["before"]) for name, each in sides.items()
              if each}  # fmt: skip
    return errors if len(errors) == 2 else None


def _accuracies(before: Evidence, after: Evidence) -> dict[str, dict[str, float]]:
    measured = ~before.proposing & before.rows.known
    classes: dict[str, dict[str, float]] = {}
    for index in np.unique(before.rows.truth[measured]).tolist():
        here = measured & (before.rows.truth == index)
        name = before.label(index)
        classes[f"{name} ({index})" if name in classes else name] = {
            "photos": int(here.sum()),
            "before": float(before.rows.right[here].mean()), "after": float(after.rows.right[here].mean()),
        }  # fmt: skip
    return classes


def _numbers(finding: Finding) -> dict[str, Any]:
    about = asdict(finding)
    return {name: about[name] for name in ("state", "effect", "ci", "p", "q")}
