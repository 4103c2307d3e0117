"""A whole network in one file: an exported program (``.pt2``), or, if it is trusted, a pickle."""

from __future__ import annotations

import io
import json
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seewhy.errors import ModelError

from .file_kind import ARCHIVE, EXPORTED, kind_of
from .source import Loaded, Request
from .weights import UNSAFE, first_line, read_file

PICKLE_ENDINGS = (".pt", ".pth")
HARMLESS = re.compile(
    r"[^/]*/?(data/weights/weight_\d+|data/constants/tensor_\d+|archive_format|archive_version|version|byteorder"
    r"|\.data/[^/]+|extra/.*|.*\.json)"
)


def load_exported(request: Request) -> Loaded:
    """A program saved by ``torch.export.save``, with its layers as modules, so that they have names.

    The pictures' size is the one it was exported with. Exported for a fixed batch, it refuses another.

    Raises:
        ModelError: no such file, not an exported program, not one of pictures, or (unless trusted) one that
            carries pickled objects or compiled code.
    """
    path = _given_alone(request)
    if (kind := kind_of(path)) is None:
        expected = "a file of torch.export.save; a checkpoint of torch.save goes with --weights"
        raise ModelError(f"{path} is not an exported program", expected=expected)
    if kind not in (EXPORTED, ARCHIVE):
        what = f"{path} is not an exported program, it is {kind.what}"
        raise ModelError(what, expected=kind.as_model.replace("FILE", path))
    if not request.trust_pickle:
        _refuse_code(path)
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch's of its own parts
            program = torch.export.load(file)  # a name would have to end in .pt2
            model = torch.export.unflatten(program)
    except Exception as error:  # what a broken archive raises depends on how it is broken
        raise ModelError(f"{path} is not an exported program", got=first_line(error)) from error
    shape = _input_shape(program)
    if len(shape) != 4:
        raise ModelError(f"{path} does not take pictures", expected="one input (B, C, H, W)", got=tuple(shape))
    batch, channels, *size = (side if isinstance(side, int) else None for side in shape)
    if batch is not None:
        model.register_forward_pre_hook(_BatchOf(batch, path), prepend=True)
    height, width = (224 if side is None else side for side in size)
    return Loaded(model, None, path, input_size=(height, width), channels=channels, batch=batch or 1)


def load_pickled(request: Request) -> Loaded:
    """A pickled ``nn.Module``, read only with ``trust_pickle``: reading a pickle can run any code.

    Raises:
        ModelError: no such file, not trusted, or no network in it.
    """
    path = _given_alone(request)
    if (kind := kind_of(path)) is EXPORTED:
        return load_exported(request)
    if kind is not None:
        raise ModelError(f"{path} holds {kind.what}", expected=kind.as_model.replace("FILE", path))
    model = read_file(path, trust_pickle=True) if request.trust_pickle else _read_untrusted(path)
    if isinstance(model, dict):
        model = next((value for value in model.values() if isinstance(value, nn.Module)), model)
    if not isinstance(model, nn.Module):
        expected = f"a torch.nn.Module; for weights alone give the network and --weights {path}"
        raise ModelError(f"{path} holds no network", expected=expected, got=type(model).__name__)
    return Loaded(model, None, path)


def _read_untrusted(path: str) -> Any:
    """What holds tensors alone can be read, and is then known to be no network."""
    try:
        return read_file(path)
    except ModelError as error:
        what = f"{path} may be a pickled network, and reading one can run any code"
        raise ModelError(what, expected=f"{UNSAFE}; for weights alone give the network and --weights {path}") from error


class _BatchOf:
    """A forward pre-hook: a program exported for a fixed batch says so, before torch does."""

    def __init__(self, batch: int, path: str):
        self.batch, self.path = batch, path

    def __call__(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        got = args[0].shape[0] if args else None
        if got != self.batch:
            what = f"{self.path} was exported for batches of {self.batch} only; export it with a dynamic batch"
            expected = f"a batch of {self.batch} (batch_size={self.batch}, --batch-size {self.batch})"
            raise ModelError(what, expected=expected, got=got)


def _given_alone(request: Request) -> str:
    if request.weights is not None:
        raise ModelError(f"{request.spec} has its weights in it", expected="no weights=", got=request.weights)
    if not Path(request.spec).is_file():
        raise ModelError(f"no such model file: {request.spec}")
    return request.spec


def _input_shape(program: torch.export.ExportedProgram) -> tuple[Any, ...]:
    names = program.graph_signature.user_inputs
    inputs = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    return tuple(inputs[0].shape) if len(inputs) == 1 and isinstance(inputs[0], torch.Tensor) else ()


def _refuse_code(path: str) -> None:
    """``torch.export.load`` unpickles and even runs some of what an archive may carry: look first."""
    try:
        with zipfile.ZipFile(path) as archive:
            suspect = next((e.filename for e in archive.infolist() if not _is_harmless(archive, e)), None)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} is not an exported program", got=first_line(error)) from error
    if suspect is not None:
        what = f"{path} carries more than tensors and a graph ({suspect}), which can run code when it is read"
        raise ModelError(what, expected=UNSAFE)


def _is_harmless(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    name = entry.filename
    if name.endswith(".pt"):
        try:
            content = archive.read(entry)
            return not content or torch.load(io.BytesIO(content), weights_only=True) is not None
        except (pickle.UnpicklingError, RuntimeError, EOFError):
            return False
    if name.endswith("_config.json"):
        entries = json.loads(archive.read(entry)).get("config", {}).values()
        return not any(_needs_pickle(payload) for payload in entries)
    return HARMLESS.fullmatch(name) is not None


def _needs_pickle(payload: dict[str, Any]) -> bool:
    return bool(payload.get("use_pickle")) or not re.match(r"weight_|tensor_", str(payload.get("path_name")))
