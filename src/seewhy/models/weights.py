"""Weights from files: read safely, unwrapped, fitted to a network, and fingerprinted."""

from __future__ import annotations

import hashlib
import pickle
import re
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from seewhy.errors import ModelError, close_matches

from .file_kind import SAFETENSORS, TORCHSCRIPT, kind_of
from .importing import current_directory_importable

FILE_ENDINGS = (".safetensors", ".pt", ".pth", ".th", ".bin", ".ckpt", ".tar", ".pkl")
WRAPPERS = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "_orig_mod.")  # DataParallel and torch.compile put these before every key
UNSAFE = "trust_pickle=True (--trust-pickle on the command line), if you trust where the file came from"

State = dict[str, torch.Tensor]


def is_file_name(weights: str) -> bool:
    """Whether ``weights`` means a file, rather than the name of published weights."""
    return weights.lower().endswith(FILE_ENDINGS) or "/" in weights or "\\" in weights or Path(weights).is_file()


def read_state(path: str, trust_pickle: bool = False) -> State:
    """Tensors by name, from a ``.safetensors`` file or a checkpoint of torch.

    A checkpoint may wrap them, or the network, in ``state_dict``, ``model_state_dict`` or ``model``, or under any other
    name if nothing else in it is of that kind, and prefix every key with ``module.``. A pickle that holds more than
    tensors can run any code while it is read, so it is only read with ``trust_pickle``.

    Raises:
        ModelError: no such file, not a checkpoint, no tensors in it, or a pickle that is not trusted.
    """
    found = _unwrapped(read_file(path, trust_pickle))
    if not isinstance(found, Mapping) or not found:
        got = type(found).__name__ if found is not None else "nothing"
        raise ModelError(f"{path} holds no weights", expected="tensors by name", got=got)
    for key, value in found.items():
        if not isinstance(value, torch.Tensor):
            got = f"{key!r}: {type(value).__name__}"
            raise ModelError(f"{path} holds something else than weights", expected="tensors by name", got=got)
    return _without_prefixes({str(key): value for key, value in found.items()})


def read_file(path: str, trust_pickle: bool = False) -> Any:
    """What a weights file holds, unchecked. A trusted pickle finds the modules of the current directory.

    Raises:
        ModelError: no such file, not a checkpoint (says what it is instead), or a pickle that is not trusted.
    """
    if not Path(path).is_file():
        raise ModelError(f"no such weights file: {path}")
    kind = kind_of(path)
    if kind is not None and kind is not SAFETENSORS and not (kind is TORCHSCRIPT and trust_pickle):
        what = f"{path} is not a readable checkpoint, it is {kind.what}"
        raise ModelError(what, expected=kind.as_weights.replace("FILE", path))
    try:
        if kind is SAFETENSORS:
            from safetensors.torch import load_file

            return load_file(path)
        if kind is TORCHSCRIPT:
            return torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
        with current_directory_importable():
            return torch.load(path, map_location="cpu", weights_only=not trust_pickle)
    except pickle.UnpicklingError as error:
        if trust_pickle or not _is_pickle(path):
            raise ModelError(f"{path} is not a readable checkpoint") from error
        what = f"{path} is a pickle with more than weights in it, which can run any code when it is read"
        raise ModelError(what, expected=UNSAFE) from error
    except (Exception, SystemExit) as error:  # what a broken file raises depends on how it is broken
        raise _missing_class(path, error) from error


def check_initialized(model: nn.Module, source: str) -> None:
    """Raises ModelError where a layer is lazy: it has no weights before it ran."""
    for name, weight in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(weight):
            what = f"{source} has lazy layers ({name.rpartition('.')[0]}), which have no weights before they ran"
            raise ModelError(what, expected="a network that ran once, on zeros, before its factory returns it")


def load_into(model: nn.Module, state: Mapping[str, torch.Tensor], source: str) -> None:
    """Puts ``state`` into ``model``, every tensor in its place; a prefix that all names share does not matter.

    Raises:
        ModelError: a tensor is missing, left over or of another shape; some are named.
    """
    wanted = model.state_dict()
    state = _named_as(wanted, state)
    # Checkpoints from before torch 0.4.1 have no such counters, and nothing depends on them in eval mode.
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    left_over = [key for key in state if key not in wanted]
    misshapen = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    kinds = {"missing": missing, "unexpected": left_over, "of another shape": misshapen}
    if problems := [_few(keys, kind) for kind, keys in kinds.items() if keys]:
        # Where hardly anything fits, it is another network, and a name that looks alike would mislead.
        close = close_matches(missing[0], left_over) if 0 < len(missing) < len(wanted) / 2 else ()
        what = f"the weights in {source} do not fit {type(model).__name__}: {', '.join(problems)}"
        raise ModelError(what, close=[f"{name} for {missing[0]}" for name in close])
    model.load_state_dict(state, strict=False)


