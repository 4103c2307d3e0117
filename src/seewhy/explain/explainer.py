"""One photo explained: what was predicted, and every view of why; the data, before anything is drawn or written."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from pathlib import Path

import torch
from PIL import Image

from ..api import run
from ..core.attribution import Attribution
from ..core.method import Method
from ..core.needs import Needs
from ..core.record import Record, recorded
from ..errors import SeewhyError
from ..models import Classifier
from ..pictures import Photo, read_photo
from ..synthesis import Visualization, visualize
from .probabilities import AFTER_SOFTMAX, probabilities

CLASS_VISUALIZATION = "class_visualization"
"""The eighth view's id; it explains a class to the network, whatever the photo."""

Progress = Callable[[str, float], None]
"""Called with what is being done, and the share of the photo's work that is done."""


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
    """One of the most probable classes."""

    index: int
    name: str
    score: float
    probability: float


@dataclass(frozen=True)
class Explained:
    """One class of one photo.

    Attributes:
        target: the class, with its score and probability.
        views: method id -> what it found, or why it does not apply.
        overhead: forwards and backwards that were spent.
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
    """

    photo: Photo
    sha256: str
    crop: Image.Image
    top: tuple[Ranked, ...]
    probabilities: str
    targets: tuple[Explained, ...]
    seconds: float

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not as a reader would take it to be."""
        return self.photo.notes if self.probabilities == AFTER_SOFTMAX else (*self.photo.notes, self.probabilities)


@dataclass
class Explainer:
    """Explains one photo after the other with one classifier; a class is visualized once, however many photos ask."""

    classifier: Classifier
    request: Request
    _visualizations: dict[int, Visualization] = field(default_factory=dict)

    def __call__(self, path: str | Path, progress: Progress = lambda what, share: None) -> Explanation:
        """Read, predict and explain one photo.

        Raises:
            SeewhyError: the photo cannot be read, or the model's output cannot be explained. A method that does not
                apply stops nothing: its error takes its place among the views.
        """
        start = time.perf_counter()
        classifier, request = self.classifier, self.request
        photo = read_photo(path, background=request.background)
        inputs = classifier.preprocess(photo.image)
        targets: Sequence[int | None] = request.targets or (None,)
        explained: list[Explained] = []
        top: tuple[Ranked, ...] = ()
        how = ""
        for number, target in enumerate(targets):
            portion = _Portion(progress, number / len(targets), 1 / len(targets))
            needs = reduce(or_, (method.needs() for method in request.methods), Needs())
            with recorded(classifier, inputs, target, needs, request.batch_size) as record:
                if record.logits is not None and not top:
                    top, how = self._top(record), probabilities(record.logits[0])[1]
                found = self._views(record, portion)
            if request.steps:
                try:
                    found = replace(found, visualization=self._visualization(found.target.index, portion))
                except SeewhyError as error:
                    found.views[CLASS_VISUALIZATION] = error
            explained.append(found)
        progress("done", 1.0)
        return Explanation(
            photo=photo,
            sha256=hashlib.sha256(Path(path).read_bytes()).hexdigest(),
            crop=classifier.crop(photo.image),
            top=top,
            probabilities=how,
            targets=tuple(explained),
            seconds=time.perf_counter() - start,
        )

    def _ranked(self, record: Record, index: int) -> Ranked:
        assert record.logits is not None
        scores = record.logits[0]
        probability = float(probabilities(scores)[0][index])
        return Ranked(index, self.classifier.label(index), float(scores[index]), probability)

    def _top(self, record: Record) -> tuple[Ranked, ...]:
        assert record.logits is not None
        # Stable: of equal scores the first comes first, as in the argmax that chose the class.
        best = record.logits[0].sort(descending=True, stable=True).indices[:5]
        return tuple(self._ranked(record, int(index)) for index in best)

    def _views(self, record: Record, portion: _Portion) -> Explained:
        assert record.target is not None
        views: dict[str, Attribution | SeewhyError] = {}
        for done, method in enumerate(self.request.methods):
            record.progress = portion.steps(method.title, done, len(self.request.methods))
            record.progress(0, 1)
            try:
                views[method.id] = run(method, record)
            except SeewhyError as error:
                views[method.id] = error
        target = self._ranked(record, int(record.target[0]))
        return Explained(target, views, forwards=record.forwards, backwards=record.backwards)

    def _visualization(self, target: int, portion: _Portion) -> Visualization:
        if target not in self._visualizations:
            steps = self.request.steps
            told = portion.steps("Class visualization", 0, 1, share=_SYNTHESIS, begin=1 - _SYNTHESIS)

            def tell(step: int, score: torch.Tensor, image: torch.Tensor) -> None:
                told(step + 1, steps)

            made = visualize(self.classifier, target, preset=self.request.preset, steps=steps, callback=tell)
            if made.interrupted:
                raise KeyboardInterrupt
            self._visualizations[target] = made
        return self._visualizations[target]


_SYNTHESIS = 0.6
"""The share of a photo's work that the class visualization is counted as."""


@dataclass
class _Portion:
    """The part of a photo's progress that one target takes."""

    progress: Progress
    begin: float
    share: float

    def steps(
        self, what: str, part: int, parts: int, share: float = 1 - _SYNTHESIS, begin: float = 0.0
    ) -> Callable[[int, int], None]:
        def told(done: int, total: int) -> None:
            within = begin + share * (part + done / max(1, total)) / parts
            self.progress(what, self.begin + self.share * within)

        return told
