"""``load``: from a SPEC, as it is written on the command line, to a ``Classifier``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike, fspath
from typing import Any

import torch
from torch import nn

from seewhy.errors import InputError, ModelError, close_matches

from .classifier import Classifier
from .embedded import load_embedded
from .from_factory import load_factory
from .from_file import PICKLE_ENDINGS, load_exported, load_pickled
from .from_hf import load_hf
from .from_timm import load_timm
from .from_torchvision import load_torchvision
from .labels import Labels, read_labels
from .preprocessing import BorrowedPreprocessing, Preprocessing
from .rng import own_randomness
from .source import Loaded, Request, installed
from .weights import check_finite, first_line, is_file_name, state_hash

EMBEDDED = "efficientnet_lite0"
SOURCES: dict[str, Callable[[Request], Loaded]] = {
    "torchvision": load_torchvision,
    "timm": load_timm,
    "hf": load_hf,
}
SPECS = f"{EMBEDDED}, torchvision:NAME, timm:NAME, hf:NAME-or-folder, package.module:factory, or a .pt2 file"


def load(
    spec: str = EMBEDDED,
    *,
    weights: str | PathLike[str] | None = None,
    labels: Labels | None = None,
    trust_pickle: bool = False,
    device: str | torch.device | None = None,
    input_size: int | tuple[int, int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> Classifier:
    """A classifier in eval mode, with its labels and its preprocessing.

    Args:
        spec: ``efficientnet_lite0`` (embedded), ``torchvision:resnet50``, ``timm:convnext_tiny``,
            ``hf:microsoft/resnet-50`` or a folder, ``package.module:factory``, a ``.pt2`` file, or (only with
            ``trust_pickle``) a pickled network.
        weights: the name of published weights, a file (safetensors, or a checkpoint of torch), or "random":
            drawn with seed 0, the same each time. None: the source's default.
        labels: the class names: a file (a name per line, or JSON), a sequence, or index -> name.
            None: those that the source knows.
        trust_pickle: read pickles, which can run any code when they are read.
        device: where the model goes; None: it stays where its source put it, usually the CPU.
        input_size: (H, W), or one number for both; instead of what the source says.
        mean, std: per channel, for pixels in [0, 1]; instead of what the source says. For a network of one's
            own nothing is known, and the defaults are 224 and ImageNet's mean and deviation.

    Torch's global random numbers are left as they were.

    Raises:
        ModelError: unknown model or weights, weights that do not fit, are not finite or cannot be fetched,
            or a pickle that is not trusted.
        MissingExtraError: an optional package is missing, or does not fit the installed torch.
        InputError: labels that cannot be read or are too many or few, or a size, mean, std or device that
            makes no sense.
    """
    chosen_weights = None if weights is None else fspath(weights)
    names = None if labels is None else read_labels(labels)
    with own_randomness():
        source, name = _source(spec)
        loaded = source(Request(spec, name, chosen_weights, trust_pickle))
        model = loaded.model.eval()
        check_finite(model, spec)
        transform = _adjusted(loaded.transform, input_size, mean, std)
        outputs = count_outputs(model, transform)
    known, synonyms = _named(loaded, names, outputs, spec)
    provenance = {
        "spec": spec,
        "weights": loaded.weights,
        "libraries": {package: installed(package) for package in ("torch", "pillow", *loaded.packages)},
        "preprocessing": _jsonable(transform.describe()),
    }
    return Classifier(_moved(model, device), known, transform, spec, state_hash(model), provenance, synonyms)


def count_outputs(model: nn.Module, transform: Preprocessing | BorrowedPreprocessing) -> int | None:
    """How many classes the model scores, by running it once; None if its output is not (1, classes)."""
    parameter = next(model.parameters(), torch.empty(0))
    grey = torch.zeros(1, len(transform.mean), *transform.input_size, dtype=parameter.dtype, device=parameter.device)
    try:
        with torch.no_grad():
            outputs = model(grey)
    except Exception:  # noqa: BLE001  # it is only counted here; who explains the model hears what is wrong
        return None
    outputs = getattr(outputs, "logits", outputs)
    is_scores = isinstance(outputs, torch.Tensor) and outputs.ndim == 2 and outputs.shape[0] == 1
    return int(outputs.shape[1]) if is_scores else None


def _source(spec: str) -> tuple[Callable[[Request], Loaded], str]:
    prefix, colon, name = spec.partition(":")
    if spec == EMBEDDED:
        return load_embedded, spec
    if colon and prefix in SOURCES:
        if not name:
            raise ModelError(f"the model after {spec!r} is missing", expected=SPECS)
        return SOURCES[prefix], name
    if spec.lower().endswith(".pt2"):
        return load_exported, spec
    if spec.lower().endswith(PICKLE_ENDINGS):
        return load_pickled, spec
    if is_file_name(spec) and not colon:
        raise ModelError(f"{spec!r} is not a model", expected=f"{SPECS}; weights go with --weights")
    if colon and name and (close := close_matches(prefix, SOURCES)):
        raise ModelError(f"unknown model {spec!r}", expected=SPECS, close=[f"{known}:{name}" for known in close])
    if colon and name and all(part.isidentifier() for part in (*prefix.split("."), *name.split("."))):
        return load_factory, spec
    # With a dot it is a timm name with its tag, or a module of the user's own whose factory is missing.
    other = f"{spec}:factory" if "." in spec else f"torchvision:{spec}"
    close = close_matches(spec, [EMBEDDED]) or (other, f"timm:{spec}")
    raise ModelError(f"unknown model {spec!r}", expected=SPECS, close=() if colon or not spec else close)


def _adjusted(
    transform: Preprocessing | BorrowedPreprocessing,
    input_size: int | tuple[int, int] | None,
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
) -> Preprocessing | BorrowedPreprocessing:
    """``transform`` with what the caller knows better; the resize keeps its ratio to the crop."""
    if input_size is None and mean is None and std is None:
        return transform
    if isinstance(transform, BorrowedPreprocessing):
        raise InputError("this model's own transform is used as it is", expected="no input_size, mean or std")
    if input_size is not None:
        size = (input_size, input_size) if isinstance(input_size, int) else (input_size[0], input_size[1])
        before, resize = transform.input_size, transform.resize or transform.input_size
        resize = (round(resize[0] * size[0] / before[0]), round(resize[1] * size[1] / before[1]))
        transform = replace(transform, input_size=size, resize=resize)
    mean, std = _channels(mean, transform.mean), _channels(std, transform.std)
    count = max(len(mean), len(std))
    if count == 1 and transform.order != "L":  # one value each: a model of grey pictures
        return replace(transform, mean=mean, std=std, order="L")
    return replace(transform, mean=mean, std=std)


def _channels(values: float | Sequence[float] | None, known: tuple[float, ...]) -> tuple[float, ...]:
    if values is None:
        return known
    return (float(values),) * len(known) if isinstance(values, int | float) else tuple(float(v) for v in values)


def _named(
    loaded: Loaded, given: tuple[str, ...] | None, outputs: int | None, spec: str
) -> tuple[tuple[str, ...] | None, tuple[tuple[str, ...], ...] | None]:
    """The caller's labels, which must be as many as the outputs, or the source's own if they are."""
    if given is not None:
        if outputs not in (None, len(given)):
            what = f"the labels do not fit {spec}: {len(given)} names for {outputs} outputs"
            raise InputError(what, expected=f"{outputs} labels", got=len(given))
        return given, None
    if loaded.labels is None or outputs not in (None, len(loaded.labels)):
        return None, None
    return loaded.labels, loaded.synonyms


def _moved(model: nn.Module, device: str | torch.device | None) -> nn.Module:
    if device is None:
        return model
    try:
        return model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"the model cannot go to the device {str(device)!r}", got=first_line(error)) from error


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(each) for key, each in value.items()}
    return [_jsonable(each) for each in value] if isinstance(value, tuple | list) else value
