"""Evidence: all that a source may look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .eye import Eye
from .other_folder import OtherFolder
from .passing.rows import Rows


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a source of findings may look at.

    Attributes:
        rows: of all photos.
        eye: the model, and the photos as it sees them.
        proposing: (N,) bool, the photos that candidates may be made of; interventions are measured on the others.
        other: another folder, whose photos should not be among these; None: there is none.
        seed: of every draw; the same seed gives the same findings.
    """

    rows: Rows
    eye: Eye
    proposing: npt.NDArray[np.bool_]
    seed: int = 0
    other: OtherFolder | None = None

    def label(self, index: int) -> str:
        """The name of a class."""
        return self.eye.classifier.label(index)

    def random(self, what: str) -> np.random.Generator:
        """Random numbers for one purpose, whatever else was drawn."""
        return random_for(self.seed, what)


def random_for(seed: int, what: str) -> np.random.Generator:
    """Random numbers of a seed for one purpose."""
    return np.random.default_rng([seed, *what.encode()])
