"""An explanation as the viewer is given it: JSON with small pictures and maps in it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..legible import in_one_line
from ..models.prediction import AFTER_SOFTMAX, Ranked
from ..pictures.notebook import encoded
from ..pictures.overlay import one_channel, upsample
from ..viewer.planes import sent
from .as_code import as_code
from .explanation import Explained, Explanation
from .readable import readable
from .view import View

LONGEST = 4000
"""Characters of any one text: a hostile label may be a megabyte long."""

CROP, CLASS_PICTURE, WHOLE = 82, 80, 60
"""How well the crop, the image of a class and the whole photo are encoded, 0..100."""

WHOLE_SIDE = 320
"""Pixels of the whole photo's longer side, which only shows where the crop lies."""

FACTORS = ("grad_cam", "guided_backprop")
"""Guided Grad-CAM is sent as the product that it is, where both of its factors are sent and give it."""


class Ready(str):
    """Text made here, a picture or the values of a map, which is neither cut nor looked at. What comes from outside is
    never taken for it, whatever it begins with.
    """


def viewed(explanation: Explanation) -> dict[str, Any]:
    """Everything that the viewer shows of a photo, ready for JSON, without NaN.

    Maps are planes at native resolution, one channel each (at each place the channel of largest magnitude, with its
    sign), see ``viewer.planes``; pictures are data URIs. Every text is legible: no character in it acts.
    """
    photo, model, made = explanation.photo, explanation.model, explanation.made
    shown: dict[str, Any] = _legible({
        "photo": {
            "name": photo.name,
            "path": photo.path,
            "size": list(photo.size),
            "crop": data_uri(photo.crop, CROP),
            "cropSize": list(photo.crop.size),
            "whole": None if photo.whole is None else data_uri(_small(photo.whole), WHOLE),
            "box": None if photo.box is None else list(photo.box),
            "notes": list(photo.notes),
        },
        "truth": explanation.truth,
        "right": explanation.right,
        "top": [_ranked(entry) for entry in explanation.top],
        "probabilities": "" if explanation.probabilities == AFTER_SOFTMAX else explanation.probabilities,
        "model": {
            "spec": model.spec,
            "weights": model.weights_sha256,
            "preprocessing": model.preprocessing,
            "notes": list(model.notes),
        },
        "sharedScale": explanation.shared_scale,
        "targets": [_explained(explanation, found) for found in explanation.targets],
        "made": {"seewhy": made.seewhy, "created": made.created, "command": made.command},
        "code": as_code(explanation),
    })  # fmt: skip
    return shown


def data_uri(image: Image.Image, quality: int) -> Ready:
    """A picture as text of a page: WebP, or JPEG where Pillow was built without."""
    kind, data = encoded(image, quality, effort=2)
    return Ready(f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}")


def _small(whole: Image.Image) -> Image.Image:
    small = whole.copy()
    small.thumbnail((WHOLE_SIDE, WHOLE_SIDE))
    return small


def _explained(explanation: Explanation, found: Explained) -> dict[str, Any]:
    arrived: dict[str, NDArray[np.floating]] = {}
    return {
        "key": found.key,
        "name": found.name,
        "target": _ranked(found.target),
        "against": None if found.against is None else _ranked(found.against),
        "score": found.score,
        "views": [_view(explanation, view, arrived) for view in found.views.values()],
    }


def _view(explanation: Explanation, view: View, arrived: dict[str, NDArray[np.floating]]) -> dict[str, Any]:
    about: dict[str, Any] = {
        "id": view.id,
        "title": view.title,
        "formula": view.formula,
        "source": view.source,
        "misleads": view.misleads,
        "params": readable(view.params),
        "caption": view.caption,
        "facts": list(view.facts),
        "notes": list(view.notes),
    }
    if view.visualization is not None:
        return {**about, "kind": "picture", "picture": data_uri(view.visualization.to_image(), CLASS_PICTURE)}
    if view.attribution is None:
        return {**about, "kind": "error", "error": view.error}
    panel = explanation.panel(view, scale="own")
    amount = view.amount
    return {
        **about,
        "kind": "map",
        "plane": _plane(view, one_channel(panel.values), arrived),
        "scale": {"high": panel.scale.high, "diverging": panel.scale.kind == "diverging"},
        "fine": panel.fine,
        "share": None if amount is None else {
            "most": amount.share,
            "perUnit": amount.per_unit,
            "root": view.params.get("magnitude") == "square",
        },
    }  # fmt: skip


def _plane(view: View, values: NDArray[np.floating], arrived: dict[str, NDArray[np.floating]]) -> dict[str, Any]:
    """A map on its way; ``arrived`` are those before it."""
    factors = [arrived[id] for id in FACTORS if id in arrived]
    if view.attribution is not None and view.attribution.method == "guided_grad_cam" and len(factors) == len(FACTORS):
        cam, guided = factors
        product = upsample(cam, (guided.shape[1], guided.shape[0])) * guided
        error = float(np.abs(product - values).max()) if product.shape == values.shape else np.inf
        if error <= float(np.abs(values).max()) / 127:  # as near as a plane of its own would be, within a factor of 2
            return {"width": values.shape[1], "height": values.shape[0], "kind": "product", "step": 2 * error,
                    "of": list(FACTORS)}  # fmt: skip
    about, arrived[view.id] = sent(values)
    return {**about, "data": Ready(about["data"])}


def _ranked(entry: Ranked) -> dict[str, Any]:
    return {"index": entry.index, "name": entry.name, "score": entry.score, "probability": entry.probability}


def _legible(value: Any) -> Any:
    """The same with legible texts, names of members among them, and null where JSON has no number."""
    if isinstance(value, str):
        return value if isinstance(value, Ready) else in_one_line(value, LONGEST)
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {in_one_line(key, LONGEST): _legible(each) for key, each in value.items()}
    return [_legible(each) for each in value] if isinstance(value, list | tuple) else value
