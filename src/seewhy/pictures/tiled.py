"""Pictures of one size side by side."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image


def tiled(images: Sequence[Image.Image], gap: int = 4) -> Image.Image:
    """Pictures of one size in a grid as square as can be, RGB.

    Args:
        images: at least one.
        gap: white pixels between them.
    """
    if len(images) == 1:
        return images[0].convert("RGB")
    columns = next(n for n in range(1, len(images) + 1) if n * n >= len(images))
    rows = -(-len(images) // columns)
    width, height = images[0].size
    canvas = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    for index, image in enumerate(images):
        canvas.paste(image.convert("RGB"), ((index % columns) * (width + gap), (index // columns) * (height + gap)))
    return canvas
