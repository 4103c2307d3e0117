"""One photo explained: what was predicted, and every view of why; the data, before anything is drawn or written."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from .. import events
from ..api import run
from ..core.attribution import Attribution
from ..core.method import Method
from ..core.needs import Needs
from ..core.record import Record, recorded
from ..core.target import Target, logits_of
from ..errors import SeewhyError
from ..models import Classifier
from ..pictures import Photo, read_photo
from ..synthesis import Visualization, visualize
from .probabilities import AFTER_SOFTMAX, probabilities
from .progress import Portion, Progress, never_back

CLASS_VISUALIZATION = "class_visualization"
"""The eighth view's id; it explains a class to the network, whatever the photo."""

_SYNTHESIS = 0.6
"""The share of a target's progress that its class visualization is counted as, beside its maps."""


@dataclass(frozen=True)
class Request:
    """What is asked of every photo.

    Attributes:
        methods: the attributions wanted.
        targets: class indices; empty for the predicted class.
        steps: of the class visualization; 0 for none.
        preset: of the class visualization.
        batch_size: images per forward.
        background: the colour, 0..255, that shows through transparent pixels.
    """

    methods: tuple[Method, ...]
    targets: tuple[int, ...] = ()
    steps: int = 128
    preset: str = "simonyan"
    batch_size: int = 32
    background: tuple[int, int, int] = (255, 255, 255)


@dataclass(frozen=True)
class Ranked:
    """One of the most probable classes; or, of a network with one output, its decision for or against it.

    Attributes:
        name: the class; "not ..." where the decision is against it.
        score, probability: of what ``name`` says.
        sign: 1, or -1 where the decision is against the class ``index``.
    """

    index: int
    name: str
    score: float
    probability: float
    sign: int = 1


@dataclass(frozen=True)
class Explained:
    """One class of one photo.

    Attributes:
        target: the class, with its score and probability.
        views: method id -> what it found, or why it does not apply.
        forwards, backwards: how many were spent.
    """

    target: Ranked
    views: dict[str, Attribution | SeewhyError]
    visualization: Visualization | None = None
    forwards: int = 0
    backwards: int = 0


