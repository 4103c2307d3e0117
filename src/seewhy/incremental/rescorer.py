"""Scores of photos with patches pasted in, at the cost of what the patches change."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..core.inputs import at_least_float32
from ..core.needs import Needs
from ..core.record import recorded
from ..core.target import Target, class_indices
from ..core.torch_state import inference
from ..errors import InputError, MethodError, SeewhyError
from .followed import Followed, check_followable
from .program import Untraceable
from .programs import Programs


class Rescorer:
    """The scores of photos with patches pasted in: each network layer is computed again only where a patch reaches.

    The idea is Krypton's (Nakandala, Kumar, Papakonstantinou: Incremental and Approximate Inference for Faster
    Occlusion-based Deep CNN Explanations, SIGMOD 2019). Exact up to rounding, and independent of the model once made:
    it works on copies of the weights.

    Args:
        model: a ``torch.nn.Module`` or a ``Classifier``; handed back as it came.
        x: (B, C, H, W) floating point, preprocessed as the model wants it.
        target: None (each photo's predicted class), an int, or one int per image; or a ``Versus`` of these; of a
            ``Classifier`` also by name.
        classes: those that ``logits`` gives: numbers, or of a ``Classifier`` names; "all": every class; None: those
            that the targets are made of, sorted. One more costs a row of the last layer, and no other work.
        programs: where networks that were followed are kept, so that the next photo takes a third of the time.

    Raises:
        MethodError: the model cannot be followed; says why.
        SeewhyError: the inputs or the target do not fit.

    Attributes:
        target: (B,) int64.
        against: (B,) int64, the classes rather than which; None where the target is no ``Versus``.
        score: (B,) float32, of the photos as they are.
        classes: (K,) int64, whose logits ``logits`` gives, in the order that they were asked for.
        logits_before: (B, K) float32 (float64 for a float64 model), of the photos as they are.
        ended: operators for which there is no rule, and that therefore work on whole maps from there on.
    """

    def __init__(
        self,
        model: object,
        x: Tensor,
        target: Target = None,
        *,
        classes: Sequence[int | str] | str | None = None,
        programs: Programs | None = None,
    ):
        with recorded(model, x, target, Needs()) as record:
            try:
                check_followable(record)
                assert record.logits is not None
                if classes is None:
                    self.classes = record.classes
                else:
                    self.classes = class_indices(model, classes, record.logits.shape[1]).to(record.logits.device)
                wanted = torch.unique(torch.cat([record.classes, self.classes]))
                if programs is None:
                    followed = Followed(record, own=True, classes=wanted)
                else:
                    followed = (programs.find(record) or programs.follow(record)).apart()
                self._scoring = followed.scoring(record, classes=wanted)
                with inference():
                    for photo in range(len(record.inputs)):
                        self._scoring.photo(photo)  # held against what the model says
            except Untraceable as error:
                raise MethodError(f"the model cannot be followed: {error}") from error
            except Exception as error:
                if isinstance(error, SeewhyError):
                    raise
                raise MethodError(f"the engine failed on this model: {type(error).__name__}: {error}") from error
        self.target, self.against, self.score = record.target, record.against, record.score
        self.ended = tuple(self._scoring.engine.ended)
        self.logits_before = at_least_float32(record.logits[:, self.classes])
        self._among, self._wanted = record.score_of.among, wanted
        self._columns = torch.searchsorted(wanted, self.classes)
        self._shape = tuple(record.inputs.shape)
        self._lock = threading.Lock()  # what is computed on the way lies in memory that is used again

    def scores(self, patches: Tensor, corners: Tensor | Sequence[tuple[int, int]]) -> Tensor:
        """The scores under each of M patches.

        Args:
            patches: (M, C, h, w), or (C, h, w) for the same everywhere, in the inputs' own units.
            corners: (M, 2) int, top and left; patches lie inside the photo.

        Returns:
            (M, B) float32 (float64 for a float64 model), each photo's score for its own target.

        Raises:
            InputError: the patches do not fit, or do not lie inside the photo.
        """
        return self._among(self._wanted, self._hidden(patches, corners))

    def logits(self, patches: Tensor, corners: Tensor | Sequence[tuple[int, int]]) -> Tensor:
        """The logits of ``classes`` under each of M patches.

        Args:
            patches, corners: as ``scores`` takes them.

        Returns:
            (M, B, K) float32 (float64 for a float64 model).

        Raises:
            InputError: the patches do not fit, or do not lie inside the photo.
        """
        return self._hidden(patches, corners)[:, :, self._columns]

    def _hidden(self, patches: Tensor, corners: Tensor | Sequence[tuple[int, int]]) -> Tensor:
        """(M, B, wanted)."""
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
            logits = [self._scoring.hidden(b, boxes, list(patches)) for b in range(self._shape[0])]
            return torch.stack(logits, 1)
