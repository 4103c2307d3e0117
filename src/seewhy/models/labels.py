"""Class names as people keep them: a text file, JSON, or a sequence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from seewhy.errors import InputError

Labels = str | PathLike[str] | Sequence[str] | Mapping[Any, Any]


def read_labels(source: Labels) -> tuple[str, ...]:
    """The names in the order of the model's outputs.

    Args:
        source: a text file with a name per line, a ``.json`` file, or what such a file holds: a list of
            names, index -> name, index -> [..., name], or name -> index.

    Raises:
        InputError: the file cannot be read, an index is missing, or a name is not text.
    """
    if isinstance(source, str | PathLike):
        path = Path(fspath(source))
        return _checked(_parsed(path), str(path))
    return _checked(source, "labels")


def _parsed(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text) if path.suffix.lower() == ".json" else text.strip("\r\n").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"the labels {path} cannot be read", got=str(error).splitlines()[0]) from error


def _checked(names: Any, where: str) -> tuple[str, ...]:
    if isinstance(names, Mapping):
        names = _in_order(names, where)
    if not isinstance(names, Sequence) or not names:
        raise InputError(f"{where}: no class names", expected="a list, or index -> name", got=repr(names)[:60])
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"{where}: the name of class {index} is not text", got=repr(name)[:60])
    return tuple(name.strip() for name in names)


def _in_order(names: Mapping[Any, Any], where: str) -> list[Any]:
    if all(isinstance(value, int) for value in names.values()):
        names = {index: name for name, index in names.items()}
    try:
        by_index = {int(index): name for index, name in names.items()}
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: a key is not an index", expected='{"0": "name", ...}', got=error) from error
    missing = next((index for index in range(len(by_index)) if index not in by_index), None)
    if missing is not None:
        raise InputError(f"{where}: class {missing} has no name", expected=f"0 to {len(by_index) - 1}")
    ordered = [by_index[index] for index in range(len(by_index))]
    # Keras' well-known table has [wnid, name] for each index.
    return [name[-1] if isinstance(name, list) and name else name for name in ordered]
