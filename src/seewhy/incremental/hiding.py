"""Scores of photos under masks: incrementally where the network can be traced, else by whole images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import events
from ..core.ranks import rank_correlation
from ..core.record import Record
from ..core.torch_state import inference
from ..errors import InputError, MethodError, SeewhyError
from .dense import Batches
from .followed import Followed, Scoring, check_followable
from .pasting import pasted
from .program import Untraceable
from .programs import Programs
from .windows import Ints

SAMPLE = 16
"""Masks that a fast mode also scores exactly, to measure its error."""


@dataclass(frozen=True)
class Way:
    """Execution options of occlusion.

    Attributes:
        engine: "auto", "incremental" or "dense".
        precision: "exact" (the model's own), or "bfloat16" for the convolutions of deltas.
        reach: share of a map that a window's side may grow to; 1 is exact.
    """

    engine: str
    precision: str
    reach: float

    @property
    def exact(self) -> bool:
        return self.precision == "exact" and self.reach == 1


@dataclass(frozen=True, eq=False)
class Hidden:
    """The logits of some classes under all masks, shared by all targets that are functions of these classes.

    Attributes:
        boxes, fill, way: what was asked for.
        classes: (K,) int64, sorted.
        logits: (M, B, K), float32 or float64: of the masked photos; where ``relative``, the base pass's minus these.
        notes: how it was done: the engine, and why not the other.
        relative: whether ``logits`` are differences, in which rounding errors common to both passes cancel.
        sample: of a fast mode, (S,) indices of some masks, and (S, B, K) their exact differences.
    """

    boxes: Ints
    fill: Tensor
    way: Way
    classes: Tensor
    logits: Tensor
    notes: dict[str, Any]
    relative: bool = False
    sample: tuple[Tensor, Tensor] | None = None

    def answers(self, record: Record, boxes: Ints, fill: Tensor, way: Way) -> bool:
        """Whether this is what is asked for."""
        return (
            self.way == way and np.array_equal(self.boxes, boxes) and torch.equal(self.fill, fill)
            and bool(torch.isin(record.score_of.wanted, self.classes).all())
        )  # fmt: skip

    def scores(self, record: Record) -> tuple[Tensor, dict[str, Any]]:
        """(M, B) for a record's own target, and how it was done."""
        found = record.score_of.among(self.classes, self.logits)
        scores = record.score - found if self.relative else found
        if self.sample is None:
            return scores, dict(self.notes)
        return scores, {**self.notes, "measured_error": self._measured(record, record.score - scores)}

    def _measured(self, record: Record, drops: Tensor) -> dict[str, Any]:
        """The error of a fast mode's ``drops`` (M, B) on a seeded sample of masks."""
        assert self.sample is not None
        masks, exact = self.sample
        a, b = record.score_of.among(self.classes, exact).T, drops[masks].T
        spread = float((a.max(1).values - a.min(1).values).mean())
        return {
            "masks": len(masks), "seed": 0, "largest": float((a - b).abs().max()), "spread": spread,
            "rank_correlation": rank_correlation(a, b),
        }  # fmt: skip


def hidden_scores(record: Record, boxes: Ints, fill: Tensor, way: Way) -> tuple[Tensor, Mapping[str, Any]]:
    """Each photo's score with each mask on it.

    The masks are scored once for all targets of the record's forward, and read from there for the others; each target
    function has forwards of its own.

    Args:
        record: of the photos.
        boxes: (M, 4) int64 top, left, bottom, right.
        fill: (B, C, H, W), what shows where a mask lies.
        way: how.

    Returns:
        (M, B) float32 or float64; and how it was done: the engine, why not the other, and what a fast mode cost.

    Raises:
        MethodError: the incremental engine was asked for by name, and the network cannot be followed.
        CoupledError: the images of the batch see each other.
        Cancelled: the job was cancelled; within one forward.
    """
    if record.target is None:
        return _of_function(record, boxes, fill, way)
    known: list[Hidden] = record.kept.setdefault("hidden", [])
    for hidden in known:
        if hidden.answers(record, boxes, fill, way):
            record.progress(len(boxes) * len(fill), len(boxes) * len(fill))
            return hidden.scores(record)
    hidden = _hidden(record, boxes, fill, way)
    known.append(hidden)
    return hidden.scores(record)


def _of_function(record: Record, boxes: Ints, fill: Tensor, way: Way) -> tuple[Tensor, Mapping[str, Any]]:
    _check(way)
    reason = "the network cannot be followed: a target function may look at the images together"
    if way.engine == "incremental":
        raise MethodError(reason, expected="engine='dense'")
    if way.engine == "dense":
        reason = "asked for"
    elif record.inputs.is_cuda:
        reason = "whole images go faster on a GPU"
    return _by_the_model(record, boxes, fill, record.rescore), {"engine": "dense", "reason": reason}


def _hidden(record: Record, boxes: Ints, fill: Tensor, way: Way) -> Hidden:
    _check(way)
    asked = boxes, fill.clone(), way, record.classes
    reason = "asked for" if way.engine == "dense" else "whole images go faster on a GPU"
    if not record.inputs.is_cuda or not way.exact or way.engine == "incremental":
        try:
            return _followed(record, asked)
        except Untraceable as error:
            reason = f"the network cannot be followed: {error}"
        except SeewhyError:
            raise
        except Exception as error:  # where the model itself works, no error of the engine stops it
            if events.raised_by_a_listener(error):
                raise
            said = " ".join(str(error).split())[:200]
            reason = f"the engine failed on this network: {type(error).__name__}: {said}"
        if way.engine == "incremental":
            raise MethodError(reason, expected="engine='dense'")
    classes = record.classes
    logits = _by_the_model(record, boxes, fill, lambda variants: record.scores_of_classes(variants, classes))
    return Hidden(*asked, logits, {"engine": "dense", "reason": _with_company(record, reason)})


def _check(way: Way) -> None:
    if way.engine == "dense" and not way.exact:
        raise InputError("the fast modes belong to windows; the dense engine has none", expected="engine='incremental'")


def _with_company(record: Record, reason: str) -> str:
    """The reason, and why images were run one at a time."""
    alone = record.alone
    return reason if alone is None else f"{reason}; one image a forward: {alone}"


def _followed(record: Record, asked: tuple[Ints, Tensor, Way, Tensor]) -> Hidden:
    """By the traced program of the model: a cached one where it is still valid, else a new one."""
    check_followable(record)
    programs = record.programs if isinstance(record.programs, Programs) else None
    # A program traced for this very forward is not validated again, but for its logits of the photos.
    kept: Followed | None = record.kept.get("followed") or (programs.find(record) if programs else None)
    if kept is not None:
        try:
            record.kept["followed"] = kept
            return _by_the_program(record, kept, *asked)
        except SeewhyError:
            raise
        except Exception as error:  # not valid for these photos: trace anew, and report what that raises
            if events.raised_by_a_listener(error):
                raise
    record.kept["followed"] = Followed(record) if programs is None else programs.follow(record)
    return _by_the_program(record, record.kept["followed"], *asked)


def _by_the_program(
    record: Record, followed: Followed, boxes: Ints, fill: Tensor, way: Way, classes: Tensor
) -> Hidden:  # fmt: skip
    scoring = followed.scoring(record, way.reach, half=way.precision == "bfloat16")
    photos, batches = len(record.inputs), Batches(record.batch_size)

    def drops(scoring: Scoring, photo: int, boxes: Ints, told: Any) -> Tensor:
        hidden = scoring.dense(photo, boxes, fill[photo], batches, told) if way.engine == "dense" else (
            scoring.hidden(photo, boxes, fill[photo], told)
        )  # fmt: skip
        return scoring.base(photo) - hidden

    with inference():
        told = [_told(record, photo * len(boxes), photos * len(boxes)) for photo in range(photos)]
        found = torch.stack([drops(scoring, photo, boxes, told[photo]) for photo in range(photos)], 1)
        sample = None
        if not way.exact:
            exact, some = followed.scoring(record), _sample(len(boxes))
            measured = [drops(exact, photo, boxes[some], lambda done: None) for photo in range(photos)]
            sample = torch.from_numpy(some), torch.stack(measured, 1)
    if way.engine == "dense":
        notes: dict[str, Any] = {"engine": "dense", "reason": "asked for"}
    else:
        notes = {"engine": "incremental"}
        if ended := scoring.engine.ended:
            notes["whole_maps_from"] = ended[0]
    if sample is not None:
        sample = sample[0], sample[1].clone()
    return Hidden(boxes, fill, way, classes, found.clone(), notes, relative=True, sample=sample)


def _sample(masks: int) -> Ints:
    count = min(SAMPLE, masks)
    return np.sort(np.random.default_rng(0).choice(masks, count, replace=False))


def _by_the_model(record: Record, boxes: Ints, fill: Tensor, scored: Callable[[Tensor], Tensor]) -> Tensor:
    """``scored`` of all variants, (M, B, C, H, W), in batches."""
    x, batch = record.inputs, len(record.inputs)

    def scores(some: slice) -> Tensor:
        return scored(torch.stack([pasted(x[b : b + 1], boxes[some], fill[b]) for b in range(batch)], 1))

    batches = Batches(max(1, record.batch_size // batch), x.is_cuda)
    return batches.run(len(boxes), scores, _told(record, 0, len(boxes)))


def _told(record: Record, before: int, total: int) -> Any:
    def told(done: int) -> None:
        record.progress(before + done, total)

    return told
