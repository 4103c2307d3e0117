"""BMP and PPM, where a few kinds are decoded in Python, and AVIF, whose EXIF Pillow copies tag by tag."""

from __future__ import annotations

import re
import struct

from seewhy.pictures.containers.bounds import MAX_PARTS, MAX_SLOW_BYTES, MAX_SLOW_PIXELS, Laborious, Parts
from seewhy.pictures.containers.first import First
from seewhy.pictures.containers.metadata import Layout

RUN_LENGTH = (1, 2)
PLAIN = (b"P1", b"P2", b"P3")
LONGEST_HEADER = 256
_BETWEEN = re.compile(rb"(?:\s|#[^\r\n]*(?:[\r\n]|\Z))+")
_COMMENT = re.compile(rb"#[^\r\n]*")
MAX_EXIF = 2**26
"""Bytes that the tags of an AVIF's EXIF may ask for."""
MAX_PLACES = 100
"""Where an AVIF may have what looks like the beginning of EXIF: one in four billion bytes does by chance."""
LARGEST_DIRECTORY = 65536 * 12 + 2**16


def check_bmp(data: bytes) -> First:
    """As it is; run-length coding is bounded."""
    if len(data) < 34 or struct.unpack_from("<I", data, 14)[0] < 40:
        return First(data)
    width, height = (abs(side) for side in struct.unpack_from("<ii", data, 18))
    if struct.unpack_from("<I", data, 30)[0] in RUN_LENGTH:
        _check_slow(width * height, len(data), "a run-length coded BMP")
    return First(data, 1, orientation=1)


def first_of_ppm(data: bytes) -> First:
    """With a header that has no comments; of plain text, the pixels without them too."""
    magic = data[:2]
    if re.fullmatch(rb"P[1-6f]", magic) is None:
        return First(data)
    plain, at, words = magic in PLAIN, 2, [magic]
    for _ in range(2 if magic in (b"P1", b"P4") else 3):
        between = _BETWEEN.match(data, at)
        word = re.compile(rb"[^\s#]{1,40}").match(data, between.end() if between else at)
        if between is None or word is None:
            return First(data[:LONGEST_HEADER])  # broken: the decoder says so
        words.append(word[0])
        at = word.end()
    if plain and words[1].isdigit() and words[2].isdigit():
        _check_slow(int(words[1]) * int(words[2]), len(data), "a PPM in plain text")
    rest = data[at:]
    if plain and rest.count(b"#") > MAX_PARTS:
        raise Laborious("has too many comments", f"at most {MAX_PARTS:,}", "more")
    if plain:
        rest = b"\n" + _COMMENT.sub(b"", rest)
    elif rest.startswith(b"#"):
        rest = rest[_COMMENT.match(rest).end() :]  # type: ignore[union-attr]  # it begins with one
    return First(b" ".join(words) + rest, 1, orientation=1)


def check_avif(data: bytes) -> None:
    """Refuse EXIF whose tags ask for too much: Pillow copies the value of each.

    Raises:
        Laborious: they do.
    """
    parts, left = Parts("places that could be EXIF", MAX_PLACES), MAX_EXIF
    for signature in (b"II*\0", b"MM\0*"):
        at = data.find(signature)
        while at >= 0:
            parts.one_more()
            exif = data[at : at + LARGEST_DIRECTORY]
            if (layout := Layout.of(exif)) is not None:
                left -= sum(min(entry.size, len(data)) for entry in layout.entries(exif, layout.first(exif)))
            if left < 0:
                raise Laborious("has EXIF that asks for too much", f"at most {MAX_EXIF / 2**20:g} MiB", "more")
            at = data.find(signature, at + 1)


def _check_slow(pixels: int, size: int, what: str) -> None:
    if pixels > MAX_SLOW_PIXELS:
        got = f"{pixels / 1e6:.0f} megapixels"
        raise Laborious(f"is {what}, which is slow", f"at most {MAX_SLOW_PIXELS / 1e6:g} megapixels", got)
    if size > MAX_SLOW_BYTES:
        raise Laborious(
            f"is {what}, which is slow", f"at most {MAX_SLOW_BYTES / 2**20:g} MiB", f"{size / 2**20:.0f} MiB"
        )
