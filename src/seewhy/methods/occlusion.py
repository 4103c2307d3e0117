"""Occlusion: slide a mask over the photo and watch the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from torch import Tensor

from ..core.gaussian import blur
from ..core.method import Method, Values, check_choices, param
from ..core.needs import Needs
from ..core.record import Record
from ..errors import InputError
from ..incremental.hiding import Way, hidden_scores


@dataclass(frozen=True)
class Occlusion(Method):
    """f(x) - f(x with a window replaced), averaged over the windows that cover a pixel (Zeiler 2014, section 4.2).

    Windows start at 0, stride, 2 stride, ... until the far edge is reached; the last are clipped to the photo, so
    that every pixel is covered where stride <= window. A pixel that no window covers (stride > window) gets 0.

    Gives (B, 1, H, W), signed: positive where hiding the place lowers the score. ``details`` hold ``grid``,
    (B, rows, columns), the score per mask position; ``windows``, (rows * columns, 4) int64, each mask's
    top, left, bottom, right; and ``coverage``, (H, W), how many windows cover each pixel. ``notes`` say which engine
    did it, why not the other, and what a fast mode's error was on a seeded sample of masks.
    """

    id = "occlusion"
    title = "Occlusion"
    source = "zeiler2014"
    unit = "drop"
    formula = "mean of f(x) − f(x with a window hidden) over the windows that cover a pixel"
    misleads = (
        "A hidden window is itself something the network has never seen: part of a drop can be the patch's own "
        "effect. Evidence that stands in two places drops at neither."
    )

    window: int | tuple[int, int] | None = param(None, "pixels, one number or height and width; default: a seventh")
    stride: int | tuple[int, int] | None = param(None, "pixels, one number or two; default: half the window")
    baseline: float | tuple[float, ...] | Tensor | str = param(
        0.0, "what hides: a number, one per channel, a tensor (C, H, W), or 'blur'; in the inputs' own units"
    )

    engine: str = param(
        "auto", "auto: only what a mask changes where the network can be followed, else whole images; or incremental, "
        "or dense", choices=("auto", "incremental", "dense"),
    )  # fmt: skip
    precision: str = param(
        "exact", "exact, or bfloat16: faster, and the error is measured", choices=("exact", "bfloat16")
    )
    reach: float = param(
        1.0,
        "share of a map's side that a mask's window may grow to, but on maps of 8 or fewer; below 1 faster, and the "
        "error is measured",
    )

    def __post_init__(self) -> None:
        check_choices(self)
        if not isinstance(self.reach, int | float) or not 0 < self.reach <= 1:
            raise InputError("reach is a share of a map", expected="above 0, at most 1", got=repr(self.reach))
        _check_finite(self.baseline)
        _pair(self.window, "window", default=(1, 1))
        _pair(self.stride, "stride", default=(1, 1))

    def needs(self) -> Needs:
        return Needs()

    def __call__(self, record: Record) -> Values:
        x = record.inputs
        (batch, _, height, width) = x.shape
        window = _pair(self.window, "window", default=(max(1, height // 7), max(1, width // 7)))
        stride = _pair(self.stride, "stride", default=(max(1, window[0] // 2), max(1, window[1] // 2)))
        rows, columns = spans(height, window[0], stride[0]), spans(width, window[1], stride[1])
        windows = [(top, left, bottom, right) for top, bottom in rows for left, right in columns]
        hidden = baseline_like(x, self.baseline, window)

        way = Way(self.engine, self.precision, self.reach)
        scores, notes = hidden_scores(record, np.array(windows), hidden, way)  # (windows, B)

        drop = (record.score - scores).T.reshape(batch, len(rows), len(columns))
        down, across = covering(rows, height).to(drop.device), covering(columns, width).to(drop.device)
        coverage = down.sum(0)[:, None] * across.sum(0)
        mean = down.T @ drop.double() @ across / coverage.clamp(min=1)
        return Values(
            mean.to(drop.dtype)[:, None],
            details={
                "grid": scores.T.reshape(batch, len(rows), len(columns)),
                "windows": torch.tensor(windows),
                "coverage": coverage.to(x.dtype),
            },
            notes=notes,
            shared=frozenset({"windows", "coverage"}),
        )


def spans(length: int, window: int, stride: int) -> list[tuple[int, int]]:
    """Where windows begin and end along one side; the last is clipped to it.

    >>> spans(10, 4, 3)
    [(0, 4), (3, 7), (6, 10)]
    """
    count = 1 + ceil(max(0, length - window) / stride)
    # With stride > window the last start may lie beyond the edge.
    starts = [start for start in range(0, count * stride, stride) if start < length]
    return [(start, min(start + window, length)) for start in starts]


def covering(spans: Sequence[tuple[int, int]], length: int) -> Tensor:
    """(spans, length) float64, 1 where a span covers a place and 0 elsewhere."""
    begin, end = torch.tensor(spans).T[:, :, None]
    place = torch.arange(length)
    covers: Tensor = (begin <= place) & (place < end)
    return covers.double()


def baseline_like(x: Tensor, baseline: object, window: tuple[int, int]) -> Tensor:
    """What shows where a mask lies, broadcast to ``x``'s shape (B, C, H, W).

    Raises:
        InputError: ``baseline`` is none of a number, one per channel, a tensor that broadcasts, or "blur".
    """
    if baseline == "blur" if isinstance(baseline, str) else False:
        return blur(x, max(window) / 2)
    channels = x.shape[1]
    try:
        if isinstance(baseline, Sequence) and not isinstance(baseline, str):
            return torch.tensor(baseline).to(x).view(channels, 1, 1).expand_as(x)
        if isinstance(baseline, int | float | Tensor):
            return torch.as_tensor(baseline).to(x).expand_as(x)
    except (RuntimeError, TypeError, ValueError):
        pass
    got = tuple(baseline.shape) if isinstance(baseline, Tensor) else repr(baseline)
    raise InputError(
        "this baseline does not fit the inputs",
        expected=f"a number, {channels} numbers, a tensor that broadcasts to {tuple(x.shape)}, or 'blur'",
        got=got,
    )


def _check_finite(baseline: object) -> None:
    """What is no number of any kind is told by ``baseline_like``, which knows the inputs."""
    try:
        finite = isinstance(baseline, str) or bool(torch.as_tensor(baseline).isfinite().all())
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return
    if not finite:
        raise InputError("a baseline of NaN or infinity hides nothing", expected="finite numbers", got=repr(baseline))


def _pair(value: object, name: str, default: tuple[int, int]) -> tuple[int, int]:
    if value is None:
        return default
    pair = (value, value) if isinstance(value, int) else value
    if isinstance(pair, Sequence) and len(pair) == 2 and all(isinstance(v, int) and v > 0 for v in pair):
        return (pair[0], pair[1])
    raise InputError(f"the {name} is in pixels", expected="one or two positive integers", got=repr(value))
