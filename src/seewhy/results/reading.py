"""A saved explanation read back: whatever a folder holds, it is what it should be or an InputError."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite, nan
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from PIL import Image

from ..core.attribution import Attribution
from ..core.saved import LONGEST_TEXT, read_arrays
from ..errors import InputError, SeewhyError
from ..legible import in_one_line
from ..models.limits import MOST_SIDE
from ..models.prediction import Ranked
from ..models.regular import read_bounded
from ..pictures import read_photo
from ..synthesis import Visualization
from .amounts import Amount
from .explanation import Explained, Explanation, Made, ModelFacts
from .saved import ABOUT, FORMAT, MAPS, course_of
from .seen import WHOLE, SeenPhoto
from .view import View

T = TypeVar("T")

MOST_TARGETS, MOST_VIEWS = 1000, 1000

MOST_WHOLE = 1 << 20
"""Bytes of the whole photo, small: noise, which compresses worst, takes a fifth of them."""

_Of: TypeAlias = "tuple[Ranked, float, tuple[int, int], int | None]"
"""The target, the score that is explained, (H, W) of the crop, and the index of the other class."""


def read(folder: Path) -> Explanation:
    """See ``Explanation.load``."""
    try:
        about = _Object(json.loads(read_bounded(folder / ABOUT, LONGEST_TEXT, InputError, ABOUT)), ABOUT)
        _check_format(about)
        arrays = read_arrays(folder / MAPS)
        return _explanation(about, arrays, folder)
    except Exception as error:  # what damaged or forged files raise depends on what is wrong with them
        reason = str(error).partition("\n")[0] or type(error).__name__
        missing = isinstance(error, FileNotFoundError)
        reason = f"there is no {ABOUT} or {MAPS} in it" if missing else reason
        what = f"{in_one_line(folder)} is not a saved explanation: {reason}"
        raise InputError(what, expected="a folder that Explanation.save or `seewhy explain` wrote") from error


class _Object:
    """A JSON object whose members are asked for with their types."""

    def __init__(self, value: Any, name: str):
        if not isinstance(value, dict):
            raise InputError(f"{name} is no object", got=type(value).__name__)
        self._value, self._name = value, name

    def get(self, key: str, kind: type[T] | tuple[type, ...], default: Any = ...) -> Any:
        """The member ``key``, which must be of this kind; a missing one is ``default`` where there is one."""
        value = self._value.get(key, default)
        if value is ...:
            raise InputError(f"{self._name} has no {key!r}")
        # True is a whole number to Python, and no count.
        wrong = isinstance(value, bool) and kind is not bool
        if value is not default and (wrong or not isinstance(value, kind)):
            raise InputError(f"{key!r} of {self._name} is wrong", expected=kind, got=type(value).__name__)
        return value

    def object(self, key: str) -> _Object:
        return _Object(self.get(key, dict), key)

    def objects(self, key: str, most: int) -> list[_Object]:
        values = self.get(key, list)
        if len(values) > most:
            raise InputError(f"{key!r} is too long", expected=f"up to {most}", got=len(values))
        return [_Object(value, key) for value in values]

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.get(key, list, [])
        if not all(isinstance(value, str) for value in values):
            raise InputError(f"{key!r} holds other things than text")
        return tuple(values)

    def number(self, key: str) -> float:
        """A number; NaN where it is null, as JSON has none."""
        value = self.get(key, (int, float), None)
        return nan if value is None else float(value)

    def count(self, key: str) -> int:
        value: int = self.get(key, int)
        if value < 0:
            raise InputError(f"{key!r} is a count", got=value)
        return value

    def pair(self, key: str, most: int) -> tuple[int, int]:
        value = self.get(key, list)
        if len(value) != 2 or not all(type(side) is int and 1 <= side <= most for side in value):
            raise InputError(f"{key!r} is width and height", expected=f"two numbers of pixels up to {most}")
        return value[0], value[1]


def _check_format(about: _Object) -> None:
    version = about.get("format", int, None)
    if version != FORMAT:
        newer = ", of a newer seewhy" if version is not None and version > FORMAT else ""
        raise InputError("its format is not known here", expected=f"format {FORMAT}", got=f"{version}{newer}")


def _explanation(about: _Object, arrays: Mapping[str, Any], folder: Path) -> Explanation:
    model, photo = about.object("model"), about.object("photo")
    crop = _picture(folder, photo.get("crop", str))
    targets = about.objects("targets", MOST_TARGETS)
    if not targets or not about.objects("top5", 1000):
        raise InputError("it explains nothing")
    provenance = about.get("model", dict)
    own = ("weights_sha256", "preprocessing_in_words")
    return Explanation(
        photo=SeenPhoto(
            photo.get("path", str), photo.get("sha256", str), photo.pair("size", 1 << 24), crop, _box(photo),
            photo.texts("notes")[len(model.texts("notes")) :], _whole(folder, photo.get("whole", str, None)),
        ),
        model=ModelFacts(
            model.get("spec", str), model.get("weights_sha256", str), model.get("preprocessing_in_words", str),
            model.texts("notes"), {name: value for name, value in provenance.items() if name not in own},
        ),
        top=tuple(map(_ranked, about.objects("top5", 1000))),
        probabilities=about.get("probabilities", str),
        targets=tuple(_explained(found, arrays, folder, (crop.height, crop.width)) for found in targets),
        made=Made(
            about.get("seewhy", str), dict(about.get("versions", dict)), about.get("created", str),
            about.number("seconds"), about.get("command", str),
        ),
        truth=about.get("truth", str, None),
        shared_scale=about.get("shared_scale", bool),
    )  # fmt: skip


def _box(photo: _Object) -> tuple[float, float, float, float] | None:
    box = photo.get("box", list, None)
    if box is None:
        return None
    if len(box) != 4 or not all(isinstance(edge, int | float) and isfinite(edge) and abs(edge) < 1e9 for edge in box):
        raise InputError("'box' is left, top, right, bottom", got=repr(box)[:40])
    left, top, right, bottom = map(float, box)
    return left, top, right, bottom


def _ranked(entry: _Object) -> Ranked:
    sign = -1 if entry.get("sign", int, 1) == -1 else 1
    return Ranked(
        entry.count("index"), entry.get("name", str), entry.number("score"), entry.number("probability"), sign
    )


def _explained(found: _Object, arrays: Mapping[str, Any], folder: Path, size: tuple[int, int]) -> Explained:
    target, other = _ranked(found), found.get("against", dict, None)
    against = None if other is None else _ranked(_Object(other, "against"))
    score = found.number("explained_score")
    views = found.get("methods", dict)
    if len(views) > MOST_VIEWS:
        raise InputError("'methods' is too long", expected=f"up to {MOST_VIEWS}", got=len(views))
    of = (target, score, size, None if against is None else against.index)
    return Explained(
        target=target,
        score=score,
        views={id: _view(id, _Object(view, id), arrays, folder, of) for id, view in views.items()},
        against=against,
        forwards=found.count("forwards"),
        backwards=found.count("backwards"),
    )


def _view(id: str, view: _Object, arrays: Mapping[str, Any], folder: Path, of: _Of) -> View:
    about: dict[str, Any] = {
        "id": id,
        **{name: view.get(name, str) for name in ("title", "formula", "source", "misleads")},
        "params": view.get("params", dict),
        "signed": view.get("signed", bool),
    }
    if (error := view.get("error", str, None)) is not None:
        return View(**about, error=error, error_kind=view.get("error_kind", str))
    about |= {"caption": view.get("caption", str), "notes": view.texts("said")}
    if (image := view.get("image", str, None)) is not None:
        return View(**about, visualization=_visualization(view, image, folder, arrays, of[0].index))
    amount = view.get("amount", dict, None)
    return View(
        **about,
        amount=None if amount is None else _amount(_Object(amount, "amount")),
        attribution=_attribution(view, arrays, *of),
    )


def _amount(amount: _Object) -> Amount:
    return Amount(amount.number("share"), amount.get("per_unit", bool), amount.number("at_least"))


def _attribution(
    view: _Object, arrays: Mapping[str, Any], target: Ranked, score: float, size: tuple[int, int], against: int | None
) -> Attribution:
    name, row = view.get("array", str), view.count("row")
    of = {key.removeprefix(f"{name}."): value for key, value in arrays.items() if key.startswith(f"{name}.")}
    values = arrays.get(name)
    if values is None or values.dim() != 4 or row >= len(values) or not values.is_floating_point():
        raise InputError(f"{MAPS} does not hold the map {name!r}")
    return Attribution(
        values=values[row : row + 1].float(),  # before it is checked: what is finite may not be so as float32
        method=view.get("method", str),
        params=view.get("params", dict),
        target=torch.tensor([target.index]),
        score=torch.tensor([score]),
        input_size=size,
        layer=view.get("layer", str, None),
        overridden=view.count("overridden"),
        details={key: value[row] for key, value in of.items() if "." not in key and row < len(value)},
        notes=view.get("notes", dict),
        shared=frozenset(view.texts("shared")),
        against=None if against is None else torch.tensor([against]),
    )


def _visualization(view: _Object, image: str, folder: Path, arrays: Mapping[str, Any], index: int) -> Visualization:
    pixels = np.asarray(_picture(folder, image), dtype=np.float32) / 255
    score, probability = (
        None if view.get(name, (int, float), None) is None else torch.tensor([view.number(name)])
        for name in ("score", "probability")
    )
    course = arrays.get(course_of(index))
    if course is None or course.dim() != 2 or len(course) != 2 or not course.is_floating_point():
        raise InputError(f"{MAPS} does not hold how the image of class {index} was made")
    history, objective = course[:, :, None]
    return Visualization(
        images=torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous(),
        score=score, probability=probability, history=history, objective=objective,
        target=torch.tensor([index]), params=view.get("params", dict), frames={},
        interrupted=view.get("interrupted", bool),
    )  # fmt: skip


def _picture(folder: Path, name: str) -> Image.Image:
    """A PNG in the folder itself."""
    if Path(name).name != name or not name.endswith(".png"):
        raise InputError("a picture is named by a file in the folder", got=repr(name)[:40])
    try:
        image = read_photo(folder / name).image
    except SeewhyError as error:
        raise InputError(str(error)) from error
    if max(image.size) > MOST_SIDE:
        raise InputError(f"{name} is too large", expected=f"at most {MOST_SIDE} pixels a side", got=image.size)
    return image


def _whole(folder: Path, name: str | None) -> bytes | None:
    """The file of the whole photo, small, which ``SeenPhoto`` checks. Folders of earlier versions have none."""
    if name is None:
        return None
    if name not in WHOLE.values():
        raise InputError(
            "the whole photo is named otherwise", expected=" or ".join(WHOLE.values()), got=repr(name)[:40]
        )
    return read_bounded(folder / name, MOST_WHOLE, InputError, name)
