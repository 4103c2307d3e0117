"""Whether a network's weights are random: nobody trained it, and all that it says is noise.

A factory that was given no weights often was only forgotten them, and its maps look as reasonable as any.
"""

from __future__ import annotations

import io
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from seewhy.interrupts import shielded

from .rng import own_randomness

UNLIKELY = 0x5EE_D0F_ABC_DEF
"""A seed that no factory sets itself."""

WHAT_FOLLOWS = "so nothing that is shown was learned"
AS_ASKED = f"the weights are random, as asked for, {WHAT_FOLLOWS}"


def note_on(build: Callable[[], Any], model: nn.Module, spec: str) -> tuple[str, ...]:
    """What should be said of ``model``, which ``build`` gave: that its weights, or some of them, are random.

    They are if they come out otherwise where every random number does. So it is built again, and nothing that this
    second call does, raises, prints or changes is the first one's business; where it fails, nothing is said.
    """
    return note_of(random_modules(build, model), spec, "give trained ones with --weights FILE (weights=)")


def note_of(modules: Sequence[str], spec: str, instead: str) -> tuple[str, ...]:
    """The note on random ``modules`` ("" for all of the network) in one line; no note on none.

    Args:
        spec: of the network.
        instead: what to do about it.
    """
    if not modules:
        return ()
    more = f" and {len(modules) - 3} more" if len(modules) > 3 else ""
    which = spec if "" in modules else f"{', '.join(modules[:3])}{more} in {spec}"
    return (f"the weights of {which} are random, {WHAT_FOLLOWS}; {instead}",)


def random_modules(build: Callable[[], Any], model: nn.Module) -> list[str]:
    """The outermost modules whose weights are all random; [""] for all of the network."""
    first = {name: value.detach().clone() for name, value in _tensors(model).items()}
    second = _built_again(build)
    _put_back(model, first)
    again = _tensors(second) if isinstance(second, nn.Module) else {}
    if again.keys() != first.keys() or any(again[name].shape != first[name].shape for name in first):
        return []
    drawn = [name for name in first if not _same(first[name], again[name])]
    # A batch norm begins as ones and zeros, trained or not: only weights that differ among themselves tell.
    learned = [name for name, _ in model.named_parameters() if name not in drawn and _varies(first[name])]
    return outermost(drawn, learned)


def outermost(drawn: Sequence[str], learned: Sequence[str]) -> list[str]:
    """Of the parameters ``drawn``, the outermost modules that hold none of those ``learned``.

    A parameter whose own module holds some stands for itself.
    """
    places = (name.split(".") for name in drawn)
    around = ([".".join(parts[:depth]) for depth in range(len(parts) + 1)] for parts in places)
    return list(dict.fromkeys(next(each for each in outward if not _holds(each, learned)) for outward in around))


def _holds(module: str, names: Sequence[str]) -> bool:
    return bool(names) if not module else any(name.startswith(f"{module}.") for name in names)


def _built_again(build: Callable[[], Any]) -> Any:
    try:
        with _nobody_sees(), _OtherDraws():
            return build()
    except (Exception, SystemExit):  # noqa: BLE001  # it was built well once, and that is what counts
        return None


@shielded
def _nobody_sees() -> Iterator[None]:
    """What is printed, warned of and drawn meanwhile leaves no trace."""
    state, numpy_state = random.getstate(), np.random.get_state()
    try:
        with own_randomness(UNLIKELY), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)


class _Learns(Exception):  # no error: it is how a second call is left early
    """The network is trained where it is built, so that its weights are other ones each time, but not random."""


class _OtherDraws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Torch draws other numbers than it would, whatever is seeded meanwhile and with whichever generator."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seed = UNLIKELY

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if "backward" in str(func):
            raise _Learns
        if torch.Tag.nondeterministic_seeded not in getattr(func, "tags", ()):
            return func(*args, **kwargs)
        self.seed += 1
        if (given := kwargs.get("generator")) is not None:
            kwargs["generator"] = torch.Generator(given.device).manual_seed(self.seed)
        with own_randomness(self.seed):
            return func(*args, **kwargs)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _put_back(model: nn.Module, before: Mapping[str, Tensor]) -> None:
    """A second call may have written to the network of the first, if it gives one and the same each time."""
    with torch.no_grad():
        for name, value in _tensors(model).items():
            if not _same(value, before[name]):
                value.copy_(before[name])


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.device == other.device and torch.equal(one, other)


def _varies(weight: Tensor) -> bool:
    return weight.numel() > 1 and bool((weight != weight.flatten()[0]).any())
