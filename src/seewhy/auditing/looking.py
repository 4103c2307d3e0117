"""What one forward of a batch gives for its rows: probabilities, features, and the map of each photo's class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.company import CoupledError
from ..core.needs import Needs
from ..core.record import Record, recorded
from ..core.target import class_scores
from ..errors import MethodError, ModelError, TargetError
from ..methods import GradCAM
from ..models import Classifier
from .rows import UNKNOWN, Floats, Ints

TOP = 20
"""The most probable classes that a row keeps; all, where there are no more."""


@dataclass(frozen=True, eq=False)
class Looked:
    """Of B photos.

    Attributes:
        predicted: (B,) int64.
        top_classes, top_probabilities: (B, k).
        truth_probability: (B,) float32, NaN where the truth is not known.
        features: (B, D) float16.
        maps: (B, h, w) float16.
    """

    predicted: Ints
    top_classes: Ints
    top_probabilities: Floats
    truth_probability: Floats
    features: Floats
    maps: Floats


class Look:
    """Looks at batches; remembers whether CAM applies to the network, or Grad-CAM is needed."""

    def __init__(self, classifier: Classifier):
        self._classifier = classifier
        self._cam = True
        self._alone = False

    def __call__(self, inputs: Tensor, truth: Ints) -> Looked:
        """One forward of ``inputs`` (B, C, H, W), for the map of ``truth`` (B,), or of the predicted class.

        Raises:
            SeewhyError: the network gives no class scores, or has no maps.
        """
        if not self._alone:
            try:
                return self._looked(inputs, truth)
            except CoupledError:
                self._alone = True  # its photos see each other
        each = [self._looked(inputs[i : i + 1], truth[i : i + 1]) for i in range(len(inputs))]
        return Looked(*(np.concatenate([getattr(one, name) for one in each]) for name in Looked.__annotations__))

    def _looked(self, inputs: Tensor, truth: Ints) -> Looked:
        if self._cam:
            try:
                return self._by_cam(inputs, truth)
            except MethodError:
                self._cam = False
        return self._by_grad_cam(inputs, truth)

    def _by_cam(self, inputs: Tensor, truth: Ints) -> Looked:
        with recorded(self._classifier, inputs, None, Needs(class_map=True)) as record:
            class_map = record.class_map()
            assert record.logits is not None
            classes = _explained(record.logits, truth)
            return self._of(record.logits, truth, class_map.features.mean((2, 3)), class_map.of(classes))

    def _by_grad_cam(self, inputs: Tensor, truth: Ints) -> Looked:
        kept: list[Tensor] = []

        def score(outputs: Any) -> Tensor:
            logits = class_scores(outputs, len(inputs))
            kept.append(logits.detach())
            return logits.gather(1, _explained(logits, truth)[:, None])[:, 0]

        method = GradCAM(relu=False)
        with recorded(self._classifier, inputs, score, Needs.of([method])) as record:
            values = method(record)
            features = _features(record, values.layer)
            return self._of(kept[-1], truth, features, values.values[:, 0])

    def _of(self, logits: Tensor, truth: Ints, features: Tensor, maps: Tensor) -> Looked:
        self._classifier.check_outputs(logits.shape[1])
        if logits.shape[1] < 2:
            raise ModelError("an audit needs probabilities of classes", expected="at least two outputs", got=1)
        probabilities = logits.detach().float().softmax(1).cpu()
        top = probabilities.topk(min(TOP, logits.shape[1]), 1)
        known = torch.from_numpy(truth).clamp(min=0)
        of_truth = probabilities.gather(1, known[:, None])[:, 0].numpy()
        return Looked(
            top.indices[:, 0].numpy(), top.indices.int().numpy(), top.values.numpy(),
            np.where(truth == UNKNOWN, np.nan, of_truth).astype(np.float32), _half(features), _half(maps),
        )  # fmt: skip


def _features(record: Record, layer: str | None) -> Tensor:
    return record.maps(layer)(record.activation(layer)).mean((2, 3))


def _explained(logits: Tensor, truth: Ints) -> Tensor:
    """(B,), the true class; where it is not known, the predicted one."""
    if len(truth) and int(truth.max()) >= logits.shape[1]:
        raise TargetError("there is no such class", expected=f"0 to {logits.shape[1] - 1}", got=int(truth.max()))
    known = torch.from_numpy(truth).to(logits.device)
    return torch.where(known == UNKNOWN, logits.argmax(1), known)


def _half(values: Tensor) -> Floats:
    """float16, within its range."""
    half: Floats = values.detach().float().clamp(-65504, 65504).cpu().numpy().astype(np.float16)
    return half
