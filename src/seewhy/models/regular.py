"""Only regular files are opened: a pipe or a device may never end, or never begin."""

from __future__ import annotations

import os
import stat
from os import PathLike

from seewhy.errors import ModelError, SeewhyError

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def is_regular(path: str | PathLike[str]) -> bool:
    """Whether there is a regular file; False also where nobody may look, or the name is none."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def check_regular(path: str | PathLike[str], what: str) -> None:
    """Raises ModelError where there is no regular file that may be read at ``path``; ``what`` it should be."""
    if (got := not_readable(path)) is not None:
        raise ModelError(f"no such {what} file: {path}", got=got or None)


def not_readable(path: str | PathLike[str]) -> str | None:
    """Why a file cannot be read; "" where there is none, None where it can be."""
    try:
        mode = stat.S_IFMT(os.stat(path).st_mode)
        if mode != stat.S_IFREG:
            return KINDS.get(mode, "something else than a file")
        with open(path, "rb"):
            return None
    except FileNotFoundError:
        return ""
    except OSError as error:
        return (error.strerror or type(error).__name__).lower()
    except ValueError as error:  # a name with a zero byte
        return str(error)


def read_bounded(path: str | PathLike[str], most: int, kind: type[SeewhyError], what: str) -> bytes:
    """The bytes of a regular file.

    Args:
        what: how the file is called in an error.

    Raises:
        SeewhyError: of ``kind``, where there is no such file, it is none or cannot be read, or it has more than
            ``most`` bytes.
    """
    if (got := not_readable(path)) is not None:
        raise kind(f"{what} cannot be read", got=got or "no such file")
    try:
        with open(path, "rb") as file:
            content = file.read(most + 1)  # some files have no size before they are read
    except OSError as error:
        raise kind(f"{what} cannot be read", got=error.strerror or type(error).__name__) from error
    if len(content) > most:
        raise kind(f"{what} is too large", expected=f"at most {most:,} bytes")
    return content
