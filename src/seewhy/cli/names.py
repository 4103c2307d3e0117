"""Names in the output folder: one per photo, that every file system takes."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

NAME_BYTES = 255
"""What nearly all file systems allow; they count bytes, not characters."""


def folder_names(labels: Sequence[str], most: int = NAME_BYTES) -> list[str]:
    """One folder name per photo: its label without dots around it, cut where it is too long, numbered where it repeats.

    Args:
        labels: what the photos are called.
        most: bytes of a name.
    """
    taken = {"report.html", "run.json"}  # lie beside the folders
    numbers: dict[str, int] = {}
    names = []
    for label in labels:
        stem = _cut(label.strip(". "), most) or "photo"
        name, key = stem, _key(stem)
        number = numbers.get(key, 2)
        while _key(name) in taken:
            ending = f"-{number}"
            name, number = _cut(stem, most - len(ending)) + ending, number + 1
        numbers[key] = number
        taken.add(_key(name))
        names.append(name)
    return names


def name_bytes(folder: Path) -> int:
    """How long a name in ``folder`` may be."""
    try:
        return min(NAME_BYTES, os.pathconf(folder, "PC_NAME_MAX"))
    except (OSError, ValueError, AttributeError):
        return NAME_BYTES


def _key(name: str) -> str:
    """What is one name to a file system that ignores case, or how an accent is written."""
    return unicodedata.normalize("NFC", name).casefold()


def _cut(name: str, most: int) -> str:
    while len(os.fsencode(name)) > most:
        # Whole characters; first as many as are surely too much, since none has more than four bytes.
        name = name[: -max(1, (len(os.fsencode(name)) - most) // 4)]
    return name.rstrip(". ")
