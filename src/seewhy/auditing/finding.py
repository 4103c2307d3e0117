"""Finding: one thing that an audit found, with its effect, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "stamp", "component", "global", "sensitivity", "preprocessing", "label", "duplicate", "slice", "calibration"
]
State = Literal["proven", "not_proven", "too_few"]
Answer = Literal["spurious", "real", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        id: unique in an audit, such as "stamp-bag-1"; the same in an audit that is made again.
        kind: which source it comes from.
        sentence: what was found, in one sentence with its numbers.
        class_name: the class that it concerns; None: all of them.
        state: "proven": the effect differs from its controls after correction for all tests of the audit; "not_proven":
            it does not; "too_few": there are too few photos to tell.
        suspected_shortcut: it repeats in appearance or place as no object does, or is a property of the whole photo.
        effect: a change of probability or of accuracy, in [-1, 1]; None where nothing was changed.
        ci: its 95 % interval.
        p: of its test, before correction; None where nothing was tested.
        q: the same after Benjamini and Hochberg's correction over all tests of the audit.
        explained: how many decisions hang on it: they change where it is taken out. Proven findings are ranked by it.
        carriers: paths of the photos that carry it, within the audited folder.
        region: where it lies, in pixels that the model sees: {"box": [top, left, height, width], "of": [height,
            width]}.
        transform: what was done to photos to measure the effect.
        controls: what the controls gave, by their name.
        remedy: what to do, one line each.
        detail: further numbers, ready for JSON.
        answer: what a person said of it: spurious, or real, which is part of the object; None: nobody said anything.
    """

    id: str
    kind: Kind
    sentence: str
    class_name: str | None = None
    state: State = "not_proven"
    suspected_shortcut: bool = False
    effect: float | None = None
    ci: tuple[float, float] | None = None
    p: float | None = None
    q: float | None = None
    explained: int = 0
    carriers: tuple[str, ...] = ()
    region: Mapping[str, Any] | None = None
    transform: Mapping[str, Any] | None = None
    controls: Mapping[str, float] = field(default_factory=dict)
    remedy: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)
    answer: Answer | None = None
