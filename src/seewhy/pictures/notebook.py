"""Pictures in notebooks."""

from __future__ import annotations

import base64
import html
import io
import sys

from PIL import Image, features

QUALITY = 88


def img(image: Image.Image, alt: str) -> str:
    """An ``<img>`` that holds the picture; as wide as there is place, and no wider than half its pixels."""
    kind, data = encoded(image, QUALITY)
    source = f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
    style = f"width:100%;max-width:{image.width // 2}px;height:auto;background:#fff"
    return f'<img src="{source}" alt="{html.escape(alt)}" style="{style}">'


SMALL = 64
"""Pixels of a side up to which a picture is encoded without loss: WebP keeps colours at half the resolution."""


def encoded(image: Image.Image, quality: int, effort: int = 2) -> tuple[str, bytes]:
    """The picture for a page, with its MIME type: WebP, or JPEG where Pillow was built without.

    A small one, whose single pixels are to be seen when it is enlarged, is kept as it is.
    """
    buffer = io.BytesIO()
    if features.check("webp"):
        image.save(buffer, "WEBP", quality=quality, method=effort, lossless=max(image.size) <= SMALL)
        return "image/webp", buffer.getvalue()
    image.save(buffer, "JPEG", quality=quality, subsampling=0)
    return "image/jpeg", buffer.getvalue()


def display(image: Image.Image) -> None:
    """Show a picture: in a notebook below the cell, else in the system's viewer."""
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        ipython.display.display(image)
    else:
        image.show()
