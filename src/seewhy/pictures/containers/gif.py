"""GIF: blocks of up to 255 bytes."""

from __future__ import annotations

import re

from seewhy.pictures.containers.bounds import MAX_BLOCKS, Laborious, Parts
from seewhy.pictures.containers.first import First

_INTRODUCER = re.compile(rb"[!,;]")
CONTROL = 0xF9
MAX_GAP = 2**16
"""Bytes between blocks that belong to none: there should not be any. After so many the file has ended."""


class _Blocks:
    """Walks sub-blocks, so many at most in all."""

    def __init__(self, data: bytes):
        self.data, self.left = data, MAX_BLOCKS

    def end(self, at: int) -> int | None:
        """Where the series of sub-blocks that begins at ``at`` ends; None where the file is cut before.

        Raises:
            Laborious: there are too many.
        """
        data, left, length = self.data, self.left, len(self.data)
        while at < length and (size := data[at]):
            at += size + 1
            left -= 1
            if left < 0:
                raise Laborious("has too many blocks", f"at most {MAX_BLOCKS:,}", "more")
        self.left = left - 1
        return at + 1 if at < length else None


def first_of_gif(data: bytes) -> First:
    """The screen, the last control before the first picture, and that picture; no comment and no later frame."""
    at = 13 + (3 << (data[10] & 7) + 1 if len(data) > 10 and data[10] & 128 else 0)
    head, control, blocks, parts = data[:at], b"", _Blocks(data), Parts("blocks")
    first: bytes | None = None
    pictures = 0
    try:
        while (found := _INTRODUCER.search(data, at, at + MAX_GAP)) is not None and found[0] != b";":
            parts.one_more()
            begin = found.start()
            if found[0] == b"!":
                end = blocks.end(begin + 2)
                if first is None and data[begin + 1 : begin + 2] == bytes([CONTROL]) and end is not None:
                    control = data[begin:end]
            else:
                end = blocks.end(_pixels(data, begin))
                pictures += 1
                if first is None:
                    first = data[begin:end]
            if end is None:
                break
            at = end
    except Laborious:
        if first is None:
            raise
        return First(head + control + first + b";", pictures, counted=False)
    if first is None:
        return First(data[: len(head) + 1024])  # no picture: the decoder says so
    return First(head + control + first + (b"" if end is None and pictures == 1 else b";"), pictures)


def _pixels(data: bytes, begin: int) -> int:
    """Where the sub-blocks of the picture at ``begin`` begin: after its descriptor, palette, and the codes' width."""
    flags = data[begin + 9] if begin + 9 < len(data) else 0
    return begin + 10 + (3 << (flags & 7) + 1 if flags & 128 else 0) + 1
