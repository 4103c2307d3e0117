"""How well one number tells photos of a class from others: by ranks alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


def area(own: Floats, others: Floats) -> float:
    """The area under the ROC curve: how probably one of ``own`` is above one of ``others``; ties count half."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, own, "left") + np.searchsorted(ordered, own, "right")
    return float(below.mean() / (2 * len(others)))


def best_threshold(own: Floats, others: Floats) -> float:
    """Above which are most of ``own`` and fewest of ``others`` (Youden 1950): between two of the values."""
    values = np.unique(np.concatenate([own, others]).astype(np.float64))
    if len(values) < 2:
        return float(values[0])
    middles = (values[1:] + values[:-1]) / 2
    above = [1 - np.searchsorted(np.sort(each), middles, "right") / len(each) for each in (own, others)]
    return float(middles[int(np.argmax(above[0] - above[1]))])
