"""Room on Python's stack for the hooks of a network nested deep."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

from ..interrupts import shielded

MORE = 1.5
"""With hooks, a module takes four frames of the stack instead of three; and seewhy's own come on top."""

_lock = threading.Lock()
_blocks = 0
_before = 0


@shielded
def more_recursion() -> Iterator[None]:
    """A network that runs by itself also runs with hooks in the block. The limit belongs to the process: of blocks
    that overlap, the first raises it and the last puts it back.
    """
    global _blocks, _before
    with _lock:
        if _blocks == 0:
            _before = sys.getrecursionlimit()
            sys.setrecursionlimit(int(MORE * _before) + 200)
        _blocks += 1
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if _blocks == 0:
                sys.setrecursionlimit(_before)
