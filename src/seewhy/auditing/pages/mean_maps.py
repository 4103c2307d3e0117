"""The mean of the maps of a finding's photos, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ...pictures.overlay import overlay
from ..finding import Finding
from ..passing.rows import UNKNOWN, Floats, Ints, Rows

SIDE = 168
"""Pixels of the longer side."""
GREY = 235
BLOCK = 4096


@dataclass(frozen=True)
class MeanMap:
    """A picture, and of how many photos it is."""

    image: Image.Image
    count: int


class MeanMaps:
    """Mean maps of findings, from the rows of the pass: each is of the photos that carry the finding, and for which the
    pass kept the map of its class, as the true class or as the predicted one.

    Args:
        rows: of the audit.
        labels: the class of each index.
        size: (height, width) of what the model sees.
    """

    def __init__(self, rows: Rows, labels: Mapping[int, str], size: Sequence[int]):
        self._rows, self._labels, self._size = rows, labels, size
        self._place = {path: number for number, path in enumerate(rows.paths)}
        self._explained = np.where(rows.truth == UNKNOWN, rows.predicted, rows.truth)

    def of(self, finding: Finding) -> MeanMap | None:
        """None where the finding is of no one class, or no map is of it."""
        if finding.class_name is None:
            return None
        indices = [index for index, name in self._labels.items() if name == finding.class_name]
        carriers = np.array([self._place[path] for path in finding.carriers if path in self._place], np.int64)
        true = np.isin(self._explained[carriers], indices)
        called = ~true & np.isin(self._rows.predicted[carriers], indices)
        count = int(true.sum() + called.sum())
        if not count:
            return None
        parts = ((self._rows.maps, carriers[true]), (self._rows.predicted_maps, carriers[called]))
        mean = sum(_sum(maps, numbers) for maps, numbers in parts) / count
        height, width = (max(1, round(SIDE * each / max(self._size))) for each in self._size)
        paper = Image.new("RGB", (width, height), (GREY, GREY, GREY))
        return MeanMap(overlay(paper, np.asarray(mean, np.float32)), count)


def _sum(maps: Floats, numbers: Ints) -> Floats:
    """Of some of many maps, read in blocks: a finding may have a million carriers."""
    total = np.zeros(maps.shape[1:], np.float64)
    for start in range(0, len(numbers), BLOCK):
        total += maps[numbers[start : start + BLOCK]].sum(0, dtype=np.float64)
    return total
