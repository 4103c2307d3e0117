"""Draws the figures of the README and the docs anew, from the embedded model and the example photos."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

import seewhy

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
WIDTH, MOST_BYTES = 1600, 400_000
"""Pixels across: twice what GitHub shows. Bytes of a figure: the README is read on slow lines too."""


def main() -> None:
    FIGURES.mkdir(parents=True, exist_ok=True)
    session = seewhy.Session()
    for name in ("chelsea", "coffee"):
        figure = session.explain(ROOT / "examples" / "photos" / f"{name}.png").figure()
        (FIGURES / f"{name}.jpg").write_bytes(small(figure))
        print(f"{name}.jpg", flush=True)


def small(figure: Image.Image) -> bytes:
    """A JPEG of the best quality that is small enough."""
    figure = figure.resize((WIDTH, round(figure.height * WIDTH / figure.width)), Image.Resampling.LANCZOS)
    for quality in range(90, 0, -5):
        buffer = io.BytesIO()
        figure.save(buffer, "JPEG", quality=quality, subsampling=0, optimize=True)  # thin lines need their full colour
        if buffer.tell() <= MOST_BYTES:
            break
    return buffer.getvalue()


if __name__ == "__main__":
    main()
