"""JPEG: segments and scans."""

from __future__ import annotations

import re
import struct

from seewhy.pictures.containers.bounds import MAX_MARKERS, MAX_METADATA, MAX_SCANNED, MAX_SCANS, Laborious, Parts
from seewhy.pictures.containers.first import First
from seewhy.pictures.containers.metadata import PICTURES_OF_MPO, exif_number, orientation_of

START, END = b"\xff\xd8", b"\xff\xd9"
SCAN, COMMENT, JFIF, EXIF, APP2, ADOBE = 0xDA, 0xFE, 0xE0, 0xE1, 0xE2, 0xEE
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
# Not 00, which follows an FF of the data; nor fill, nor what has no length: TEM and the restarts.
_MARKER = re.compile(rb"\xff([^\xff\x00\x01\xd0-\xd7])")
XMP = b"http://ns.adobe.com/xap/1.0/\0"


def first_of_jpeg(data: bytes) -> First:
    """The first picture: its tables, frame and scans; nothing of comments, profiles, and what lies between segments."""
    kept, exif, xmp, pictures = [START], b"", None, 1
    parts, scans, pixels, at = Parts("segments"), 0, 0, 2
    seen: set[int] = set()
    if data.count(b"\xff") > MAX_MARKERS:
        raise Laborious("has too many bytes that could be markers", f"at most {MAX_MARKERS:,}", "more")
    while (marker := _MARKER.search(data, at)) is not None:
        kind, at = marker[1][0], marker.end()
        if kind == 0xD9:
            kept.append(END)
            break
        if kind == 0xD8:
            continue
        parts.one_more()
        length = int.from_bytes(data[at : at + 2], "big")
        segment = data[at : at + length]
        if length < 2 or len(segment) < length:
            kept.append(data[marker.start() :])  # cut, or broken: the decoder says so
            break
        at += length
        content = segment[2:]
        if kind == EXIF and content.startswith(b"Exif\0\0") and len(exif) < MAX_METADATA:
            exif += content[6:] if exif else content
        elif kind == EXIF and content.startswith(XMP):
            xmp = content[len(XMP) :] if xmp is None else xmp
        elif kind == APP2 and content.startswith(b"MPF\0"):
            pictures = max(pictures, exif_number(content[4:], PICTURES_OF_MPO) or 1)
        if kind in (JFIF, ADOBE):  # they say how colours are meant
            if kind not in seen:
                kept.append(marker[0] + segment)
            seen.add(kind)
        elif not (JFIF <= kind <= 0xEF or kind == COMMENT):
            kept.append(marker[0] + segment)
        if kind in FRAMES and length >= 8:
            pixels = struct.unpack(">HH", content[1:5])[0] * struct.unpack(">HH", content[1:5])[1]
        if kind == SCAN:
            scans += 1
            _check(scans, pixels)
            following = _MARKER.search(data, at)
            until = len(data) if following is None else following.start()
            kept.append(data[at:until])
            at = until
    return First(b"".join(kept), pictures, orientation=orientation_of(exif or None, xmp))


def _check(scans: int, pixels: int) -> None:
    if scans > MAX_SCANS:
        raise Laborious("has too many scans", f"at most {MAX_SCANS}", "more")
    if scans * pixels > MAX_SCANNED:
        got = f"more than {MAX_SCANNED // pixels} scans of {pixels / 1e6:.0f} megapixels"
        raise Laborious("has too many scans", f"at most {MAX_SCANNED / 1e6:,.0f} megapixels in all of them", got)
