"""Album: what the model sees of photos that are looked at again and again, kept within a bound."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .evidence import Evidence
from .eye import Pixels

Ints = npt.NDArray[np.integer[Any]]

MOST = 1 << 28
"""Bytes of pixels that are kept."""


class Album:
    """Pixels of rows, read once; those used longest ago are dropped where they get too many.

    Args:
        evidence: the rows, and the eye that sees them.
        most: bytes to keep.
    """

    def __init__(self, evidence: Evidence, most: int = MOST):
        self.evidence, self.most = evidence, most
        self._kept: OrderedDict[int, Pixels] = OrderedDict()
        self._rank = evidence.random("album").permutation(len(evidence.rows))

    def some(self, which: npt.NDArray[np.bool_], most: int) -> Ints:
        """Numbers of at most so many of these rows, (N,) bool: at random, but as far as can be the same each time."""
        rows = np.flatnonzero(which)
        picked: Ints = rows[np.argsort(self._rank[rows])][:most]
        return picked

    def __getitem__(self, rows: Ints | Sequence[int]) -> Pixels:
        """(n, H, W, 3) uint8, of at least one row.

        Raises:
            PhotoError: a photo can no longer be read.
        """
        return np.stack([self._one(int(row)) for row in rows])

    def _one(self, row: int) -> Pixels:
        if row not in self._kept:
            self._kept[row] = self.evidence.eye.pixels([self.evidence.rows.paths[row]])[0]
            while len(self._kept) > 1 and len(self._kept) * self._kept[row].nbytes > self.most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(row)
        return self._kept[row]
