"""What torch is set to in this thread: a forward that is interrupted half-way can leave any of it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import overrides
from torch.overrides import TorchFunctionMode

from ..interrupts import Shield, shielded

P = ParamSpec("P")
T = TypeVar("T")
Mode = TypeVar("Mode", bound=TorchFunctionMode)

_overrides: Any = overrides  # what it does with modes is not typed


class TorchState:
    """Grad mode, function modes, autocast, and the hooks on what autograd saves, as they are when this is made.

    Torch's own context managers are left half done where an exception comes while they are entered; so these are put
    back by value. Inference mode is not among them: it can only be left by what entered it.

    Args:
        device: whose autocast counts, beside the CPU's.
    """

    def __init__(self, device: str):
        self._grad = torch.is_grad_enabled()
        self._modes = _function_modes()
        self._saving = _saved_tensors_hooks()
        self._autocast = {kind: _autocast(kind) for kind in {"cpu", device}}
        self._nesting = _autocast_nesting()

    def restore(self) -> None:
        """All of it as it was."""
        set_function_modes(self._modes)
        torch.set_grad_enabled(self._grad)
        for kind, before in self._autocast.items():
            if _autocast(kind) != before:
                enabled, dtype = before
                torch.set_autocast_enabled(kind, enabled)
                torch.set_autocast_dtype(kind, dtype)
        while _autocast_nesting() > self._nesting:
            if torch.autocast_decrement_nesting() == 0:
                torch.clear_autocast_cache()
        while (now := _saved_tensors_hooks()) is not None and now != self._saving:
            torch._C._autograd._pop_saved_tensors_default_hooks()


@shielded
def active(mode: Mode) -> Iterator[Mode]:
    """A function mode for the time of the block; afterwards the stack of modes is as before, whatever came between."""
    before = _function_modes()
    _overrides._push_mode(mode)
    try:
        yield mode
    finally:
        set_function_modes(before)


def set_function_modes(modes: list[TorchFunctionMode]) -> None:
    """The stack of function modes, from the outermost on."""
    now = _function_modes()
    if len(now) == len(modes) and all(a is b for a, b in zip(now, modes, strict=True)):
        return
    for _ in now:
        _overrides._pop_mode()
    for mode in modes:
        _overrides._push_mode(mode)


def _function_modes() -> list[TorchFunctionMode]:
    return list(_overrides._get_current_function_mode_stack())


def inference() -> Shield[Any]:
    """``torch.inference_mode()``, never half entered or half left."""
    return Shield(torch.inference_mode())


def outside_inference(function: Callable[P, T]) -> Callable[P, T]:
    """A function that makes ordinary tensors, also where the caller is in inference mode."""

    @wraps(function)
    def outside(*args: P.args, **kwargs: P.kwargs) -> T:
        with Shield(torch.inference_mode(False)):
            return function(*args, **kwargs)

    return outside


def _autocast(kind: str) -> tuple[bool, torch.dtype]:
    return torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)


def _autocast_nesting() -> int:
    torch.autocast_increment_nesting()
    return int(torch.autocast_decrement_nesting())


def _saved_tensors_hooks() -> Any:
    """The innermost, or None; not every release of torch tells."""
    top = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)
    return None if top is None else top(True)
