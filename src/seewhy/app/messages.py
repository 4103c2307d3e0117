"""What the page may ask for, as checked values. Whatever else it sends is told to be wrong, and nothing comes of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..errors import InputError, SeewhyError
from ..methods import METHODS
from ..results import CLASS_VISUALIZATION
from .fields import Fields, index, text, whole
from .photos import check_id

METHOD_IDS = (*(method.id for method in METHODS), CLASS_VISUALIZATION)
"""The methods that the page may name: from Python, ``module:Class`` imports a module."""

MOST_TARGETS, MOST_LAYERS, MOST_STEPS, MOST_PHOTOS = 8, 4, 2048, 10_000
FAR = (1 << 31) - 1
SHAPES, FILLS = ("box", "disc"), ("blur", "colour", "patch")


@dataclass(frozen=True)
class Explain:
    """A photo to be explained. ``methods`` None: all maps; ``targets`` empty: the predicted class."""

    id: int
    photo: str
    model: int
    methods: tuple[str, ...] | None
    targets: tuple[int, ...]
    versus: tuple[int, ...]
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Predict:
    """Photos whose classes are wanted. ``photos`` None: all of the launch."""

    id: int
    model: int
    photos: tuple[str, ...] | None


@dataclass(frozen=True)
class Source:
    """Where a patch is cut from: ``top`` and ``left`` in the pixels of that photo as the model sees it."""

    photo: str
    top: int
    left: int


@dataclass(frozen=True)
class WhatIf:
    """A patch on a photo: ``box`` is (top, left, height, width) in the model's input pixels."""

    id: int
    photo: str
    model: int
    box: tuple[int, ...]
    shape: str
    fill: str
    sigma: float
    colour: tuple[int, ...]
    source: Source | None
    classes: tuple[int, ...]


@dataclass(frozen=True)
class Channels:
    """A layer's strongest channels; ``at`` (row, column) in the model's input pixels."""

    id: int
    photo: str
    model: int
    layer: str | None
    target: int | None
    at: tuple[int, int] | None
    count: int


@dataclass(frozen=True)
class FindExemplars:
    """The photos of the launch that excite a channel most."""

    id: int
    model: int
    layer: str
    channel: int
    count: int


@dataclass(frozen=True)
class Ascend:
    """The image of a class, of a channel, or of both at once, to be made."""

    id: int
    model: int
    target: int | None
    layer: str | None
    channel: int | None
    preset: str
    steps: int | None
    l2: float | None
    seed: int


@dataclass(frozen=True)
class Control:
    """Something to be done with a job: "cancel", "pause", "resume" or "stop"."""

    id: int
    what: str
    job: int


Message: TypeAlias = "Explain | Predict | WhatIf | Channels | FindExemplars | Ascend | Control"


class Malformed(Exception):
    """A message that says nothing that can be done.

    Attributes:
        id: its number, where it has one.
        error: what is wrong with it.
    """

    def __init__(self, id: int | None, error: SeewhyError):
        super().__init__(str(error))
        self.id, self.error = id, error


def parsed(text: str, models: int) -> Message:
    """What the page asks for.

    Args:
        text: a message as it came.
        models: how many there are.

    Raises:
        Malformed: it is no such message.
    """
    try:
        given: Any = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Malformed(None, InputError("this message is no JSON", got=text[:40])) from error
    if not isinstance(given, dict):
        raise Malformed(None, InputError("a message is an object", got=text[:40]))
    fields = Fields(given)
    try:
        id = fields.whole("id", -(1 << 53))
    except SeewhyError as error:
        raise Malformed(None, error) from error
    try:
        kind = fields.text("type")
        if kind not in _KINDS:
            raise InputError("there is no such message", expected=", ".join(_KINDS), got=kind)
        found: Message = _KINDS[kind](kind, id, fields, models)
        return found
    except SeewhyError as error:
        raise Malformed(id, error) from error


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _photo(fields: Fields) -> str:
    return check_id(fields.text("photo"))


