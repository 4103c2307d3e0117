"""Scores of photos with patches pasted in, at the cost of what the patches change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..core.company import coarse, rounding
from ..core.inputs import at_least_float32
from ..core.needs import Needs
from ..core.record import Record, recorded
from ..core.target import Target, logits_of
from ..core.torch_state import inference
from ..errors import InputError, MethodError, SeewhyError
from ..settings import warn_if_busy
from .dense import Batches
from .engine import Engine, Photo, masked
from .program import Untraceable, trace
from .simplify import simplified
from .windows import Ints

LARGEST = 30 << 20
"""Bytes of the largest windows of one layer: less, and calls outweigh work; more, and malloc gives memory back."""


class Rescorer:
    """The scores of photos with patches pasted in: each network layer is computed again only where a patch reaches.

    The idea is Krypton's (Nakandala, Kumar, Papakonstantinou: Incremental and Approximate Inference for Faster
    Occlusion-based Deep CNN Explanations, SIGMOD 2019). Exact up to rounding, and independent of the model once made:
    it works on copies of the weights.

    Args:
        model: a ``torch.nn.Module`` or a ``Classifier``; handed back as it came.
        x: (B, C, H, W) floating point, preprocessed as the model wants it.
        target: None (each photo's predicted class), an int, or one int per image.

    Raises:
        MethodError: the model cannot be followed; says why.
        SeewhyError: the inputs or the target do not fit.

    Attributes:
        target: (B,) int64.
        score: (B,) float32, of the photos as they are.
        ended: operators for which there is no rule, and that therefore work on whole maps from there on.
    """

    def __init__(self, model: object, x: Tensor, target: Target = None):
        with recorded(model, x, target, Needs()) as record:
            try:
                followed = Followed(record, own=True)
            except Untraceable as error:
                raise MethodError(f"the model cannot be followed: {error}") from error
            except Exception as error:
                if isinstance(error, SeewhyError):
                    raise
                raise MethodError(f"the engine failed on this model: {type(error).__name__}: {error}") from error
        self.target, self.score, self._sign = followed.target, record.score, record.sign
        self.ended = tuple(followed.exact.engine.ended)
        self._scoring = followed.exact
        self._shape = tuple(record.inputs.shape)
        self._lock = threading.Lock()  # what is computed on the way lies in memory that is used again

    def scores(self, patches: Tensor, corners: Tensor | Sequence[tuple[int, int]]) -> Tensor:
        """The scores under each of M patches.

        Args:
            patches: (M, C, h, w), or (C, h, w) for the same everywhere, in the inputs' own units.
            corners: (M, 2) int, top and left; patches lie inside the photo.

        Returns:
            (M, B) float32, each photo's score for its own target.
        """
        at = np.asarray(torch.as_tensor(corners).cpu(), dtype=np.int64)
        if at.ndim != 2 or at.shape[1] != 2 or not len(at):
            raise InputError("corners are top and left of each patch", expected="(M, 2)", got=at.shape)
        if patches.dim() == 3:
            patches = patches.expand(len(at), *patches.shape)
        channels, height, width = self._shape[1:]
        if patches.dim() != 4 or patches.shape[:2] != (len(at), channels):
            expected = f"({len(at)}, {channels}, h, w)"
            raise InputError("the patches do not fit", expected=expected, got=tuple(patches.shape))
        boxes = np.concatenate([at, at + patches.shape[2:]], 1)
        if (at < 0).any() or (boxes[:, 2] > height).any() or (boxes[:, 3] > width).any():
            raise InputError("patches lie inside the photo", expected=f"{height} x {width}", got=boxes.tolist()[:3])
        with self._lock, inference():
            scores = [self._scoring.scores(b, boxes, list(patches)) for b in range(self._shape[0])]
            return torch.stack(scores, 1) * self._sign


class Followed:
    """A model that was traced, and proved to give the same in windows as by itself.

    Args:
        record: of the photos, for classes as targets.
        own: whether to hold copies of all weights, for use after the record is closed.

    Raises:
        Untraceable: says why.
    """

    def __init__(self, record: Record, own: bool = False):
        warn_if_busy()
        if record.target is None:
            raise Untraceable("a target function may look at the images together")
        if why := record.coupled_by_layers:
            raise Untraceable(f"its images see each other: {why}")
        if torch.is_autocast_enabled(record.inputs.device.type):
            raise Untraceable("autocast is on, and changes the precision of what it does")
        self.target, self.inputs = record.target, record.inputs
        self.classes, self._columns = torch.unique(record.target, return_inverse=True)
        one = record.inputs[:1]
        height, width = one.shape[2:]
        boxes = np.array([_box(height, width, at) for at in ((0.3, 0.4), (1.0, 1.0))], np.int64)
        mirrored = one[0].flip((1, 2))
        fill = [cut_out(part, box) for part, box in zip((mirrored, 2 * mirrored + 1), boxes, strict=True)]
        self.program, clean, hidden = trace(record.run, logits_of, one, pasted(one, boxes, fill))
        expected = torch.cat([clean, hidden])[:, self.classes]
        # Of what is lost to rounding all scores have their share; what company changes is more.
        tolerance, company = rounding(expected), rounding(torch.cat([clean, hidden])) / 4
        with inference():
            self.exact = self.scoring(1.0, own=own)
            photo = self.exact.photo(0).logits
            together = torch.cat([photo, self.exact.logits(0, boxes, fill)])
            apart = [photo, *(self.exact.logits(0, boxes[i : i + 1], fill[i : i + 1]) for i in range(len(boxes)))]
        _agree(together, expected, tolerance, "followed step by step it gives other scores than by itself")
        _agree(torch.cat(apart), expected, company, _COUPLED)
        assert record.logits is not None
        _agree(clean[:, self.classes], record.logits[:1, self.classes], company, _COUPLED)
        if coarse(clean) and (why := record.alone):  # the tolerances above are wide then
            raise Untraceable(f"its images see each other: {why}")

    def scoring(self, reach: float, *, half: bool = False, own: bool = False) -> Scoring:
        """One way to score: windows up to a share of their maps, convolutions of what changed in bfloat16."""
        program = simplified(self.program, half, self.classes, own)
        return Scoring(Engine(program, reach), self.inputs, self._columns)


class Scoring:
    """An engine and the photos that it scores.

    Args:
        engine: whose program gives the scores of some classes.
        inputs: (B, C, H, W).
        columns: (B,) which of these classes each photo's is.
    """

    def __init__(self, engine: Engine, inputs: Tensor, columns: Tensor):
        self.engine, self._columns = engine, columns.tolist()
        self._inputs = inputs.contiguous(memory_format=torch.channels_last)
        self._photo: tuple[int, Photo] | None = None
        self._masks = 8

    def photo(self, index: int) -> Photo:
        """The base pass of one photo; the last one is kept."""
        if self._photo is None or self._photo[0] != index:
            self._photo = None  # so that two are never held
            self._photo = (index, self.engine.photo(self._inputs[index : index + 1]))
        return self._photo[1]

    def logits(self, index: int, boxes: Ints, fill: Tensor | Sequence[Tensor]) -> Tensor:
        """(M, classes) of one photo under masks."""
        photo = self.photo(index)
        logits, largest = self.engine.logits(photo, masked(photo, boxes, fill))
        self._masks = max(8, min(256, int(LARGEST * len(boxes) / max(largest, 1))))
        return logits

    def scores(
        self, index: int, boxes: Ints, fill: Tensor | Sequence[Tensor], told: Callable[[int], None] = lambda done: None
    ) -> Tensor:
        """(M,) the scores of one photo's own class, float32 or float64."""
        parts, done = [], 0
        while done < len(boxes):
            some = slice(done, done + self._masks)
            part = self.logits(index, boxes[some], fill if isinstance(fill, Tensor) else fill[some])
            parts.append(part[:, self._columns[index]])
            done += len(part)
            told(done)
        return at_least_float32(torch.cat(parts))

    def score(self, index: int) -> Tensor:
        """() the score of the photo itself."""
        return at_least_float32(self.photo(index).logits[0, self._columns[index]])

    def dense(
        self, index: int, boxes: Ints, fill: Tensor, batches: Batches, told: Callable[[int], None] = lambda done: None
    ) -> Tensor:
        """(M,) the same by whole images."""
        x = self._inputs[index : index + 1]

        def scores(some: slice) -> Tensor:
            images = pasted(x, boxes[some], fill.to(x.dtype))
            return self.engine.whole(images)[:, self._columns[index]]

        return at_least_float32(batches.run(len(boxes), scores, told))


def pasted(x: Tensor, boxes: Ints, fill: Tensor | Sequence[Tensor]) -> Tensor:
    """Copies of ``x`` (1, C, H, W), each showing ``fill`` inside one of M boxes, (M, C, H, W), in the memory order of
    ``x``: a network may rely on it.

    Args:
        x: one photo.
        boxes: (M, 4) top, left, bottom, right.
        fill: (C, H, W), of which the part under each box is shown; or (C, h, w) for each box.
    """
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    order = torch.channels_last if last else torch.contiguous_format
    if x.is_cuda and isinstance(fill, Tensor):
        top, left, bottom, right = torch.from_numpy(boxes).to(x.device).T[:, :, None]
        rows, columns = (torch.arange(side, device=x.device) for side in x.shape[2:])
        down, across = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
        inside = down[:, None, :, None] & across[:, None, None]
        return torch.where(inside, fill, x).contiguous(memory_format=order)
    images = x.repeat(len(boxes), 1, 1, 1).contiguous(memory_format=order)
    for number, (image, box) in enumerate(zip(images, boxes, strict=True)):
        cut_out(image, box)[:] = cut_out(fill, box) if isinstance(fill, Tensor) else fill[number]
    return images


def cut_out(image: Tensor, box: Ints) -> Tensor:
    """(C, H, W) -> the part in a box, top, left, bottom, right."""
    top, left, bottom, right = box.tolist()
    return image[:, top:bottom, left:right]


def _box(height: int, width: int, at: tuple[float, float]) -> tuple[int, int, int, int]:
    """A box a seventh of the photo, at a share of the way down and across."""
    tall, wide = max(1, height // 7), max(1, width // 7)
    top, left = int(at[0] * (height - tall)), int(at[1] * (width - wide))
    return top, left, top + tall, left + wide


_COUPLED = "its images see each other: in other company the scores differ"


def _agree(found: Tensor, expected: Tensor, tolerance: float, otherwise: str) -> None:
    difference = float((found.double() - expected.double()).abs().max())
    if not difference <= tolerance:
        raise Untraceable(f"{otherwise}, by {difference:.2g}")
