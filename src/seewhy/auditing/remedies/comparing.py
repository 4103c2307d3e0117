"""Before, after and a control: accuracy, the worst group, and the intervention, with paired bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer[Any]]
Doubles = npt.NDArray[np.float64]

NAMES = ("clean accuracy", "worst group accuracy", "effect", "called")
DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Measured:
    """What one last layer does.

    Attributes:
        right: (n,) 0 or 1, decisions on photos as they are.
        change: (m,), of p(class) when the stamp is put into photos of other classes, beyond their controls'.
        called: (m,) in -1 to 1, whether they are called the class with it, less whether they are without it.
    """

    right: Doubles
    change: Doubles
    called: Doubles


class Comparison:
    """Compares last layers on the same photos; of several seeds the median counts.

    Args:
        groups: (n,), of the photos of ``Measured.right``.
        hosts: m.
        rng: draws the photos of the bootstrap: within groups, and among hosts, the same for all.
    """

    def __init__(self, groups: Ints, hosts: int, rng: np.random.Generator):
        self._members = [np.flatnonzero(groups == each) for each in np.unique(groups)]
        self._picks = [each[rng.integers(len(each), size=(DRAWS, len(each)))] for each in self._members]
        self._hosts = rng.integers(hosts, size=(DRAWS, hosts))

    def values(self, way: list[Measured]) -> dict[str, float]:
        """The median over seeds of each number in ``NAMES``."""
        return {name: float(np.median([self._now(each)[name] for each in way])) for name in NAMES}

    def each(self, way: list[Measured]) -> dict[str, list[float]]:
        """Each number in ``NAMES`` of each seed."""
        return {name: [self._now(one)[name] for one in way] for name in NAMES}

    def difference(self, way: list[Measured], than: list[Measured]) -> dict[str, dict[str, Any]]:
        """The median over seeds of each number's difference, and its 95 % interval over photos."""
        now = [(self._now(a), self._now(b)) for a, b in zip(way, than, strict=True)]
        drawn = [(self._drawn(a), self._drawn(b)) for a, b in zip(way, than, strict=True)]
        out = {}
        for name in NAMES:
            over_photos = np.median([a[name] - b[name] for a, b in drawn], axis=0)
            low, high = (float(each) for each in np.quantile(over_photos, (0.025, 0.975)))
            out[name] = {"median": float(np.median([a[name] - b[name] for a, b in now])), "ci": [low, high]}
        return out

    def _now(self, one: Measured) -> dict[str, float]:
        worst = min(float(one.right[each].mean()) for each in self._members)
        means = float(one.right.mean()), worst, float(one.change.mean()), float(one.called.mean())
        return dict(zip(NAMES, means, strict=True))

    def _drawn(self, one: Measured) -> dict[str, Doubles]:
        shares = np.stack([one.right[picks].mean(1) for picks in self._picks])
        sizes = np.array([len(each) for each in self._members])
        means = (
            sizes @ shares / sizes.sum(), shares.min(0), one.change[self._hosts].mean(1),
            one.called[self._hosts].mean(1),
        )  # fmt: skip
        return dict(zip(NAMES, means, strict=True))
