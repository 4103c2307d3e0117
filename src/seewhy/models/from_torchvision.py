"""``torchvision:NAME``: a classification model of torchvision."""

from __future__ import annotations

from typing import Any

from torch import nn

from seewhy.errors import ModelError, close_matches

from .imagenet import are_imagenet, imagenet_synonyms
from .preprocessing import BorrowedPreprocessing, Preprocessing
from .source import RANDOM, Loaded, LoadRequest, cannot_fetch, need
from .weights import fitted, is_file_name, read_state


def load_torchvision(request: LoadRequest) -> Loaded:
    """The model with its default weights, other published ones (by name), those of a file, or random ones.

    Raises:
        MissingExtraError: torchvision is missing, or does not fit torch.
        ModelError: no such model or weights, or weights that cannot be fetched or do not fit.
    """
    models = need("torchvision.models", "torchvision")
    names = models.list_models(module=models)
    if request.name not in names:
        close = [f"torchvision:{name}" for name in close_matches(request.name, names)]
        raise ModelError(f"torchvision has no classifier {request.name!r}", close=close)
    published = models.get_model_weights(request.name)
    chosen, weights = published.DEFAULT, request.weights or ""
    if request.weights == RANDOM:
        model = models.get_model(request.name, weights=None)
    elif request.weights is not None and is_file_name(request.weights):
        state = read_state(request.weights, request.trust)
        model = fitted(lambda classes: _built(models, request.name, classes), state, request.weights)
    else:
        chosen = _chosen(published, request)
        model = _downloaded(models, request, chosen)
        weights = str(chosen)
    categories = tuple(chosen.meta["categories"] or ())
    labels, synonyms = (categories or None), (imagenet_synonyms() if are_imagenet(categories) else None)
    return Loaded(model, transform_of(chosen.transforms()), weights, labels, synonyms, ("torchvision",))


def transform_of(theirs: Any) -> Preprocessing | BorrowedPreprocessing:
    """Torchvision's preset for classification as ours; any other transform is borrowed."""
    size, mean, std = tuple(theirs.crop_size) * 2, tuple(theirs.mean), tuple(theirs.std)
    if type(theirs).__name__ != "ImageClassification":
        return BorrowedPreprocessing(theirs, (size[0], size[1]), mean, std)
    resize = theirs.resize_size[0]
    return Preprocessing((size[0], size[1]), mean, std, (resize, resize), interpolation=theirs.interpolation.value)


def _built(models: Any, name: str, classes: int | None) -> nn.Module:
    options = {} if classes is None else {"num_classes": classes}
    model: nn.Module = models.get_model(name, weights=None, **options)
    return model


def _chosen(published: Any, request: LoadRequest) -> Any:
    if request.weights is None:
        return published.DEFAULT
    if request.weights not in published.__members__:
        known = list(published.__members__)
        what = f"{request.spec} has no weights {request.weights!r}"
        close = close_matches(request.weights, known)
        raise ModelError(what, expected=f"random, a file, or one of {', '.join(known)}", close=close)
    return published[request.weights]


def _downloaded(models: Any, request: LoadRequest, chosen: Any) -> nn.Module:
    try:
        model: nn.Module = models.get_model(request.name, weights=chosen)
    except (OSError, RuntimeError) as error:
        raise cannot_fetch(f"the weights {chosen} of {request.spec}", error) from error
    return model
