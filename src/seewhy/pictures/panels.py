"""The pieces of a figure: each knows its title, its caption and how to draw its picture at any size."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from PIL import Image

from seewhy.pictures.colormaps import Floats, Kind, Scale
from seewhy.pictures.overlay import one_channel, overlay

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
        kind: ``"diverging"`` for a map that could be negative even if this one is not; None decides by sign.
    """

    title: str
    values: Floats = field(repr=False)
    base: Image.Image = field(repr=False)
    caption: str = ""
    kind: Kind | None = None

    @cached_property
    def scale(self) -> Scale:
        """What the colours stand for."""
        return Scale.of(one_channel(self.values), self.kind)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the crop."""
        return self.base.size

    def picture(self, size: tuple[int, int]) -> Image.Image:
        """The map over the crop at (width, height), RGB."""
        return overlay(enlarge(self.base, size), self.values, scale=self.scale)


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
