"""``load``: from a SPEC, as it is written on the command line, to a ``Classifier``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from os import PathLike, fspath

import torch
from torch import nn

from seewhy.core.attribution import jsonable
from seewhy.core.guest import guest
from seewhy.core.target import logits_of
from seewhy.errors import InputError, ModelError, close_matches

from .adjusting import Told, preprocessing_of
from .classifier import Classifier
from .embedded import load_embedded
from .file_kind import kind_of
from .from_factory import load_factory
from .from_file import PICKLE_ENDINGS, load_exported, load_pickled
from .from_hf import load_hf
from .from_timm import load_timm
from .from_torchvision import load_torchvision
from .importing import factories, importable, refuse_a_file_or_a_call
from .labels import Labels, check_count, read_labels
from .limits import first_line
from .preprocessing import BorrowedPreprocessing, Preprocessing
from .regular import is_regular
from .rng import own_randomness
from .source import IN_MEMORY, RANDOM, Loaded, LoadRequest, installed
from .surroundings import failures_told, kept_surroundings, one_at_a_time
from .trust import tensors_alone
from .untrained import AS_ASKED
from .weights import check_finite, check_initialized, is_file_name, state_hash

EMBEDDED = "efficientnet_lite0"
SOURCES: dict[str, Callable[[LoadRequest], Loaded]] = {
    "torchvision": load_torchvision,
    "timm": load_timm,
    "hf": load_hf,
}
SPECS = f"{EMBEDDED}, torchvision:NAME, timm:NAME, hf:NAME-or-folder, package.module:factory, or a trusted .pt2 file"


def load(
    spec: str | PathLike[str] = EMBEDDED,
    *,
    weights: str | PathLike[str] | None = None,
    labels: Labels | None = None,
    trust: bool = False,
    trust_pickle: bool = False,
    device: str | torch.device | None = None,
    input_size: int | tuple[int, int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> Classifier:
    """A classifier in eval mode, with its labels and its preprocessing.

    Args:
        spec: ``efficientnet_lite0`` (embedded), ``torchvision:resnet50``, ``timm:convnext_tiny``,
            ``hf:microsoft/resnet-50`` or a folder, ``package.module:factory``, or (only with ``trust``) a file with a
            whole network: a program of ``torch.export`` (``.pt2``), or a pickled one (``.pt``, ``.pth``).
        weights: the name of published weights, a file (safetensors, or a checkpoint of torch), or "random":
            drawn with seed 0, the same each time. None: the source's default.
        labels: the class names: a file (a name per line, or JSON), a sequence, or index -> name.
            None: those that the source knows.
        trust: read such a file, or weights in a pickle that holds more than tensors: both can run any code.
        trust_pickle: the older name of ``trust``.
        device: where the model goes; None: it stays where its source put it, usually the CPU.
        input_size: (H, W), or one number for both; instead of what the source says.
        mean, std: per channel, or one for all, for pixels in [0, 1]; instead of what the source says.

    For a network of one's own nothing is known: its pictures are 224 x 224 unless it says otherwise; how many channels
    it reads is found by running it; of three, mean and deviation are ImageNet's, of one they are a half. Torch's global
    random numbers are left as they were. What a reader must know of the network, such as that its weights are random,
    is in ``Classifier.notes``.

    Raises:
        ModelError: unknown model or weights, weights that do not fit, are not finite or cannot be fetched,
            a file that can run code and is not trusted, or a network that raises something, or ends Python.
        MissingExtraError: an optional package is missing, or does not fit the installed torch.
        InputError: labels that cannot be read or are too many or few, or a size, mean, std or device that
            makes no sense.
    """
    spec, chosen_weights = _spec(spec), _weights(weights)
    names = None if labels is None else read_labels(labels)
    told = Told.checked(input_size, mean, std)
    with one_at_a_time(), failures_told(spec), kept_surroundings(spec), own_randomness():
        source, name = _source(spec)
        trust = trust or trust_pickle
        with nullcontext() if trust or source is load_factory else tensors_alone():
            loaded = source(LoadRequest(spec, name, chosen_weights, trust))
        model = loaded.model.eval()
        check_initialized(model, spec)
        check_finite(model, spec)
        transform = preprocessing_of(loaded, spec, told)
        outputs = count_outputs(model, transform, loaded.batch)
        weights_hash = state_hash(model)
        model = _moved(model, device)
    known, synonyms = _named(loaded, names, outputs, spec)
    notes = (AS_ASKED,) if loaded.weights == RANDOM else loaded.notes
    provenance = {
        "spec": spec,
        "weights": loaded.weights,
        **({} if labels is None or isinstance(labels, str | PathLike) else {"labels": IN_MEMORY}),
        "arguments": _arguments(
            weights=weights,
            labels=labels if isinstance(labels, str | PathLike) else None,
            input_size=input_size,
            mean=mean,
            std=std,
            device=None if device is None else str(device),
            trust=trust,
        ),
        "notes": list(notes),
        "libraries": {package: installed(package) for package in ("torch", "pillow", *loaded.packages)},
        "preprocessing": jsonable(transform.describe()),
    }
    return Classifier(model, known, transform, spec, weights_hash, provenance, synonyms, notes)


def _arguments(**given: object) -> dict[str, object]:
    """What ``load`` was given beside the SPEC, as JSON holds it, so that it can be called so again."""
    named = {name: fspath(value) if isinstance(value, PathLike) else value for name, value in given.items()}
    return {name: jsonable(value) for name, value in named.items() if value is not None and value is not False}


def count_outputs(model: nn.Module, transform: Preprocessing | BorrowedPreprocessing, batch: int = 1) -> int | None:
    """How many classes the model scores, by running it once; None if it cannot be run, or scores none."""
    parameter = next(model.parameters(), torch.empty(0))
    black = torch.zeros(
        batch, len(transform.mean), *transform.input_size, dtype=parameter.dtype, device=parameter.device
    )
    try:
        with guest(model, grad=False):
            return int(logits_of(model(black)).shape[1])
    except Exception:  # noqa: BLE001  # it is only counted here; who explains the model hears what is wrong
        return None


def _spec(given: object) -> str:
    if isinstance(given, str | PathLike):
        return str(fspath(given))
    if isinstance(given, nn.Module) or (isinstance(given, type) and issubclass(given, nn.Module)):
        what = "load finds a network by its SPEC, which is text, and this network is in memory already"
        expected = f"it explained as it is: seewhy.attribute(network, inputs); or one of {SPECS}"
        raise ModelError(what, expected=expected, got=getattr(given, "__name__", type(given).__name__))
    raise ModelError("load finds a network by its SPEC, which is text", expected=SPECS, got=type(given).__name__)


def _weights(given: object) -> str | None:
    if given is None or isinstance(given, str | PathLike):
        return None if given is None else str(fspath(given))
    what = "weights are given by the name of their file"
    expected = "a path; or network.load_state_dict(...) and seewhy.attribute(network, inputs)"
    raise ModelError(what, expected=expected, got=type(given).__name__)


def _source(spec: str) -> tuple[Callable[[LoadRequest], Loaded], str]:
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
    refuse_a_file_or_a_call(spec)
    if is_file_name(spec) and not colon:
        kind = kind_of(spec) if is_regular(spec) else None
        what, expected = f"{spec!r} is not a model", f"{SPECS}; weights go with --weights"
        if kind is not None:
            what, expected = f"{what}, it is {kind.what}", kind.as_model.replace("FILE", spec)
        raise ModelError(what, expected=expected)
    is_module = "." in prefix or importable(prefix)  # torchvision.models:resnet18 is a factory
    if colon and name and not is_module and (close := close_matches(prefix, SOURCES)):
        raise ModelError(f"unknown model {spec!r}", expected=SPECS, close=[f"{known}:{name}" for known in close])
    if colon and name and all(part.isidentifier() for part in (*prefix.split("."), *name.split("."))):
        return load_factory, spec
    raise ModelError(f"unknown model {spec!r}", expected=SPECS, close=_meant(spec))


def _meant(spec: str) -> Sequence[str]:
    """What a SPEC that is none may stand for."""
    prefix, colon, _ = spec.partition(":")
    if found := factories(prefix):
        return found[:3]
    if found := factories(spec.rpartition(".")[0]):
        return close_matches(spec, found) or found[:3]
    if colon or not spec:
        return ()
    # With a dot it is a timm name with its tag, or a module of the user's own whose factory is missing.
    other = f"{spec}:factory" if "." in spec else f"torchvision:{spec}"
    return close_matches(spec, [EMBEDDED]) or (other, f"timm:{spec}")


def _named(
    loaded: Loaded, given: tuple[str, ...] | None, outputs: int | None, spec: str
) -> tuple[tuple[str, ...] | None, tuple[tuple[str, ...], ...] | None]:
    """The caller's labels, which must be as many as the outputs, or the source's own if they are."""
    if given is not None:
        check_count(given, outputs, spec)
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
