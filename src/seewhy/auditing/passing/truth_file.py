"""A file that tells the classes of photos: CSV, with the headings, separators and paths that people write."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import NamedTuple

from ...errors import InputError, plain
from ...exemplars import ENDINGS
from ...legible import in_one_line

LONGEST = 256 << 20
"""Bytes of a CSV file: a line for each of some million photos."""
SEPARATORS = (",", ";", "\t")
PATHS = ("path", "file", "filename", "filepath", "image", "photo")
LABELS = ("label", "class", "classname", "target", "truth")
"""Headings, as they are compared; the first that is there counts."""


class _Columns(NamedTuple):
    """Which columns hold the path and the label, what separates them, and whether the first line is a heading."""

    path: int
    label: int
    separator: str
    heading: bool


def lines(file: Path) -> Iterator[tuple[str, str]]:
    """Path and label, as they are written, of each line. Without a heading the first two columns are these.

    Raises:
        InputError: the file cannot be read, is too long, has no such columns, or a line is short.
    """
    try:
        if (size := file.stat().st_size) > LONGEST:
            raise InputError(f"{in_one_line(file)} is too long", expected=f"at most {LONGEST:,} bytes", got=f"{size:,}")
        with open(file, newline="", encoding="utf-8-sig") as text:
            columns = _columns(file, text.readline())
            text.seek(0)
            reader = csv.reader(text, delimiter=columns.separator)
            if columns.heading:
                next(reader)
            for line in filter(None, reader):
                if len(line) <= max(columns.path, columns.label):
                    raise InputError(f"line {reader.line_num} of {in_one_line(file)} is short", expected="path,label")
                yield line[columns.path].strip(), line[columns.label].strip()
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        expected = "folders, or a CSV file with path,label"
        raise InputError(f"{in_one_line(file)} cannot be read", expected=expected, got=error) from error


def _columns(file: Path, first: str) -> _Columns:
    for separator in SEPARATORS:
        fields = next(csv.reader([first], delimiter=separator), [])
        names = [plain(field) for field in fields]
        path, label = (next((names.index(each) for each in known if each in names), None) for known in (PATHS, LABELS))
        if path is not None and label is not None:
            return _Columns(path, label, separator, True)
        if len(fields) >= 2 and fields[0].strip().lower().endswith(ENDINGS):
            return _Columns(0, 1, separator, False)
    got = in_one_line(first.strip() or "nothing")
    raise InputError(f"{in_one_line(file)} lacks a column", expected="a first line with path,label", got=got)


class Places:
    """Finds photos of a folder by what a file calls them.

    Args:
        root: the folder.
        file: its own folder, too, may be what paths in it are relative to.
        photos: paths within ``root``, with forward slashes.
    """

    def __init__(self, root: Path, file: Path, photos: Set[str]):
        self._photos = photos
        self._roots = [os.path.abspath(root), os.path.realpath(root)]
        self._bases = ["", *self._roots, os.path.abspath(file.parent), os.getcwd()]

    def __call__(self, written: str) -> str:
        """The photo's path within the folder; what is none is given back as it was written."""
        ways = (written, written.replace("\\", "/"))
        return next((path for way in ways for path in self._within(way) if path in self._photos), written)

    def _within(self, path: str) -> Iterator[str]:
        yield os.path.normpath(path)
        for base in self._bases:
            whole = os.path.normpath(os.path.join(base, path))
            for root in self._roots:
                if whole.startswith(root + os.sep):
                    yield Path(os.path.relpath(whole, root)).as_posix()


def namesakes(written: str, photos: Sequence[str]) -> list[str]:
    """Photos whose file is called like that of a path."""
    name = written.replace("\\", "/").rsplit("/", 1)[-1]
    return [path for path in photos if path.rsplit("/", 1)[-1] == name]
