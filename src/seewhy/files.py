"""Files are written whole or not at all, and never silently replaced."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from .errors import OutputError
from .interrupts import shielded, uninterrupted

_NO_LINKS = frozenset({
    errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EACCES, errno.EINVAL,
})  # fmt: skip
"""What file systems without hard links (FAT, exFAT, some mounts) answer to the wish for one."""


@shielded
def write_atomically(path: str | Path, *, overwrite: bool = False) -> Iterator[IO[bytes]]:
    """A binary file that takes its place at ``path`` when the block ends well, and vanishes otherwise.

    A file that is replaced gives its permissions to the new one; where ``path`` is a symbolic link, what it points to
    is replaced. A new file has the permissions that any new file of this process has.

    Raises:
        OutputError: ``path`` exists and ``overwrite`` is False, is no regular file, or cannot be written.
    """
    path = Path(path)
    try:
        if "\0" in str(path):
            raise ValueError("a name cannot hold a null character")
        place = Path(os.path.realpath(path)) if overwrite else path
        mode = _mode(place, path, overwrite)
        part = _part_in(place.parent)
        handle = _new(part)
    except (OSError, ValueError) as error:
        raise _cannot(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        if mode is not None:
            os.chmod(part, mode)
        if overwrite:
            os.replace(part, place)
        else:
            _take(part, path)
    except OSError as error:
        raise _cannot(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def write_arrays(file: IO[bytes], arrays: Mapping[str, Any]) -> None:
    """A compressed ``.npz``, as ``numpy.savez_compressed`` writes it; Ctrl-C waits for the array that is being packed.

    Args:
        file: open for writing.
        arrays: by name.
    """
    with _archive(file) as archive:
        for name, array in arrays.items():
            uninterrupted(_write_array, archive, name, np.asanyarray(array))


@shielded
def _archive(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)
    try:
        yield archive
    except BaseException:
        archive.fp = None  # else it complains, when it is collected, that its file was closed before it
        raise
    archive.close()


def _write_array(archive: zipfile.ZipFile, name: str, array: npt.NDArray[Any]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


def make_folder(path: str | Path) -> Path:
    """The folder at ``path``, made with its parents where it is missing.

    Raises:
        OutputError: it cannot be made, or nothing can be written into it.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = _part_in(path)
        os.close(_new(probe))
        probe.unlink()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path} cannot be used as a folder: {reason}") from error
    return path


def write_text(path: str | Path, text: str, *, overwrite: bool = False) -> None:
    """Write ``text`` as UTF-8, whole or not at all.

    Python holds a byte of a file name that is no UTF-8 as a lone surrogate; it is written as an escape, which in
    JSON stands for the same.
    """
    with write_atomically(path, overwrite=overwrite) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def write_bytes(path: str | Path, content: bytes, *, overwrite: bool = False) -> None:
    """Write ``content``, whole or not at all."""
    with write_atomically(path, overwrite=overwrite) as file:
        file.write(content)


def _part_in(folder: Path) -> Path:
    """A name for a file that is not whole yet; one made of the file's own would not fit where that is long."""
    return folder / f".{secrets.token_hex(8)}.part"


def _new(path: Path) -> int:
    """A descriptor of a file that was not there, with the permissions that the process gives any new one."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)


def _mode(place: Path, path: Path, overwrite: bool) -> int | None:
    """The permissions of the file that is to be replaced; None where there is none."""
    if not overwrite:
        if os.path.lexists(path):
            raise OutputError(f"{path} exists; it is not replaced unless you ask for it")
        return None
    try:
        found = os.stat(place)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise OutputError(f"{path} is no regular file, and is not replaced", expected="a file, or a name that is free")
    return stat.S_IMODE(found.st_mode)


def _take(part: Path, path: Path) -> None:
    """Give the file its name, unless that was taken meanwhile."""
    try:
        os.link(part, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Without links the name is taken with an empty file, which the whole one then replaces at once.
        os.close(_new(path))
        try:
            os.replace(part, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _cannot(path: Path, error: OSError | ValueError) -> OutputError:
    if isinstance(error, OutputError):
        return error
    return OutputError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}")
