"""Importing the user's own modules from the current directory; helpful errors for what is not a module."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from seewhy.errors import ModelError, close_matches
from seewhy.interrupts import shielded

from .limits import MOST_SOURCE_BYTES
from .regular import is_regular, read_bounded

AS_A_FILE = re.compile(r"(?P<path>.+\.py|[^:]*[/\\][^:]*|[A-Za-z]:[/\\][^:]*)(:+(?P<name>.*))?", re.DOTALL)
CALLED = re.compile(r"(?P<module>[\w.]+(?<!\.py)):(?P<name>[\w.]+)\((?P<arguments>.*)\)", re.DOTALL)


@shielded
def current_directory_importable() -> Iterator[None]:
    """For the time of the block, modules in the current directory can be imported, as by a script that runs there."""
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


def refuse_a_file_or_a_call(spec: str) -> None:
    """A factory's SPEC is a module's dotted name and what it is called in it, not a path, nor Python to run.

    Raises:
        ModelError: ``spec`` is ``mynet.py:build``, ``nets/mynet.py``, ``mynet:build()`` or the like; says how it
            is spelled.
    """
    if called := CALLED.fullmatch(spec):
        right, arguments = f"{called['module']}:{called['name']}", called["arguments"].strip()
        expected = f"a function without arguments that returns {called['name']}({arguments})" if arguments else None
        raise ModelError(
            f"a factory is named, not called: {spec!r}", expected=expected, close=() if arguments else [right]
        )
    found = AS_A_FILE.fullmatch(spec)
    if found is None or not (found["path"].endswith(".py") or found["name"]):
        return
    file = Path(re.sub(r"^[A-Za-z]:", "", found["path"]).replace("\\", "/")).with_suffix(".py")
    module, where = module_name(file)
    close = [f"{module}:{name}" for name in _names(file, (found["name"] or "").removesuffix("()"))]
    if not is_regular(file):
        what = f"there is no file {file}, and a network's module is given by its dotted name: {spec!r}"
        raise ModelError(what, expected="package.module:factory", close=close)
    if not all(part.isidentifier() for part in module.split(".")):
        what = f"{file.name} has a name that Python does not import: {spec!r}"
        raise ModelError(what, expected="one of letters, digits and underscores, as in my_net:factory")
    what = f"the module of a network is given by its dotted name, not by its file: {spec!r}"
    raise ModelError(what, expected=f"package.module:factory{where}", close=close)


def module_name(file: Path) -> tuple[str, str]:
    """The dotted name of a module's file, and from where it can be imported if not from here."""
    path, here = file.resolve(), Path.cwd().resolve()
    inside = path.is_relative_to(here)
    parts = (path.relative_to(here) if inside else Path(path.name)).with_suffix("").parts
    if parts[-1] == "__init__" and len(parts) > 1:
        parts = parts[:-1]
    return ".".join(parts), "" if inside else f", in the directory {path.parent} or with it in PYTHONPATH"


def factories(dotted: str) -> list[str]:
    """``mynet:Net`` and the like for each function and class of ./mynet.py; empty if there is no such file."""
    file = Path(f"{dotted.replace('.', '/')}.py")
    return [f"{dotted}:{name}" for name in _defined(file)]


def importable(name: str) -> bool:
    """Whether there is a module or package of this name, here or wherever Python looks; it is not imported."""
    with current_directory_importable():
        importlib.invalidate_caches()  # a file may be younger than the last look at its directory
        try:
            return name in sys.modules or importlib.util.find_spec(name) is not None
        except (ImportError, ValueError):
            return False


def modules_here() -> list[str]:
    """The modules that lie in the current directory."""
    return sorted(file.stem for file in Path().glob("*.py") if file.stem.isidentifier())


def _names(file: Path, name: str) -> list[str]:
    """The name that was given, if the file has it; else what is close; else what else could be meant."""
    bound, defined = _bound(file), _defined(file)
    if name and (name.split(".")[0] in bound or not defined):
        return [name]
    return list(close_matches(name, bound)) or defined[:3] or ["factory"]


def _defined(file: Path) -> list[str]:
    """The public functions of a file, then its classes; read, and not run."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    found = (node.name for kind in kinds for node in _statements(file) if isinstance(node, kind))
    return [name for name in found if not name.startswith("_")]


def _bound(file: Path) -> set[str]:
    """Every name that a file gives to something at its top level."""
    names = set(_defined(file))
    for node in _statements(file):
        if isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
    return names


def _statements(file: Path) -> list[ast.stmt]:
    try:
        return ast.parse(read_bounded(file, MOST_SOURCE_BYTES, ModelError, str(file))).body
    except (ModelError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
