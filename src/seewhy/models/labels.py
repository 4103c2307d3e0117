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


def check_count(labels: Sequence[str], outputs: int | None, model: str) -> None:
    """Raises InputError where there is not a name for each of the model's outputs; None: nobody knows how many."""
    if outputs in (None, len(labels)):
        return
    what = f"the labels do not fit {model}: {_several(len(labels), 'name')} for {_several(outputs or 0, 'output')}"
    one = ", the name of what a score above zero means" if outputs == 1 else ""
    raise InputError(what, expected=f"{_several(outputs or 0, 'label')}{one}", got=len(labels))


def _several(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


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
