"""What if this were over the photo: its classes before and after, with the pixels that the model saw."""

from __future__ import annotations

import html
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from torch import Tensor

from .core.attribution import jsonable
from .core.needs import Needs
from .core.record import recorded
from .core.target import class_indices
from .errors import InputError, MethodError
from .incremental import Programs, Rescorer
from .legible import legible
from .models import Classifier
from .models.prediction import Ranked, predicted, ranked
from .patch import Canvas, Patch, Pixels
from .pictures import Photo, percentage
from .pictures.in_memory import UNNAMED, as_photo
from .pictures.notebook import img


@dataclass(frozen=True)
class Changed:
    """One class, before and after.

    Attributes:
        before, after: the class of the photo as it is, and of the photo with the patch.
    """

    before: Ranked
    after: Ranked

    @property
    def index(self) -> int:
        """Of the output."""
        return self.before.index

    @property
    def name(self) -> str:
        """Of the class."""
        return self.before.name

    @property
    def change(self) -> float:
        """What the patch adds to the score, before the softmax."""
        return self.after.score - self.before.score


@dataclass(frozen=True, eq=False, repr=False)
class Answer:
    """What the model says of a photo with one patch on it.

    Attributes:
        patch: what was laid over the photo.
        top: the most probable classes with it.
        top_before: and without.
        classes: those that were asked for, in their order; none asked: the most probable ones without it.
        pixels: (H, W, 3) uint8, exactly what the model saw, before normalisation.
    """

    patch: Patch
    top: tuple[Ranked, ...]
    top_before: tuple[Ranked, ...]
    classes: tuple[Changed, ...]
    pixels: Pixels = field(repr=False)

    def __repr__(self) -> str:
        lines = [str(self.patch)]
        if self.changed:
            lines.append(f"  now {legible(self.top[0].name)} instead of {legible(self.top_before[0].name)}")
        rows = [(legible(c.name)[:32], *_cells(c)) for c in self.classes]
        wide = max((len(row[0]) for row in rows), default=0)
        lines += [f"  {name:<{wide}}  {before:>8} → {after:>8}  {change:>8}" for name, before, after, change in rows]
        return "\n".join(lines)

    @property
    def changed(self) -> bool:
        """Whether another class is the most probable one now."""
        return (self.top[0].index, self.top[0].sign) != (self.top_before[0].index, self.top_before[0].sign)

    def to_image(self) -> Image.Image:
        """The photo with the patch, exactly as the model saw it: RGB."""
        return Image.fromarray(self.pixels)

    def describe(self) -> dict[str, Any]:
        """Everything but the pixels, ready for JSON."""
        patch = {name: getattr(self.patch, name) for name in ("box", "shape", "fill", "sigma", "colour")}
        if self.patch.fill == "patch":
            patch["source"] = _called(self.patch.source)
            patch["source_corner"] = self.patch.source_corner
        about: dict[str, Any] = jsonable({
            "patch": patch,
            "top": [_described(entry) for entry in self.top],
            "top_before": [_described(entry) for entry in self.top_before],
            "classes": [{"before": _described(c.before), "after": _described(c.after)} for c in self.classes],
        })  # fmt: skip
        return about


@dataclass(frozen=True, eq=False, repr=False)
class WhatIf:
    """What the model says of a photo under each of some patches; shows itself in a notebook.

    Attributes:
        photo: its path, as it was given.
        model: the SPEC, or what the model is called.
        answers: one for each patch.
        engine: "incremental": only what a patch changes was computed anew; or "dense", whole forwards.
        reason: why whole forwards; None where they were not needed.
    """

    photo: str
    model: str
    answers: tuple[Answer, ...]
    engine: str
    reason: str | None = None

    def __repr__(self) -> str:
        head = f"WhatIf: {legible(self.photo)}, as {legible(self.model)} sees it"
        return "\n".join([head, *map(repr, self.answers)])

    def to_image(self, number: int = 0) -> Image.Image:
        """The photo with one of the patches, exactly as the model saw it: RGB.

        Args:
            number: which; the first is 0.
        """
        return self.answers[number].to_image()

    def describe(self) -> dict[str, Any]:
        """Everything but the pixels, ready for JSON."""
        answers = [answer.describe() for answer in self.answers]
        return {"photo": self.photo, "model": self.model, "engine": self.engine, "reason": self.reason,
                "answers": answers}  # fmt: skip

    def _repr_html_(self) -> str:
        return "".join(_as_html(answer) for answer in self.answers)


