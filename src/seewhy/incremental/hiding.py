"""The scores of photos under masks: by windows where the network can be followed, else by whole images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.ranks import rank_correlation
from ..core.record import Record
from ..core.torch_state import inference
from ..errors import InputError, MethodError, SeewhyError
from .dense import Batches
from .program import Untraceable
from .rescorer import Followed, Scoring, pasted
from .windows import Ints

SAMPLE = 16
"""So many masks are also scored exactly where a fast mode is asked for."""


@dataclass(frozen=True)
class Way:
    """How scores are to be had.

    Attributes:
        engine: "auto", "incremental" or "dense".
        precision: "exact" (the model's own), or "bfloat16" for the convolutions of what changed.
        reach: share of a map that a window's side may grow to; 1 is exact.
    """

    engine: str
    precision: str
    reach: float

    @property
    def exact(self) -> bool:
        return self.precision == "exact" and self.reach == 1


class _CallersError(Exception):
    """Carries what the caller's progress callback raised past the fall back to whole images."""

    def __init__(self, raised: Exception):
        super().__init__(raised)
        self.raised = raised


def hidden_scores(record: Record, boxes: Ints, fill: Tensor, way: Way) -> tuple[Tensor, Mapping[str, Any]]:
    """Each photo's score with each mask on it.

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
    """
    try:
        return _hidden_scores(record, boxes, fill, way)
    except _CallersError as error:
        raise error.raised from None


def _hidden_scores(record: Record, boxes: Ints, fill: Tensor, way: Way) -> tuple[Tensor, Mapping[str, Any]]:
    """As ``hidden_scores``; what the progress callback raises is a _CallersError."""
    if way.engine == "dense" and not way.exact:
        raise InputError("the fast modes belong to windows; the dense engine has none", expected="engine='incremental'")
    if record.inputs.is_cuda and way.exact and way.engine != "incremental":
        reason = "asked for" if way.engine == "dense" else "whole images go faster on a GPU"
        return _by_the_model(record, boxes, fill), {"engine": "dense", "reason": _with_company(record, reason)}
    try:
        return _followed_scores(record, boxes, fill, way)
    except Untraceable as error:
        reason = f"the network cannot be followed: {error}"
    except (SeewhyError, _CallersError):
        raise
    except Exception as error:  # noqa: BLE001 - where the model itself works, no error of the engine stops it
        reason = f"the engine failed on this network: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if way.engine == "incremental":
        raise MethodError(reason, expected="engine='dense'")
    return _by_the_model(record, boxes, fill), {"engine": "dense", "reason": _with_company(record, reason)}


def _with_company(record: Record, reason: str) -> str:
    """The reason, and why the images had no company."""
    alone = record.alone if record.target is not None else None
    return reason if alone is None else f"{reason}; one image a forward: {alone}"


def _followed_scores(record: Record, boxes: Ints, fill: Tensor, way: Way) -> tuple[Tensor, Mapping[str, Any]]:
    followed = Followed(record)
    dense = way.engine == "dense"
    fast = followed.exact if way.exact else followed.scoring(way.reach, half=way.precision == "bfloat16")
    scores = _by_the_program(record, fast, boxes, fill, dense)
    if dense:
        notes: dict[str, Any] = {"engine": "dense", "reason": "asked for"}
    else:
        notes = {"engine": "incremental"}
        if fast.engine.ended:
            notes["whole_maps_from"] = fast.engine.ended[0]
    if not way.exact:
        notes["measured_error"] = _measured(record, followed.exact, boxes, fill, scores)
    return scores, notes


def _by_the_model(record: Record, boxes: Ints, fill: Tensor) -> Tensor:
    x, batch = record.inputs, len(record.inputs)

    def scores(some: slice) -> Tensor:
        parts = [pasted(x[b : b + 1], boxes[some], fill[b]) for b in range(batch)]
        return record.rescore(torch.stack(parts, 1))

    batches = Batches(max(1, record.batch_size // batch), x.is_cuda)
    return batches.run(len(boxes), scores, _told(record, 0, len(boxes)))


def _by_the_program(record: Record, scoring: Scoring, boxes: Ints, fill: Tensor, dense: bool) -> Tensor:
    photos = len(record.inputs)
    columns, batches = [], Batches(record.batch_size)
    with inference():
        for photo in range(photos):
            told = _told(record, photo * len(boxes), photos * len(boxes))
            if dense:
                scores = scoring.dense(photo, boxes, fill[photo], batches, told)
            else:
                scores = scoring.scores(photo, boxes, fill[photo], told)
            # What was lost to rounding is lost on both sides, and so not in the difference.
            columns.append(record.score[photo] - record.sign[photo] * (scoring.score(photo) - scores))
    return torch.stack(columns, 1).clone()


def _measured(record: Record, exact: Scoring, boxes: Ints, fill: Tensor, scores: Tensor) -> dict[str, Any]:
    """What a fast mode's scores are off by, on a seeded sample of masks."""
    count = min(SAMPLE, len(boxes))
    sample = np.sort(np.random.default_rng(0).choice(len(boxes), count, replace=False))
    drops, found = [], []
    with inference():
        for photo in range(len(record.inputs)):
            drops.append(record.sign[photo] * (exact.score(photo) - exact.scores(photo, boxes[sample], fill[photo])))
            found.append(record.score[photo] - scores[torch.from_numpy(sample), photo])
    a, b = torch.stack(drops), torch.stack(found)
    spread = float((a.max(1).values - a.min(1).values).mean())
    return {
        "masks": count, "seed": 0, "largest": float((a - b).abs().max()), "spread": spread,
        "rank_correlation": rank_correlation(a, b),
    }  # fmt: skip


def _told(record: Record, before: int, total: int) -> Any:
    def told(done: int) -> None:
        if record.progress is not None:
            try:
                record.progress(before + done, total)
            except Exception as error:
                raise _CallersError(error) from error

    return told
