"""Configurations of models: untrusted input, like the weights that they come with.

They are read here before the library that they are for sees them: it takes the memory that they ask for, looks for
code where they say that there is some, and waits for a pipe that lies in the place of a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seewhy.errors import ModelError

from .archive import check_members, is_zip
from .file_kind import SAFETENSORS, kind_of
from .limits import (
    MOST_CHANNELS,
    MOST_CLASSES,
    MOST_CONFIG_BYTES,
    MOST_CONFIG_DEPTH,
    MOST_IN_A_CONFIG,
    MOST_LAYERS,
    MOST_PARAMETERS,
    MOST_SIDE,
    first_line,
    shown,
)
from .pickles import check_pickles
from .regular import is_regular, read_bounded
from .rng import own_randomness

CONFIGURATIONS = ("config.json", "preprocessor_config.json", "processor_config.json")
HF_WEIGHTS, TIMM_WEIGHTS = ("pytorch_model*.bin",), ("*.bin", "*.pt", "*.pth", "*.ckpt")
"""What each library may read in a folder; what a trainer leaves beside it, as its arguments, neither does."""

BOUNDS = (
    (("num_labels", "num_classes"), MOST_CLASSES),
    (("num_channels", "in_chans"), MOST_CHANNELS),
    (("layers", "depth", "num_block", "repeat", "stages"), MOST_LAYERS),
    (("image_size", "crop_size", "input_size", "img_size", "pad_size", "shortest_edge"), MOST_SIDE),
)
"""What the name of an entry, or of one around it, holds -> the largest number there."""

FILES_OF_OTHERS = {
    "checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "pretrained_strict", "file", "url",
}  # fmt: skip
"""What a network of timm may be told to read beside its folder."""

LONGEST_INDEX = 12
"""Digits of a class index."""

LABELS = {"id2label", "label2id"}
NEEDS_MORE = {
    "quantization_config": "a network of quantized weights, which has no gradient",
    "adapter_config.json": "an adapter, which names another network",
}


def check_folder(folder: Path, spec: str, weights: Sequence[str]) -> None:
    """What lies in a folder can be given to a library: it is finite, and weights are what every reader reads alike.

    Args:
        weights: patterns of the names of checkpoints that the library may read.

    Raises:
        ModelError: something in it is no file, or a configuration is too large, nested too deep, or asks for too much;
            or a checkpoint holds more than tensors.
    """
    shards: list[str] = []
    for name in sorted(os.listdir(folder)):
        path = folder / name
        if path.is_dir() or not path.exists():
            continue
        if not is_regular(path):
            raise ModelError(f"{path} is not a regular file", expected="files as save_pretrained writes them")
        if name in NEEDS_MORE:
            raise ModelError(f"{spec} is {NEEDS_MORE[name]}", expected="a whole network, in plain numbers")
        if name in CONFIGURATIONS:
            check_configuration(path, spec)
        elif name.endswith(".index.json"):  # which tensor is in which file
            found = _read(path).get("weight_map")
            shards += map(str, found.values() if isinstance(found, dict) else ())
        elif any(fnmatch(name, pattern) for pattern in weights):
            shards.append(name)
    for path in (folder / name for name in sorted(set(shards))):
        if is_regular(path) and kind_of(path) is not SAFETENSORS:
            if is_zip(path):
                check_members(path)
            check_pickles(path, "weights in safetensors, or that hold tensors alone")
        elif path.exists() and not is_regular(path):
            raise ModelError(f"{path} is not a regular file", expected="files as save_pretrained writes them")


def check_configuration(path: Path, spec: str) -> None:
    """Raises ModelError where a file of JSON is too large, nested too deep, or asks for too much."""
    check_values(_read(path), f"{spec}: {path.name}")


def _read(path: Path) -> dict[str, Any]:
    content = read_bounded(path, MOST_CONFIG_BYTES, ModelError, str(path))
    try:
        config = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is no configuration", expected="JSON", got=first_line(error)) from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} is no configuration", expected="names and values", got=shown(config))
    return config


def check_values(config: Mapping[str, Any], where: str) -> None:
    """Raises ModelError where a number in a configuration is too large, or it needs code or weights of others."""
    for names, value in _leaves(config, where):
        if names[0] in NEEDS_MORE and value is not None:
            raise ModelError(f"{where} is of {NEEDS_MORE[names[0]]}", expected="a network in plain numbers")
        # transformers takes a name with a stroke for a repository with compiled code, and runs that
        if isinstance(value, str) and "/" in value and "attn_implementation" in names[-1]:
            what = f"{where} asks for code from elsewhere, which is never run"
            raise ModelError(what, expected="a network of transformers itself", got=shown(value))
        if FILES_OF_OTHERS & set(names) and "model_args" in names and value:
            what = f"{where} names a file or weights of its own: {'.'.join(names)[:200]}"
            raise ModelError(what, expected="a folder whose weights are its own", got=shown(value))
        if isinstance(value, bool) or not isinstance(value, int | float) or LABELS & set(names):
            continue
        most = _most(names)
        if not abs(value) <= most and (isinstance(value, int) or most < MOST_IN_A_CONFIG):  # some ranges have no end
            what = f"{where} asks for too much: {'.'.join(names)[:200]}"
            raise ModelError(what, expected=f"at most {most:,}", got=shown(value))
    for key in LABELS:
        if isinstance(config.get(key), dict | list) and len(config[key]) > MOST_CLASSES:
            what = f"{where} asks for too much: {key}"
            raise ModelError(what, expected=f"at most {MOST_CLASSES:,}", got=f"{len(config[key]):,}")
        found = config.get(key)
        indices = found.values() if key == "label2id" and isinstance(found, dict) else found or ()
        # They become keys, and of numbers without bound many can have one hash.
        if isinstance(found, dict) and any(len(str(index)) > LONGEST_INDEX for index in indices):
            raise ModelError(f"{where} has a class of no such number: {key}", expected=f"below {MOST_CLASSES:,}")


def check_memory(build: Callable[[], nn.Module], spec: str) -> None:
    """Counts the numbers in the network that ``build`` gives, which is built without memory for them.

    Raises:
        ModelError: they are too many.
    """
    try:
        with own_randomness(), torch.device("meta"), torch.no_grad():
            planned = build()
            count = sum(weight.numel() for weight in (*planned.parameters(), *planned.buffers()))
    except (NotImplementedError, RuntimeError):  # some read numbers out of a tensor while they are built
        return
    if count > MOST_PARAMETERS:
        what = f"{spec} asks for too much: a network of {count:,} numbers"
        raise ModelError(what, expected=f"at most {MOST_PARAMETERS:,}")


def _leaves(config: Mapping[str, Any], where: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The path of keys to each leaf, and the leaf."""
    stack: list[tuple[tuple[str, ...], Any]] = [((str(key),), value) for key, value in config.items()]
    while stack:
        names, value = stack.pop()
        if len(names) > MOST_CONFIG_DEPTH:
            raise ModelError(f"{where} is nested too deep", expected=f"at most {MOST_CONFIG_DEPTH} levels")
        if isinstance(value, Mapping):
            stack.extend(((*names, str(key)), each) for key, each in value.items())
        elif isinstance(value, list | tuple):
            stack.extend(((*names, ""), each) for each in value)
        else:
            yield names, value


def _most(names: tuple[str, ...]) -> int:
    found = [most for words, most in BOUNDS if any(word in name.lower() for word in words for name in names)]
    if names[0] == "size":  # of an image processor
        found.append(MOST_SIDE)
    return min(found, default=MOST_IN_A_CONFIG)
