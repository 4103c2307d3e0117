"""``package.module:factory``: a network of the user's own."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from torch import nn

from seewhy.errors import ModelError, close_matches

from .importing import current_directory_importable, modules_here
from .limits import first_line
from .source import RANDOM, Loaded, LoadRequest
from .surroundings import kept_surroundings
from .untrained import note_on
from .weights import check_initialized, load_into, read_state


def load_factory(request: LoadRequest) -> Loaded:
    """What the factory returns when called without arguments, with the weights of a file if one is given.

    The current directory is importable meanwhile. A class is a factory too. Without a file of weights it is called
    a second time, to find out whether those that it gives are random: see ``untrained``.

    Raises:
        ModelError: no such module or factory, it fails or returns no network, or the weights do not fit.
    """
    if request.weights == RANDOM:
        raise ModelError("a factory's weights are its own", expected="weights= a file, or none", got=RANDOM)
    with current_directory_importable():
        with kept_surroundings(request.spec):  # the weights' name is of the directory that was current before
            factory = _factory(*request.spec.split(":", 1))
            try:
                model = factory()
            except (Exception, SystemExit) as error:
                got = f"{type(error).__name__}: {first_line(error)}"
                raise ModelError(f"{request.spec}() failed", expected="a call without arguments", got=got) from error
        if not isinstance(model, nn.Module):
            raise ModelError(
                f"{request.spec}() returned no network", expected="a torch.nn.Module", got=type(model).__name__
            )
        check_initialized(model, request.spec)
        if request.weights is not None:
            load_into(model, read_state(request.weights, request.trust), request.weights)
            return Loaded(model, None, request.weights)
        return Loaded(model, None, f"{request.spec}()", notes=note_on(_uncached(factory), model, request.spec))


def _factory(module_name: str, factory_name: str) -> Callable[[], Any]:
    found: Any = _module(module_name)
    for part in factory_name.split("."):
        if not hasattr(found, part):
            close = close_matches(part, (name for name in vars(found) if callable(getattr(found, name))))
            raise ModelError(
                f"{module_name} has no {factory_name!r}", close=[f"{module_name}:{name}" for name in close]
            )
        found = getattr(found, part)
    if isinstance(found, nn.Module):
        what = f"{module_name}:{factory_name} is a network already, which belongs to its module"
        raise ModelError(what, expected="a function or class that makes one", got=type(found).__name__)
    if not callable(found):
        raise ModelError(f"{module_name}:{factory_name} cannot be called", got=type(found).__name__)
    factory: Callable[[], Any] = found
    return factory


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            close = close_matches(name, modules_here())
            raise ModelError(f"there is no module {name!r} to import", close=close) from error
        raise _import_failed(name, error) from error
    except SystemExit as error:
        what = f"the module {name!r} ends Python when it is imported"
        expected = 'what is to happen only when it runs as a script under if __name__ == "__main__":'
        raise ModelError(what, expected=expected) from error
    except Exception as error:
        raise _import_failed(name, error) from error


def _import_failed(name: str, error: BaseException) -> ModelError:
    got = f"{type(error).__name__}: {first_line(error)}"
    return ModelError(f"the module {name!r} cannot be imported", got=got)


def _uncached(factory: Callable[[], Any]) -> Callable[[], Any]:
    """The function below ``functools.cache``, which would give the same network again."""
    return getattr(factory, "__wrapped__", factory) if hasattr(factory, "cache_clear") else factory
