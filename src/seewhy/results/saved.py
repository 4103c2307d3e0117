"""An explanation as a folder: explanation.json, maps.npz, the photo, the images of classes, and figures."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..core.attribution import Attribution, jsonable
from ..errors import OutputError
from ..files import make_folder, write_arrays, write_atomically, write_bytes, write_text
from ..legible import in_one_line
from ..models.prediction import Ranked
from ..pictures.encoded import png_bytes
from .drawing import Ink, draw
from .explanation import Explained, Explanation
from .view import View

FORMAT = 1
"""Raised when older readers could not understand what is written."""

OURS = re.compile(r"figure(-(not-)?\d+(-rather-than-\d+)?)?\.png|(not-)?class-\d+\.png|whole\.(webp|jpg)")
"""Names of the pictures that an explanation may write, or not."""

ABOUT, MAPS, CROP = "explanation.json", "maps.npz", "crop.png"


def check_folder(path: Path, overwrite: bool) -> None:
    """That a result can be written here; said before the work, not after.

    Raises:
        OutputError: something is there already and ``overwrite`` is False, or it can be no folder to write into.
    """
    name = in_one_line(path)
    if not os.path.lexists(path):
        return
    try:
        if not overwrite and (not path.is_dir() or any(path.iterdir())):
            raise OutputError(f"{name} exists; use --force (overwrite=True) to replace what is in it")
        if not path.is_dir():
            raise OutputError(f"{name} cannot be used as a folder: something else is there")
        if not os.access(path, os.W_OK | os.X_OK):
            raise OutputError(f"{name} cannot be used as a folder: nothing may be written into it")
    except PermissionError as error:
        raise OutputError(f"{name} cannot be used as a folder: {error.strerror}") from error


def save(explanation: Explanation, folder: Path, ink: Ink, *, figure: bool, overwrite: bool) -> Path:
    """See ``Explanation.save``. The JSON is written last, and an earlier one goes first: where it is, the rest is."""
    check_folder(folder, overwrite)
    make_folder(folder)
    if overwrite:
        _clear(folder)
    arrays, places = _arrays(explanation)
    with write_atomically(folder / MAPS, overwrite=overwrite) as file:
        write_arrays(file, arrays)
    pictures = {CROP: explanation.photo.crop}
    for found in explanation.targets:
        for view in found.views.values():
            if view.visualization is not None:
                pictures[_class_picture(found)] = view.visualization.to_image()
    for name, picture in pictures.items():
        write_picture(folder / name, picture, overwrite=overwrite)
    if (whole := explanation.photo.whole_file) is not None:
        write_bytes(folder / str(explanation.photo.whole_name), whole, overwrite=overwrite)
    if figure:
        for name, found in figures(explanation).items():
            write_picture(folder / name, draw(explanation, found, ink), overwrite=overwrite)
    text = json.dumps(describe(explanation, places), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(folder / ABOUT, text + "\n", overwrite=overwrite)
    return folder


def _clear(folder: Path) -> None:
    """Remove an earlier result, whose figures may be of other targets; other files stay."""
    if not (folder / ABOUT).exists():
        return
    earlier = [folder / ABOUT, *(path for path in folder.iterdir() if OURS.fullmatch(path.name))]
    for path in earlier:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{in_one_line(path)} cannot be replaced: {error.strerror}") from error


def write_picture(path: Path, picture: Any, *, overwrite: bool) -> None:
    """Write a PNG, whole or not at all."""
    write_bytes(path, png_bytes(picture), overwrite=overwrite)


def figures(explanation: Explanation) -> dict[str, Explained]:
    """File name -> the target that it shows."""
    first, *others = explanation.targets
    return {"figure.png": first, **{f"figure-{found.key}.png": found for found in others}}


Places = Mapping[int, tuple[str, int]]
"""The id of a view's attribution -> the array that holds its values, and in which row."""


