"""Which photos are taken for another class: the most confident of them, and what is taken for what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from .passing.rows import Rows

MOST_ERRORS = 100
MOST_PAIRS = 1000


def errors(rows: Rows, label: Callable[[int], str]) -> list[dict[str, Any]]:
    """The wrong photos that the model is surest of, at most ``MOST_ERRORS``, ready for JSON: "path", "class" (the true
    one), "called", and "probability" of what it is called.
    """
    wrong = np.flatnonzero(rows.known & ~rows.right)
    first = wrong[np.argsort(-rows.confidence[wrong], kind="stable")][:MOST_ERRORS]
    return [
        {
            "path": rows.paths[row], "class": label(int(rows.truth[row])), "called": label(int(rows.predicted[row])),
            "probability": round(float(rows.confidence[row]), 6),
        }
        for row in first.tolist()
    ]  # fmt: skip


def confused(rows: Rows, label: Callable[[int], str]) -> list[list[Any]]:
    """[true class, what it is called, how many photos], the most frequent first, at most ``MOST_PAIRS``."""
    wrong = rows.known & ~rows.right
    pairs = Counter(zip(rows.truth[wrong].tolist(), rows.predicted[wrong].tolist(), strict=True))
    ordered = sorted(pairs.items(), key=lambda each: (-each[1], each[0]))
    return [[label(truth), label(called), count] for (truth, called), count in ordered[:MOST_PAIRS]]
