"""Rows: what one pass over a folder keeps of each photo, as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]

UNKNOWN = -1
"""The truth of a photo whose class nobody knows."""


@dataclass(frozen=True, eq=False)
class Rows:
    """N photos, in the order of their paths.

    Attributes:
        paths: within the audited folder, with forward slashes.
        truth: (N,) int64, the true class; ``UNKNOWN`` where it is not known.
        predicted: (N,) int64.
        top_classes: (N, k) int32, the most probable classes, the first of them ``predicted``.
        top_probabilities: (N, k) float32.
        truth_probability: (N,) float32; NaN where the truth is not known.
        features: (N, D) float16, what the last linear layer reads; else the spatial mean of the last spatial layer.
        maps: (N, h, w) float16, the class map of the true class (of the predicted one where it is not known), raw.
        facts: by name (N,) float32: width, height, brightness, contrast, ...; see ``facts.py``.
        hashes: (N,) uint64, perceptual.
        digests: SHA-256 of each file.
        loss: (N,) float32, the cross-entropy; NaN where the truth is not known.
        margin: (N,) float32, the logit of the true class less the largest other; NaN where the truth is not known.
        predicted_maps: (N, h, w) float16, the class map of the predicted class, raw.
    """

    paths: tuple[str, ...]
    truth: Ints
    predicted: Ints
    top_classes: Ints
    top_probabilities: Floats
    truth_probability: Floats
    features: Floats
    maps: Floats
    facts: Mapping[str, Floats]
    hashes: npt.NDArray[np.uint64]
    digests: tuple[str, ...]
    loss: Floats
    margin: Floats
    predicted_maps: Floats

    def __len__(self) -> int:
        return len(self.paths)

    def only(self, which: npt.NDArray[np.bool_] | Ints) -> Rows:
        """Some of them: where (N,) bool is True, or these numbers in their order."""
        at = np.arange(len(self))[which]

        def some(values: Any) -> Any:
            if isinstance(values, Mapping):
                return {name: some(each) for name, each in values.items()}
            return tuple(values[row] for row in at) if isinstance(values, tuple) else values[at]

        return Rows(**{name: some(values) for name, values in vars(self).items()})

    @property
    def confidence(self) -> Floats:
        """(N,), the probability of the predicted class."""
        confidence: Floats = self.top_probabilities[:, 0]
        return confidence

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """(N,), where the truth is known."""
        known: npt.NDArray[np.bool_] = self.truth != UNKNOWN
        return known

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """(N,), where the prediction is the truth."""
        right: npt.NDArray[np.bool_] = self.predicted == self.truth
        return right
