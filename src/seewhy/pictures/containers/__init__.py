"""A photo's container, parsed without decoding: extracts the first picture, and bounds the work of decoding it.

A small file can hold hours of work: thousands of scans, millions of empty blocks, tags that all point at the same
megabyte. Decoders bound none of it. So the parts of a file are walked here first, by the few rules that its format
has; what is walked, and what a decoder is then given, is bounded by the constants of
:mod:`seewhy.pictures.containers.bounds`.
"""

from __future__ import annotations

from seewhy.pictures.containers.bounds import Laborious
from seewhy.pictures.containers.first import First
from seewhy.pictures.containers.gif import first_of_gif
from seewhy.pictures.containers.jpeg import first_of_jpeg
from seewhy.pictures.containers.others import check_avif, check_bmp, first_of_ppm
from seewhy.pictures.containers.png import first_of_png
from seewhy.pictures.containers.tiff import first_of_tiff

__all__ = ["First", "Laborious", "first_picture"]


def first_picture(data: bytes) -> First:
    """The part of a photo's file that its first picture needs.

    What is no known format, or is broken, comes back as it is: the decoder says what is wrong with it.

    Raises:
        Laborious: decoding it would take too long, or too much memory.
    """
    for signature, find in _FORMATS.items():
        if data.startswith(signature):
            return find(data)
    if data[4:8] == b"ftyp":
        check_avif(data)
    return First(data)


_FORMATS = {
    b"\xff\xd8\xff": first_of_jpeg,
    b"\x89PNG\r\n\x1a\n": first_of_png,
    b"GIF8": first_of_gif,
    b"II": first_of_tiff,
    b"MM": first_of_tiff,
    b"BM": check_bmp,
    b"P": first_of_ppm,
}
