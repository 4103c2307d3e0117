"""One view of one class of one photo: an attribution, a class visualization, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ..bibliography import BIBLIOGRAPHY
from ..core.attribution import Attribution, jsonable
from ..core.method import Method
from ..pictures import percentage
from ..synthesis import Visualization
from .amounts import Amount, amount_of
from .sentences import caption_of, sentences

CLASS_VISUALIZATION = "class_visualization"
"""The eighth view's id; it explains a class to the network, whatever the photo."""

VISUALIZATION_TITLE = "Class visualization"
VISUALIZATION_FORMULA = "argmax over I of f(I) − λ‖I‖²"
VISUALIZATION_MISLEADS = (
    "It shows what raises the score, not what the class looks like to people, and says nothing about this photo: "
    "patterns that no photo has can raise a score too."
)


@dataclass(frozen=True, eq=False)
class View:
    """What one method shows; exactly one of ``attribution``, ``visualization`` and ``error`` is there.

    Attributes:
        id: the method's; with its parameters where a method is there more than once.
        title: the method's name.
        formula: one line.
        source: paper and equation.
        misleads: how a picture of it misleads, in a sentence or two.
        params: the parameters, as JSON holds them.
        notes: what should be said of how it was done, a sentence each.
        caption: the most important of it in one line.
        signed: whether values below zero mean something.
        amount: what the largest value is beside the score; None where a value is no amount of it.
        attribution: the map of one image, on the CPU.
        visualization: the image of the class, in steps of 1/255.
        error: why there is neither.
        error_kind: the error's class, such as "MethodError".
    """

    id: str
    title: str
    formula: str = ""
    source: str = ""
    misleads: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    caption: str = ""
    signed: bool = True
    amount: Amount | None = None
    attribution: Attribution | None = None
    visualization: Visualization | None = None
    error: str | None = None
    error_kind: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", MappingProxyType(dict(self.params)))
        there = [part is not None for part in (self.attribution, self.visualization, self.error)]
        assert sum(there) == 1, self.id

    def __reduce__(self) -> tuple[Any, ...]:
        parts = vars(self) | {"params": dict(self.params)}
        return View, tuple(parts.values())

    @property
    def facts(self) -> tuple[str, ...]:
        """What must stand beside the map: how much of the score its largest value is, and a fast mode's error."""
        if self.attribution is None:
            return ()
        error = self.attribution.notes.get("measured_error")
        fast = [f"fast: off by up to {error['largest']:.2g}"] if isinstance(error, Mapping) else []
        return (*([] if self.amount is None else [str(self.amount)]), *fast)

    def __repr__(self) -> str:
        return f"View({self.id}: {self.error or self.caption})"

    @classmethod
    def of_map(cls, method: Method, found: Attribution, id: str | None = None, title: str | None = None) -> View:
        """What a method found for one image."""
        found = found.to("cpu")
        amount = amount_of(method, found)
        return cls(
            **_about(method, id, title), notes=sentences(found.notes), caption=caption_of(found),
            signed=method.signed, amount=amount, attribution=found,
        )  # fmt: skip

    @classmethod
    def of_error(cls, method: Method, error: Exception, id: str | None = None, title: str | None = None) -> View:
        """Why a method shows nothing."""
        return cls(**_about(method, id, title), signed=method.signed, error=str(error), error_kind=type(error).__name__)

    @classmethod
    def of_visualization(cls, made: Visualization) -> View:
        """The image of a class, a batch of one."""
        reached = "" if made.score is None else f"score {float(made.score[0]):.1f}"
        if made.probability is not None:
            reached += f" · {percentage(float(made.probability[0]))}"
        caption = f"{reached} after {len(made.history)} steps of ascent, preset {made.params['preset']}".strip()
        params = jsonable(made.params)
        return cls(**_ABOUT_VISUALIZATION, params=params, caption=caption, visualization=_as_shown(made))

    @classmethod
    def without_visualization(cls, why: str, kind: str = "") -> View:
        """Why there is no image of the class."""
        return cls(**_ABOUT_VISUALIZATION, error=why, error_kind=kind)


def _as_shown(made: Visualization) -> Visualization:
    """As a file of eight bits holds it, so that what is loaded is what was saved."""
    images = (made.images.cpu().clamp(0, 1) * 255).round() / 255
    history, objective = (
        (part.cpu().double() * 1e4).round().div(1e4).float() for part in (made.history, made.objective)
    )
    return replace(made, images=images, history=history, objective=objective, frames={}, params=jsonable(made.params))


_ABOUT_VISUALIZATION: dict[str, Any] = {
    "id": CLASS_VISUALIZATION,
    "title": VISUALIZATION_TITLE,
    "formula": VISUALIZATION_FORMULA,
    "source": str(BIBLIOGRAPHY["simonyan2013"]),
    "misleads": VISUALIZATION_MISLEADS,
}


def _about(method: Method, id: str | None, title: str | None) -> dict[str, Any]:
    source = BIBLIOGRAPHY.get(method.source)
    return {
        "id": id or method.id,
        "title": title or method.title,
        "formula": method.formula,
        "source": method.source if source is None else str(source),
        "misleads": method.misleads,
        "params": jsonable(method.params),
    }
