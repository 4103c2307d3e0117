"""The pieces of a figure: each knows its title, its caption and how to draw its picture at any size."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from PIL import Image

from seewhy.pictures.colormaps import OWN, Floats, Kind, Scale
from seewhy.pictures.overlay import blended, is_fine, one_channel, overlay

USUAL = 224  # pixels of a picture's longer side, at least, where it is looked at
PIXELATED = 4  # a picture enlarged so many times or more keeps its pixels visible


@dataclass(frozen=True)
class PicturePanel:
    """A picture as it is: the model's crop, a class visualization."""

    title: str
    image: Image.Image
    caption: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the picture in its own pixels."""
        return self.image.size

    def picture(self, size: tuple[int, int]) -> Image.Image:
        """The picture at (width, height), RGB."""
        return enlarge(self.image, size)


@dataclass(frozen=True)
class MapPanel:
    """A map over the crop it explains.

    Attributes:
        title: the method's name.
        values: (h, w), (1, h, w) or (C, h, w), finite, raw, any resolution.
        base: exactly what the model saw.
        caption: layer, window, overridden nodes.
        facts: what must not be cut off, such as how much of the score the largest value is; a line each.
        kind: ``"diverging"`` for a map that could be negative even if this one is not; None decides by sign.
        at_least, limit: of the scale, see :meth:`Scale.of`.
        colormap, opacity: see ``overlay.blended``.
    """

    title: str
    values: Floats = field(repr=False)
    base: Image.Image = field(repr=False)
    caption: str = ""
    facts: tuple[str, ...] = ()
    kind: Kind | None = None
    at_least: float = 0.0
    limit: float | None = None
    colormap: str = OWN
    opacity: float = 1.0

    @cached_property
    def scale(self) -> Scale:
        """What the colours stand for."""
        return Scale.of(one_channel(self.values), self.kind, at_least=self.at_least, limit=self.limit)

    @cached_property
    def fine(self) -> bool:
        """Whether the map is drawn as a pixel-fine one: at whatever size it is drawn, so that its colour bar fits."""
        width, height = self.size
        factor = max(1.0, USUAL / max(width, height))
        return is_fine(one_channel(self.values), (round(width * factor), round(height * factor)))

    def bar(self, size: tuple[int, int]) -> Image.Image:
        """The colour bar at (width, height), RGB: from the low to the high end of the scale, and from top to bottom
        every colour that a value has on the photo, over its light parts and over its dark ones.
        """
        return colour_bar(self.scale, self.fine, size, self.colormap, self.opacity)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the crop."""
        return self.base.size

    def picture(self, size: tuple[int, int]) -> Image.Image:
        """The map over the crop at (width, height), RGB."""
        return overlay(
            enlarge(self.base, size), self.values, scale=self.scale, fine=self.fine,
            colormap=self.colormap, opacity=self.opacity,
        )  # fmt: skip


@dataclass(frozen=True)
class TopPanel:
    """The most probable classes.

    Attributes:
        title: what is listed.
        rows: (name, probability 0..1), the most probable first.
        caption: anything to say about them.
        marked: names of the classes that are explained.
    """

    title: str
    rows: tuple[tuple[str, float], ...]
    caption: str = ""
    marked: tuple[str, ...] = ()


@dataclass(frozen=True)
class ErrorPanel:
    """A method that did not apply, or failed: its place in the figure says why."""

    title: str
    message: str


Panel = PicturePanel | MapPanel | TopPanel | ErrorPanel


def enlarge(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize for display: smoothly, but small pictures such as CIFAR's keep their pixels visible."""
    image = image.convert("RGB")
    if size == image.size:
        return image
    how = Image.Resampling
    pixelated = size[0] >= PIXELATED * image.width
    return image.resize(size, how.NEAREST if pixelated else how.LANCZOS)


def colour_bar(
    scale: Scale, fine: bool, size: tuple[int, int], colormap: str = OWN, opacity: float = 1.0
) -> Image.Image:
    """What ``MapPanel.bar`` gives."""
    colours = blended(scale.kind, fine, colormap, opacity)[::-1]
    if scale.high == 0:  # one colour only: that of zero
        zero = 0 if scale.kind == "sequential" else colours.shape[1] // 2
        colours = colours[:, zero : zero + 1]
    down, across = (
        np.linspace(0, n - 1, m).round().astype(int) for n, m in zip(colours.shape, size[::-1], strict=False)
    )
    return Image.fromarray(colours[down][:, across])
