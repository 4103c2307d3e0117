"""What many photos say together: which come first, how many are right, and what is taken for what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from seewhy.errors import plain
from seewhy.results import Explanation

MOST_CLASSES = 40
"""Rows of the table of confusions; of more classes only those that are confused are listed, the most frequent first."""


@dataclass(frozen=True)
class Row:
    """One photo in the index.

    Attributes:
        number: of its section.
        path: as it was given.
        predicted: the most probable class; None where it could not be explained.
        probability: of that class.
        truth: the true class, where it is known.
        right: whether that is what was predicted; None where the truth is not known.
        thumbnail: a data URI, or None.
        error: why it could not be explained; None where it was.
    """

    number: int
    path: str
    predicted: str | None = None
    probability: float = float("nan")
    truth: str | None = None
    right: bool | None = None
    thumbnail: str | None = None
    error: str | None = None

    @classmethod
    def of(cls, number: int, found: Explanation, thumbnail: str) -> Row:
        """An explained photo."""
        first = found.top[0]
        return cls(number, found.photo.path, first.name, first.probability, found.truth, found.right, thumbnail)

    @property
    def spelled(self) -> str | None:
        """The true class as the model's labels spell it where it was predicted."""
        return self.predicted if self.right else self.truth


def in_order(rows: Sequence[Row]) -> list[Row]:
    """The wrong ones first, the most confident of them at the top; then those that could not be explained, then those
    of which nothing is known; then the right ones, the least confident first.
    """

    def rank(row: Row) -> tuple[int, float]:
        sure = row.probability if row.probability == row.probability else 0.0
        if row.right is False:
            return 0, -sure
        if row.predicted is None:
            return 1, 0.0
        return (2, 0.0) if row.right is None else (3, sure)

    return sorted(rows, key=rank)  # stable: otherwise in the order in which they were given


@dataclass(frozen=True)
class Summary:
    """Of the photos whose true class is known.

    Attributes:
        right, known: how many.
        classes: names along both sides of the table, in alphabetical order; empty where it would be too large.
        table: rows by the true class, columns by the predicted one.
        confused: (true, predicted, how many), the most frequent first.
    """

    right: int
    known: int
    classes: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    confused: tuple[tuple[str, str, int], ...]

    @property
    def accuracy(self) -> float:
        """The share of them that is right, 0..1."""
        return self.right / self.known


def summed_up(rows: Sequence[Row]) -> Summary | None:
    """None where no true class is known."""
    known = [row for row in rows if row.right is not None and row.predicted is not None]
    if not known:
        return None
    pairs = Counter((str(row.spelled), str(row.predicted)) for row in known)
    classes = tuple(sorted({name for pair in pairs for name in pair}))
    classes = classes if len(classes) <= MOST_CLASSES else ()
    table = tuple(tuple(pairs[true, predicted] for predicted in classes) for true in classes)
    confused = [
        (true, predicted, count) for (true, predicted), count in pairs.items() if plain(true) != plain(predicted)
    ]
    confused.sort(key=lambda each: (-each[2], each[:2]))
    return Summary(sum(bool(row.right) for row in known), len(known), classes, table, tuple(confused[:MOST_CLASSES]))