def fitted(build: Callable[[int | None], nn.Module], state: Mapping[str, torch.Tensor], source: str) -> nn.Module:
    """``build(None)`` with ``state`` in it; ``build(n)`` where the weights are of ``n`` other classes.

    Raises:
        ModelError: as ``load_into``.
    """
    model = build(None)
    state = _named_as(model.state_dict(), state)
    if classes := _other_class_count(model, state):
        model = build(classes)
    load_into(model, state, source)
    return model


def state_hash(model: nn.Module) -> str:
    """sha256, in hex, of the names, types, shapes and bytes of everything in the model's state dict.

    It does not depend on the file that the weights came from, nor on the device that they are on.
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if not isinstance(value, torch.Tensor):  # a module may keep extra state of its own
            digest.update(repr((name, value)).encode())
            continue
        digest.update(repr((name, str(value.dtype), tuple(value.shape))).encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_finite(model: nn.Module, source: str) -> None:
    """Raises ModelError where a weight is NaN or infinite: nothing such a model says can be explained."""
    what = f"the weights of {source} are not finite"
    for name, weight in model.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise ModelError(what, expected="numbers", got=f"NaN or inf in {name}")
    for name, buffer in model.named_buffers():
        if bool(torch.isnan(buffer).any()):  # an infinite buffer may be meant: a mask
            raise ModelError(what, expected="numbers", got=f"NaN in {name}")


def first_line(error: BaseException) -> str:
    """What a foreign error says, short enough for one line."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


MISSING_CLASS = re.compile(r"attribute '(?P<name>[^']+)' on <module '(?P<module>[^']+)'")


def _missing_class(path: str, error: BaseException) -> ModelError:
    """Why a pickle cannot be read: it names the classes of its objects, which have to be found where they were."""
    found = MISSING_CLASS.search(str(error))
    if isinstance(error, ModuleNotFoundError):
        what = f"{path} holds a class of the module {error.name!r}, which is not to be found"
        return ModelError(
            what, expected="its directory to be the current one or in PYTHONPATH, or its package installed"
        )
    if found is None:
        return ModelError(f"{path} is not a readable checkpoint", got=first_line(error))
    name, module = found["name"], found["module"]
    if module.endswith("__main__"):
        what = f"{path} was saved by a script or notebook that defines {name} itself, where no other program finds it"
        expected = (
            f"{name} in a module of its own, with --model module:{name} and --weights of its state_dict(), or imported "
            f"from there by the script that saves it"
        )
        return ModelError(what, expected=expected)
    close = close_matches(name, vars(sys.modules.get(module, sys)))
    return ModelError(f"{path} holds {module}.{name}, but {module} has no {name!r} (any more)", close=close)


def _is_pickle(path: str) -> bool:
    with open(path, "rb") as file:
        return zipfile.is_zipfile(path) or file.read(1) == pickle.PROTO


def _unwrapped(found: Any) -> Any:
    while isinstance(found, Mapping):
        key = next((key for key in WRAPPERS if isinstance(found.get(key), Mapping | nn.Module)), None)
        states = [key for key, value in found.items() if _is_state(value)]
        if key is None and len(states) == 1:
            key = states[0]
        if key is None:
            return found
        found = found[key]
    return found.state_dict() if isinstance(found, nn.Module) else found


def _is_state(value: Any) -> bool:
    if isinstance(value, nn.Module):
        return True
    return isinstance(value, Mapping) and bool(value) and all(isinstance(v, torch.Tensor) for v in value.values())


def _without_prefixes(state: State) -> State:
    for prefix in PREFIXES * 2:  # either may be the outer one
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _named_as(wanted: Mapping[str, Any], state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """``state`` under the names ``wanted``, where nothing but a prefix of all names differs, as ``model.``."""
    if any(key in wanted for key in state):
        return state
    theirs, ours = _shared_prefix(state), _shared_prefix(wanted)
    renamed = {ours + key.removeprefix(theirs): value for key, value in state.items()}
    return renamed if renamed.keys() & wanted.keys() else state


def _shared_prefix(names: Iterable[str]) -> str:
    """The dotted beginning that all names share, ``"net.backbone."``; "" if there is none."""
    parts = zip(*(name.split(".")[:-1] for name in names), strict=False)
    shared = takewhile(lambda level: len(set(level)) == 1, parts)
    return "".join(f"{level[0]}." for level in shared)


def _other_class_count(model: nn.Module, state: Mapping[str, torch.Tensor]) -> int | None:
    """The number of classes that ``state`` is for, if that is all that it disagrees with ``model`` about."""
    wanted = model.state_dict()
    differing = [key for key in wanted if key in state and state[key].shape != wanted[key].shape]
    if any(state[key].shape[1:] != wanted[key].shape[1:] for key in differing):
        return None
    counts = {state[key].shape[0] for key in differing if state[key].ndim}
    return counts.pop() if len(counts) == 1 else None


def _few(keys: list[str], kind: str) -> str:
    return f"{len(keys)} {kind} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
