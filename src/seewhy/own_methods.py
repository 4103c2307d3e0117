"""Methods of other people: by module and class, or installed by a package as an entry point.

A package offers a method under the name by which it is asked for, in its pyproject.toml:

    [project.entry-points."seewhy.methods"]
    input_times_gradient = "their_package.methods:InputTimesGradient"
"""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from .errors import MethodError, close_matches, plain
from .methods import METHODS, Method, find_method
from .models.importing import current_directory_importable
from .models.limits import first_line

GROUP = "seewhy.methods"
RESERVED = {plain(name) for name in (*(known.id for known in METHODS), "class_visualization", "targets")}
"""Ids, and names in maps.npz, that are taken."""


def installed_methods() -> dict[str, EntryPoint]:
    """Name -> entry point, in the order of the names; none of them is loaded."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def find_any(method: str | Method | type[Method]) -> Method:
    """``methods.find_method``, and by name also an installed method, or ``module:Class``.

    Raises:
        MethodError: there is none, or it is no method; says which are close.
    """
    if not isinstance(method, str) or plain(method) in {plain(known.id) for known in METHODS}:
        return find_method(method)
    kind = find_kind(method)
    try:
        return kind()
    except (TypeError, ValueError) as error:
        expected = "default values for all of its fields"
        raise MethodError(f"{method} cannot be made without parameters", expected=expected, got=error) from error


def find_kind(name: str) -> type[Method]:
    """The class of an installed method, or of ``module:Class``; the current directory is searched too.

    Raises:
        MethodError: there is none, it cannot be imported, or it is no method; says which are close.
    """
    installed = {plain(known): point for known, point in installed_methods().items()}
    if (point := installed.get(plain(name))) is not None:
        return _checked(_imported(point.value, name), name)
    module, colon, attribute = name.partition(":")
    if colon and module and attribute:
        return _checked(_imported(name, name), name)
    ids = [*(known.id for known in METHODS), *(point.name for point in installed.values())]
    close = close_matches(name, ids)
    raise MethodError(
        f"there is no method {name!r}", expected=None if close else f"{', '.join(ids)}, or module:Class", close=close
    )


def _imported(value: str, name: str) -> Any:
    module, _, attribute = value.partition(":")
    with current_directory_importable():
        try:
            found: Any = importlib.import_module(module)
        except (Exception, SystemExit) as error:
            got = f"{type(error).__name__}: {first_line(error)}"
            raise MethodError(
                f"the method {name!r} cannot be imported", expected="package.module:Class", got=got
            ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            close = close_matches(part, (other for other in vars(found) if isinstance(getattr(found, other), type)))
            raise MethodError(f"{module} has no {attribute!r}", close=[f"{module}:{other}" for other in close])
        found = getattr(found, part)
    return found


def _checked(found: Any, name: str) -> type[Method]:
    if not (isinstance(found, type) and issubclass(found, Method)):
        got = found.__name__ if isinstance(found, type) else type(found).__name__
        raise MethodError(f"{name} is no method", expected="a subclass of seewhy.Method", got=got)
    if found.__module__.split(".")[0] != "seewhy" and plain(getattr(found, "id", "")) in RESERVED:
        raise MethodError(f"the method {name} has the id of another one", expected="an id of its own", got=found.id)
    missing = [part for part in ("id", "title", "source", "formula", "misleads") if not hasattr(found, part)]
    if missing:
        raise MethodError(f"the method {name} is not complete", expected=f"class attributes {', '.join(missing)}")
    return found
