"""compare_audits: two audits of the same photos."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from ...errors import InputError
from ...legible import in_one_line
from ...pictures import read_photo
from ..finding import Finding
from ..passing.rows import Rows
from ..passing.seen import seen_by
from ..passing.shards import ROWS, read_rows, rows_folder
from ..result import Audit
from .both import Side, comparison_of
from .comparison import Comparison


def compare_audits(
    a: str | os.PathLike[str], b: str | os.PathLike[str], photos: str | os.PathLike[str] | None = None
) -> Comparison:
    """What changed from one audit to another of the same photos: which are right, class by class and slice by slice,
    and the effect of what was put into them.

    Args:
        a, b: what ``audit`` wrote with ``output_dir``: findings.json and rows.
        photos: where the photos are, to be shown; None: where each audit found them.

    Raises:
        InputError: one of them is no audit, they have no labelled photo in common, or name their classes otherwise.
    """
    (audit_a, rows_a), (audit_b, rows_b) = (_read(Path(folder)) for folder in (a, b))
    names_a, names_b = _names(audit_a), _names(audit_b)
    at = {path: number for number, path in enumerate(rows_b.paths)}
    both = [(i, at[path]) for i, path in enumerate(rows_a.paths) if path in at]
    both = [(i, j) for i, j in both if rows_a.digests[i] == rows_b.digests[j] and rows_a.known[i] and rows_b.known[j]]
    if not both:
        raise InputError("the audits have no labelled photo in common", expected="two audits of the same photos")
    for i, j in both:
        one, other = names_a[int(rows_a.truth[i])], names_b[int(rows_b.truth[j])]
        if one != other:
            got = f"{in_one_line(rows_a.paths[i])} is {one} in one, {other} in the other"
            raise InputError(
                "the audits give photos other classes", expected="the same names and the same truth", got=got
            )
    only = len({*rows_a.paths, *rows_b.paths}) - len(both)
    left_out = [f"{only} photos are left out: in one audit only, without a label, or changed between"] * (only > 0)
    side_a, side_b = (
        Side(
            _about(folder, audit), rows, _labels(names), _Photos(folder, audit, rows, photos),
            int(audit.made.get("seed", 0)),
        )
        for folder, audit, rows, names in ((a, audit_a, rows_a, names_a), (b, audit_b, rows_b, names_b))
    )  # fmt: skip
    return comparison_of(
        side_a, side_b, both, effects=_effects(audit_a.findings, audit_b.findings),
        notes=[*left_out, *_alone(audit_a, audit_b, "A"), *_alone(audit_b, audit_a, "B")],
    )  # fmt: skip


class _Photos:
    """What an audited model sees of photos, as long as these are the ones that were audited."""

    def __init__(self, folder: str | os.PathLike[str], audit: Audit, rows: Rows, photos: str | os.PathLike[str] | None):
        self._digests = dict(zip(rows.paths, rows.digests, strict=True))
        self._root = Path(audit.photos["folder"] if photos is None else photos)
        self._seen = seen_by(Path(folder) / ROWS)

    def __call__(self, path: str) -> Image.Image:
        photo = read_photo(self._root / path)
        if photo.sha256 != self._digests[path]:
            raise InputError("it is another photo than was audited")
        if self._seen is None:
            raise InputError("what the model sees of a photo was not kept", expected="to compare the models themselves")
        return self._seen.crop(photo.image)


def _about(folder: str | os.PathLike[str], audit: Audit) -> dict[str, object]:
    about = {"audit": os.fspath(folder), "model": audit.model.get("spec")}
    return about | {name: audit.model.get(name) for name in ("weights", "preprocessing")}


def _labels(names: dict[int, str]) -> Callable[[int], str]:
    return lambda index: names.get(index, f"class {index}")


def _effects(a: Sequence[Finding], b: Sequence[Finding]) -> dict[str, tuple[Finding, Finding]]:
    later = {each.id: each for each in b if each.effect is not None}
    return {each.id: (each, later[each.id]) for each in a if each.effect is not None and each.id in later}


def _alone(audit: Audit, other: Audit, name: str) -> list[str]:
    """The suspected shortcuts that one audit alone found."""
    there = {each.id for each in other.findings if each.effect is not None}
    return [
        f"found by the audit of {name} alone: {each.sentence}"
        for each in audit.findings if each.suspected_shortcut and each.id not in there
    ]  # fmt: skip


def _read(folder: Path) -> tuple[Audit, Rows]:
    there = rows_folder(folder)
    return Audit.load(folder), read_rows(there)


def _names(audit: Audit) -> dict[int, str]:
    labels = audit.model.get("labels")
    if not isinstance(labels, dict):
        raise InputError("the audit does not name its classes", expected="one that this version made")
    return {int(index): str(name) for index, name in labels.items()}
