"""A new last layer, written in the format that the weights came in; everything else in the file stays as it was."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ModelError
from ...files import write_atomically
from ...legible import in_one_line
from ...models.file_kind import SAFETENSORS, kind_of
from ...models.weights import _unwrapped, read_file


def write_weights(
    source: str | os.PathLike[str], output: str | os.PathLike[str], replaced: Mapping[str, Tensor]
) -> None:
    """A copy of a weights file with other tensors under some names.

    Shape, dtype and key of what is replaced stay, a prefix such as ``module.`` with it; so do all other tensors, what
    a checkpoint holds beside them, and the metadata of a ``.safetensors`` file.

    Args:
        source: a ``.safetensors`` file, or a checkpoint of torch.
        output: a new file.
        replaced: tensors by the name that they have in the network, as many numbers each as those in the file.

    Raises:
        ModelError: ``source`` cannot be read safely, or holds no such tensors.
        OutputError: ``output`` exists, or cannot be written.
    """
    path = os.fspath(source)
    found = read_file(path)
    state = _unwrapped(found)
    if isinstance(found, nn.Module) or not isinstance(state, Mapping):
        raise ModelError(f"{in_one_line(path)} holds no weights by name", expected="a state dict", got=type(found))
    new = _exchanged(state, replaced, path)
    if kind_of(path) is SAFETENSORS:
        from safetensors import safe_open
        from safetensors.torch import save

        with safe_open(path, "pt") as opened:
            metadata = opened.metadata()
        content = save(dict(new), metadata)
        with write_atomically(Path(output)) as file:
            file.write(content)
        return
    with write_atomically(Path(output)) as file:
        torch.save(_with(found, state, new), file)


def _exchanged(state: Mapping[str, Any], replaced: Mapping[str, Tensor], path: str) -> Mapping[str, Any]:
    new = dict(state) if type(state) is dict else type(state)(state)  # type: ignore[call-arg]
    for name, tensor in replaced.items():
        fitting = [
            key for key, value in state.items()
            if (key == name or str(key).endswith("." + name))
            and isinstance(value, Tensor) and value.numel() == tensor.numel()
        ]  # fmt: skip
        if len(fitting) != 1:
            what = f"{in_one_line(path)} does not say which of its tensors is {name}"
            raise ModelError(what, expected="one under this name, with any prefix", got=f"{len(fitting)}")
        old = state[fitting[0]]
        new[fitting[0]] = tensor.detach().reshape(old.shape).to(old.dtype).cpu().contiguous()  # type: ignore[index]
    return new


def _with(found: Any, state: Any, new: Any) -> Any:
    """What a checkpoint holds, with its state exchanged; what is given stays as it is."""
    if found is state:
        return new
    if not isinstance(found, Mapping):
        return found
    return {key: _with(value, state, new) for key, value in found.items()}
