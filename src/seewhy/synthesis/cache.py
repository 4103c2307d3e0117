"""Where pictures of classes are kept on disk: a bounded folder, each file named after the hash that finds it."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, OutputError
from ..files import make_folder
from .visualization import Visualization

MOST_BYTES = 500 * 10**6
"""Beyond these, what was used least recently goes."""


def cache_folder() -> Path:
    """In ``SEEWHY_CACHE_DIR``, or else where the platform keeps what can be made anew."""
    if own := os.environ.get("SEEWHY_CACHE_DIR"):
        return Path(own) / "pictures"
    try:
        root = _root()
    except RuntimeError:  # nobody's home, as in a container without users
        root = Path(tempfile.gettempdir()) / f"seewhy-{getattr(os, 'getuid', lambda: 0)()}"
    return root / "pictures"


def _root() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "seewhy" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "seewhy"
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    return Path(xdg if os.path.isabs(xdg) else Path.home() / ".cache") / "seewhy"  # a relative one is to be ignored


_OURS = re.compile(r"[0-9a-f]{64}\.npz")
_UNFINISHED = re.compile(r"\.[0-9a-f]{16}\.part")

LEFT_BEHIND = 3600.0
"""Seconds after which an unfinished file is nobody's any more; a younger one may be of a process that writes it."""


@dataclass(frozen=True)
class Entry:
    """A kept picture: its file, its bytes, and when it was used last, in seconds since 1970."""

    path: Path
    size: int
    used: float


class Cache:
    """A folder of pictures; other files in it are left alone."""

    def __init__(self, folder: Path | None = None, most: int = MOST_BYTES):
        self.folder, self.most = cache_folder() if folder is None else folder, most

    def entries(self) -> list[Entry]:
        """What is kept, the most recently used first; nothing where the folder is missing or cannot be read."""
        found = [Entry(path, status.st_size, status.st_mtime) for path, status in self._files(_OURS)]
        return sorted(found, key=lambda entry: entry.used, reverse=True)

    def size(self) -> int:
        """Bytes."""
        return sum(entry.size for entry in self.entries())

    def clear(self) -> int:
        """Remove all that is kept; gives how many pictures went.

        Raises:
            OutputError: one of them cannot be removed.
        """
        gone = 0
        for pattern in (_OURS, _UNFINISHED):
            for path, status in self._files(pattern):
                if pattern is _UNFINISHED and time.time() - status.st_mtime < LEFT_BEHIND:
                    continue
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise OutputError(f"{path} cannot be removed: {error.strerror}") from error
                gone += pattern is _OURS
        return gone

    def find(self, key: str) -> Visualization | None:
        """The picture of this key; None where there is none that can be read."""
        path = self._path(key)
        try:
            made = Visualization.load(path)
        except InputError:
            return None
        with suppress(OSError):  # it is used, and nothing else hangs on when that was
            os.utime(path)
        return made

    def keep(self, key: str, made: Visualization) -> None:
        """Store a picture, and remove what was used least recently where there are too many.

        Raises:
            OutputError: it cannot be written.
        """
        make_folder(self.folder)
        made.save(self._path(key), overwrite=True)
        room = self.most
        for entry in self.entries():
            room -= entry.size
            if room < 0 and entry.path != self._path(key):
                with suppress(OSError):  # another process was faster
                    entry.path.unlink()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def _files(self, pattern: re.Pattern[str]) -> list[tuple[Path, os.stat_result]]:
        try:
            with os.scandir(self.folder) as there:
                names = [entry.name for entry in there if pattern.fullmatch(entry.name)]
        except OSError:
            return []
        found = []
        for name in names:
            with suppress(OSError):  # it went meanwhile
                found.append((self.folder / name, (self.folder / name).lstat()))
        return found
