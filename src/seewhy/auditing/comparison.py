"""Comparison: two audits of the same photos side by side, and what got worse.

``comparing.py`` makes one of two models; ``remedies/comparing.py`` is of ``fix``, a network before and after.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..files import make_folder, write_text
from ..legible import in_one_line
from .correction import RATE
from .finding import Finding
from .repeating import Repeated
from .result import Audit
from .rows import Rows
from .shards import read_rows
from .statistics import benjamini_hochberg, mcnemar

Bools = npt.NDArray[np.bool_]

FORMAT = 1
FILE = "comparison.json"


@dataclass(frozen=True, eq=False)
class Compared:
    """A part of the photos, under both models.

    Attributes:
        name: a class, or "all".
        photos: how many.
        a, b: the share of them that is right.
        fixed, broken: how many only the second, or only the first, is right on.
        p, q: of McNemar's exact test, before and after Benjamini and Hochberg's correction over all parts.
    """

    name: str
    photos: int
    a: float
    b: float
    fixed: int
    broken: int
    p: float
    q: float

    @property
    def worse(self) -> bool:
        """Significantly fewer are right under the second."""
        return self.broken > self.fixed and self.q <= RATE


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two audits, or two models, on the same photos.

    Attributes:
        parts: all photos, then each class, worst change first.
        fixed, broken: paths of the photos that only the second, or only the first model is right on.
        effects: for each finding with an effect that both have, by its id, the finding of each.
        notes: what could not be compared, a line each.
        repeated: stamps of an audit, put into the same photos for both models.
    """

    parts: tuple[Compared, ...]
    fixed: tuple[str, ...]
    broken: tuple[str, ...]
    effects: Mapping[str, tuple[Finding, Finding]]
    notes: tuple[str, ...] = ()
    repeated: tuple[Repeated, ...] = ()

    @property
    def worse(self) -> list[str]:
        """A sentence for everything that got significantly worse."""
        said = [
            f"{'all photos' if part.name == 'all' else part.name}: {100 * part.b:.1f} % right rather than "
            f"{100 * part.a:.1f} % (q {part.q:.2g})"
            for part in self.parts if part.worse
        ]  # fmt: skip
        for a, b in self.effects.values():
            if b.suspected_shortcut and b.effect is not None and (a.ci is None or b.effect > a.ci[1]):
                said.append(f"leans more on it: {b.sentence}")
        return said + [each.sentence for each in self.repeated if each.worse]

    def describe(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "format": FORMAT, "parts": [vars(part) for part in self.parts], "fixed": list(self.fixed),
            "broken": list(self.broken), "worse": self.worse, "notes": list(self.notes),
            "effects": {
                id_: [{name: getattr(one, name) for name in ("effect", "ci", "state", "sentence")} for one in pair]
                for id_, pair in self.effects.items()
            },
            "repeated": [vars(each) for each in self.repeated],
        }  # fmt: skip

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write comparison.json into ``folder``, and return its path.

        Raises:
            OutputError: it exists and ``overwrite`` is False, or it cannot be written.
        """
        path = make_folder(Path(folder)) / FILE
        write_text(path, json.dumps(self.describe(), indent=1, allow_nan=False), overwrite=overwrite)
        return path


def compare(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> Comparison:
    """What changed from one audit to another of the same photos: which are right, class by class, and the effect of
    what was put into them.

    Args:
        a, b: what ``audit`` wrote with ``output_dir``: findings.json and rows.

    Raises:
        InputError: one of them is no audit, they have no labelled photo in common, or name their classes otherwise.
    """
    (audit_a, rows_a), (audit_b, rows_b) = (_read(Path(folder)) for folder in (a, b))
    return compared(audit_a, rows_a, audit_b, rows_b)


def compared(audit_a: Audit, rows_a: Rows, audit_b: Audit, rows_b: Rows) -> Comparison:
    """The same, of what was read."""
    names_a, names_b = _names(audit_a), _names(audit_b)
    at = {path: number for number, path in enumerate(rows_b.paths)}
    both = [(i, at[path]) for i, path in enumerate(rows_a.paths) if path in at]
    both = [(i, j) for i, j in both if rows_a.digests[i] == rows_b.digests[j] and rows_a.known[i] and rows_b.known[j]]
    if not both:
        raise InputError("the audits have no labelled photo in common", expected="two audits of the same photos")
    first, second = (np.array(side) for side in zip(*both, strict=True))
    truth = [names_a[index] for index in rows_a.truth[first].tolist()]
    if (other := [names_b[index] for index in rows_b.truth[second].tolist()]) != truth:
        i = next(i for i, (x, y) in enumerate(zip(truth, other, strict=True)) if x != y)
        got = f"{in_one_line(rows_a.paths[first[i]])} is {truth[i]} in one, {other[i]} in the other"
        raise InputError("the audits give photos other classes", expected="the same names and the same truth", got=got)
    right_a, right_b = rows_a.right[first], rows_b.right[second]
    parts, _ = parts_of(truth, right_a, right_b)
    paths = np.array(rows_a.paths, object)[first]
    only = len({*rows_a.paths, *rows_b.paths}) - len(both)
    return Comparison(
        parts=parts, fixed=tuple(paths[right_b & ~right_a]), broken=tuple(paths[right_a & ~right_b]),
        effects=_effects(audit_a.findings, audit_b.findings),
        notes=(f"{only} photos are left out: in one audit only, without a label, or changed between",) if only else (),
    )  # fmt: skip


def parts_of(
    classes: Sequence[str], right_a: Bools, right_b: Bools, others: Sequence[float] = ()
) -> tuple[tuple[Compared, ...], list[float]]:
    """All photos, then each class, worst change first; and the q of each of ``others``.

    Args:
        classes: the true class of each of N photos, by name.
        right_a, right_b: (N,) bool, whether either model is right.
        others: p of other tests, which are corrected together with those of the parts.
    """
    of = np.array(classes, object)
    wholes = [("all", np.ones(len(of), bool)), *((name, of == name) for name in sorted(set(classes)))]
    fixed, broken = right_b & ~right_a, right_a & ~right_b
    tests = [mcnemar(int(broken[here].sum()), int(fixed[here].sum())) for _, here in wholes]
    q = [float(each) for each in benjamini_hochberg([*tests, *others])]
    found = [
        Compared(
            name, int(here.sum()), float(right_a[here].mean()), float(right_b[here].mean()),
            int(fixed[here].sum()), int(broken[here].sum()), float(p), own,
        )
        for (name, here), p, own in zip(wholes, tests, q[: len(tests)], strict=True)
    ]  # fmt: skip
    return (found[0], *sorted(found[1:], key=lambda part: (part.b - part.a, part.name))), q[len(tests) :]


def _effects(a: Sequence[Finding], b: Sequence[Finding]) -> dict[str, tuple[Finding, Finding]]:
    later = {each.id: each for each in b if each.effect is not None}
    return {each.id: (each, later[each.id]) for each in a if each.effect is not None and each.id in later}


def _read(folder: Path) -> tuple[Audit, Rows]:
    if not (folder / "rows").is_dir():
        expected = "the --output-dir of an audit, with its folder rows"
        raise InputError(f"{in_one_line(folder)} holds no rows", expected=expected)
    return Audit.load(folder), read_rows(folder / "rows")


def _names(audit: Audit) -> dict[int, str]:
    labels = audit.model.get("labels")
    if not isinstance(labels, dict):
        raise InputError("the audit does not name its classes", expected="one that this version made")
    return {int(index): str(name) for index, name in labels.items()}
