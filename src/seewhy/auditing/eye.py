"""Eye: photos as the model sees them, and what it says of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from ..core.guest import guest, original
from ..core.inputs import fitted
from ..core.target import class_scores
from ..core.torch_state import inference
from ..errors import ModelError, PhotoError
from ..legible import in_one_line
from ..models import Classifier
from ..pictures import read_photo
from .beside import Beside
from .passing.outputs import APART, as_logits, ran

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

BATCH = 64


class Eye:
    """Photos as the model sees them, and the probabilities that it gives to pixels, batch by batch.

    Args:
        classifier: the model.
        root: the folder that paths are within.
        batch_size: images per forward.
        digests: by path the SHA-256 that its file must have: one that was changed is not what was looked at.

    Attributes:
        forwards: how many images the model was run on.
        saved: variants of photos of which only what differs was computed.
        failures: why the model said nothing of an image, once for each.
        beside: photos beside their variants.
    """

    def __init__(
        self,
        classifier: Classifier,
        root: str | os.PathLike[str],
        batch_size: int = BATCH,
        digests: Mapping[str, str] | None = None,
    ):
        self.classifier = classifier
        self.root = Path(root)
        self.batch_size = batch_size
        self._digests = digests or {}
        self._classes: int | None = None
        self._alone: bool | None = None  # whether images see each other in a batch, once that was looked at
        self.failures: list[str] = []
        self.forwards = 0
        self.saved = 0
        self.beside = Beside(self)

    def photo(self, path: str) -> Image.Image:
        """The whole photo, upright, RGB.

        Raises:
            PhotoError: it cannot be read, or was changed.
        """
        photo = read_photo(self.root / path)
        if self._digests.get(path, photo.sha256) != photo.sha256:
            raise PhotoError(f"{in_one_line(self.root / path)} was changed while the audit ran")
        return photo.image

    def pixels(self, paths: Sequence[str]) -> Pixels:
        """(B, H, W, 3) uint8, what the model sees of each photo, before normalisation.

        Raises:
            PhotoError: one of them cannot be read.
        """
        seen = [np.asarray(self.classifier.crop(self.photo(path))) for path in paths]
        return np.stack(seen) if seen else np.zeros((0, *self.classifier.input_size, 3), np.uint8)

    def inputs(self, pixels: Pixels) -> Tensor:
        """(B, C, H, W) float32: pixels (B, H, W, 3) normalised, on the model's device; a model that sees grey photos
        is given the grey of colours, which a change of a photo may bring.
        """
        if len(self.classifier.mean) == 1:
            pixels = np.stack([np.asarray(Image.fromarray(each).convert("L").convert("RGB")) for each in pixels])
        return self.classifier.normalised_pixels(pixels)

    def probabilities(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """(B, K) float32, the softmax of ``scores``."""
        return _softmax(self.scores(pixels))

    def scores(self, pixels: Pixels) -> Floats:
        """(B, K) float32 or float64, the logits of pixels (B, H, W, 3) uint8; NaN where the network fails. One by one
        where images of a batch change each other's.

        Raises:
            ModelError: the output is no row of at least two class scores, or the network fails on most images.
        """
        if self._alone is None and len(pixels) > 1:
            both, first = (_softmax(self._said_of_each(self.inputs(pixels[:count]))) for count in (2, 1))
            self._alone = not np.allclose(both[:1], first, atol=APART, equal_nan=True)
        size = 1 if self._alone else self.batch_size
        batches = [self._said_of_each(self.inputs(part)) for part in in_batches(pixels, size)]
        return np.concatenate(batches) if batches else np.zeros((0, 0), np.float32)

    def _said_of_each(self, inputs: Tensor) -> Floats:
        """The same as ``said``; NaN where the network fails on an image, unless it has done so more often than not."""
        try:
            said = self.said(inputs)
            self._classes = said.shape[1]
            return said
        except ModelError as error:
            if len(inputs) > 1:
                return np.concatenate([self._said_of_each(inputs[n : n + 1]) for n in range(len(inputs))])
            self.failures.append(str(error))
            if self._classes is None or len(self.failures) > self.forwards:
                raise
        return np.full((1, self._classes), np.nan, np.float32)

    def said(self, inputs: Tensor) -> Floats:
        """(B, K) float32 or float64, the logits of one batch of inputs (B, C, H, W).

        Raises:
            ModelError: the output is no row of at least two class scores, or the network raises something.
        """
        model = original(self.classifier.model)
        with guest(model, grad=False), inference():
            logits = as_logits(class_scores(ran(model, fitted(inputs, model)), len(inputs)))
            said: Floats = logits.cpu().numpy()
        self.forwards += len(inputs)
        return said


def in_batches(pixels: Pixels, size: int) -> Iterator[Pixels]:
    """Parts of at most ``size``."""
    for start in range(0, len(pixels), size):
        yield pixels[start : start + size]


def _softmax(scores: Floats) -> npt.NDArray[np.float32]:
    said: npt.NDArray[np.float32] = torch.from_numpy(scores).softmax(1).float().numpy()
    return said
