"""Another folder, such as that of the training photos: only what tells whether a photo is in it too."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .. import events
from ..errors import InputError, PhotoError
from ..exemplars import photos_in
from ..legible import in_one_line
from ..pictures import read_photo
from .passing.hashes import hash_of

AHEAD = 256


@dataclass(frozen=True)
class OtherFolder:
    """The photos of another folder that can be read.

    Attributes:
        root: the folder.
        paths: of the photos, within it, with forward slashes.
        digests: SHA-256 of each file.
        hashes: the perceptual hash of each.
    """

    root: Path
    paths: tuple[str, ...]
    digests: tuple[str, ...]
    hashes: tuple[int, ...]


def other_folder(folder: str | os.PathLike[str]) -> OtherFolder:
    """Read all photos of a folder; no network looks at them. What cannot be read is left out.

    Raises:
        InputError: there is no photo.
    """
    root = Path(folder)
    paths = sorted(path.relative_to(root).as_posix() for path in photos_in(root))
    found = []
    with ThreadPoolExecutor(2) as readers:
        for start in range(0, len(paths), AHEAD):
            part = paths[start : start + AHEAD]
            found += [(path, *each) for path, each in zip(part, _read(readers, root, part), strict=True) if each]
            events.progress(start + len(part), len(paths))
    if not found:
        raise InputError(f"{in_one_line(root)} holds no photo that can be read", expected="a folder with photos")
    names, digests, hashes = zip(*found, strict=True)
    return OtherFolder(root, names, digests, hashes)


def _read(readers: ThreadPoolExecutor, root: Path, paths: list[str]) -> Iterator[tuple[str, int] | None]:
    return readers.map(lambda path: _told(root / path), paths)


def _told(path: Path) -> tuple[str, int] | None:
    try:
        hash_ = hash_of(read_photo(path).image)  # refuses what is no regular file before it is read
        return hashlib.sha256(path.read_bytes()).hexdigest(), hash_
    except (PhotoError, OSError):
        return None
