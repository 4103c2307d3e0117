"""The last layer of a network: where it is, what it reads, and the same network with another one."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ...core.class_map import ClassMap
from ...core.guest import original
from ...errors import MethodError, ModelError
from ...models import Classifier
from ..class_maps import class_map
from ..eye import Eye, Pixels, in_batches

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Head:
    """A linear last layer.

    Attributes:
        name: of the layer in the network.
        weight: (K, D) float64.
        bias: (K,) float64.
    """

    name: str
    weight: Doubles
    bias: Doubles


def copied(classifier: Classifier) -> Classifier:
    """The same classifier with a network of its own.

    Raises:
        ModelError: the network cannot be copied.
    """
    try:
        return replace(classifier, model=copy.deepcopy(original(classifier.model)))
    except Exception as error:  # what a foreign module raises when it is copied
        raise ModelError("the network cannot be copied, and is not changed itself", got=error) from error


def head_of(eye: Eye, pixels: Pixels) -> Head:
    """The last layer, which class scores come from, straight from features.

    Args:
        eye: the model.
        pixels: (B, H, W, 3) uint8, photos to run it on.

    Raises:
        ModelError: the network has no such layer, or one without a bias; says why.
    """
    weight = _class_map(eye, pixels).weight
    if weight is None:
        raise ModelError("no linear last layer can be trained: the class scores are means of maps themselves")
    model = original(eye.classifier.model)
    for name, module in model.named_modules():
        own = getattr(module, "weight", None)
        if isinstance(own, nn.Parameter) and own.data_ptr() == weight.data_ptr() and own.numel() == weight.numel():
            bias = getattr(module, "bias", None)
            if bias is None:
                raise ModelError(f"the last layer, {name}, has no bias, which a new one needs")
            return Head(name, _doubles(weight), _doubles(bias))
    raise ModelError("no last layer can be trained: its weights are computed, or belong to no layer")


def features_of(eye: Eye, pixels: Pixels) -> Doubles:
    """(B, D) float64, what the last layer reads of pixels (B, H, W, 3) uint8.

    Raises:
        ModelError: there is no such layer.
    """
    parts = [_doubles(_class_map(eye, part).features.mean((2, 3))) for part in in_batches(pixels, eye.batch_size)]
    return np.concatenate(parts)


def with_head(classifier: Classifier, head: Head) -> Classifier:
    """A copy of the classifier with this last layer; the one that is given stays as it was.

    Raises:
        ModelError: the network cannot be copied.
    """
    other = copied(classifier)
    layer = other.model.get_submodule(head.name)
    with torch.no_grad():
        for name, value in (("weight", head.weight), ("bias", head.bias)):
            own: Any = getattr(layer, name)
            own.copy_(torch.from_numpy(value).reshape(own.shape))
    return other


def probabilities(head: Head, features: Doubles) -> Doubles:
    """(B, K), the softmax of the logits that a last layer gives for features (B, D)."""
    logits = features @ head.weight.T + head.bias
    raised: Doubles = np.exp(logits - logits.max(1, keepdims=True))
    raised /= raised.sum(1, keepdims=True)
    return raised


def _class_map(eye: Eye, pixels: Pixels) -> ClassMap:
    try:
        return class_map(eye, pixels)
    except MethodError as error:
        raise ModelError(f"no last layer can be trained: {error}") from error


def _doubles(tensor: torch.Tensor) -> Doubles:
    values: Doubles = tensor.detach().double().cpu().numpy().copy()
    return values
