"""A user's code runs as if it was called from nowhere in particular, and what it changes around itself is put back."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from seewhy.errors import ModelError, SeewhyError
from seewhy.interrupts import interruptible, shielded

_loading = threading.RLock()
POLL = 0.005
"""Seconds from one look to the next of a thread that waits."""


@shielded
def one_at_a_time() -> Iterator[None]:
    """No other thread loads a network for the time of the block: what a load changes meanwhile, and puts back, belongs
    to the process (the environment, the arguments, the current directory, the random numbers).
    """
    while not _loading.acquire(blocking=False):
        interruptible(time.sleep, POLL)
    try:
        yield
    finally:
        _loading.release()


@shielded
def kept_surroundings(name: str) -> Iterator[None]:
    """``sys.argv`` holds ``name`` alone meanwhile; afterwards it and the current directory are as they were.

    A factory that reads the command line would read seewhy's; one that changes the directory would change where
    results are written. What it adds to ``sys.path`` stays: its network may import more when it runs.
    """
    arguments, directory = sys.argv, None
    with suppress(OSError):  # it may be gone
        directory = os.getcwd()
    sys.argv = [name]
    try:
        yield
    finally:
        sys.argv = arguments
        if directory is not None:
            with suppress(OSError):
                os.chdir(directory)


@contextmanager
def failures_told(spec: str) -> Iterator[None]:
    """Foreign code raises what it likes, and ends Python where it likes: it comes out as one error.

    Raises:
        ModelError: something that is no error of seewhy's was raised, which is the cause; Ctrl-C passes.
    """
    try:
        yield
    except SeewhyError:
        raise
    except SystemExit as error:
        what = f"{spec} ends Python when it is loaded or run"
        raise ModelError(what, expected="a network that returns its scores", got=f"SystemExit: {error.code}") from error
    except Exception as error:
        said = next(iter(str(error).strip().splitlines()), "")
        raise ModelError(f"{spec} cannot be loaded", got=f"{type(error).__name__}: {said}".rstrip(": ")) from error
