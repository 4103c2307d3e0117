"""PNG: chunks."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

from seewhy.pictures.containers.bounds import MAX_METADATA, Laborious, Parts
from seewhy.pictures.containers.first import First
from seewhy.pictures.containers.metadata import orientation_of

SIGNATURE = b"\x89PNG\r\n\x1a\n"
NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
RAW_EXIF, XMP = b"Raw profile type exif", b"XML:com.adobe.xmp"


def first_of_png(data: bytes) -> First:
    """The picture that every reader shows: header, palette, transparency and data; no text, profile or later frame."""
    kept, parts, at = [SIGNATURE], Parts("chunks"), len(SIGNATURE)
    exif = xmp = None
    frames, controls, drawn, whole = 1, 0, False, False
    while at + 8 <= len(data):
        try:
            parts.one_more()
        except Laborious:
            if not whole:
                raise
            break  # what comes after the picture matters little
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        content = memoryview(data)[at + 8 : end - 4]
        if kind in NEEDED:
            kept.append(data[at:end])
        elif kind == b"eXIf" and exif is None:
            exif = bytes(content[:MAX_METADATA])
        elif kind in (b"tEXt", b"zTXt", b"iTXt") and length <= MAX_METADATA:
            keyword, text = _text(kind, bytes(content))
            xmp = text if keyword == XMP and xmp is None else xmp
            exif = _unhexed(text) if keyword == RAW_EXIF and exif is None else exif
        elif kind == b"acTL" and length == 8 and not drawn:
            frames = struct.unpack(">I", content[:4])[0] or 1
        elif kind == b"fcTL":
            controls += not drawn
        whole = drawn and (whole or kind != b"IDAT")
        drawn = drawn or kind == b"IDAT"
        if kind == b"IEND":
            break
        at = end
    # A picture without a frame control is none of the animation's frames.
    pictures = frames + (frames > 1 and not controls)
    return First(b"".join(kept), pictures, orientation=orientation_of(exif, xmp))


def _text(kind: bytes, content: bytes) -> tuple[bytes, bytes]:
    """The keyword, and the text of the two that matter, decompressed as far as is allowed."""
    keyword, _, rest = content.partition(b"\0")
    if keyword not in (RAW_EXIF, XMP):
        return keyword, b""
    compressed = kind == b"zTXt" or (kind == b"iTXt" and rest[:1] == b"\1")
    if kind == b"zTXt":
        rest = rest[1:]
    elif kind == b"iTXt":  # flag, method, language, translated keyword
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    if compressed:
        with suppress(zlib.error):
            return keyword, zlib.decompressobj().decompress(rest, MAX_METADATA)
    return keyword, rest


def _unhexed(text: bytes) -> bytes:
    """ImageMagick's way to write EXIF: three lines, then hexadecimal digits."""
    try:
        return bytes.fromhex("".join(text.decode("latin-1").split("\n")[3:]))
    except ValueError:
        return b""
