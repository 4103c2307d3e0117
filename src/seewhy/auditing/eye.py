"""Eye: photos as the model sees them, and what it says of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
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
from .outputs import as_logits, ran

Pixels = npt.NDArray[np.uint8]

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
        """(B, K) float32, the softmax of the logits of pixels (B, H, W, 3) uint8; NaN where the network fails.

        Raises:
            ModelError: the output is no row of at least two class scores, or the network fails on a whole batch.
        """
        batches = [self._said_of_each(self.inputs(part)) for part in in_batches(pixels, self.batch_size)]
        return np.concatenate(batches) if batches else np.zeros((0, 0), np.float32)

    def _said_of_each(self, inputs: Tensor) -> npt.NDArray[np.float32]:
        """The same as ``said``; NaN where the network fails on an image, unless it does on all."""
        try:
            return self.said(inputs)
        except ModelError:
            if len(inputs) == 1:
                raise
        found: dict[int, npt.NDArray[np.float32]] = {}
        errors: list[ModelError] = []
        for number in range(len(inputs)):
            try:
                found[number] = self.said(inputs[number : number + 1])[0]
            except ModelError as error:
                errors.append(error)
        if not found:
            raise errors[0]
        nothing = np.full_like(next(iter(found.values())), np.nan)
        return np.stack([found.get(number, nothing) for number in range(len(inputs))])

    def said(self, inputs: Tensor) -> npt.NDArray[np.float32]:
        """(B, K) float32, the softmax of the logits of one batch of inputs (B, C, H, W).

        Raises:
            ModelError: the output is no row of at least two class scores, or the network raises something.
        """
        model = original(self.classifier.model)
        with guest(model, grad=False), inference():
            logits = as_logits(class_scores(ran(model, fitted(inputs, model)), len(inputs)))
            said: npt.NDArray[np.float32] = logits.softmax(1).float().cpu().numpy()
        self.forwards += len(inputs)
        return said


def in_batches(pixels: Pixels, size: int) -> Iterator[Pixels]:
    """Parts of at most ``size``."""
    for start in range(0, len(pixels), size):
        yield pixels[start : start + size]
