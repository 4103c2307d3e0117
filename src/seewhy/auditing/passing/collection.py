"""Collection: the photos of a folder, and their true classes where these are known."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InputError, TargetError, plain
from ...exemplars import photos_in
from ...legible import in_one_line
from ...models import Classifier
from .rows import UNKNOWN, Ints
from .truth_file import Places, lines, namesakes

MOST_NAMED = 20
"""Folders, or labels, that do not fit, each with a note of its own; the others are counted."""


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
        truth: "folders": each photo is of the class that the innermost of its folders that is named like one tells;
            else a CSV file with the columns path (within ``folder``, beside the file, or absolute) and label (a name,
            or a number of a class).

    Raises:
        InputError: there is no photo; or the CSV file is none, or tells the class of no photo.
    """
    for given, what in ((folder, "the folder of photos"), (truth, "truth")):
        if not isinstance(given, str | os.PathLike):
            raise InputError(f"{what} is a path", got=type(given).__name__)
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
    folders = {path: path.split("/")[-2::-1] for path in paths}  # the innermost first
    notes: list[str] = []
    unknown: dict[str, str] = {}
    if numbered := _numbered({within[0] if within else "" for within in folders.values()}, classifier):
        classes = numbered
        notes.append("the names of the folders are taken for the numbers of the classes")
    else:
        classes, unknown = _classes({name for within in folders.values() for name in within}, classifier, numbers=False)
    found = {
        path: next(classes[name] for name in within if name in classes)
        for path, within in folders.items()
        if not classes.keys().isdisjoint(within)
    }
    alone = sum(not within for within in folders.values())
    counts = Counter(within[0] for path, within in folders.items() if within and path not in found)
    notes += _named(
        (f"{_photos(count)} in the folder {in_one_line(name)} have no known class: {unknown[name]}"
         for name, count in sorted(counts.items())), "folders",
    )  # fmt: skip
    if alone and found:
        notes.append(f"{_photos(alone)} in no folder of a class have no known class")
    if not found:
        notes.insert(0, "no photo has a known class; expected folders named like classes, or a CSV file (--truth)")
    return found, notes


def _from_csv(
    file: Path, root: Path, paths: tuple[str, ...], classifier: Classifier
) -> tuple[dict[str, int], list[str]]:
    labels: dict[str, str] = {}
    twice = set()
    there = set(paths)
    place = Places(root, file, there)
    for written, label in lines(file):
        path = place(written)
        if label and labels.setdefault(path, label) != label:
            twice.add(path)
    classes, unknown = _classes(set(labels.values()), classifier, numbers=True)
    notes = _named(
        (f"the label {in_one_line(name)} is no class of the model: {why}" for name, why in sorted(unknown.items())),
        "labels",
    )
    if twice:
        notes.append(
            f"{len(twice)} photos have two labels in {in_one_line(file)}, such as {in_one_line(min(twice))}; "
            "the first one counts"
        )
    if missing := sorted(set(labels) - there):
        close = namesakes(missing[0], paths)[:1]
        notes.append(
            f"{len(missing)} paths of {in_one_line(file)} are no photos here, such as {in_one_line(missing[0])}"
            + "".join(f"; did you mean {in_one_line(each)}?" for each in close)
        )
    if without := len(there - set(labels)):
        notes.append(f"{without} photos have no label in {in_one_line(file)}")
    found = {path: classes[label] for path, label in labels.items() if label in classes and path in there}
    if not found:
        raise InputError(
            f"{in_one_line(file)} tells the class of no photo", expected="path,label, the path within the folder",
            got=notes[0] if notes else "no lines",
        )  # fmt: skip
    return found, notes


def _photos(count: int) -> str:
    return f"{count} photo{'' if count == 1 else 's'}"


def _named(notes: Iterable[str], of: str) -> list[str]:
    """The first notes; of the others, how many there are."""
    every = list(notes)
    more = [f"and {len(every) - MOST_NAMED} more {of}"] if len(every) > MOST_NAMED else []
    return every[:MOST_NAMED] + more


def _numbered(names: set[str], classifier: Classifier) -> dict[str, int]:
    """The class of each folder, where these are called 0, 1, ... up to the last class, and no class is called so."""
    if len(names) < 2 or not all(name.isdecimal() for name in names):
        return {}
    numbers = {name: int(name) for name in names}
    labels = classifier.labels
    if sorted(numbers.values()) != list(range(len(names))) or (labels is not None and len(labels) != len(names)):
        return {}
    return {} if labels is not None and set(map(plain, labels)) & set(map(plain, names)) else numbers


def _classes(names: set[str], classifier: Classifier, *, numbers: bool) -> tuple[dict[str, int], dict[str, str]]:
    """Which class each name is, and why the others are none. The number of a folder is no number of a class."""
    labels = set(map(plain, classifier.labels or ()))
    classes, unknown = {}, {}
    for name in sorted(names):
        try:
            if not numbers and name.strip().lstrip("-").isdecimal() and plain(name) not in labels:
                raise TargetError("a number of a folder is no class by itself")
            classes[name] = classifier.index(name)
        except TargetError as error:
            unknown[name] = str(error)
    return classes, unknown
