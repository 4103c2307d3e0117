"""The channels of a layer that did most for a score, and what each of them added to it."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from .core.attribution import jsonable
from .core.needs import Needs
from .core.record import Record, recorded
from .core.target import Target
from .errors import InputError, LayerError
from .legible import legible
from .models import Classifier
from .patch import whole_numbers


@dataclass(frozen=True, eq=False)
class Channel:
    """One channel of a layer, for one photo.

    Attributes:
        channel: its number.
        effect: activation × gradient of the score, summed over the layer's positions, or at the one that was asked for.
        activation: the largest over the positions, or at the one that was asked for.
        map: (h, w) float32, the activation itself.
    """

    channel: int
    effect: float
    activation: float
    map: npt.NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, eq=False, repr=False)
class Channels:
    """The channels of one layer for one photo, the one with the largest effect, of either sign, first.

    Attributes:
        layer: its dotted name.
        shape: (C, h, w) of what it gives.
        target: the explained class; None where a function gives the score.
        against: the class rather than which; None where the target is no ``Versus``.
        name: of what is explained; "not ..." where a network of one output decided against its class.
        score: the explained score, before the softmax.
        at: row and column, in pixels of the input, that were asked for; None: all of the photo.
        cell: the layer's position there, row and column.
        total: the effects of all channels together, those that are not listed too. What the network does after the
            layer being linear, it is the score but for the biases.
        channels: as many as were asked for.
        notes: what should be known of the layer, such as how its output was read.
    """

    layer: str
    shape: tuple[int, int, int]
    target: int | None
    against: int | None
    name: str
    score: float
    at: tuple[int, int] | None
    cell: tuple[int, int] | None
    total: float
    channels: tuple[Channel, ...]
    notes: dict[str, Any]

    def __repr__(self) -> str:
        rows = [("channel", "effect", "activation"), *map(_cells, self.channels)]
        lines = [f"  {channel:>7}  {effect:>9}  {activation:>10}" for channel, effect, activation in rows]
        return "\n".join([f"Channels: {legible(self.head)}", *lines])

    @property
    def head(self) -> str:
        """One line for people: the layer, the place, what is explained, and what all effects come to."""
        shape = " × ".join(map(str, self.shape))
        where = "" if self.at is None else f" at row {self.at[0]}, column {self.at[1]} of the input"
        return (
            f"{self.layer} ({shape}){where}, for {self.name}, score {self.score:.4g}, effects {self.total:.4g} in all"
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(each)) + "</tr>"
            for each in self.channels
        )
        head = "<tr><th>channel</th><th>effect</th><th>activation</th></tr>"
        caption = f"<figcaption>{html.escape(self.head)}</figcaption>"
        return f"<figure style='margin:0'>{caption}<table>{head}{rows}</table></figure>"

    def describe(self) -> dict[str, Any]:
        """Everything but the maps, ready for JSON."""
        about: dict[str, Any] = jsonable({
            "layer": self.layer, "shape": self.shape, "target": self.target, "against": self.against,
            "name": self.name, "score": self.score, "at": self.at, "cell": self.cell, "total": self.total,
            "channels": [
                {"channel": each.channel, "effect": each.effect, "activation": each.activation}
                for each in self.channels
            ],
            "notes": self.notes,
        })  # fmt: skip
        return about


def strongest(
    model: object, inputs: Tensor, layer: str | None = None, target: Target = None, *,
    at: tuple[int, int] | None = None, count: int | None = 12,
) -> Channels:  # fmt: skip
    """See ``seewhy.channels``; of one image as the model takes it, (1, C, H, W). One forward and one backward."""
    if not isinstance(inputs, Tensor) or inputs.dim() != 4 or len(inputs) != 1:
        got = tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
        raise InputError("the channels are of one image", expected="(1, C, H, W)", got=got)
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise InputError("the count is of channels", expected="1 or more, or None for all", got=repr(count)[:80])
    if layer is not None and not isinstance(layer, str):
        expected = "its dotted name, such as 'layer4.1'"
        raise LayerError("a layer is given by its name", expected=expected, got=type(layer).__name__)
    place = _place(at, (int(inputs.shape[2]), int(inputs.shape[3])))
    needs = Needs(layers=frozenset({layer}), layer_gradients=True)
    with recorded(model, inputs, target, needs) as record:
        name = record.layer_name(layer)
        A, dy_dA, notes = _maps(record, name)
        target_, against = (None if one is None else int(one[0]) for one in (record.target, record.against))
        score, sign, said = float(record.score[0]), int(record.sign[0]), {**record.said_of(name), **notes}
    height, width = A.shape[1:]
    adds = A * dy_dA
    if place is None:
        cell, effects, activations = None, adds.sum((1, 2)), A.amax((1, 2))
    else:
        cell = place[0] * height // inputs.shape[2], place[1] * width // inputs.shape[3]
        effects, activations = adds[:, cell[0], cell[1]], A[:, cell[0], cell[1]]
    order = effects.abs().sort(descending=True, stable=True).indices[:count].tolist()
    maps = A.float().numpy()
    found = tuple(
        Channel(number, float(effects[number]), float(activations[number]), maps[number].copy()) for number in order
    )
    return Channels(
        name, (len(A), height, width), target_, against, _named(model, target_, against, sign), score, place, cell,
        float(effects.sum()), found, said,
    )  # fmt: skip


def _maps(record: Record, layer: str) -> tuple[Tensor, Tensor, dict[str, str]]:
    """Activation and gradient, (C, h, w) float64, on the CPU; and what is to be said of how they were read."""
    A, dy_dA = record.activation(layer), record.gradient(layer)
    notes: dict[str, str] = {}
    if A.dim() == 2:
        A, dy_dA = A[:, :, None, None], dy_dA[:, :, None, None]  # one position
    else:
        maps = record.maps(layer)
        if maps.prefix and not maps(dy_dA).any() and dy_dA.any():
            raise LayerError(
                f"the score reads nothing but the first token of layer {layer!r}: its other positions add nothing",
                expected="a layer before the last attention, such as the first norm of the last block",
            )
        A, dy_dA, notes = maps(A), maps(dy_dA), maps.said
    return A[0].detach().double().cpu(), dy_dA[0].detach().double().cpu(), notes


def _place(at: Any, size: tuple[int, int]) -> tuple[int, int] | None:
    if at is None:
        return None
    row, column = whole_numbers(at, 2, "a place", "row, column")
    if not (0 <= row < size[0] and 0 <= column < size[1]):
        raise InputError("there is no such place in the input", expected=f"within {size[0]} x {size[1]}", got=at)
    return row, column


def _named(model: object, target: int | None, against: int | None, sign: int) -> str:
    if target is None:
        return "a score of one's own"
    names = [
        model.label(index) if isinstance(model, Classifier) else f"class {index}"
        for index in (target, against)
        if index is not None
    ]
    return f"{'not ' if sign < 0 else ''}{' rather than '.join(names)}"


def _cells(each: Channel) -> tuple[str, str, str]:
    return str(each.channel), f"{each.effect:+.4g}", f"{each.activation:.4g}"
