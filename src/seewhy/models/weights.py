"""Weights from files: read safely, unwrapped, fitted to a network, and fingerprinted."""

from __future__ import annotations

import hashlib
import pickle
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from seewhy.errors import ModelError, close_matches

from .archive import check_members, is_zip
from .file_kind import SAFETENSORS, TORCHSCRIPT, kind_of
from .importing import current_directory_importable
from .limits import MOST_CLASSES, MOST_TENSORS, MOST_WRAPPERS, first_line, shown
from .pickles import check_pickles
from .regular import check_regular, is_regular
from .trust import refuse_untrusted

FILE_ENDINGS = (".safetensors", ".pt", ".pth", ".th", ".bin", ".ckpt", ".tar", ".pkl")
WRAPPERS = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "_orig_mod.")  # DataParallel and torch.compile put these before every key

MOST_COMPARED = 1000
"""Names that one name is compared with: each takes a tenth of a millisecond."""

State = dict[str, torch.Tensor]


def is_file_name(weights: str) -> bool:
    """Whether ``weights`` means a file, rather than the name of published weights."""
    return weights.lower().endswith(FILE_ENDINGS) or "/" in weights or "\\" in weights or is_regular(weights)


def read_state(path: str, trust: bool = False) -> State:
    """Tensors by name, from a ``.safetensors`` file or a checkpoint of torch.

    A checkpoint may wrap them, or the network, in ``state_dict``, ``model_state_dict`` or ``model``, or under any other
    name if nothing else in it is of that kind, and prefix every key with ``module.``. A pickle that holds more than
    tensors can run any code while it is read, so it is only read with ``trust``.

    Raises:
        ModelError: no such file, not a checkpoint, no tensors in it, other tensors than weights are, or a pickle that
            is not trusted.
    """
    found = _unwrapped(read_file(path, trust))
    if not isinstance(found, Mapping) or not found:
        got = type(found).__name__ if found is not None else "nothing"
        raise ModelError(f"{path} holds no weights", expected="tensors by name", got=got)
    if len(found) > MOST_TENSORS:
        raise ModelError(f"{path} holds too many tensors", expected=f"at most {MOST_TENSORS:,}", got=f"{len(found):,}")
    for key, value in found.items():
        if not isinstance(key, str):
            what = f"{path} holds weights under names that are no text"
            raise ModelError(what, expected="tensors by name", got=f"{type(key).__name__}")
        if not isinstance(value, torch.Tensor):
            got = f"{shown(key)}: {type(value).__name__}"
            raise ModelError(f"{path} holds something else than weights", expected="tensors by name", got=got)
        if (strange := _strange(value)) is not None:
            what = f"{path} holds tensors that are no weights"
            raise ModelError(what, expected="dense ones with their numbers", got=f"a {strange} one, {shown(key)}")
    return _without_prefixes(dict(found))


def read_file(path: str, trust: bool = False) -> Any:
    """What a weights file holds, unchecked. A trusted pickle finds the modules of the current directory.

    Raises:
        ModelError: no such file, not a checkpoint (says what it is instead), or a pickle that is not trusted.
    """
    check_regular(path, "weights")
    kind = kind_of(path)
    if kind is not None and kind is not SAFETENSORS and not (kind is TORCHSCRIPT and trust):
        what = f"{path} is not a readable checkpoint, it is {kind.what}"
        raise ModelError(what, expected=kind.as_weights.replace("FILE", path))
    if kind is None and not trust:
        if is_zip(path):
            check_members(path)
        check_pickles(path)
    try:
        if kind is SAFETENSORS:
            from safetensors.torch import load_file

            return load_file(path)
        if kind is TORCHSCRIPT:
            return torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
        if not trust:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's, of how the file was written
                return torch.load(path, map_location="cpu", weights_only=True)
        with current_directory_importable():
            return torch.load(path, map_location="cpu", weights_only=False)
    except pickle.UnpicklingError as error:
        if trust or not _is_pickle(path):
            raise ModelError(f"{path} is not a readable checkpoint") from error
        refuse_untrusted(path, "is a pickle with more than weights in it")
    except (Exception, SystemExit) as error:  # what a broken file raises depends on how it is broken
        raise _missing_class(path, error) from error


def _strange(value: torch.Tensor) -> str | None:
    """What is the matter with a tensor that no weights are like."""
    if value.is_meta:
        return "meta"
    if value.layout is not torch.strided or value.is_nested:
        return "sparse"
    return "quantized" if value.is_quantized else None


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
    kinds["of another kind of number"] = [
        f"{key} {state[key].dtype} instead of {wanted[key].dtype}"
        for key in wanted
        if key in state and not misshapen and _other_numbers(wanted[key], state[key])
    ]
    if problems := [_few(keys, kind) for kind, keys in kinds.items() if keys]:
        # Where hardly anything fits, it is another network, and a name that looks alike would mislead.
        close = close_matches(missing[0], left_over[:MOST_COMPARED]) if 0 < len(missing) < len(wanted) / 2 else ()
        what = f"the weights in {source} do not fit {type(model).__name__}: {', '.join(problems)}"
        raise ModelError(what, close=[f"{name} for {missing[0]}" for name in close])
    try:
        model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ModelError(f"the weights in {source} do not fit {type(model).__name__}", got=first_line(error)) from error


def _other_numbers(wanted: torch.Tensor, given: torch.Tensor) -> bool:
    """Whether a copy would lose what the numbers mean, and torch would make it without a word."""
    if wanted.is_floating_point():
        return not given.is_floating_point()
    return given.is_complex() and not wanted.is_complex()


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
        return file.read(1) in (b"P", pickle.PROTO)


def _unwrapped(found: Any) -> Any:
    for _ in range(MOST_WRAPPERS):
        if not isinstance(found, Mapping):
            break
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
    return counts.pop() if len(counts) == 1 and max(counts) <= MOST_CLASSES else None


def _few(keys: list[str], kind: str) -> str:
    return f"{len(keys)} {kind} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
