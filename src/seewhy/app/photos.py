"""The photos that the page can show: those of the launch, and the newest of those that were uploaded.

The page names a photo by an id that was made here. No path of it is ever opened: an upload lies in a private folder
under a name of our own, and what its owner called it is only shown.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ..errors import InputError, PhotoError
from ..legible import in_one_line
from ..pictures import Photo, read_photo
from .drawn import DRAWINGS

MOST_UPLOADS, MOST_UPLOADED = 200, 512 << 20
"""Uploads that are kept, and their bytes; the photo that was used longest ago goes first."""

MOST_DECODED, MOST_DRAWN = 192 << 20, 32 << 20
"""Bytes of decoded pixels, and of small pictures, that are kept to be used again."""

MOST_PIXELS = 64_000_000
"""Of one photo. Two are decoded at a time, and two that come in, at 20 bytes per pixel."""

MOST_NAME = 120


@dataclass(frozen=True)
class FolderPhoto:
    """A photo that was named at launch.

    Attributes:
        path: of the file.
        name: what it is called.
        truths: its true class to each of the models, where known.
    """

    path: str
    name: str
    truths: tuple[str | None, ...] = ()


@dataclass
class _Kept:
    path: Path
    name: str
    folder: bool
    bytes: int = 0
    truths: tuple[str | None, ...] = ()
    size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()


class Photos:
    """Used by all threads.

    Args:
        folder: those of the launch; they are always kept.
    """

    def __init__(self, folder: Sequence[FolderPhoto] = ()):
        self._place = tempfile.TemporaryDirectory(prefix="seewhy-app-")
        self._lock = threading.Lock()
        self._decoding = threading.Semaphore(2)  # beside uploads, which have threads of their own and do not wait
        self._number = 0
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._decoded = _Cache(MOST_DECODED)
        self._drawn = _Cache(MOST_DRAWN)
        for photo in folder:
            self._kept[self._new_id()] = _Kept(Path(photo.path), shown_name(photo.name), True, truths=photo.truths)

    def close(self) -> None:
        """Uploads are removed."""
        self._place.cleanup()

    def described(self) -> list[dict[str, Any]]:
        """All of them, as the page is told, in the order in which they came."""
        with self._lock:
            return [_described(id, kept) for id, kept in sorted(self._kept.items(), key=lambda item: int(item[0][1:]))]

    def describe(self, id: str) -> dict[str, Any]:
        """One of them.

        Raises:
            PhotoError: there is none such.
        """
        kept = self._find(id)
        return _described(id, kept)

    def folder_ids(self) -> list[str]:
        """Of the photos of the launch."""
        with self._lock:
            return [id for id, kept in self._kept.items() if kept.folder]

    def folder_paths(self) -> dict[str, str]:
        """Path -> id, of the photos of the launch."""
        with self._lock:
            return {str(kept.path): id for id, kept in self._kept.items() if kept.folder}

    def truth(self, id: str, model: int) -> str | None:
        """A photo's true class, where known."""
        truths = self._find(id).truths
        return truths[model] if model < len(truths) else None

    def stamp(self, id: str) -> tuple[object, ...]:
        """What changes when the file does.

        Raises:
            PhotoError: there is none such, or it has gone.
        """
        kept = self._find(id)
        try:
            status = os.stat(kept.path)
        except OSError as error:
            raise PhotoError(f"{kept.name} cannot be read any more", got=error.strerror) from error
        return id, status.st_mtime_ns, status.st_size

    def place(self) -> Path:
        """A file of a new name for an upload; whoever writes it gives it to ``add``, or removes it."""
        number, name = tempfile.mkstemp(dir=self._place.name, prefix="upload-")
        os.close(number)
        return Path(name)

    def add(self, path: Path, name: str) -> dict[str, Any]:
        """An upload that was written to ``place``, once it is seen to be a photo; gives what the page is told.

        Raises:
            PhotoError: it is none, or is too large.
        """
        name = shown_name(name)
        try:
            photo = replace(self._read(path, name), path=Path(name))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        kept = _Kept(path, name, False, path.stat().st_size, (), photo.image.size, photo.notes)
        with self._lock:
            id = self._new_id()
            self._kept[id] = kept
            self._forget_oldest()
        self._decoded.put(self.stamp(id), photo, _bytes(photo))
        return _described(id, kept)

    def photo(self, id: str) -> Photo:
        """A photo in full.

        Raises:
            PhotoError: there is none such, or it cannot be read.
        """
        kept, stamp = self._find(id), self.stamp(id)
        photo: Photo | None = self._decoded.get(stamp)
        if photo is None:
            with self._decoding:
                photo = self._read(kept.path, kept.name)
            if not kept.folder:
                photo = replace(photo, path=Path(kept.name))
            self._decoded.put(stamp, photo, _bytes(photo))
            kept.size, kept.notes = photo.image.size, photo.notes
        return photo

    def drawing(self, id: str, kind: str) -> bytes:
        """A small picture of the photo, see ``drawn.DRAWINGS``."""
        return self.kept_drawing(id, kind, lambda photo: DRAWINGS[kind](photo.image))

    def kept_drawing(self, id: str, kind: object, draw: Callable[[Photo], bytes]) -> bytes:
        """What ``draw`` makes of the photo, or made of it before."""
        key = (*self.stamp(id), kind)
        found: bytes | None = self._drawn.get(key)
        if found is None:
            found = draw(self.photo(id))
            self._drawn.put(key, found, len(found))
        return found

    def _find(self, id: str) -> _Kept:
        with self._lock:
            kept = self._kept.get(id)
            if kept is None:
                raise PhotoError("this photo is not kept any more", expected="to be given it again")
            if not kept.folder:
                self._kept.move_to_end(id)
            return kept

    def _read(self, path: Path, name: str) -> Photo:
        try:
            return read_photo(path, max_pixels=MOST_PIXELS)
        except PhotoError as error:
            raise PhotoError(str(error).replace(in_one_line(path), name)) from error

    def _new_id(self) -> str:
        self._number += 1
        return f"p{self._number}"

    def _forget_oldest(self) -> None:
        uploads = [id for id, kept in self._kept.items() if not kept.folder]
        total = sum(kept.bytes for kept in self._kept.values())
        for id in uploads[:-1]:
            if len(uploads) <= MOST_UPLOADS and total <= MOST_UPLOADED:
                return
            gone = self._kept.pop(id)
            self._decoded.forget(id)
            uploads.pop(0)
            total -= gone.bytes
            gone.path.unlink(missing_ok=True)


