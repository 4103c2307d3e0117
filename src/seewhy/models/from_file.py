"""A whole network in one file that is trusted: a pickle, or a program of ``torch.export`` (``.pt2``).

Both are read only if they are trusted. torch's reader of programs evaluates expressions, unpickles and loads native
libraries where an archive says so, and it reads the archive otherwise than Python does: no list of harmless members
can keep it from that.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

from seewhy.errors import ModelError

from .file_kind import ARCHIVE, EXPORTED, kind_of
from .limits import first_line
from .regular import check_regular
from .source import Loaded, LoadRequest
from .trust import IF_TRUSTED, refuse_untrusted
from .weights import read_file

PICKLE_ENDINGS = (".pt", ".pth")


def load_exported(request: LoadRequest) -> Loaded:
    """A program saved by ``torch.export.save``, with its layers as modules, so that they have names.

    The pictures' size is the one it was exported with. Exported for a fixed batch, it refuses another.

    Raises:
        ModelError: no such file, not an exported program, not trusted, or not a program of pictures.
    """
    path = _given_alone(request)
    if (kind := kind_of(path)) is None:
        expected = "a file of torch.export.save; a checkpoint of torch.save goes with --weights"
        raise ModelError(f"{path} is not an exported program", expected=expected)
    if kind not in (EXPORTED, ARCHIVE):
        what = f"{path} is not an exported program, it is {kind.what}"
        raise ModelError(what, expected=kind.as_model.replace("FILE", path))
    if not request.trust:
        refuse_untrusted(path, f"{'is' if kind is EXPORTED else 'may be'} a program of torch.export")
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


def load_pickled(request: LoadRequest) -> Loaded:
    """A pickled ``nn.Module``: reading a pickle can run any code.

    Raises:
        ModelError: no such file, not trusted, or no network in it.
    """
    path = _given_alone(request)
    if (kind := kind_of(path)) is EXPORTED:
        return load_exported(request)
    if kind is not None:
        raise ModelError(f"{path} holds {kind.what}", expected=kind.as_model.replace("FILE", path))
    if not request.trust:
        alone = f"for weights alone give the network and --weights {path}"
        refuse_untrusted(path, "may be a pickled network", f"{IF_TRUSTED}; {alone}")
    model = read_file(path, trust=True)
    if isinstance(model, dict):
        model = next((value for value in model.values() if isinstance(value, nn.Module)), model)
    if not isinstance(model, nn.Module):
        expected = f"a torch.nn.Module; for weights alone give the network and --weights {path}"
        raise ModelError(f"{path} holds no network", expected=expected, got=type(model).__name__)
    return Loaded(model, None, path)


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


def _given_alone(request: LoadRequest) -> str:
    if request.weights is not None:
        raise ModelError(f"{request.spec} has its weights in it", expected="no weights=", got=request.weights)
    check_regular(request.spec, "model")
    return request.spec


def _input_shape(program: torch.export.ExportedProgram) -> tuple[Any, ...]:
    names = program.graph_signature.user_inputs
    inputs = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    return tuple(inputs[0].shape) if len(inputs) == 1 and isinstance(inputs[0], torch.Tensor) else ()