def _model(fields: Fields, models: int) -> int:
    return fields.whole("model", 0, models - 1, 0)


def _explain(kind: str, id: int, fields: Fields, models: int) -> Explain:
    named = fields.listed("methods", 2 * len(METHOD_IDS), text)
    if unknown := [method for method in named if method not in METHOD_IDS]:
        raise InputError("there is no such method", expected=", ".join(METHOD_IDS), got=unknown[0])
    return Explain(
        id, _photo(fields), _model(fields, models),
        None if fields.is_null("methods") else tuple(dict.fromkeys(named)),
        tuple(dict.fromkeys(fields.listed("targets", MOST_TARGETS, index))),
        tuple(dict.fromkeys(fields.listed("versus", MOST_TARGETS, index))),
        tuple(dict.fromkeys(fields.listed("layers", MOST_LAYERS, text))),
    )  # fmt: skip


def _predict(kind: str, id: int, fields: Fields, models: int) -> Predict:
    photos = fields.listed("photos", MOST_PHOTOS, lambda value, _: check_id(value))
    return Predict(id, _model(fields, models), None if fields.is_null("photos") else photos)


def _what_if(kind: str, id: int, fields: Fields, models: int) -> WhatIf:
    far = 1 << 20
    source = fields.maybe("source")
    return WhatIf(
        id, _photo(fields), _model(fields, models),
        fields.listed("box", 4, lambda value, name: whole(value, name, -far, far), exactly=4),
        fields.among("shape", SHAPES, "box"), fields.among("fill", FILLS, "blur"),
        fields.number("sigma", 0, 1000, 16.0),
        (127, 127, 127) if fields.is_null("colour")
        else fields.listed("colour", 3, lambda value, name: whole(value, name, 0, 255), exactly=3),
        None if source is None
        else Source(_photo(source), source.whole("top", -far, far), source.whole("left", -far, far)),
        tuple(dict.fromkeys(fields.listed("classes", 64, index))),
    )  # fmt: skip


def _channels(kind: str, id: int, fields: Fields, models: int) -> Channels:
    at = fields.listed("at", 2, lambda value, name: whole(value, name, 0, 1 << 20))
    if at and len(at) != 2:
        raise InputError("at does not fit", expected="a row and a column")
    return Channels(
        id, _photo(fields), _model(fields, models), fields.maybe_text("layer"), fields.maybe_whole("target", 0, FAR),
        (at[0], at[1]) if at else None, fields.whole("count", 1, 256, 12),
    )  # fmt: skip


def _exemplars(kind: str, id: int, fields: Fields, models: int) -> FindExemplars:
    return FindExemplars(
        id, _model(fields, models), fields.text("layer"), fields.whole("channel", 0, FAR),
        fields.whole("count", 1, 64, 8),
    )  # fmt: skip


def _ascend(kind: str, id: int, fields: Fields, models: int) -> Ascend:
    target, layer = fields.maybe_whole("target", 0, FAR), fields.maybe_text("layer")
    channel = fields.maybe_whole("channel", 0, FAR)
    if (layer is None) != (channel is None) or (target is None and layer is None):
        raise InputError("an image is made of something", expected="a target, or a layer with a channel")
    return Ascend(
        id, _model(fields, models), target, layer, channel, fields.text("preset", "default"),
        fields.maybe_whole("steps", 1, MOST_STEPS), fields.maybe_number("l2", 0, 1e6),
        fields.whole("seed", 0, (1 << 31) - 1, 0),
    )  # fmt: skip


def _cancel(kind: str, id: int, fields: Fields, models: int) -> Control:
    return Control(id, kind, id)


def _control(kind: str, id: int, fields: Fields, models: int) -> Control:
    return Control(id, kind, fields.whole("job", -(1 << 53)))


_KINDS: dict[str, Any] = {
    "explain": _explain, "cancel": _cancel, "predict": _predict, "what_if": _what_if, "channels": _channels,
    "exemplars": _exemplars, "ascend": _ascend, "pause": _control, "resume": _control, "stop": _control,
}  # fmt: skip
