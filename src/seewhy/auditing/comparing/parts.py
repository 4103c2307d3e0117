"""Parts of the photos, classes and slices, under two models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..correction import RATE
from ..passing.rows import Rows
from ..sources.slices import LEAST, ranges
from ..statistics import benjamini_hochberg, mcnemar, paired_interval

Bools = npt.NDArray[np.bool_]
Kind = Literal["all", "class", "slice"]
WhichSide = Literal["a", "b"]


@dataclass(frozen=True, eq=False)
class Part:
    """Some of the photos.

    Attributes:
        name: a class, or "all", or what the photos of a slice have in common.
        inside: (N,) bool.
        kind: what it is.
        weak_for: the model that was found to be weak on it, and whose features tell what is in it; None: it does not
            hang on a model.
    """

    name: str
    inside: Bools
    kind: Kind
    weak_for: WhichSide | None = None


@dataclass(frozen=True, eq=False)
class Compared:
    """A part of the photos, under both models.

    Attributes:
        name: a class, or "all", or what the photos of a slice have in common.
        photos: how many.
        a, b: the share of them that is right.
        fixed, broken: how many only the second, or only the first, is right on.
        difference: b less a, and ``ci`` its 95 % interval (Bonett and Price 2012).
        p, q: of McNemar's exact test, before and after Benjamini and Hochberg's correction over all tests.
        kind: "all", "class" or "slice".
        weak_for: of a cluster of features, "a" or "b": the model whose features they are, and which was found to be
            weak there. The other one looks better there already because its errors are others, so a part that is weak
            for the second is never called worse, nor one that is weak for the first better.
    """

    name: str
    photos: int
    a: float
    b: float
    fixed: int
    broken: int
    difference: float
    ci: tuple[float, float]
    p: float
    q: float
    kind: Kind
    weak_for: WhichSide | None = None

    @property
    def worse(self) -> bool:
        """Significantly fewer are right under the second."""
        return self.broken > self.fixed and self.q <= RATE and self.weak_for != "b"

    @property
    def better(self) -> bool:
        """Significantly more are right under the second."""
        return self.fixed > self.broken and self.q <= RATE and self.weak_for != "a"


def parts_of(classes: Sequence[str], rows: Rows, weak: Sequence[Part]) -> list[Part]:
    """All photos, each class, and slices of at least ``LEAST`` photos: ranges of each property, and what is given.

    A slice of the same photos as a part before it is left out.

    Args:
        classes: the true class of each of N photos, by name.
        rows: of these photos, under either model: their properties are the same.
        weak: further slices.
    """
    return list(_once(_parts(classes, rows, weak)))


def _parts(classes: Sequence[str], rows: Rows, weak: Sequence[Part]) -> Iterator[Part]:
    of = np.array(classes, object)
    yield Part("all", np.ones(len(of), np.bool_), "all")
    for name in sorted(set(classes)):
        yield Part(name, of == name, "class")
    for each in ranges(rows):
        if each.inside.sum() >= LEAST:
            yield Part(each.what, each.inside, "slice")
    for one in weak:
        if one.inside.sum() >= LEAST:
            yield one


def _once(parts: Iterator[Part]) -> Iterator[Part]:
    seen: set[tuple[bytes, WhichSide | None]] = set()
    for each in parts:
        photos = np.packbits(each.inside).tobytes()
        if each.kind != "slice" or (photos, each.weak_for) not in seen:
            yield each
        seen.add((photos, each.weak_for))


def measured(
    parts: Sequence[Part], right_a: Bools, right_b: Bools, others: Sequence[float] = ()
) -> tuple[list[Compared], list[float]]:
    """Each part under both models, and the q of each of ``others``.

    Args:
        parts: of N photos.
        right_a, right_b: (N,) bool, whether either model is right.
        others: p of other tests, which are corrected together with those of the parts.
    """
    fixed, broken = right_b & ~right_a, right_a & ~right_b
    counts = [(int(each.inside.sum()), int(fixed[each.inside].sum()), int(broken[each.inside].sum())) for each in parts]
    tests = [mcnemar(of_broken, of_fixed) for _, of_fixed, of_broken in counts]
    q = [float(each) for each in benjamini_hochberg([*tests, *others])]
    found = [
        Compared(
            name=each.name, photos=count, a=float(right_a[each.inside].mean()), b=float(right_b[each.inside].mean()),
            fixed=of_fixed, broken=of_broken, difference=(of_fixed - of_broken) / count,
            ci=paired_interval(of_broken, of_fixed, count), p=float(p), q=own, kind=each.kind, weak_for=each.weak_for,
        )
        for each, (count, of_fixed, of_broken), p, own in zip(parts, counts, tests, q[: len(tests)], strict=True)
    ]  # fmt: skip
    return found, q[len(tests) :]
