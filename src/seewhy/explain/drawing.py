"""An explanation as pictures: the figure of a class, and the photo's part of the report."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from PIL import Image

from .. import __version__
from ..bibliography import BIBLIOGRAPHY
from ..core.attribution import Attribution
from ..core.method import Method
from ..errors import SeewhyError
from ..pictures import ErrorPanel, MapPanel, Panel, PicturePanel, TopPanel, figure, percentage
from ..report import PhotoEntry, TargetEntry, ViewEntry
from ..synthesis import Visualization
from .explainer import CLASS_VISUALIZATION, Explained, Explainer, Explanation

VISUALIZATION_FORMULA = "argmax over I of f(I) − λ‖I‖²"
VISUALIZATION_MISLEADS = (
    "It shows what raises the score most, not what the class looks like to people: plain ascent finds fine "
    "patterns that no photo has, and says nothing about this photo."
)


def draw(explanation: Explanation, found: Explained, explainer: Explainer) -> Image.Image:
    """The figure of one class of one photo."""
    target, classifier, crop = found.target, explainer.classifier, explanation.crop
    width, height = explanation.photo.image.size
    panels: list[Panel] = [
        PicturePanel("What the model saw", crop, f"{crop.width} × {crop.height}, from {width} × {height}"),
        TopPanel(
            f"Top {len(explanation.top)}",
            tuple((entry.name, entry.probability) for entry in explanation.top),
            explanation.probabilities,
            (target.name,),
        ),
        *(view.panel for view in _view_entries(explanation, found, explainer)),
    ]
    return figure(
        panels,
        title=f"Why {target.name}?",
        subtitle=f"{explanation.photo.path.name} · {percentage(target.probability)} · score {target.score:.2f} · "
        f"{classifier.name}",
        warning="; ".join(explanation.model_notes),
        footer=f"seewhy {__version__} · weights sha256 {classifier.weights_hash[:12]} · raw values, never normalised; "
        "each map has its own scale",
    )


def photo_entry(explanation: Explanation, explainer: Explainer) -> PhotoEntry:
    """The photo's part of the report."""
    targets = tuple(
        TargetEntry(
            name=found.target.name,
            index=found.target.index,
            score=found.target.score,
            probability=found.target.probability,
            views=_view_entries(explanation, found, explainer),
        )
        for found in explanation.targets
    )
    return PhotoEntry(
        path=str(explanation.photo.path),
        crop=explanation.crop,
        top=tuple((entry.name, entry.probability) for entry in explanation.top),
        targets=targets,
        preprocessing=str(explainer.classifier.transform),
        notes=explanation.notes,
    )


def _view_entries(explanation: Explanation, found: Explained, explainer: Explainer) -> tuple[ViewEntry, ...]:
    entries = [_view_entry(method, found.views[method.id], explanation.crop) for method in explainer.request.methods]
    if (made := found.visualization) is not None:
        caption = f"{_reached(made)}{len(made.history)} steps of ascent, preset {made.params['preset']}"
        entries.append(
            ViewEntry(
                PicturePanel("Class visualization", to_image(made.images[0]), caption),
                VISUALIZATION_FORMULA,
                str(BIBLIOGRAPHY["simonyan2013"]),
                VISUALIZATION_MISLEADS,
                _readable(made.params),
            )
        )
    if isinstance(error := found.views.get(CLASS_VISUALIZATION), SeewhyError):
        entries.append(ViewEntry(ErrorPanel("Class visualization", str(error)), VISUALIZATION_FORMULA))
    return tuple(entries)


def _view_entry(method: Method, view: Attribution | SeewhyError, crop: Image.Image) -> ViewEntry:
    panel: MapPanel | ErrorPanel
    if isinstance(view, SeewhyError):
        panel = ErrorPanel(method.title, str(view))
    else:
        kind = "diverging" if method.signed else None
        panel = MapPanel(method.title, view.values[0].cpu().numpy(), crop, _caption(view), kind)  # type: ignore[arg-type]
    return ViewEntry(panel, method.formula, str(BIBLIOGRAPHY[method.source]), method.misleads, _readable(method.params))


_MAGNITUDES = {
    "square": "square, largest over colour",
    "abs": "magnitude, largest over colour",
    "signed": "with its sign",
}


def _caption(view: Attribution) -> str:
    parts = []
    if view.layer:
        height, width = view.values.shape[-2:]
        parts.append(view.layer + (f", {height} × {width}" if (height, width) != view.input_size else ""))
    if view.overridden:
        parts.append(f"{view.overridden} ReLU nodes overridden")
    if (windows := view.details.get("windows")) is not None:
        top, left, bottom, right = windows[0].tolist()
        parts.append(f"{len(windows)} masks of {bottom - top} × {right - left}")
    if magnitude := _MAGNITUDES.get(str(view.params.get("magnitude"))):
        parts.append(magnitude)
    return " · ".join(parts)


def _reached(made: Visualization) -> str:
    if made.score is None:
        return ""
    probability = "" if made.probability is None else f" · {percentage(float(made.probability[0]))}"
    return f"score {float(made.score[0]):.1f}{probability} after "


def _readable(params: Mapping[str, object]) -> dict[str, str]:
    """Parameters for people: short numbers, and "default" for what was left open."""
    return {name.replace("_", " "): _short(value) for name, value in params.items()}


def _short(value: object) -> str:
    if value is None:
        return "default"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        if not value:
            return "none"
        each = [_short(item) for item in value]
        return (
            each[0]
            if len(set(each)) == 1 and len(each) == 3
            else " × ".join(each)
            if len(each) == 2
            else ", ".join(each)
        )
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def to_image(pixels: torch.Tensor) -> Image.Image:
    """(C, H, W) in [0, 1] as a picture; one channel as grey."""
    array = (pixels.detach().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array).convert("RGB")
