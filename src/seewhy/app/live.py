"""Everything that the pages of one server share."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from .. import __version__, events
from ..bibliography import BIBLIOGRAPHY
from ..errors import SeewhyError
from ..methods import METHODS
from ..models import Classifier
from ..results.view import CLASS_VISUALIZATION, VISUALIZATION_FORMULA, VISUALIZATION_MISLEADS, VISUALIZATION_TITLE
from ..synthesis.presets import PRESETS
from .ascents import Ascents, has_video
from .channels import tell_channels
from .explaining import Explaining
from .finding import find
from .jobs import Job
from .live_model import LiveModel
from .messages import Ascend, Channels, Explain, FindExemplars, Predict
from .photos import FolderPhoto, Photos
from .predicting import Predictions
from .priority import Priority
from .what_ifs import Answers
from .workers import Workers

JOBS, MOVES, UPLOADS, DRAWINGS = 12, 2, 2, 2
"""Threads for jobs, for masks that are dragged, for photos that come in, and for those that are shown small."""


class Live:
    """The models and photos of a server, and the threads that work on them.

    Args:
        classifiers: the models, at least one.
        folder: the photos of the launch.

    Attributes:
        pages: how many are open.
    """

    def __init__(self, classifiers: Sequence[Classifier], folder: Sequence[FolderPhoto] = ()):
        self.models = [LiveModel(classifier, number) for number, classifier in enumerate(classifiers)]
        self.photos = Photos(folder)
        self.priority = Priority()
        self.pages = 0
        self.predictions = Predictions(self.photos)
        self.ascents = Ascents()
        self.answers = Answers(self.photos, self.priority)
        self.jobs, self.moves = Workers(JOBS, "job"), Workers(MOVES, "move")
        self.uploads, self.drawings = Workers(UPLOADS, "upload"), Workers(DRAWINGS, "drawing")
        self._running: set[Job] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._ending = events.Cancellation()
        self.warm = [self.jobs.submit(partial(model.warm_up, self._ending)) for model in self.models]

    def hello(self) -> dict[str, Any]:
        """What a page is told first, once ``warm`` is done."""
        return {
            "type": "hello",
            "models": [model.facts() for model in self.models],
            "methods": _methods(),
            "photos": self.photos.described(),
            "presets": list(PRESETS),
            "video": has_video(),
            "version": __version__,
        }

    def work(self, job: Job, asked: Any) -> None:
        """Do what a page asked for; called in a thread."""
        with self._lock:
            if self._closed:
                return
            self._running.add(job)
        try:
            job.run(lambda job: self._do(job, asked))
        finally:
            with self._lock:
                self._running.discard(job)

    def _do(self, job: Job, asked: Any) -> None:
        model = self.models[asked.model]
        if isinstance(asked, Predict):
            self.predictions.run(job, asked, model)
            return
        if isinstance(asked, FindExemplars):
            find(job, asked, model, self.photos)
            return
        if isinstance(asked, Ascend):
            self.ascents.run(job, asked, model)
            return
        with self.priority.job():
            photo = self.photos.photo(asked.photo)
            if isinstance(asked, Channels):
                tell_channels(job, asked, model, photo)
            elif isinstance(asked, Explain):
                truth = self.photos.truth(asked.photo, asked.model)
                Explaining(asked, model, photo, truth).run(job, between=lambda: self._prepare(model, asked.photo))

    def _prepare(self, model: LiveModel, photo: str) -> None:
        """A mask may be dragged over the photo from now on."""
        with suppress(SeewhyError):  # whoever drags one is told
            self.answers.prepare(model, photo)

    def take(self, path: Path, name: str) -> dict[str, Any]:
        """A photo that was uploaded, see ``Photos.add``; a folder's photos wait for it."""
        with self.priority.job():
            return self.photos.add(path, name)

    def close(self, patience: float) -> bool:
        """All jobs are cancelled, and uploads removed.

        Args:
            patience: seconds that all threads have to come to an end of what they do.

        Returns:
            Whether they did: a foreign network may never come back.
        """
        end = time.monotonic() + patience
        self._ending.cancel()
        with self._lock:
            self._closed = True
            for job in self._running:
                job.control.cancel()
        rooms = (self.jobs, self.moves, self.uploads, self.drawings)
        ended = all(each.wait_until_idle(max(0.0, end - time.monotonic())) for each in rooms)
        self.photos.close()
        return ended


def _methods() -> list[dict[str, str]]:
    """The table of methods, as the page shows it."""
    rows = [
        (method.id, method.title, method.formula, method.misleads, str(BIBLIOGRAPHY[method.source]))
        for method in METHODS
    ]
    rows.append(
        (CLASS_VISUALIZATION, VISUALIZATION_TITLE, VISUALIZATION_FORMULA, VISUALIZATION_MISLEADS,
         str(BIBLIOGRAPHY["simonyan2013"]))
    )  # fmt: skip
    return [dict(zip(("id", "title", "formula", "misleads", "source"), row, strict=True)) for row in rows]
