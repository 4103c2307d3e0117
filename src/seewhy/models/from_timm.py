"""``timm:NAME``: a model of timm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from seewhy.errors import ModelError, close_matches

from .configuration import TIMM_WEIGHTS, check_configuration, check_folder, check_memory
from .imagenet import imagenet_labels, imagenet_synonyms
from .limits import first_line
from .preprocessing import MOST_RESIZED, BorrowedPreprocessing, Preprocessing, check_size
from .source import RANDOM, Loaded, LoadRequest, cannot_fetch, need
from .weights import fitted, is_file_name, read_state


def load_timm(request: LoadRequest) -> Loaded:
    """The model with its default weights, other published ones (by tag), those of a file, or random ones.

    ``timm:resnet50.a1_in1k`` and ``timm:resnet50`` with ``weights="a1_in1k"`` mean the same.

    Raises:
        MissingExtraError: timm or torchvision, which it needs, is missing or does not fit torch.
        ModelError: no such model or tag, or weights that cannot be fetched or do not fit.
    """
    timm = need("timm", "timm")
    name, weights = _checked_name(timm, request), request.weights or "pretrained"
    if ":" in name:
        _check_described(timm, name, request)
    if request.weights == RANDOM:
        model = _built(timm, name, None)
    elif request.weights is not None and is_file_name(request.weights):
        state = read_state(request.weights, request.trust)
        model = fitted(lambda classes: _built(timm, name, classes), state, request.weights)
    else:
        model = _downloaded(timm, name, request)
        weights = f"timm {name}"
    transform = transform_of(timm.data.resolve_model_data_config(model), timm)
    return Loaded(model, transform, weights, *_names(timm, model), packages=("timm",))


def transform_of(config: Mapping[str, Any], timm: Any) -> Preprocessing | BorrowedPreprocessing:
    """Timm's data config as our preprocessing; its own transform where ours has no such filter."""
    channels, height, width = config["input_size"]
    check_size((height, width), channels)
    if not max(height, width) <= MOST_RESIZED * config["crop_pct"]:
        expected = f"at most {MOST_RESIZED:,} pixels a side"
        raise ModelError(
            "the picture is resized to too much", expected=expected, got=f"a share of {config['crop_pct']}"
        )
    mean, std = tuple(config["mean"]), tuple(config["std"])
    scaled = (math.floor(height / config["crop_pct"]), math.floor(width / config["crop_pct"]))
    fits = {"squash": "stretch", "border": "contain", "center": "cover"}
    if channels not in (1, 3) or config["crop_mode"] not in fits:
        theirs = timm.data.create_transform(**config, is_training=False)
        return BorrowedPreprocessing(theirs, (height, width), mean, std)
    return Preprocessing(
        (height, width),
        mean[:channels],
        std[:channels],
        resize=scaled,
        fit=fits[config["crop_mode"]],  # type: ignore[arg-type]
        interpolation=config["interpolation"],
        order="L" if channels == 1 else "RGB",
        fill=_border(mean) if config["crop_mode"] == "border" else (0, 0, 0),
    )


def _check_described(timm: Any, name: str, request: LoadRequest) -> None:
    """``local-dir:FOLDER`` and ``hf-hub:OWNER/NAME`` are described by a file that comes with their weights."""
    source, _, where = name.partition(":")
    if source == "local-dir":
        if not Path(where).is_dir():
            raise ModelError(f"no such folder: {where}", expected="timm:local-dir:FOLDER")
        check_folder(Path(where), request.spec, TIMM_WEIGHTS)
    else:
        repository, _, revision = where.partition("@")
        try:
            hub = need("huggingface_hub", "timm")
            path = hub.hf_hub_download(repository, "config.json", revision=revision or None)
        except (OSError, ValueError) as error:
            raise cannot_fetch(f"the configuration of timm:{name}", error) from error
        check_configuration(Path(path), request.spec)
    check_memory(lambda: _built(timm, name, None), request.spec)


def _border(mean: tuple[float, ...]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * value) for value in (mean * 3)[:3])
    return red, green, blue


def _checked_name(timm: Any, request: LoadRequest) -> str:
    name = request.name
    if request.weights not in (None, RANDOM) and not is_file_name(str(request.weights)):
        name = f"{name}.{request.weights}"
    if ":" in name:  # hf-hub:someone/model, which only the hub knows
        return name
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        names = [*timm.list_models(), *timm.list_models(pretrained=True)]
        close = [f"timm:{close}" for close in close_matches(name, names)]
        raise ModelError(f"timm has no model {architecture!r}", close=close)
    known = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in known:
        what = f"timm:{architecture} has no weights {tag!r}"
        few = ", ".join(known[:6]) + (", ..." if len(known) > 6 else "")
        raise ModelError(what, expected=f"random, a file, or one of {few}", close=close_matches(tag, known))
    return name


def _built(timm: Any, name: str, classes: int | None) -> nn.Module:
    options = {} if classes is None else {"num_classes": classes}
    try:
        model: nn.Module = timm.create_model(name, pretrained=False, **options)
    except OSError as error:
        raise cannot_fetch(f"the configuration of timm:{name}", error) from error
    return model


def _downloaded(timm: Any, name: str, request: LoadRequest) -> nn.Module:
    try:
        model: nn.Module = timm.create_model(name, pretrained=True)
    except OSError as error:
        raise cannot_fetch(f"the weights of timm:{name}", error) from error
    except RuntimeError as error:
        what = f"{request.spec} has no weights that can be used"
        raise ModelError(what, expected="weights= (--weights): random or a file", got=first_line(error)) from error
    return model


def _names(timm: Any, model: Any) -> tuple[tuple[str, ...] | None, tuple[tuple[str, ...], ...] | None]:
    classes = int(getattr(model, "num_classes", 0))
    if classes == 1000:
        return imagenet_labels(), imagenet_synonyms()
    subset = timm.data.infer_imagenet_subset(model)
    if subset is None:
        return None, None
    info = timm.data.ImageNetInfo(subset)
    words = [tuple(info.index_to_description(index).split(", ")) for index in range(classes)]
    wnids = [info.index_to_label_name(index) for index in range(classes)]
    synonyms = tuple((*others, wnid) for (_, *others), wnid in zip(words, wnids, strict=True))
    return tuple(first for first, *_ in words), synonyms
