"""What a report is of, beside explanations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seewhy.results import Explanation


@dataclass(frozen=True)
class RunInfo:
    """What all photos of a run have in common; every text is shown as it is.

    Attributes:
        model: the model's SPEC.
        weights: the hash of its weights.
        version: seewhy's version.
        date: when the run was made.
        command: what was typed.
        facts: anything else, name -> text (torch's version, the device, the time taken).
    """

    model: str
    weights: str
    version: str
    date: str
    command: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A photo that could not be explained.

    Attributes:
        path: as it was given.
        error: why; one line.
    """

    path: str
    error: str


@dataclass(frozen=True, eq=False)
class Item:
    """A photo of the run.

    Attributes:
        shown: its explanation, or why there is none.
        folder: where its figures lie, relative to the report; empty where there are none.
    """

    shown: Explanation | Failure
    folder: str = ""