class WhatIfs:
    """Answers what the model says of one photo under any patch: the network is followed once, and then each patch costs
    what it changes.

    It is a snapshot: where the network can be followed, it goes on with copies of the weights as they were. Threads may
    share it. ``Session.what_ifs`` makes one that keeps to the session's turns.

    Args:
        classifier: the model; handed back as it came.
        photo: see ``seewhy.explain``.
        programs: where networks that were followed are kept, so that the next photo takes a third of the time.
        turn: gives a block in which the model is this thread's.

    Attributes:
        photo: as it was read.
        model: what the model is called.
        engine: "incremental", or "dense": each patch costs a forward of the model, which is a guest for its time.
        reason: why "dense"; None otherwise.

    Raises:
        SeewhyError: the photo cannot be read, or the model's output cannot be explained.
    """

    def __init__(
        self,
        classifier: Classifier,
        photo: Any,
        *,
        programs: Programs | None = None,
        turn: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ):
        self.photo: Photo = as_photo(photo)
        self.model, self._turn = classifier.name, turn
        self._classifier, self._canvas = classifier, Canvas(classifier, self.photo)
        self._lock = threading.Lock()  # of what the canvas keeps
        self._rescorer: Rescorer | None = None
        self.engine, self.reason = "incremental", None
        try:
            with turn():
                self._rescorer = Rescorer(classifier, self._canvas.inputs, classes="all", programs=programs)
        except MethodError as error:
            self.engine, self.reason = "dense", str(error)
            self._before = self._whole(self._canvas.inputs)
        else:
            self._before = self._rescorer.logits_before[0].cpu()
        classifier.check_outputs(len(self._before))
        self._top_before = predicted(classifier, self._before).top

    def ask(self, patch: Patch, classes: int | str | Sequence[int | str] | None = None) -> Answer:
        """What the model says with the patch over the photo.

        Args:
            patch: inside what the model sees.
            classes: by name or number, or one of them; "all" for every one; None: the most probable ones without it.

        Raises:
            InputError: the patch does not lie inside the photo.
            TargetError: there is no such class.
            PhotoError: the photo that it is cut from cannot be read.
        """
        asked = self._asked(classes)
        with self._lock:
            inputs, pixels = self._canvas.laid(patch)
        top, left, height, width = patch.box
        if self._rescorer is not None:
            after = self._rescorer.logits(inputs, [(top, left)])[0, 0].cpu()
        else:
            shown = self._canvas.inputs.clone()
            shown[0, :, top : top + height, left : left + width] = inputs
            after = self._whole(shown)
        found = tuple(
            Changed(ranked(self._classifier, self._before, index), ranked(self._classifier, after, index))
            for index in asked
        )
        return Answer(patch, predicted(self._classifier, after).top, self._top_before, found, pixels)

    def _asked(self, classes: int | str | Sequence[int | str] | None) -> list[int]:
        if classes is None:
            return [entry.index for entry in self._top_before]
        numbers: list[int] = class_indices(self._classifier, classes, len(self._before)).tolist()
        return list(dict.fromkeys(numbers))

    def _whole(self, inputs: Tensor) -> Tensor:
        with self._turn(), recorded(self._classifier, inputs, None, Needs()) as record:
            assert record.logits is not None
            return record.logits[0].cpu().clone()


def answered(
    asked: WhatIfs, patch: Patch | Sequence[Patch], classes: int | str | Sequence[int | str] | None = None
) -> WhatIf:
    """See ``seewhy.what_if``."""
    patches = [patch] if isinstance(patch, Patch) else patch
    if not isinstance(patches, list | tuple) or not patches:
        raise InputError("what is to be over the photo?", expected="a seewhy.Patch, or a list of them", got=repr(patch))
    answers = tuple(asked.ask(each, classes) for each in patches)
    return WhatIf(str(asked.photo.path), asked.model, answers, asked.engine, asked.reason)


def _described(entry: Ranked) -> dict[str, Any]:
    sign = {"sign": entry.sign} if entry.sign < 0 else {}
    return {"index": entry.index, "name": entry.name, "score": entry.score, "probability": entry.probability, **sign}


def _called(source: Any) -> str | None:
    """The path of the photo that a patch was cut from; None for the photo itself."""
    if source is None:
        return None
    path = source.path if isinstance(source, Photo) else source
    return os.fspath(path) if isinstance(path, str | os.PathLike) else UNNAMED


def _cells(changed: Changed) -> tuple[str, str, str]:
    probabilities = percentage(changed.before.probability), percentage(changed.after.probability)
    change = changed.change
    return (*probabilities, f"{change:+.2f}" if change == change else "?")  # of a class that is ruled out


def _as_html(answer: Answer) -> str:
    rows = "".join(
        f"<tr><td style='text-align:left'>{html.escape(changed.name)}</td>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(changed))
        + "</tr>"
        for changed in answer.classes
    )
    head = "<tr><th style='text-align:left'>class</th><th>before</th><th>after</th><th>score</th></tr>"
    image = answer.to_image()
    shown = image.resize((2 * image.width, 2 * image.height))  # drawn at half its pixels
    return (
        f"<figure style='margin:0 0 1em'>{img(shown, f'The photo with a {answer.patch}')}"
        f"<figcaption>{html.escape(str(answer.patch))}</figcaption><table>{head}{rows}</table></figure>"
    )
