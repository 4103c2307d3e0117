"""Both: the same photos under two models, and the comparison that is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..evidence import random_for
from ..finding import Finding
from ..passing.rows import Ints, Rows
from ..sources.slices import weak
from ..split import proposing_of
from .comparison import Changed, Comparison
from .paired_maps import Seen, paired
from .parts import Part, WhichSide, measured, parts_of
from .repeating import Repeated


@dataclass(frozen=True, eq=False)
class Side:
    """One of two models.

    Attributes:
        about: what it is called, its weights and its preprocessing; ready for JSON.
        rows: of all photos.
        label: the name of a class.
        seen: what the model sees of the photo at a path within the folder.
        seed: of the audit, which parted the photos and drew the clusters.
    """

    about: Mapping[str, Any]
    rows: Rows
    label: Callable[[int], str]
    seen: Seen
    seed: int = 0

    def weak(self, which: WhichSide, numbers: Ints) -> list[Part]:
        """Clusters of its features on which it was found to be weak, measured where they did not propose.

        Args:
            which: of the two models it is.
            numbers: (N,), the rows that both models have.
        """
        rows, random = self.rows, random_for(self.seed, "slices")  # the draws of an audit
        half = proposing_of(rows, self.seed)
        return [
            Part(f"{each.what}, weak for {which.upper()}", (each.inside & ~half)[numbers], "slice", which)
            for each in weak(rows, half, random, self.label) if each.property is None
        ]  # fmt: skip


def comparison_of(
    a: Side,
    b: Side,
    pairs: Sequence[tuple[int, int]],
    *,
    repeated: Sequence[Repeated] = (),
    effects: Mapping[str, tuple[Finding, Finding]] | None = None,
    notes: Sequence[str] = (),
) -> Comparison:
    """What differs on the photos that both models read, and whose class is known.

    Args:
        a, b: the models.
        pairs: for each such photo its row of either.
        repeated: stamps put into the same photos for both, before correction.
        effects: what two audits measured.
        notes: what could not be compared.
    """
    first, second = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    rows_a, rows_b = a.rows.only(first), b.rows.only(second)
    classes = [a.label(index) for index in rows_a.truth.tolist()]
    slices = [*a.weak("a", first), *b.weak("b", second)]
    found, q = measured(
        parts_of(classes, rows_a, slices), rows_a.right, rows_b.right, [each.p for each in repeated]
    )  # fmt: skip
    by_change = sorted(found, key=lambda part: (part.difference, part.name))
    changed = _changed(classes, a, rows_a, b, rows_b)
    fixed, broken = (tuple(sorted((each for each in changed if each.right == w), key=_order)) for w in ("b", "a"))
    maps, scale, more = paired(rows_a, a.seen, rows_b, b.seen, fixed, broken)
    return Comparison(
        a=dict(a.about), b=dict(b.about),
        parts=(*(each for each in found if each.kind == "all"), *(each for each in by_change if each.kind == "class")),
        slices=tuple(each for each in by_change if each.kind == "slice"),
        fixed=fixed, broken=broken, effects=dict(effects or {}), notes=(*notes, *more),
        repeated=tuple(replace(each, q=own) for each, own in zip(repeated, q, strict=True)), maps=maps, scale=scale,
    )  # fmt: skip


def _order(changed: Changed) -> tuple[float, str]:
    """The most confident mistake first; what differs by rounding alone is as confident."""
    return -round(changed.confidence, 6), changed.path


def _changed(classes: Sequence[str], a: Side, rows_a: Rows, b: Side, rows_b: Rows) -> list[Changed]:
    """The photos that one of the models alone is right on."""
    return [
        Changed(
            path=rows_a.paths[i], truth=classes[i],
            a=a.label(int(rows_a.predicted[i])), a_confidence=float(rows_a.confidence[i]),
            b=b.label(int(rows_b.predicted[i])), b_confidence=float(rows_b.confidence[i]),
            right="a" if rows_a.right[i] else "b",
        )
        for i in np.flatnonzero(rows_a.right != rows_b.right).tolist()
    ]  # fmt: skip