def shown_name(name: str) -> str:
    """What a photo is called: the last part of whatever it was given as, legible and short."""
    last = PurePosixPath(PureWindowsPath(name).name).name
    return in_one_line(last, MOST_NAME) or "photo"


def check_id(id: object) -> str:
    """An id that the page gave.

    Raises:
        InputError: it is none.
    """
    if isinstance(id, str) and len(id) < 20 and id[:1] == "p" and id[1:].isascii() and id[1:].isdigit():
        return id
    raise InputError("a photo is named by its id", expected='such as "p12"', got=repr(id)[:40])


def _described(id: str, kept: _Kept) -> dict[str, Any]:
    truth = next((in_one_line(truth, MOST_NAME) for truth in kept.truths if truth is not None), None)
    size = None if kept.size is None else list(kept.size)
    return {"id": id, "name": kept.name, "size": size, "truth": truth, "folder": kept.folder, "notes": list(kept.notes)}


def _bytes(photo: Photo) -> int:
    return 3 * photo.image.width * photo.image.height


class _Cache:
    """The values used last, as long as their sizes add up to ``most``; the newest always."""

    def __init__(self, most: int):
        self._most, self._size = most, 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], tuple[Any, int]] = OrderedDict()

    def get(self, key: tuple[object, ...]) -> Any:
        """What is kept under the key; None where nothing is."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def forget(self, id: str) -> None:
        """Drop what begins with an id."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == id]:
                self._size -= self._kept.pop(key)[1]

    def put(self, key: tuple[object, ...], value: Any, size: int) -> None:
        """Keep a value of this size."""
        with self._lock:
            self._size -= self._kept.pop(key, (None, 0))[1]
            self._kept[key] = value, size
            self._size += size
            while self._size > self._most and len(self._kept) > 1:
                self._size -= self._kept.popitem(last=False)[1][1]
