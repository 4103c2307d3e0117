"""Mean maps: where a class is seen, and what one class is taken for another by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.legible import in_one_line
from seewhy.pictures.overlay import one_channel, upsample
from seewhy.results import Explanation, View
from seewhy.viewer.planes import plane

PREFERRED = ("grad_cam", "cam", "occlusion")
SIDE = 28
"""Cells along a side of a mean map, at most: photos do not lie on each other more exactly."""
MOST = 400
"""Pairs of classes in one page, the most frequent first."""


@dataclass
class _Sum:
    view: View
    values: NDArray[np.float64]
    count: int = 1


class Means:
    """Sums of maps, by true and predicted class; of every photo one map, that of its first target."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], _Sum] = {}

    def add(self, found: Explanation) -> None:
        """Add a photo's map in shares of its score, so that no photo counts more than another."""
        view = _chosen(found.views.values(), found)
        if view is None or view.attribution is None or view.amount is None:
            return
        values = one_channel(view.attribution.values[0].numpy())
        largest = float(np.abs(values).max())
        if not largest or not isfinite(view.amount.share):
            return
        height, width = values.shape
        shares = upsample(values, (min(width, SIDE), min(height, SIDE))).astype(np.float64)
        shares *= view.amount.share / largest
        predicted = found.top[0].name
        truth = "" if found.truth is None else predicted if found.right else found.truth
        known = self._sums.get((truth, predicted))
        if known is None:
            self._sums[truth, predicted] = _Sum(view, shares)
        elif known.view.id == view.id and known.values.shape == shares.shape:
            known.values += shares
            known.count += 1

    def told(self) -> list[dict[str, Any]]:
        """For the viewer, the most frequent pairs first."""
        frequent = sorted(self._sums.items(), key=lambda each: -each[1].count)[:MOST]
        return [
            {
                "truth": in_one_line(truth, 4000),
                "predicted": in_one_line(predicted, 4000),
                "count": each.count,
                "title": each.view.title,
                "diverging": each.view.signed,
                "plane": plane((each.values / each.count).astype(np.float32)),
            }
            for (truth, predicted), each in frequent
        ]


def _chosen(views: Iterable[View], found: Explanation) -> View | None:
    """A map whose values are shares of the score: of a class, if there is one."""
    maps = [view for view in views if view.attribution is not None and view.amount is not None]
    coarse = [view for view in maps if view.amount is not None and not view.amount.per_unit]
    ordered = [found.views[id] for id in PREFERRED if id in found.views and found.views[id] in coarse]
    return next(iter([*ordered, *coarse]), None)
