"""``classifier``: from a network that is in memory already to a ``Classifier``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import nn

from seewhy.core.attribution import jsonable
from seewhy.core.guest import original
from seewhy.errors import InputError, ModelError

from .adjusting import Told, preprocessing_of
from .classifier import Classifier
from .labels import Labels, check_count, read_labels
from .loaders import count_outputs
from .preprocessing import IMAGENET_MEAN, IMAGENET_STD, BorrowedPreprocessing
from .rng import own_randomness
from .source import IN_MEMORY, Loaded, installed
from .weights import state_hash


def classifier(
    module: nn.Module,
    *,
    labels: Labels | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    size: int | tuple[int, int] | None = None,
    transform: Callable[[Image.Image], torch.Tensor] | None = None,
    name: str | None = None,
) -> Classifier:
    """A ``Classifier`` of a network in memory, which stays as it is, where it is, and in the mode that it is in.

    Args:
        module: the network; its output holds (B, classes) scores.
        labels: the class names: a sequence, index -> name, or a file (a name per line, or JSON).
        mean, std: per channel, or one number for all, for pixels in [0, 1]. None: ImageNet's for a network that reads
            three channels, a half for one that reads grey.
        size: (H, W) of its pictures, or one number for both. None: 224. The photo's shorter side is resized to the
            size, and the centre is cut out.
        transform: instead of that preprocessing a function of one's own, such as torchvision's: a PIL image ->
            (C, H, W) or (1, C, H, W), normalised by ``mean`` and ``std``, which then default to ImageNet's.
        name: what it is called in figures and reports; None: its class's name.

    Raises:
        ModelError: this is no network.
        InputError: labels that cannot be read or are too many or few, or a size, mean or std that makes no sense.
    """
    if not isinstance(module, nn.Module):
        what = "a classifier is made of a network in memory"
        raise ModelError(what, expected="a torch.nn.Module; seewhy.load(SPEC) finds others", got=type(module).__name__)
    inner = original(module)
    name = type(inner).__name__ if name is None else name
    names = None if labels is None else read_labels(labels)
    told = Told.checked(size, mean, std)
    with own_randomness():
        if transform is None:
            found = preprocessing_of(Loaded(inner, None, IN_MEMORY), name, told)
        else:
            found = _borrowed(transform, told)
        outputs = count_outputs(inner, found)
    if names is not None:
        check_count(names, outputs, name)
    provenance = {
        "spec": name,
        "weights": IN_MEMORY,
        "notes": [],
        "libraries": {package: installed(package) for package in ("torch", "pillow")},
        "preprocessing": jsonable(found.describe()),
    }
    return Classifier(inner, names, found, name, state_hash(inner), provenance)


def _borrowed(transform: Callable[[Image.Image], torch.Tensor], told: Told) -> BorrowedPreprocessing:
    if not callable(transform):
        raise InputError("transform is a function of a PIL image", got=type(transform).__name__)
    try:
        given = transform(Image.new("RGB", (256, 256)))
        size = tuple(int(side) for side in given.shape[-2:])
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
        raise InputError("the transform failed on a picture", expected="a tensor (C, H, W)", got=got) from error
    if told.size not in (None, size):
        raise InputError("the transform gives pictures of another size than size=", expected=told.size, got=size)
    return BorrowedPreprocessing(transform, (size[0], size[1]), told.mean or IMAGENET_MEAN, told.std or IMAGENET_STD)
