"""``package.module:factory``: a network of the user's own."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from seewhy.errors import ModelError, close_matches

from .preprocessing import Preprocessing
from .source import RANDOM, Loaded, Request
from .weights import first_line, load_into, read_state

# What nothing is known about: 224 x 224, the shorter side resized to it, ImageNet's mean and deviation.
DEFAULT_TRANSFORM = Preprocessing((224, 224))


def load_factory(request: Request) -> Loaded:
    """What the factory returns when called without arguments, with the weights of a file if one is given.

    The current directory is importable meanwhile. A class is a factory too.

    Raises:
        ModelError: no such module or factory, it fails or returns no network, or the weights do not fit.
    """
    if request.weights == RANDOM:
        raise ModelError("a factory's weights are its own", expected="weights= a file, or none", got=RANDOM)
    module_name, _, factory_name = request.spec.partition(":")
    with _current_directory_importable():
        factory = _factory(module_name, factory_name)
        try:
            model = factory()
        except Exception as error:
            got = f"{type(error).__name__}: {first_line(error)}"
            raise ModelError(f"{request.spec}() failed", expected="a call without arguments", got=got) from error
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"{request.spec}() returned no network", expected="a torch.nn.Module", got=type(model).__name__
        )
    if request.weights is not None:
        load_into(model, read_state(request.weights, request.trust_pickle), request.weights)
    return Loaded(model, DEFAULT_TRANSFORM, request.weights or f"{request.spec}()")


def _factory(module_name: str, factory_name: str) -> Any:
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and module_name.startswith(str(error.name)):
            raise ModelError(f"there is no module {module_name!r} to import") from error
        got = f"{type(error).__name__}: {first_line(error)}"
        raise ModelError(f"the module {module_name!r} cannot be imported", got=got) from error
    factory = module
    for part in factory_name.split("."):
        if not hasattr(factory, part):
            close = close_matches(part, (name for name in vars(factory) if callable(getattr(factory, name))))
            raise ModelError(
                f"{module_name} has no {factory_name!r}", close=[f"{module_name}:{name}" for name in close]
            )
        factory = getattr(factory, part)
    if not callable(factory):
        raise ModelError(f"{module_name}:{factory_name} cannot be called", got=type(factory).__name__)
    return factory


@contextmanager
def _current_directory_importable() -> Iterator[None]:
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)
