"""The photos that a command line names: files, and folders with photos in them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, TargetError
from ..exemplars import photos_in
from ..legible import in_one_line
from ..models import Classifier


@dataclass(frozen=True)
class Found:
    """One photo.

    Attributes:
        path: of the file.
        label: what its results are called after: the path within the folder that was given.
        group: the folder that it lies in, within the folder that was given; empty for a file that was named itself.
        error: why there is nothing to read; empty where there is.
    """

    path: str
    label: str
    group: str = ""
    error: str = ""


def found_in(given: Sequence[str]) -> list[Found]:
    """Each photo once, in the order of the command line, folders in the order of their names."""
    found: dict[str, Found] = {}
    for name in given:
        if not os.path.isdir(name):
            found.setdefault(os.path.normpath(name), Found(name, Path(name).stem))
            continue
        inside = list(photos_in(name))
        if not inside:
            error = InputError(
                f"{in_one_line(name)} holds no photo", expected="files that end in .jpg, .png or the like"
            )
            found.setdefault(name, Found(name, Path(name).stem, error=str(error)))
        for path in inside:
            place = path.relative_to(name)
            group = place.parts[-2] if len(place.parts) > 1 else ""
            found.setdefault(os.path.normpath(path), Found(str(path), "-".join(place.with_suffix("").parts), group))
    return list(found.values())


def truths(found: Sequence[Found], classifier: Classifier) -> tuple[dict[str, str], list[str]]:
    """The photos' true classes by their paths, where their folders are named like classes; and which folders are not.

    Where no folder is, the folders mean something else, and none is told.
    """
    classes: dict[str, str] = {}
    for group in dict.fromkeys(photo.group for photo in found if photo.group):
        try:
            if not group.strip().lstrip("-").isdecimal():  # a number of a folder is no number of a class
                classes[group] = classifier.label(classifier.index(group))
        except TargetError:
            continue
    known = {photo.path: classes[photo.group] for photo in found if photo.group in classes}
    unknown = sorted({photo.group for photo in found if photo.group and photo.group not in classes})
    return known, unknown if known else []
