"""Files are written whole or not at all, and never silently replaced."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import OutputError


@contextmanager
def write_atomically(path: str | Path, *, overwrite: bool = False) -> Iterator[IO[bytes]]:
    """A binary file that takes its place at ``path`` when the block ends well, and vanishes otherwise.

    Raises:
        OutputError: ``path`` exists and ``overwrite`` is False, or it cannot be written.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; it is not replaced unless you ask for it")
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".part")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(name, 0o666 & ~_umask())
        if overwrite:
            os.replace(name, path)
        else:
            # A link fails where the name was taken meanwhile; a replacement would not.
            os.link(name, path)
            os.unlink(name)
    except BaseException as error:
        if os.path.exists(name):
            os.unlink(name)
        if isinstance(error, OSError) and not isinstance(error, OutputError):
            raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
        raise


def make_folder(path: str | Path) -> Path:
    """The folder at ``path``, made with its parents where it is missing.

    Raises:
        OutputError: it cannot be made, or nothing can be written into it.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path, prefix=".seewhy."):
            pass
    except OSError as error:
        raise OutputError(f"{path} cannot be used as a folder: {error.strerror or error}") from error
    return path


def write_text(path: str | Path, text: str, *, overwrite: bool = False) -> None:
    """Write ``text`` as UTF-8, whole or not at all.

    Python holds a byte of a file name that is no UTF-8 as a lone surrogate; it is written as an escape, which in
    JSON stands for the same.
    """
    with write_atomically(path, overwrite=overwrite) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
