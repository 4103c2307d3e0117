"""What a model sees of photos, kept beside its rows: pictures of them can be made without the model."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ...errors import InputError, SeewhyError
from ...legible import in_one_line
from ...models.preprocessing import Preprocessing
from ...models.regular import read_bounded

ABOUT = "rows.json"
LONGEST = 1 << 20
"""Bytes of rows.json, which holds a dozen names and numbers."""


def kept(transform: object) -> dict[str, Any] | None:
    """Every parameter of a preprocessing, as JSON gives it back; None of another library's."""
    if not isinstance(transform, Preprocessing):
        return None
    found: dict[str, Any] = json.loads(json.dumps(asdict(transform)))
    return found


def seen_by(folder: Path) -> Preprocessing | None:
    """The preprocessing of the model whose rows are in a folder; None where it was another library's.

    Raises:
        InputError: the folder tells none, or one that cannot be.
    """
    try:
        about = json.loads(read_bounded(folder / ABOUT, LONGEST, InputError, ABOUT).decode("utf-8"))["seen"]
        if about is None:
            return None
        known = {each.name for each in fields(Preprocessing)}
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in about.items()
        }
        if not isinstance(about, dict) or not set(given) <= known:
            raise ValueError(f"it holds {in_one_line(', '.join(map(str, about)))}")
        return Preprocessing(**given)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SeewhyError) as error:
        what = f"{in_one_line(folder / ABOUT)} does not tell what the model sees"
        raise InputError(what, expected="rows that this version wrote", got=error) from error
