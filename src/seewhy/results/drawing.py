"""An explanation as a figure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from PIL import Image

from ..pictures import ErrorPanel, Panel, PicturePanel, TopPanel, figure, percentage
from ..pictures.colormaps import OWN, find_colormap
from ..pictures.overlay import check_opacity
from .explanation import Explained, Explanation
from .scales import find_scale
from .view import View


@dataclass(frozen=True)
class Ink:
    """How the maps of a figure are drawn: see ``Explanation.to_image``."""

    scale: str | None = None
    colormap: str = OWN
    opacity: float = 1.0

    @classmethod
    def of(cls, scale: str | None, colormap: str, opacity: float) -> Ink:
        """The same, checked.

        Raises:
            InputError: there is no such scale or colour map, or ``opacity`` is not in 0..1.
        """
        return cls(None if scale is None else find_scale(scale), find_colormap(colormap), check_opacity(opacity))


SAID = {
    "own": "each map has its own scale",
    "shared": "each method has one scale for all targets",
    "share": "each method's scale ends at one share of the score for all targets",
}


def draw(explanation: Explanation, found: Explained, ink: Ink) -> Image.Image:
    """Every view of one target: what the model saw and said, the maps, the image of the class."""

    def place(view: View) -> Panel:
        return panel_of(explanation, view, ink)

    crop, made = explanation.photo.crop, explanation.made
    width, height = explanation.photo.size
    target, against = found.target, found.against
    truth = "" if explanation.truth is None else f" · truly {explanation.truth}"
    if against is None:
        said = f"{percentage(target.probability)} · score {target.score:.2f}"
    else:
        said = f"score {target.score:.2f} rather than {against.score:.2f}: a difference of {found.score:.2f}"
    marked = (target.name,) if against is None else (target.name, against.name)
    scale = SAID[ink.scale or explanation.usual_scale]
    methods = Counter(view.attribution.method for view in found.views.values() if view.attribution is not None)
    groups = [
        [view for view in found.views.values() if view.attribution is not None and view.attribution.method == method]
        for method, count in methods.items() if count > 1
    ]  # fmt: skip
    grouped = {view.id for group in groups for view in group}
    size = f"{crop.width} × {crop.height}, from {width} × {height}"
    panels: list[Panel] = [
        PicturePanel("What the model saw", crop, "; ".join([size, *explanation.photo.notes])),
        TopPanel(
            f"Top {len(explanation.top)}",
            tuple((entry.name, entry.probability) for entry in explanation.top),
            explanation.probabilities,
            marked,
        ),
        *(place(view) for view in found.views.values() if view.id not in grouped),
    ]
    return figure(
        panels,
        title=found.title,
        together=[[place(view) for view in group] for group in groups],
        subtitle=f"{explanation.photo.name} · {said}{truth} · {explanation.model.spec}",
        warning="; ".join(explanation.model.notes),
        footer=f"seewhy {made.seewhy} · weights sha256 {explanation.model.weights_sha256[:12]} · "
        f"raw values, never normalised; {scale}",
    )


def panel_of(explanation: Explanation, view: View, ink: Ink) -> Panel:
    """A view's place in a figure."""
    if view.attribution is not None:
        return explanation.panel(view, scale=ink.scale, colormap=ink.colormap, opacity=ink.opacity)
    if view.visualization is not None:
        return PicturePanel(view.title, view.visualization.to_image(), view.caption)
    return ErrorPanel(view.title, view.error or "")
