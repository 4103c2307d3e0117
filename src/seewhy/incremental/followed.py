"""A traced model, verified to give the same scores by windows as by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy

import numpy as np
import torch
from torch import Tensor

from ..core.company import coarse, largest_difference, rounding
from ..core.inputs import at_least_float32
from ..core.record import Record
from ..core.target import logits_of
from ..core.torch_state import inference
from ..settings import warn_if_busy
from .dense import Batches
from .engine import Engine, Photo, masked
from .pasting import cut_out, pasted
from .program import Untraceable, trace
from .simplify import simplified
from .windows import Ints

LARGEST = 30 << 20
"""Bytes of the largest windows of one layer: below it, call overhead dominates; above it, malloc returns memory."""


class Followed:
    """A traced model, verified to give the same scores by windows as by itself. It is independent of the photos.

    Args:
        record: of the photos, for classes as targets.
        own: whether to hold copies of all weights, for use after the record is closed.
        classes: (K,) int64, sorted, that are asked for first; None: the record's.

    Raises:
        Untraceable: says why.
    """

    def __init__(self, record: Record, own: bool = False, classes: Tensor | None = None):
        warn_if_busy()
        check_followable(record)
        self._own = own
        self._engines: dict[tuple[float, bool], Engine] = {}
        one = record.inputs[:1]
        height, width = one.shape[2:]
        boxes = np.array([_box(height, width, at) for at in ((0.3, 0.4), (1.0, 1.0))], np.int64)
        mirrored = one[0].flip((1, 2))
        fill = [cut_out(part, box) for part, box in zip((mirrored, 2 * mirrored + 1), boxes, strict=True)]
        self.program, clean, hidden = trace(record.run, logits_of, one, pasted(one, boxes, fill))
        self._expected = torch.cat([clean, hidden])
        classes, whole = record.classes if classes is None else classes, self._engine(1.0, False)
        with inference():
            few, x = _cut(whole, classes), _laid(one)
            if few is None:
                photo = wanted = whole.photo(x)
            else:
                photo, wanted = whole.photos(x, *few)
            first = _scoring(whole, few, record, classes, wanted)
            self._together = torch.cat([photo.logits, whole.logits(photo, masked(photo, boxes, fill))[0]])
            apart = torch.cat([first.logits(0, boxes[i : i + 1], fill[i : i + 1]) for i in range(len(boxes))])
        # The batch sizes learned here serve whatever photo comes next.
        whole.masks, whole.at_once = first.engine.masks, first.engine.at_once
        self._first: tuple[Tensor, Tensor, Scoring] | None = (record.inputs, classes, first)
        self._prove(classes)
        assert record.logits is not None
        company = rounding(self._expected) / 4
        _agree(apart, hidden[:, classes], company, _COUPLED)
        _agree(clean[:, classes], record.logits[:1, classes], company, _COUPLED)
        if coarse(clean) and (why := record.alone):  # the tolerances above are wide then
            raise Untraceable(f"its images see each other: {why}")

    def _prove(self, classes: Tensor) -> None:
        """Compare the scores of the traced forwards with those by windows, for some classes."""
        expected = self._expected[:, classes]
        # Rounding affects all scores alike; coupling between images changes them by more.
        otherwise = "followed step by step it gives other scores than by itself"
        _agree(self._together[:, classes], expected, rounding(expected), otherwise)

    def _engine(self, reach: float, half: bool) -> Engine:
        if (reach, half) not in self._engines:
            self._engines[reach, half] = Engine(simplified(self.program, half, self._own), reach)
        return self._engines[reach, half]

    def apart(self) -> Followed:
        """The same, proved already, with copies of all weights and with memory of its own to compute in: for use after
        the record is closed, and beside others.
        """
        other = copy(self)
        other._own, other._engines, other._first = True, {}, None
        return other

    def scoring(
        self, record: Record, reach: float = 1.0, *, half: bool = False, classes: Tensor | None = None
    ) -> Scoring:
        """A scorer of a record's photos, for all classes that its forward's targets are functions of, or for others.

        Args:
            record: of photos of the size, type and device that the model was traced with.
            reach: windows up to this share of their maps.
            half: whether convolutions of deltas are computed in bfloat16.
            classes: (K,) int64, sorted; None: the record's.

        Raises:
            Untraceable: it was verified for other classes, and is not valid for these.
        """
        classes = record.classes if classes is None else classes
        first, self._first = self._first, None
        if first is not None and reach == 1 and not half:
            inputs, proved, scoring = first
            if inputs is record.inputs and torch.equal(proved, classes):
                return scoring
        self._prove(classes)
        whole = self._engine(reach, half)
        with inference():
            return _scoring(whole, _cut(whole, classes), record, classes)


def check_followable(record: Record) -> None:
    """Raises Untraceable where the record, whatever its photos, is of a kind whose model cannot be traced."""
    if record.target is None:
        raise Untraceable("a target function may look at the images together")
    if why := record.coupled_by_layers:
        raise Untraceable(f"its images see each other: {why}")
    if torch.is_autocast_enabled(record.inputs.device.type):
        raise Untraceable("autocast is on, and changes the precision of what it does")


class Scoring:
    """An engine and the photos that it scores.

    Args:
        engine: whose program gives the logits.
        record: of the photos; each base pass is compared with the model's own logits.
        classes: (K,) int64, whose scores are given.
        columns: which of the program's logits are those; None: they are all.
        photo: the base pass of the first photo, where it was computed and compared already.
    """

    def __init__(
        self, engine: Engine, record: Record, classes: Tensor, columns: list[int] | None, photo: Photo | None = None
    ):
        assert record.logits is not None
        self.engine, self._columns = engine, columns
        self._expected, self._classes = record.logits, classes
        self._inputs = _laid(record.inputs)
        self._photo = None if photo is None else (0, photo)

    def photo(self, index: int) -> Photo:
        """The base pass of one photo; the last one is kept.

        Raises:
            Untraceable: it gives other logits than the model did.
        """
        if self._photo is None or self._photo[0] != index:
            self._photo = None  # so that two are never held
            photo = self.engine.photo(self._inputs[index : index + 1])
            expected = self._expected[index : index + 1]
            _agree(self._wanted(photo.logits), expected[:, self._classes], rounding(expected) / 4, _OTHERWISE)
            self._photo = (index, photo)
        return self._photo[1]

    def logits(self, index: int, boxes: Ints, fill: Tensor | Sequence[Tensor]) -> Tensor:
        """(M, K) of one photo under masks."""
        photo = self.photo(index)
        logits, largest = self.engine.logits(photo, masked(photo, boxes, fill))
        self.engine.masks = max(8, min(256, int(LARGEST * len(boxes) / max(largest, 1))))
        return self._wanted(logits)

    def base(self, index: int) -> Tensor:
        """(K,) of the photo itself, float32 or float64."""
        return at_least_float32(self._wanted(self.photo(index).logits)[0])

    def hidden(
        self, index: int, boxes: Ints, fill: Tensor | Sequence[Tensor], told: Callable[[int], None] = lambda done: None
    ) -> Tensor:
        """(M, K) of one photo under many masks, float32 or float64."""
        parts, done = [], 0
        while done < len(boxes):
            some = slice(done, done + self.engine.masks)
            parts.append(self.logits(index, boxes[some], fill if isinstance(fill, Tensor) else fill[some]))
            done += len(parts[-1])
            told(done)
        return at_least_float32(torch.cat(parts))

    def dense(
        self, index: int, boxes: Ints, fill: Tensor, batches: Batches, told: Callable[[int], None] = lambda done: None
    ) -> Tensor:
        """(M, K) the same by whole images."""
        x = self._inputs[index : index + 1]

        def logits(some: slice) -> Tensor:
            images = pasted(x, boxes[some], fill.to(x.dtype))
            return self._wanted(self.engine.whole(images))

        return at_least_float32(batches.run(len(boxes), logits, told))

    def _wanted(self, logits: Tensor) -> Tensor:
        return logits if self._columns is None else logits[:, self._columns]


def _cut(whole: Engine, classes: Tensor) -> tuple[Engine, int] | None:
    """``Engine.cut_to``; None also where all classes are wanted, so that the last layer's weights are not copied."""
    every = whole.program.shapes[whole.program.output][-1]
    return None if len(classes) == every else whole.cut_to(classes)