@dataclass(frozen=True)
class Explanation:
    """One photo, explained.

    Attributes:
        photo: as it was read.
        sha256: of the file.
        crop: exactly what the model saw.
        top: the five most probable classes.
        probabilities: how they were found, in a few words.
        targets: what is explained.
        seconds: time taken.
        model_notes: what a reader must know of the model, such as that its weights are random.
    """

    photo: Photo
    sha256: str
    crop: Image.Image
    top: tuple[Ranked, ...]
    probabilities: str
    targets: tuple[Explained, ...]
    seconds: float
    model_notes: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not as a reader would take it to be, the model first."""
        usual = self.probabilities == AFTER_SOFTMAX
        return (*self.model_notes, *self.photo.notes, *(() if usual else (self.probabilities,)))


@dataclass
class Explainer:
    """Explains one photo after the other with one classifier; a class is visualized once, however many photos ask."""

    classifier: Classifier
    request: Request
    _visualizations: dict[tuple[int, int], Visualization] = field(default_factory=dict)

    def __call__(self, path: str | Path, progress: Progress = lambda what, share: None) -> Explanation:
        """Read, predict and explain one photo.

        Raises:
            SeewhyError: the photo cannot be read, or the model's output cannot be explained. A method that does not
                apply stops nothing: its error takes its place among the views.
        """
        start = time.perf_counter()
        classifier, request = self.classifier, self.request
        whole = Portion(never_back(progress))
        whole.steps("Reading the photo")(0, 1)
        photo = read_photo(path, background=request.background)
        inputs = classifier.preprocess(photo.image)
        targets: Sequence[int | None] = request.targets or (None,)
        explained: list[Explained] = []
        top: tuple[Ranked, ...] = ()
        how = ""
        for number, target in enumerate(targets):
            portion = whole.part(number / len(targets), 1 / len(targets))
            needs = reduce(or_, (method.needs() for method in request.methods), Needs())
            with recorded(classifier, inputs, target, needs, request.batch_size) as record:
                assert record.logits is not None
                classifier.check_outputs(record.logits.shape[1])
                if not top:
                    top, how = self._top(record), probabilities(record.logits[0])[1]
                chosen = self._target(record)
                maps = self._share_of_maps(chosen)
                views = self._views(record, portion.part(0, maps))
                found = Explained(chosen, views, forwards=record.forwards, backwards=record.backwards)
            if request.steps:
                try:
                    made = self._visualization(chosen, portion.part(maps, 1 - maps))
                    found = replace(found, visualization=made)
                except SeewhyError as error:
                    found.views[CLASS_VISUALIZATION] = error
            explained.append(found)
            portion.steps("done")(1, 1)
        whole.steps("done")(1, 1)
        return Explanation(
            photo=photo,
            sha256=photo.sha256,
            crop=classifier.crop(photo.image),
            top=top,
            probabilities=how,
            targets=tuple(explained),
            seconds=time.perf_counter() - start,
            model_notes=classifier.notes,
        )

    def _ranked(self, record: Record, index: int, sign: int = 1) -> Ranked:
        assert record.logits is not None
        scores = record.logits[0] * sign
        name = self.classifier.label(index) if sign > 0 else f"not {self.classifier.label(index)}"
        return Ranked(index, name, float(scores[index]), float(probabilities(scores)[0][index]), sign)

    def _top(self, record: Record) -> tuple[Ranked, ...]:
        assert record.logits is not None
        scores = record.logits[0]
        if len(scores) == 1:  # yes or no
            return (self._ranked(record, 0, -1 if scores[0] < 0 else 1),)
        # Stable: of equal scores the first comes first, as in the argmax that chose the class.
        best = scores.nan_to_num(-torch.inf, torch.inf, -torch.inf).sort(descending=True, stable=True).indices[:5]
        return tuple(self._ranked(record, int(index)) for index in best)

    def _target(self, record: Record) -> Ranked:
        """What is explained: a class, or the decision of a network with one output, which may be against it."""
        assert record.target is not None
        return self._ranked(record, int(record.target[0]), int(record.sign[0]))

    def _views(self, record: Record, portion: Portion) -> dict[str, Attribution | SeewhyError]:
        views: dict[str, Attribution | SeewhyError] = {}
        methods = self.request.methods
        for done, method in enumerate(methods):
            told = portion.part(done / len(methods), 1 / len(methods)).steps(method.title)
            told(0, 1)

            def hear(event: events.Event, told: Callable[[int, int], None] = told) -> None:
                if event.kind == "progress":
                    told(event.done, event.total)

            try:
                with events.also(hear):
                    views[method.id] = run(method, record)
            except SeewhyError as error:
                views[method.id] = error
            told(1, 1)
        return views

    def _share_of_maps(self, target: Ranked) -> float:
        """Of a target's progress, what its maps take: all of it where no class visualization has to be made."""
        if not self.request.steps or (target.index, target.sign) in self._visualizations:
            return 1.0
        return 1 - _SYNTHESIS if self.request.methods else 0.0

    def _visualization(self, target: Ranked, portion: Portion) -> Visualization:
        key = (target.index, target.sign)
        if key not in self._visualizations:
            steps = self.request.steps
            told = portion.steps("Class visualization")

            def tell(step: int, score: torch.Tensor, image: torch.Tensor) -> None:
                told(step + 1, steps)

            aim: Target = target.index if target.sign > 0 else _against
            made = visualize(self.classifier, aim, preset=self.request.preset, steps=steps, callback=tell)
            if made.interrupted:
                raise KeyboardInterrupt
            if target.sign < 0 and made.score is not None:
                made = replace(made, probability=made.score.sigmoid())
            self._visualizations[key] = made
        return self._visualizations[key]


def _against(outputs: Any) -> torch.Tensor:
    """The score of a network with one output for not being of its class."""
    return -logits_of(outputs)[:, 0]
