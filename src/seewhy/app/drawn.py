"""Photos as the page shows them: small."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from ..pictures.notebook import encoded

SMALL, THUMB = 448, 96
"""Pixels of the longer side, at most."""


def _shrunk(image: Image.Image, side: int, quality: int) -> bytes:
    if (share := side / max(image.size)) < 1:
        size = max(1, round(image.width * share)), max(1, round(image.height * share))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return encoded(image, quality)[1]


DRAWINGS: dict[str, Callable[[Image.Image], bytes]] = {
    "small": lambda image: _shrunk(image, SMALL, 85),
    "thumb": lambda image: _shrunk(image, THUMB, 75),
}
"""Kind -> how it is drawn, as WebP, or JPEG where Pillow was built without."""
