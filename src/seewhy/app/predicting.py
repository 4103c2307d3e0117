"""What a model says of many photos: work that gives way to everything else."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from ..errors import PhotoError, plain
from ..legible import in_one_line
from ..models.prediction import Ranked
from ..results.viewed import LONGEST
from .jobs import Job
from .live_model import LiveModel
from .messages import Predict
from .photos import Photos

MOST_KEPT = 20_000
"""Predictions that are kept, of all models together."""


def told(entry: Ranked) -> dict[str, Any]:
    """A class with its score, for the page; no character of its name acts."""
    name = in_one_line(entry.name, LONGEST)
    return {"index": entry.index, "name": name, "score": entry.score, "probability": entry.probability}


class Predictions:
    """Of all models and photos; kept as long as the file is the same."""

    def __init__(self, photos: Photos):
        self._photos = photos
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], tuple[Ranked, ...]] = OrderedDict()

    def run(self, job: Job, asked: Predict, model: LiveModel) -> None:
        """Tell each photo's classes; a photo that cannot be read stops no other."""
        ids = self._photos.folder_ids() if asked.photos is None else asked.photos
        for done, id in enumerate(ids):
            job.priority.give_way_to_all()
            job.wait_for_reader()
            job.control.check()
            try:
                top = self._top(id, model)
            except PhotoError as error:
                job.tell("predicted", photo=id, model=asked.model, top=[], right=None, error=str(error))
                continue
            truth = self._photos.truth(id, asked.model)
            right = None if truth is None else plain(truth) == plain(top[0].name)
            job.tell("predicted", photo=id, model=asked.model, top=[told(entry) for entry in top], right=right)
            job.progress((done + 1) / len(ids), "Photos")

    def _top(self, id: str, model: LiveModel) -> tuple[Ranked, ...]:
        key = (model.number, *self._photos.stamp(id))
        with self._lock:
            found = self._kept.get(key)
        if found is None:
            found = model.session.predict(self._photos.photo(id)).top
            with self._lock:
                self._kept[key] = found
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
        return found
