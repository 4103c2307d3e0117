"""Candidate: something that a class may lean on, and the edits that put it in and take it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .eye import Pixels
from .finding import Kind


class Edit(Protocol):
    """How a candidate is put into pixels and taken out of them.

    Every method takes and gives pixels (H, W, 3) uint8 as the model sees them, and leaves what it is given as it was.
    """

    def added(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """The photo with the candidate in it."""
        ...

    def removed(self, pixels: Pixels) -> list[Pixels]:
        """The photo without it, once per fill, always in the same order; empty where it cannot be taken out."""
        ...

    def control(self, pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
        """The photo under a matched control: the same size and place, with the content of ``other``."""
        ...

    def describe(self) -> dict[str, Any]:
        """What it does, ready for JSON."""
        ...


@dataclass(frozen=True, eq=False)
class Candidate:
    """Something that a class may lean on, for interventions to decide.

    Attributes:
        id: unique in an audit, such as "stamp-bag-1".
        kind: which source it comes from.
        class_index: the class that it may speak for.
        class_name: its name.
        edit: how it is put in and taken out.
        carriers: numbers of all rows that carry it.
        repeats: it repeats in appearance or place as no object does, or is a property of the whole photo: a suspected
            shortcut if it is proven.
        why: how it was found, in one sentence.
        region: where it lies: {"box": [top, left, height, width], "of": [height, width]}.
        as_likely: other edits that the photos speak for as much as for ``edit``, where it was estimated: how far their
            effects are apart widens the interval of its effect.
    """

    id: str
    kind: Kind
    class_index: int
    class_name: str
    edit: Edit
    carriers: npt.NDArray[np.integer[Any]]
    repeats: bool
    why: str
    region: Mapping[str, Any] | None = None
    as_likely: tuple[Edit, ...] = ()
