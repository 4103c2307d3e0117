"""Labelled sheets: the pictures of a run side by side, and a picture among the photos of its unit."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from .. import __version__
from ..exemplars import Exemplar, Exemplars
from ..pictures import Panel, PicturePanel, figure


def sheet(pictures: Sequence[tuple[str, Image.Image, str]], *, title: str, subtitle: str = "") -> Image.Image:
    """Each of ``pictures`` is a title, a picture, and a caption."""
    panels: list[Panel] = [PicturePanel(name, image, caption) for name, image, caption in pictures]
    return figure(panels, title=title, subtitle=subtitle, footer=f"seewhy {__version__}")


def photo_sheet(found: Exemplars, *, title: str, label: str) -> Image.Image:
    """The photos that excite a unit most, then those that excite it least, each cut to the part that did."""
    panels: list[Panel] = [_panel("Most", number, each) for number, each in enumerate(found.top, 1)]
    panels += [_panel("Least", number, each) for number, each in enumerate(found.bottom, 1)]
    return figure(panels, title=title, subtitle=f"{label} · {found.looked} photos", footer=f"seewhy {__version__}")


def _panel(kind: str, number: int, found: Exemplar) -> PicturePanel:
    return PicturePanel(f"{kind} {number}", found.part, f"{found.value:.2f} · {found.path.name}")
