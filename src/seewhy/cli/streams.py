"""stdout and stderr for the time of a command: whatever becomes of them, the work is done and nothing else gets in.

A reader may go away, a disk may be full, a stream may be closed: what cannot be printed is lost, the results on disk
are not. And stdout is the command's alone: what else writes to file descriptor 1 (native code, a child process) comes
out on stderr, so that ``--json`` stays JSON.
"""

from __future__ import annotations

import ctypes
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

STDOUT, STDERR = 1, 2
GONE = (errno.EPIPE, errno.ESHUTDOWN, errno.ECONNRESET)


class Steady(io.TextIOBase):
    """A stream that takes everything, and remembers the first error.

    Attributes:
        stream: what is written to; None where it is closed.
        error: why something could not be written, or None.
    """

    def __init__(self, stream: TextIO | None):
        self.stream = stream
        self.error: Exception | None = None if stream is not None else OSError(errno.EBADF, os.strerror(errno.EBADF))

    def write(self, text: str) -> int:
        """All of it, or nothing once something went wrong."""
        if self.error is None and self.stream is not None:
            try:
                self.stream.write(text)
            except (OSError, ValueError) as error:  # ValueError: it was closed
                self._fail(error)
        return len(text)

    def flush(self) -> None:
        """As far as it can be."""
        if self.error is None and self.stream is not None:
            try:
                self.stream.flush()
            except (OSError, ValueError) as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.error = error
        # What is still in its buffer would fail again when the interpreter ends, with a traceback.
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())  # type: ignore[union-attr]
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """Of the stream."""
        return getattr(self.stream, "errors", None)

    def isatty(self) -> bool:
        """Whether a person reads it."""
        try:
            return self.stream is not None and self.stream.isatty()
        except ValueError:
            return False

    def fileno(self) -> int:
        """Of the stream."""
        if self.stream is None:
            raise io.UnsupportedOperation("fileno")
        return self.stream.fileno()

    def writable(self) -> bool:
        """Always."""
        return True


class _Commands:
    out: Steady | None = None


def output() -> TextIO:
    """Where the command's results go: stdout, also after ``sys.stdout`` was given up."""
    return sys.stdout if _Commands.out is None else _Commands.out  # type: ignore[return-value]


def give_up_stdout() -> None:
    """From now on ``sys.stdout`` is stderr: foreign code is loaded, and its threads may print at any time."""
    if _Commands.out is not None:
        sys.stdout = sys.stderr


@contextmanager
def steady_streams(*, to_the_end: bool) -> Iterator[tuple[Steady, Steady]]:
    """``sys.stdout`` and ``sys.stderr`` are steady within, and file descriptor 1 is stderr.

    Args:
        to_the_end: the process ends with the command, so 1 stays stderr, for what comes out of buffers and threads.
    """
    _open_what_is_closed()
    before = sys.stdout, sys.stderr
    own, kept = _private(sys.stdout), _lead_elsewhere()
    out, err = Steady(own or sys.stdout), Steady(sys.stderr)
    for stream in (out.stream, err.stream):
        if isinstance(stream, io.TextIOWrapper):  # not every terminal knows every character
            with suppress(OSError, ValueError):
                stream.reconfigure(errors="replace")
    sys.stdout, sys.stderr = out, err
    _Commands.out = out
    try:
        yield out, err
    finally:
        _Commands.out = None
        out.flush()
        err.flush()
        if to_the_end:
            sys.stdout, sys.stderr = before[1], before[1]
        else:
            sys.stdout, sys.stderr = before
            _lead_back(kept)
        if own is not None:
            with suppress(OSError):
                own.close()


def _private(stream: TextIO | None) -> TextIO | None:
    """Another stream to where ``stream`` leads, if it is file descriptor 1."""
    try:
        if stream is None or stream.fileno() != STDOUT:
            return None
        stream.flush()
        buffering = 1 if stream.isatty() else -1
        return open(os.dup(STDOUT), "w", encoding=stream.encoding, errors="replace", buffering=buffering)
    except (OSError, ValueError):  # a stream in memory, or a closed one
        return None


def _lead_elsewhere() -> int | None:
    """File descriptor 1 leads to stderr from now on; gives another one to where it led."""
    try:
        kept = os.dup(STDOUT)
        os.dup2(STDERR, STDOUT)
    except OSError:
        return None
    return kept


def _lead_back(kept: int | None) -> None:
    # What others left in their buffers of number 1 is no output of the caller's.
    with suppress(Exception):
        sys.__stdout__.flush()  # type: ignore[union-attr]
    with suppress(Exception):
        ctypes.CDLL(None).fflush(None)
    if kept is not None:
        os.dup2(kept, STDOUT)
        os.close(kept)


def _open_what_is_closed() -> None:
    """Else the next file that is opened gets number 1, and what is printed goes into it."""
    for number in (0, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
