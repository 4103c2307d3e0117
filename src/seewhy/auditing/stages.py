"""What an audit tells on its way, as results among its events: for whoever shows it while it grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .candidate import Candidate
from .finding import Finding
from .passing.rows import Rows

MOST_CARRIERS = 64
"""Photos of a candidate that are told before it is decided."""

PHOTOS, OTHER_FOLDER, INTERVENTIONS = "Photos", "Other folder", "Interventions"
"""Names of parts that are no sources."""


@dataclass(frozen=True)
class Plan:
    """The names of all parts, in the order in which they are worked on, before the first."""

    parts: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Passed:
    """The pass is done; ``model`` and ``photos`` as ``Audit`` has them."""

    model: Mapping[str, Any]
    photos: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Proposed:
    """A source is done.

    Attributes:
        findings: what it measured, before the correction for all tests of the audit.
        candidates: what interventions will decide, as findings without an effect, of the same ids.
    """

    findings: tuple[Finding, ...]
    candidates: tuple[Finding, ...]

    @classmethod
    def of(cls, found: Sequence[Finding | Candidate], rows: Rows) -> Proposed:
        """What a source gave."""
        return cls(
            tuple(each for each in found if isinstance(each, Finding)),
            tuple(_undecided(each, rows) for each in found if isinstance(each, Candidate)),
        )


def _undecided(candidate: Candidate, rows: Rows) -> Finding:
    return Finding(
        id=candidate.id, kind=candidate.kind, class_name=candidate.class_name,
        sentence=f"{candidate.edit.describe()['name']} may make photos {candidate.class_name}",
        carriers=tuple(rows.paths[int(row)] for row in candidate.carriers[:MOST_CARRIERS]), region=candidate.region,
        detail={"why": candidate.why, "carriers": len(candidate.carriers)},
    )  # fmt: skip