def _arrays(explanation: Explanation) -> tuple[dict[str, Any], Places]:
    """Per view one array (targets, 1 or C, h, w), raw, and one for each of the method's details."""
    arrays: dict[str, Any] = {"targets": np.array([found.target.index for found in explanation.targets])}
    places: dict[int, tuple[str, int]] = {}
    for key in dict.fromkeys(key for found in explanation.targets for key in found.views):
        views = [found.views[key] for found in explanation.targets if key in found.views]
        maps = [view.attribution for view in views if view.attribution is not None]
        alike = len({_shapes(each) for each in maps}) <= 1
        for number, part in enumerate([maps] if alike else [[each] for each in maps]):
            name = key if alike else f"{key}.{number}"
            places |= {id(each): (name, row) for row, each in enumerate(part)}
            if part:
                arrays[name] = np.concatenate([each.values.numpy() for each in part])
                for detail in part[0].details:
                    arrays[f"{name}.{detail}"] = np.stack([each.details[detail].numpy() for each in part])
    for found in explanation.targets:
        for view in found.views.values():
            if (made := view.visualization) is not None:
                arrays[course_of(found.target.index)] = np.stack([made.history[:, 0], made.objective[:, 0]])
    return arrays, places


def course_of(index: int) -> str:
    """The array of how an ascent went, (2, steps): the score before each step, and what was ascended."""
    return f"class-{index}.course"


def _shapes(found: Attribution) -> tuple[Any, ...]:
    return (tuple(found.values.shape), *((name, tuple(part.shape)) for name, part in found.details.items()))


def _class_picture(found: Explained) -> str:
    return f"{'not-' if found.target.sign < 0 else ''}class-{found.target.index}.png"


def describe(explanation: Explanation, places: Places | None = None) -> dict[str, Any]:
    """Everything but numbers and pictures, ready for JSON: what made the explanation, and what it says."""
    photo, model, made = explanation.photo, explanation.model, explanation.made
    places = _arrays(explanation)[1] if places is None else places
    about: dict[str, Any] = jsonable({
        "format": FORMAT,
        "seewhy": made.seewhy,
        "versions": made.versions,
        "created": made.created,
        "command": made.command,
        "photo": {
            "path": photo.path,
            "sha256": photo.sha256,
            "size": photo.size,
            "crop": CROP,
            "whole": photo.whole_name,
            "box": photo.box,
            "notes": (*model.notes, *photo.notes),
        },
        "model": {
            **model.provenance,
            "spec": model.spec,
            "weights_sha256": model.weights_sha256,
            "preprocessing_in_words": model.preprocessing,
            "notes": model.notes,
        },
        "truth": explanation.truth,
        "probabilities": explanation.probabilities,
        "top5": [_ranked(entry) for entry in explanation.top],
        "shared_scale": explanation.shared_scale,
        "targets": [_explained(found, places) for found in explanation.targets],
        "seconds": made.seconds,
    })  # fmt: skip
    return about


def _ranked(entry: Ranked) -> dict[str, Any]:
    sign = {"sign": entry.sign} if entry.sign < 0 else {}
    return {"index": entry.index, "name": entry.name, "score": entry.score, "probability": entry.probability, **sign}


def _explained(found: Explained, places: Places) -> dict[str, Any]:
    against = {} if found.against is None else {"against": _ranked(found.against)}
    return {
        **_ranked(found.target),
        **against,
        "explained_score": found.score,
        "methods": {id: _view(view, found, places) for id, view in found.views.items()},
        "forwards": found.forwards,
        "backwards": found.backwards,
    }


def _view(view: View, found: Explained, places: Places) -> dict[str, Any]:
    about = {
        "title": view.title, "formula": view.formula, "source": view.source, "misleads": view.misleads,
        "params": view.params, "signed": view.signed,
    }  # fmt: skip
    if view.error is not None:
        return {**about, "error": view.error, "error_kind": view.error_kind}
    about |= {"caption": view.caption, "said": view.notes}
    if (made := view.visualization) is not None:
        return {
            **about,
            "image": _class_picture(found),
            "score": None if made.score is None else float(made.score[0]),
            "probability": None if made.probability is None else float(made.probability[0]),
            "interrupted": made.interrupted,
        }
    assert view.attribution is not None
    map_ = view.attribution
    array, row = places[id(map_)]
    return {
        **about,
        "amount": None if view.amount is None else vars(view.amount),
        "method": map_.method,
        "layer": map_.layer,
        "overridden": map_.overridden,
        "notes": map_.notes,
        "shared": sorted(map_.shared),
        "array": array,
        "row": row,
        "shape": list(map_.values.shape[1:]),
        "min": float(map_.values.min()),
        "max": float(map_.values.max()),
    }
