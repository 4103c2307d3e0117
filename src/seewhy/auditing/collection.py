"""Collection: the photos of a folder, and their true classes where these are known."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError, TargetError
from ..exemplars import photos_in
from ..legible import in_one_line
from ..models import Classifier
from .rows import UNKNOWN, Ints

LONGEST = 256 << 20
"""Bytes of a CSV file: a line for each of some million photos."""


@dataclass(frozen=True, eq=False)
class Collection:
    """The photos of an audit.

    Attributes:
        root: the folder.
        paths: of the photos, within it, with forward slashes, sorted.
        truth: (N,) int64, the true class; ``UNKNOWN`` where it is not known.
        notes: what does not fit, a line each, such as a folder that is named like no class.
    """

    root: Path
    paths: tuple[str, ...]
    truth: Ints
    notes: tuple[str, ...] = ()


def collection_of(
    folder: str | os.PathLike[str], classifier: Classifier, truth: str | os.PathLike[str] = "folders"
) -> Collection:
    """The photos in a folder and the folders within it.

    Args:
        folder: with photos.
        classifier: knows the names of the classes.
        truth: "folders": those in which photos lie are named like their classes; else a CSV file with the columns
            path (within ``folder``, or absolute) and label (a name, or a number of a class).

    Raises:
        InputError: there is no photo, or the CSV file is none.
    """
    root = Path(folder)
    paths = tuple(sorted(path.relative_to(root).as_posix() for path in photos_in(root)))
    if not paths:
        raise InputError(f"{in_one_line(root)} holds no photo", expected="files that end in .jpg, .png or the like")
    if truth == "folders":
        found, notes = _from_folders(paths, classifier)
    else:
        found, notes = _from_csv(Path(truth), root, paths, classifier)
    return Collection(root, paths, np.array([found.get(path, UNKNOWN) for path in paths], np.int64), tuple(notes))


def _from_folders(paths: tuple[str, ...], classifier: Classifier) -> tuple[dict[str, int], list[str]]:
    groups = {path: path.split("/")[-2] for path in paths if "/" in path}
    classes, unknown = _classes(sorted(set(groups.values())), classifier, numbers=False)
    counts = Counter(groups.values())
    notes = [f"the folder {in_one_line(name)} is named like no class: {counts[name]} photos" for name in unknown]
    return {path: classes[name] for path, name in groups.items() if name in classes}, notes


def _from_csv(
    file: Path, root: Path, paths: tuple[str, ...], classifier: Classifier
) -> tuple[dict[str, int], list[str]]:
    labels: dict[str, str] = {}
    twice = set()
    for path, label in _lines(file, root):
        if labels.setdefault(path, label) != label:
            twice.add(path)
    classes, unknown = _classes(sorted(set(labels.values())), classifier, numbers=True)
    notes = [f"the label {in_one_line(name)} is no class of the model" for name in unknown]
    if twice:
        notes.append(
            f"{len(twice)} photos have two labels in {in_one_line(file)}, such as {in_one_line(min(twice))}; "
            "the first one counts"
        )
    there = set(paths)
    if missing := sorted(set(labels) - there):
        notes.append(
            f"{len(missing)} paths of {in_one_line(file)} are no photos here, such as {in_one_line(missing[0])}"
        )
    if without := len(there - set(labels)):
        notes.append(f"{without} photos have no label in {in_one_line(file)}")
    return {path: classes[label] for path, label in labels.items() if label in classes}, notes


def _lines(file: Path, root: Path) -> Iterator[tuple[str, str]]:
    try:
        if (size := file.stat().st_size) > LONGEST:
            raise InputError(f"{in_one_line(file)} is too long", expected=f"at most {LONGEST:,} bytes", got=f"{size:,}")
        with open(file, newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            if not {"path", "label"} <= set(reader.fieldnames or ()):
                got = in_one_line(", ".join(reader.fieldnames or ()) or "nothing")
                raise InputError(
                    f"{in_one_line(file)} lacks a column", expected="a first line with path,label", got=got
                )
            whole = root.absolute()
            for line in reader:
                if line["path"] is None or line["label"] is None:
                    raise InputError(f"line {reader.line_num} of {in_one_line(file)} is short", expected="path,label")
                path = Path(line["path"])
                inside = path.is_absolute() and path.is_relative_to(whole)
                yield (path.relative_to(whole) if inside else path).as_posix(), line["label"].strip()
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        expected = "folders, or a CSV file with path,label"
        raise InputError(f"{in_one_line(file)} cannot be read", expected=expected, got=error) from error


def _classes(names: list[str], classifier: Classifier, *, numbers: bool) -> tuple[dict[str, int], list[str]]:
    """Which class each name is, and which are none. The number of a folder is no number of a class."""
    classes, unknown = {}, []
    for name in names:
        try:
            if not numbers and name.strip().lstrip("-").isdecimal():
                raise TargetError("a number of a folder")
            classes[name] = classifier.index(name)
        except TargetError:
            unknown.append(name)
    return classes, unknown
