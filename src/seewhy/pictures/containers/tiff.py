"""TIFF: directories, whose entries point anywhere."""

from __future__ import annotations

import struct

from seewhy.pictures.containers.bounds import MAX_PARTS, MAX_SLOW_BYTES, Laborious, Parts
from seewhy.pictures.containers.first import First
from seewhy.pictures.containers.metadata import Entry, Layout

BITS, SAMPLES, TILE_WIDTH, TILE_LENGTH, STRIPS, TILES = 258, 277, 322, 323, 273, 324
# Size, bits, compression, meaning of colours, order of bits, strips, orientation, samples, predictor, palette, tiles,
# ink, extra samples, format, JPEG's tables (old ones too), YCbCr, and what fax, LERC and others need to decode.
NEEDED = {
    256, 257, BITS, 259, 262, 266, STRIPS, 274, SAMPLES, 278, 279, 284, 292, 293, 317, 320, TILE_WIDTH, TILE_LENGTH,
    TILES, 325, 326, 327, 328, 332, 338, 339, 340, 341, 347, *range(512, 522), 529, 530, 531, 532, 50674,
}  # fmt: skip
MAX_TILE = 2**28
"""Bytes of a tile: a decoder has one in memory, however small the picture is."""


def first_of_tiff(data: bytes) -> First:
    """The file with one directory, which holds only what the first picture's pixels need."""
    layout = Layout.of(data)
    if layout is None:
        return First(data)
    at = layout.first(data)
    kept = {entry.tag: entry for entry in layout.entries(data, at) if entry.tag in NEEDED}
    if not kept:
        return First(data[:64])  # no picture: the decoder says so, and reads nothing else
    _check(kept)
    pictures, counted = _pages(data, layout, at)
    rows = [kept[tag].raw for tag in sorted(kept)]
    count, offset = ("Q", "Q") if layout.big else ("H", "I")
    directory = struct.pack(layout.order + count, len(rows)) + b"".join(rows) + struct.pack(layout.order + offset, 0)
    # In its old place: it is no longer than it was, and what is cut off at the end stays cut off.
    view = memoryview(data)
    return First(b"".join([view[:at], directory, view[at + len(directory) :]]), pictures, counted)


def _pages(data: bytes, layout: Layout, at: int) -> tuple[int, bool]:
    """How many directories there are, from that at ``at`` on; and whether all were counted."""
    seen: set[int] = set()
    parts = Parts("pages")
    try:
        while at and at not in seen:
            parts.one_more()
            seen.add(at)
            at = layout.following(data, at)
    except Laborious:
        return len(seen), False
    return len(seen), True


def _check(kept: dict[int, Entry]) -> None:
    def number(tag: int, default: int) -> int:
        found = kept[tag].value if tag in kept else None
        return default if found is None else found

    for tag, name in ((STRIPS, "strips"), (TILES, "tiles")):
        if tag in kept and kept[tag].count > MAX_PARTS:
            raise Laborious(f"has too many {name}", f"at most {MAX_PARTS:,}", f"{kept[tag].count:,}")
    if sum(entry.size for entry in kept.values()) > MAX_SLOW_BYTES:
        raise Laborious("has too large tags", f"at most {MAX_SLOW_BYTES:,} bytes", "more")
    bits = max(8, number(BITS, 32)) * number(SAMPLES, 4)
    tile = number(TILE_WIDTH, 0) * number(TILE_LENGTH, 0) * bits // 8
    if tile > MAX_TILE:
        raise Laborious("has too large tiles", f"at most {MAX_TILE / 2**20:g} MiB each", f"{tile / 2**20:.0f} MiB")
