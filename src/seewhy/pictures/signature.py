"""The apparent kind of a file that could not be read as a photo; used for the error message only."""

from __future__ import annotations

import codecs

SIGNATURES = {
    b"\xff\xd8\xff": "a broken JPEG",
    b"\x89PNG\r\n": "a broken PNG",
    b"GIF8": "a broken GIF",
    b"II*\0": "a broken or truncated TIFF",
    b"MM\0*": "a broken or truncated TIFF",
    b"RIFF": "a broken WebP, or a sound or a film",
    b"%PDF": "a PDF",
    b"%!PS": "PostScript",
    b"PK\x03\x04": "a ZIP archive",
    b"\x89HDF": "HDF5",
}
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"mif1")


def looks_like(head: bytes) -> str:
    """Name the kind of a file from its first few hundred bytes."""
    for signature, kind in SIGNATURES.items():
        if head.startswith(signature):
            return kind
    if head[4:8] == b"ftyp":
        return "HEIC (export it as JPEG)" if head[8:12] in HEIC_BRANDS else "a film or an unknown ISO format"
    try:  # an incremental decoder forgives the character that the end of the head cuts in two
        text = codecs.getincrementaldecoder("utf-8")().decode(head).lstrip("\ufeff \t\r\n").lower()
    except UnicodeDecodeError:
        return "an unknown format"
    if "\0" in text:
        return "an unknown format"
    if "<svg" in text:
        return "SVG"
    return "HTML" if text.startswith(("<!doctype html", "<html")) else "text"
