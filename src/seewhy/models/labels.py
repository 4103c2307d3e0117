"""Class names as people keep them: a text file, JSON, or a sequence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from os import PathLike, fsdecode
from pathlib import Path
from typing import Any

from seewhy.errors import InputError

from .limits import MOST_CLASSES, MOST_LABEL_BYTES, MOST_NAME, first_line, shown
from .regular import read_bounded

Labels = str | PathLike[str] | Sequence[str] | Mapping[Any, Any]


def read_labels(source: Labels, where: str = "labels") -> tuple[str, ...]:
    """The names in the order of the model's outputs.

    Args:
        source: a text file with a name per line, a ``.json`` file, or what such a file holds: a list of
            names, index -> name, index -> [..., name], or name -> index.
        where: how names that are in no file are called in an error.

    Raises:
        InputError: the file cannot be read or is too large, an index is missing or comes twice, a name is not text
            or too long.
    """
    if isinstance(source, str | PathLike):
        path = Path(fsdecode(source))
        return _checked(_parsed(path), str(path))
    return _checked(source, where)


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
    content = read_bounded(path, MOST_LABEL_BYTES, InputError, f"the labels {path}")
    try:
        text = content.decode("utf-8-sig")
        if path.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=_without_twins)
        return text.strip("\r\n").splitlines()
    except (ValueError, RecursionError) as error:  # such as brackets in brackets, without end
        expected = "text in UTF-8, or JSON"
        raise InputError(f"the labels {path} cannot be read", expected=expected, got=first_line(error)) from error


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twin = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {shown(twin)} comes twice")
    return found


def _checked(names: Any, where: str) -> tuple[str, ...]:
    if isinstance(names, Mapping) and len(names) <= MOST_CLASSES:
        names = _in_order(names, where)
    if not isinstance(names, Sequence | Mapping) or isinstance(names, str | bytes) or not names:
        raise InputError(f"{where}: no class names", expected="a list, or index -> name", got=shown(names))
    if len(names) > MOST_CLASSES:
        raise InputError(f"{where}: too many names", expected=f"at most {MOST_CLASSES:,}", got=f"{len(names):,}")
    return tuple(_name(name, f"{where}: the name of class {index}") for index, name in enumerate(names))


def _name(name: Any, which: str) -> str:
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{which} is not text", got=shown(name))
    if len(name) > MOST_NAME:
        raise InputError(f"{which} is too long", expected=f"at most {MOST_NAME} characters", got=f"{len(name):,}")
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in name):
        raise InputError(f"{which} holds what is no character of a text", got=shown(name))
    return " ".join(name.split())  # what else acts on a terminal is escaped where it is shown


def _in_order(names: Mapping[Any, Any], where: str) -> list[Any]:
    count = len(names)
    pairs = list(names.items())
    if all(isinstance(value, int) and not isinstance(value, bool) for value in names.values()):
        pairs = [(index, name) for name, index in names.items()]
    try:
        numbered = [(int(index), name) for index, name in pairs]
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: a key is not an index", expected='{"0": "name", ...}', got=error) from error
    # Before they are keys: of numbers without bound, so many can have one hash that a dict of them takes for ever.
    within = [(index, name) for index, name in numbered if 0 <= index < count]
    by_index = dict(within)
    if len(by_index) < len(within):
        raise InputError(f"{where}: an index comes twice", expected=f"{count} different ones", got=len(by_index))
    missing = next((index for index in range(count) if index not in by_index), None)
    if missing is not None:
        raise InputError(f"{where}: class {missing} has no name", expected=f"0 to {count - 1}")
    ordered = [by_index[index] for index in range(len(by_index))]
    # Keras' well-known table has [wnid, name] for each index.
    return [name[-1] if isinstance(name, list) and name else name for name in ordered]