def _scoring(
    whole: Engine, few: tuple[Engine, int] | None, record: Record, classes: Tensor, photo: Photo | None = None
) -> Scoring:
    """By the engine that was cut to the wanted classes, or else by the whole one."""
    if few is not None:
        return Scoring(few[0], record, classes, None, photo)
    every = whole.program.shapes[whole.program.output][-1]
    return Scoring(copy(whole), record, classes, None if len(classes) == every else classes.tolist(), photo)


def _laid(inputs: Tensor) -> Tensor:
    return inputs.contiguous(memory_format=torch.channels_last)


def _box(height: int, width: int, at: tuple[float, float]) -> tuple[int, int, int, int]:
    """A box a seventh of the photo, at a share of the way down and across."""
    tall, wide = max(1, height // 7), max(1, width // 7)
    top, left = int(at[0] * (height - tall)), int(at[1] * (width - wide))
    return top, left, top + tall, left + wide


_COUPLED = "its images see each other: in other company the scores differ"
_OTHERWISE = "for this photo it gives other scores than by itself"


def _agree(found: Tensor, expected: Tensor, tolerance: float, otherwise: str) -> None:
    difference = largest_difference(found, expected)
    if not difference <= tolerance:
        raise Untraceable(f"{otherwise}, by {difference:.2g}")
