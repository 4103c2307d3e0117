"""``hf:NAME-or-folder``: an image classifier of Hugging Face's transformers."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from seewhy.errors import InputError, ModelError

from .configuration import HF_WEIGHTS, check_configuration, check_folder, check_memory, check_values
from .imagenet import are_imagenet, imagenet_labels, imagenet_synonyms
from .labels import read_labels
from .limits import first_line, shown
from .preprocessing import MOST_RESIZED, BorrowedPreprocessing, Preprocessing
from .source import RANDOM, Loaded, LoadRequest, cannot_fetch, need
from .untrained import note_of, outermost
from .weights import is_file_name, load_into, read_state


def load_hf(request: LoadRequest) -> Loaded:
    """The model of a repository or a local folder, with its own weights, those of a file, or random ones.

    Raises:
        MissingExtraError: transformers is missing, or a torchvision beside it does not fit torch.
        ModelError: no such model, not an image classifier, or files that are missing or cannot be fetched.
    """
    folder = Path(request.name)
    if folder.is_dir():
        check_folder(folder, request.spec, HF_WEIGHTS)
    transformers = need("transformers", "hf")
    auto = need("transformers.models.auto", "hf")
    if request.weights not in (None, RANDOM) and not is_file_name(str(request.weights)):
        raise ModelError(f"unknown weights for {request.spec}", expected="a file or random", got=request.weights)
    with _quiet(need("transformers.utils.logging", "hf")):
        model, missing = _model(auto.AutoModelForImageClassification, auto.AutoConfig, request)
        transform = transform_of(_fetched(auto.AutoImageProcessor, request, **_without_torchvision(transformers)))
    weights = request.weights or f"transformers {request.name}"
    labels = _labels(model.config, request.spec)
    synonyms = None
    if labels is not None and are_imagenet(labels):
        labels, synonyms = imagenet_labels(), imagenet_synonyms()
    learned = [name for name, _ in model.named_parameters() if name not in missing]
    instead = "its checkpoint has none for them; --weights FILE (weights=) gives others"
    notes = note_of(outermost(missing, learned), request.spec, instead)
    return Loaded(model, transform, weights, labels, synonyms, ("transformers",), notes)


def transform_of(processor: Any) -> Preprocessing | BorrowedPreprocessing:
    """An image processor as our preprocessing, if that gives the same on a trial picture; else the processor.

    There are some hundred processors, each with switches of its own: so the agreement is checked.
    """

    def theirs(image: Image.Image) -> torch.Tensor:
        return torch.as_tensor(processor(image, return_tensors="pt")["pixel_values"])

    config = processor.to_dict()
    check_values(config, type(processor).__name__)
    _check_scale(config)
    trial = _trial_picture()
    outputs = theirs(trial)
    if outputs.ndim != 4:
        kind, got = type(processor).__name__, tuple(outputs.shape)
        raise ModelError(f"{kind} does not make pictures of a photo", expected="(1, 3, H, W)", got=got)
    if not bool(torch.isfinite(outputs).all()) or bool((outputs == outputs.flatten()[:1]).all()):
        raise ModelError(f"{type(processor).__name__} makes one and the same of every photo, or no numbers at all")
    try:
        ours = derived(config)
    except (KeyError, TypeError, ValueError, ArithmeticError, InputError):
        ours = None
    if ours is not None:
        mine = ours(trial)
        if mine.shape == outputs.shape:
            off = ((mine - outputs).abs() * torch.tensor(ours.std).view(1, -1, 1, 1)).mean()
            if off < 1 / 255:  # on average less than one step of an 8-bit pixel
                return ours
        elif _has_open_size(config):
            return ours
    mean, std = _normalisation(config)
    height, width = outputs.shape[-2:]
    return BorrowedPreprocessing(theirs, (height, width), mean, std)


def derived(config: Mapping[str, Any]) -> Preprocessing:
    """The usual options of an image processor, as our parameters.

    Raises:
        KeyError, TypeError, ValueError, InputError: the configuration is of another kind.
    """
    size: dict[str, Any] = dict(config.get("size") or {})
    crop: dict[str, Any] = dict(config.get("crop_size") or {})
    edge: Any = size.get("shortest_edge")
    crops = bool(config.get("do_center_crop"))
    fit, resize, input_size = "cover", (edge, edge), (edge, edge)
    if edge is not None and config.get("crop_pct") is not None:
        # ConvNeXt's rule: below 384 pixels resize a little larger and crop, from there on stretch.
        if edge < 384:
            resize = (int(edge / config["crop_pct"]),) * 2
        else:
            fit = "stretch"
    elif edge is None:
        fit, resize = "stretch", (size["height"], size["width"])
        input_size = resize
    if crops:
        input_size = (crop["height"], crop["width"])
    if not config.get("do_resize", True):
        raise ValueError("without a resize the input has no fixed size")
    mean, std = _normalisation(config)
    # Their mean is of pixels times rescale_factor (usually 1/255), ours of pixels in [0, 1].
    scale = 255 * config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 255.0
    below = 1.0 if config.get("rescale_offset") else 0.0
    return Preprocessing(
        (int(input_size[0]), int(input_size[1])),
        tuple((value + below) / scale for value in mean),
        tuple(value / scale for value in std),
        resize=(int(resize[0]), int(resize[1])),
        fit=fit,  # type: ignore[arg-type]
        interpolation=Image.Resampling(config.get("resample", Image.Resampling.BILINEAR)).name.lower(),
        order="BGR" if config.get("do_flip_channel_order") else "RGB",
        offset="floor",
    )


def _check_scale(config: Mapping[str, Any]) -> None:
    """Some processors resize to the edge divided by a share of the picture, which may be next to nothing."""
    edge, share = (config.get("size") or {}).get("shortest_edge"), config.get("crop_pct")
    if edge is not None and share is not None and not 0 < edge <= MOST_RESIZED * share:
        got = f"{shown(edge)} / {shown(share)}"
        raise ModelError("the picture is resized to nothing, or too much", expected=f"0 to {MOST_RESIZED}", got=got)


def _normalisation(config: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    mean, std = _per_channel(0), _per_channel(1)
    if config.get("do_normalize"):
        mean, std = _per_channel(config["image_mean"]), _per_channel(config["image_std"])
    if config.get("include_top"):  # EfficientNet's processor divides twice
        std = tuple(a * b for a, b in zip(std, _per_channel(config["image_std"]), strict=True))
    return mean, std


def _has_open_size(config: Mapping[str, Any]) -> bool:
    """Whether only the shorter side is fixed: then we crop the centre, and every photo has one size."""
    return not config.get("do_center_crop") and "shortest_edge" in (config.get("size") or {})


def _per_channel(values: Any) -> tuple[float, ...]:
    return (float(values),) * 3 if isinstance(values, int | float) else tuple(map(float, values))


def _trial_picture() -> Image.Image:
    """A test image, 400 x 300: in each channel a wave of another direction, long enough to survive any resize."""
    y, x = np.mgrid[0:300, 0:400] / 50.0
    waves = np.stack([np.sin(x), np.sin(y), np.sin(x + y)], axis=-1)
    return Image.fromarray(np.uint8(127.5 + 127.5 * waves))


def _without_torchvision(transformers: Any) -> dict[str, Any]:
    """The processors come in two kinds; the one with Pillow gives the same everywhere."""
    return {"backend": "pil"} if int(transformers.__version__.split(".")[0]) >= 5 else {"use_fast": False}


@contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    """Without transformers' bars, tables and warnings on stderr; what matters of them becomes a note or an error."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub = getLogger("huggingface_hub")
    level = hub.level
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    hub.setLevel(ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        hub.setLevel(level)
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _model(auto_model: Any, auto_config: Any, request: LoadRequest) -> tuple[Any, list[str]]:
    """The model, and which of its weights its own checkpoint lacks: transformers draws these at random."""
    _check_published(request)
    config = _fetched(auto_config, request)
    check_values(config.to_dict(), request.spec)
    try:
        planned = copy.deepcopy(config)
        check_memory(lambda: auto_model.from_config(planned, trust_remote_code=False), request.spec)
        if request.weights is None:
            model, loading = _fetched(auto_model, request, output_loading_info=True, weights_only=True)
            return model, sorted(loading["missing_keys"])
        built: nn.Module = auto_model.from_config(config, trust_remote_code=False)
    except (ValueError, KeyError) as error:
        if isinstance(error, ModelError):
            raise
        raise _not_a_classifier(request, error) from error
    if request.weights != RANDOM:
        load_into(built, read_state(request.weights, request.trust), request.weights)
    return built, []


def _check_published(request: LoadRequest) -> None:
    """The configuration of a repository of the hub, before transformers makes something of it."""
    if Path(request.name).is_dir():  # it was looked at with all that lies in it
        return
    hub = need("transformers.utils.hub", "hf")
    try:
        path = hub.cached_file(request.name, "config.json")
    except OSError as error:
        raise cannot_fetch(request.spec, error, instead="a local folder (hf:FOLDER)") from error
    except ValueError as error:
        raise _not_a_classifier(request, error) from error
    check_configuration(Path(path), request.spec)


def _fetched(auto: Any, request: LoadRequest, **options: Any) -> Any:
    try:
        return auto.from_pretrained(request.name, trust_remote_code=False, **options)
    except OSError as error:
        if Path(request.name).is_dir():
            what = f"the folder {request.name} is not a complete model"
            raise ModelError(what, expected="files as save_pretrained writes them", got=first_line(error)) from error
        raise cannot_fetch(request.spec, error, instead="a local folder (hf:FOLDER)") from error
    except ImportError as error:
        need("torchvision", "torchvision")
        raise ModelError(f"{request.spec} cannot be loaded", got=first_line(error)) from error
    except pickle.UnpicklingError as error:
        what = f"{request.spec} has pickles with more than weights in them, and reading one can run any code"
        raise ModelError(what, expected="weights in safetensors, or that hold tensors alone") from error
    except (ValueError, KeyError) as error:
        if "trust_remote_code" in str(error):
            what = f"{request.spec} comes with code of its own, which is never run"
            expected = "a network of transformers itself, or a factory of your own that makes it (module:factory)"
            raise ModelError(what, expected=expected) from error
        raise _not_a_classifier(request, error) from error
    except RuntimeError as error:
        if "torchvision" in str(error):
            need("torchvision", "torchvision")
        what = f"{request.spec}: its config.json and its weights do not fit each other"
        raise ModelError(
            what, expected="as many classes, and layers as wide, in both", got=first_line(error)
        ) from error


def _not_a_classifier(request: LoadRequest, error: BaseException) -> ModelError:
    return ModelError(f"{request.spec} is not an image classifier of transformers", got=first_line(error))


def _labels(config: Any, spec: str) -> tuple[str, ...] | None:
    names = {int(index): str(name) for index, name in config.id2label.items()}
    labels = tuple(names.get(index, f"LABEL_{index}") for index in range(config.num_labels))
    given = any(name != f"LABEL_{index}" for index, name in enumerate(labels))
    return read_labels(labels, f"{spec}: id2label") if given else None
