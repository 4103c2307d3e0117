"""What one forward of a batch gives for its rows: probabilities, features, maps of the true and the predicted class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...core.company import CoupledError
from ...core.needs import Needs
from ...core.record import Record, recorded, recorded_for
from ...errors import LayerError, MethodError, ModelError, NoGradientError, SeewhyError, TargetError
from ...methods import GradCAM
from ...models import Classifier
from .outputs import APART, as_logits
from .rows import UNKNOWN, Floats, Ints

TOP = 20
"""The most probable classes that a row keeps; all, where there are no more."""


@dataclass(frozen=True, eq=False)
class Looked:
    """Of B photos.

    Attributes:
        predicted: (B,) int64.
        top_classes, top_probabilities: (B, k).
        truth_probability, loss, margin: (B,) float32, NaN where the truth is not known.
        features: (B, D) float16.
        maps, predicted_maps: (B, h, w) float16, of the true class (of the predicted one where it is not known), and of
            the predicted one.
    """

    predicted: Ints
    top_classes: Ints
    top_probabilities: Floats
    truth_probability: Floats
    loss: Floats
    margin: Floats
    features: Floats
    maps: Floats
    predicted_maps: Floats


def joined(parts: Sequence[Looked]) -> Looked:
    """One after the other."""
    return Looked(*(np.concatenate([getattr(each, name) for each in parts]) for name in Looked.__annotations__))


class Look:
    """Looks at batches; remembers whether CAM applies to the network, or Grad-CAM, or neither: then maps have one
    place, with 0, and features are the logits.
    """

    def __init__(self, classifier: Classifier):
        self._classifier = classifier
        self._cam = self._grad_cam = True
        self._alone: bool | None = None  # whether photos see each other in a batch, once that was looked at

    def __call__(self, inputs: Tensor, truth: Ints) -> Looked:
        """One forward of ``inputs`` (B, C, H, W), for the maps of ``truth`` (B,) and of the predicted class.

        Raises:
            SeewhyError: the network gives no class scores.
        """
        if not self._alone:
            try:
                together = self._looked(inputs, truth)
                if self._alone is None and len(inputs) > 1:
                    said = self._looked(inputs[:1], truth[:1]).top_probabilities
                    self._alone = not np.allclose(together.top_probabilities[:1], said, atol=APART)
                if not self._alone:
                    return together
            except CoupledError:
                self._alone = True
        each = [self._looked(inputs[i : i + 1], truth[i : i + 1]) for i in range(len(inputs))]
        return joined(each)

    def at_each(self, inputs: Tensor, truth: Ints) -> tuple[Looked | None, list[int], dict[int, Exception]]:
        """The same, though of some photos the network may give NaN, or fail: what it says of the others, their numbers
        in the batch, and by number why it says nothing of these.

        Raises:
            SeewhyError: the network cannot be audited, whatever the photos.
        """
        try:
            return self(inputs, truth), [*range(len(inputs))], {}
        except Exception as error:
            if isinstance(error, SeewhyError) and not isinstance(error, ModelError):
                raise
            if len(inputs) == 1:
                return None, [], {0: error}
        found = [self.at_each(inputs[i : i + 1], truth[i : i + 1]) for i in range(len(inputs))]
        looked = {number: one for number, (one, _, _) in enumerate(found) if one is not None}
        errors = {number: failed[0] for number, (_, _, failed) in enumerate(found) if failed}
        return joined([*looked.values()]) if looked else None, [*looked], errors

    def _looked(self, inputs: Tensor, truth: Ints) -> Looked:
        if self._cam:
            try:
                return self._by_cam(inputs, truth)
            except MethodError:
                self._cam = False
        if self._grad_cam:
            try:
                return self._by_grad_cam(inputs, truth)
            except (LayerError, NoGradientError):
                self._grad_cam = False
        return self._without_maps(inputs, truth)

    def _by_cam(self, inputs: Tensor, truth: Ints) -> Looked:
        with recorded(self._classifier, inputs, None, Needs(class_map=True)) as record:
            class_map = record.class_map()
            assert record.logits is not None
            _check(truth, record.logits.shape[1])
            predicted = record.logits.argmax(1)
            said = class_map.of(predicted)
            own = class_map.of(_explained(predicted, truth))
            return self._of(record.logits, truth, class_map.features.mean((2, 3)), own, said)

    def _by_grad_cam(self, inputs: Tensor, truth: Ints) -> Looked:
        method, known = GradCAM(relu=False), np.maximum(truth, 0).tolist()
        with recorded_for(self._classifier, inputs, [None, known], Needs.of([method])) as (of_said, of_truth):
            assert of_said.logits is not None
            said, predicted = method(of_said), of_said.logits.argmax(1)
            wrong = _explained(predicted, truth) != predicted
            own = said.values
            if wrong.any():
                own = torch.where(wrong[:, None, None, None], method(of_truth).values, own)
            features = _features(of_said, said.layer)
            return self._of(of_said.logits, truth, features, own[:, 0], said.values[:, 0])

    def _without_maps(self, inputs: Tensor, truth: Ints) -> Looked:
        with recorded(self._classifier, inputs, None, Needs()) as record:
            assert record.logits is not None
            _check(truth, record.logits.shape[1])
            nothing = torch.zeros(len(inputs), 1, 1)
            return self._of(record.logits, truth, record.logits, nothing, nothing)

    def _of(self, logits: Tensor, truth: Ints, features: Tensor, maps: Tensor, predicted_maps: Tensor) -> Looked:
        logits = as_logits(logits.detach()).float().cpu()
        self._classifier.check_outputs(logits.shape[1])
        probabilities = logits.softmax(1)
        top = probabilities.topk(min(TOP, logits.shape[1]), 1)
        known = torch.from_numpy(truth).clamp(min=0)[:, None]
        others = logits.scatter(1, known, -torch.inf).amax(1)

        def where_known(values: Tensor) -> Floats:
            told: Floats = np.where(truth == UNKNOWN, np.nan, values.numpy()).astype(np.float32)
            return told

        return Looked(
            top.indices[:, 0].numpy(), top.indices.int().numpy(), top.values.numpy(),
            where_known(probabilities.gather(1, known)[:, 0]),
            where_known(-logits.log_softmax(1).gather(1, known)[:, 0]),
            where_known(logits.gather(1, known)[:, 0] - others), _half(features), _half(maps), _half(predicted_maps),
        )  # fmt: skip


def _features(record: Record, layer: str | None) -> Tensor:
    return record.maps(layer)(record.activation(layer)).mean((2, 3))


def _explained(predicted: Tensor, truth: Ints) -> Tensor:
    """(B,), the true class; where it is not known, the predicted one."""
    known = torch.from_numpy(truth).to(predicted.device)
    return torch.where(known == UNKNOWN, predicted, known)


def _check(truth: Ints, classes: int) -> None:
    if len(truth) and int(truth.max()) >= classes:
        raise TargetError("there is no such class", expected=f"0 to {classes - 1}", got=int(truth.max()))


def _half(values: Tensor) -> Floats:
    """float16, within its range."""
    half: Floats = values.detach().float().clamp(-65504, 65504).cpu().numpy().astype(np.float16)
    return half
