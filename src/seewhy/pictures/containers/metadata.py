"""The few facts in EXIF, XMP and the like that say how a picture is meant, read without a decoder.

Pillow keeps a copy of every tag's value, and tags may all point at the same bytes: 64 kB of EXIF can ask for 300 MB.
Here only the entries themselves are read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from seewhy.pictures.containers.bounds import MAX_METADATA

ORIENTATION, PICTURES_OF_MPO = 0x0112, 0xB001
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value of each of TIFF's types."""


@dataclass(frozen=True)
class Entry:
    """A tag in a directory.

    Attributes:
        raw: the entry as it stands.
        tag, kind, count: what it is, its type, how many values.
        order: "<" or ">".
        room: bytes that a value may take within the entry: 4, or 8 in a BigTIFF.
    """

    raw: bytes
    tag: int
    kind: int
    count: int
    order: str
    room: int

    @property
    def size(self) -> int:
        """Bytes of all its values; those of an unknown type count one each."""
        return SIZES.get(self.kind, 1) * self.count

    @property
    def value(self) -> int | None:
        """Its first value, where it is an integer and stands in the entry itself."""
        code = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(self.kind)
        if code is None or not 0 < self.size <= self.room:
            return None
        return int(struct.unpack_from(self.order + code, self.raw, len(self.raw) - self.room)[0])


@dataclass(frozen=True)
class Layout:
    """How a TIFF, or the TIFF within EXIF, writes numbers: the order of bytes, and whether offsets have 8 of them."""

    order: str
    big: bool

    @classmethod
    def of(cls, data: bytes) -> Layout | None:
        """Read off the header; None where it is none of a TIFF."""
        order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
        if order is None or len(data) < 8:
            return None
        version = struct.unpack_from(order + "H", data, 2)[0]
        return cls(order, version == 43) if version in (42, 43) else None

    def first(self, data: bytes) -> int:
        """Where the first directory is; beyond the end where the header is cut."""
        return self._offset(data, 8 if self.big else 4)

    def directory(self, data: bytes, at: int) -> tuple[int, int]:
        """How many entries the directory at ``at`` has, and where they begin."""
        code, size = ("Q", 8) if self.big else ("H", 2)
        if at < 0 or at + size > len(data):
            return 0, at
        return int(struct.unpack_from(self.order + code, data, at)[0]), at + size

    def entries(self, data: bytes, at: int, most: int = 65535) -> Iterator[Entry]:
        """The entries of the directory at ``at``, as far as they are there."""
        count, begin = self.directory(data, at)
        size, room, code = (20, 8, "HHQ") if self.big else (12, 4, "HHI")
        for number in range(min(count, most)):
            raw = data[begin + number * size : begin + (number + 1) * size]
            if len(raw) < size:
                return
            tag, kind, values = struct.unpack_from(self.order + code, raw)
            yield Entry(raw, tag, kind, values, self.order, room)

    def following(self, data: bytes, at: int) -> int:
        """Where the directory after that at ``at`` is; 0 where there is none."""
        count, begin = self.directory(data, at)
        after = begin + count * (20 if self.big else 12)
        found = self._offset(data, after) if begin > at else 0
        return found if found < len(data) else 0

    def _offset(self, data: bytes, at: int) -> int:
        code, size = ("Q", 8) if self.big else ("I", 4)
        return int(struct.unpack_from(self.order + code, data, at)[0]) if at + size <= len(data) else len(data)


def exif_number(exif: bytes, tag: int) -> int | None:
    """The value of ``tag`` in the first directory of ``exif``, with or without "Exif" before it; None if not there."""
    tiff = exif[6:] if exif.startswith(b"Exif\0\0") else exif
    layout = Layout.of(tiff)
    if layout is None:
        return None
    found = [entry.value for entry in layout.entries(tiff, layout.first(tiff)) if entry.tag == tag]
    return found[-1] if found else None


def orientation_of(exif: bytes | None, xmp: bytes | None = None) -> int:
    """The orientation 1..8 that EXIF gives, or else XMP; 1 where it is missing, out of range or unreadable."""
    found = None if exif is None else exif_number(exif, ORIENTATION)
    if found is None and xmp is not None:
        match = re.search(rb'tiff:Orientation(?:="|>)([0-9])', xmp[:MAX_METADATA])
        found = int(match[1]) if match else None
    return found if found is not None and 1 <= found <= 8 else 1
