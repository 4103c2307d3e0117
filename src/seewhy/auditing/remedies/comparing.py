"""Before, after and a control: accuracy, the worst group, and the intervention, with paired bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer[Any]]
Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

NAMES = ("clean accuracy", "worst group accuracy", "effect", "called")
DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Measured:
    """What one last layer does.

    Attributes:
        right: (n,) 0 or 1, decisions on photos.
        change: (m,), of p(class) when the stamp is put into photos of other classes, beyond their controls'; m is 0
            where there is no stamp.
        called: (m,) in -1 to 1, whether they are called the class with it, less whether they are without it.
    """

    right: Doubles
    change: Doubles
    called: Doubles


class Comparison:
    """Compares last layers on the same photos; of several seeds the median counts.

    Args:
        groups: (n,), of the photos of ``Measured.right``; those of a group below 0 count in no group.
        hosts: m.
        rng: draws the photos of the bootstrap: within groups, and among hosts, the same for all.
        real: (n,) bool, photos as they are, which alone count for the clean accuracy; None: all of them.
    """

    def __init__(self, groups: Ints, hosts: int, rng: np.random.Generator, real: Mask | None = None):
        real = np.ones(len(groups), np.bool_) if real is None else real
        strata = np.unique(np.stack([groups, real]), axis=1).T  # as they are or made, within each group
        self._members = [np.flatnonzero((groups == group) & (real == kind)) for group, kind in strata]
        self._picks = [each[rng.integers(len(each), size=(DRAWS, len(each)))] for each in self._members]
        self._hosts = rng.integers(hosts, size=(DRAWS, hosts)) if hosts else None
        sizes = np.array([len(each) for each in self._members], np.float64)
        self._clean = sizes * strata[:, 1] / real.sum()
        of = np.stack([sizes * (strata[:, 0] == group) for group in np.unique(groups[groups >= 0])])
        self._groups = of / of.sum(1, keepdims=True)

    @property
    def names(self) -> tuple[str, ...]:
        """What is compared: without a stamp there is no effect."""
        return NAMES[:2] if self._hosts is None else NAMES

    def values(self, way: list[Measured]) -> dict[str, float]:
        """The median over seeds of each number in ``names``."""
        return {name: float(np.median([self._now(each)[name] for each in way])) for name in self.names}

    def each(self, way: list[Measured]) -> dict[str, list[float]]:
        """Each number in ``names`` of each seed."""
        return {name: [self._now(one)[name] for one in way] for name in self.names}

    def difference(self, way: list[Measured], than: list[Measured]) -> dict[str, dict[str, Any]]:
        """The median over seeds of each number's difference, and its 95 % interval over photos."""
        now = [(self._now(a), self._now(b)) for a, b in zip(way, than, strict=True)]
        drawn = [(self._drawn(a), self._drawn(b)) for a, b in zip(way, than, strict=True)]
        out = {}
        for name in self.names:
            over_photos = np.median([a[name] - b[name] for a, b in drawn], axis=0)
            low, high = (float(each) for each in np.quantile(over_photos, (0.025, 0.975)))
            out[name] = {"median": float(np.median([a[name] - b[name] for a, b in now])), "ci": [low, high]}
        return out

    def _now(self, one: Measured) -> dict[str, float]:
        found = self._told(np.array([[one.right[each].mean()] for each in self._members]))
        return {name: float(each[0]) for name, each in found.items()} | (
            {} if self._hosts is None else {"effect": float(one.change.mean()), "called": float(one.called.mean())}
        )

    def _drawn(self, one: Measured) -> dict[str, Doubles]:
        found = self._told(np.stack([one.right[picks].mean(1) for picks in self._picks]))
        return found if self._hosts is None else found | {
            "effect": one.change[self._hosts].mean(1), "called": one.called[self._hosts].mean(1)
        }  # fmt: skip

    def _told(self, shares: Doubles) -> dict[str, Doubles]:
        """Of the accuracy in each stratum, (S, draws)."""
        return {"clean accuracy": self._clean @ shares, "worst group accuracy": (self._groups @ shares).min(0)}
