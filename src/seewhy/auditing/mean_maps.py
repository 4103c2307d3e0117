"""The mean of the maps of a finding's photos, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..pictures.overlay import overlay
from .finding import Finding
from .rows import UNKNOWN, Rows

SIDE = 168
"""Pixels of the longer side."""
GREY = 235


@dataclass(frozen=True)
class MeanMap:
    """A picture, and of how many photos it is."""

    image: Image.Image
    count: int


class MeanMaps:
    """Mean maps of findings, from the rows of the pass: each is of the photos that carry the finding and whose map is
    that of its class.

    Args:
        rows: of the audit.
        labels: the class of each index.
        size: (height, width) of what the model sees.
    """

    def __init__(self, rows: Rows, labels: Mapping[int, str], size: Sequence[int]):
        self._rows, self._size = rows, size
        self._place = {path: number for number, path in enumerate(rows.paths)}
        explained = np.where(rows.truth == UNKNOWN, rows.predicted, rows.truth)
        self._of = {
            name: np.isin(explained, [i for i, each in labels.items() if each == name]) for name in {*labels.values()}
        }

    def of(self, finding: Finding) -> MeanMap | None:
        """None where the finding is of no one class, or no map is of it."""
        if finding.class_name not in self._of:
            return None
        numbers = [self._place[path] for path in finding.carriers if path in self._place]
        numbers = [number for number in numbers if self._of[finding.class_name][number]]
        if not numbers:
            return None
        mean = np.zeros(self._rows.maps.shape[1:], np.float64)
        for number in numbers:
            mean += self._rows.maps[number]
        height, width = (max(1, round(SIDE * each / max(self._size))) for each in self._size)
        paper = Image.new("RGB", (width, height), (GREY, GREY, GREY))
        return MeanMap(overlay(paper, (mean / len(numbers)).astype(np.float32)), len(numbers))
