"""Ascents: images of classes and channels, watched while they form; the last ones are kept for their files."""

from __future__ import annotations

import importlib.util
import io
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from math import ceil
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .. import events
from ..core.attribution import jsonable
from ..errors import InputError
from ..gallery.video import film
from ..pictures import png_bytes
from ..pictures.notebook import encoded
from ..results.viewed import data_uri
from ..synthesis import Visualization, visualize
from ..synthesis.ascending import Step
from ..synthesis.objectives import channel
from ..synthesis.pixels import to_image
from ..synthesis.presets import find_preset
from .jobs import Job
from .live_model import LiveModel
from .messages import Ascend

FRAME_EVERY = 0.08
"""Seconds between two frames, at least."""

MOST_FRAMES, MOST_KEPT = 160, 8
"""Frames of a film at most, evenly spaced, and ascents whose files can be had."""

AT_ONCE = 2
"""Ascents of one model that are made at the same time."""

STREAMED, FILMED = 80, 92
"""How well frames are encoded, 0..100."""


class Ascents:
    """Those of the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._running: dict[int, int] = {}
        self._done: OrderedDict[str, tuple[Image.Image, list[bytes]]] = OrderedDict()

    def run(self, job: Job, asked: Ascend, model: LiveModel) -> None:
        """Ascend, and tell how it goes.

        Raises:
            SeewhyError: there is no such class, channel or preset; or too many are being made.
        """
        target = None if asked.target is None else model.classifier.index(asked.target)
        objective = None if asked.layer is None or asked.channel is None else channel(asked.layer, asked.channel)
        ascent = find_preset(asked.preset).but(steps=asked.steps, l2=asked.l2)
        with self._lock:
            if self._running.get(model.number, 0) >= AT_ONCE:
                raise InputError(f"{AT_ONCE} images of this model are being made already", expected="one to be stopped")
            self._running[model.number] = self._running.get(model.number, 0) + 1
        try:
            with model.private(job.control) as (classifier, own):
                job.control.pausable = own
                watch = Watch(job, classifier, ascent.penalties.l2, ascent.steps)
                with events.job("Ascent", listener=watch, cancellation=job.control):
                    made = visualize(
                        classifier, target, objective=objective, ascent=ascent, seed=asked.seed, attempts=1
                    )
        finally:
            with self._lock:
                self._running[model.number] -= 1
        self._tell(job, made, watch, ascent.steps)

    def picture(self, id: str, name: str) -> tuple[str, bytes]:
        """A file of a finished ascent, with its MIME type: "image.png", "film.gif" or "film.mp4".

        Raises:
            InputError: there is no such ascent.
            MissingExtraError: an MP4 needs the ``video`` extra.
        """
        with self._lock:
            found = self._done.get(id)
        if found is None or name not in _KINDS:
            raise InputError("there is no such image any more", expected="one that was made since the launch")
        image, frames = found
        if name == "image.png":
            return _KINDS[name], png_bytes(image)
        images = [Image.open(io.BytesIO(each)).convert("RGB") for each in frames]
        return _KINDS[name], film([*images, image], name[-4:])

    def _tell(self, job: Job, made: Visualization, watch: Watch, steps: int) -> None:
        image = made.to_image()
        with self._lock:
            self._number += 1
            id = f"a{self._number}"
            self._done[id] = image, watch.frames
            if len(self._done) > MOST_KEPT:
                self._done.popitem(last=False)
        score = made.score if made.score is not None else made.history[-1]
        job.tell(
            "ascended", ascent=id, image=data_uri(image, FILMED), score=float(score[0]),
            probability=None if made.probability is None else float(made.probability[0]), steps=len(made.history),
            stopped=len(made.history) < steps, params=jsonable(made.params), course=watch.rest(),
        )  # fmt: skip


class Watch:
    """Listens to an ascent: sends frames as the page takes them, and every point of the course.

    Args:
        job: the page's.
        model: a classifier; knows the units of the images.
        l2: the penalty's weight.
        steps: how many there will be.
    """

    def __init__(self, job: Job, model: Any, l2: float, steps: int):
        self._job, self._l2, self._steps = job, l2, steps
        self._mean, self._std = (torch.tensor(values).view(-1, 1, 1) for values in (model.mean, model.std))
        self.frames: list[bytes] = []
        self._filmed_every = ceil(steps / MOST_FRAMES)
        self._points: list[tuple[int, Tensor, Tensor]] = []
        self._next = 0.0

    def __call__(self, event: events.Event) -> bool:
        """True asks the ascent to stop."""
        step = event.value
        if event.kind == "progress" and isinstance(step, Step):
            self._job.priority.give_way()
            self._see(step)
            self._job.control.wait()
        return self._job.control.stopped

    def rest(self) -> list[list[float]]:
        """The course since the last frame; reading it waits for the device, so it is read as seldom as it is sent."""
        points, self._points = self._points, []
        return [[number, float(score), self._l2 * float(square)] for number, score, square in points]

    def _see(self, step: Step) -> None:
        self._points.append((step.number, step.score[0], step.images[0].square().sum()))
        now, filmed, last = time.monotonic(), step.number % self._filmed_every == 0, step.number + 1 == self._steps
        shown = last or now >= self._next
        if not (filmed or shown):
            return
        image = to_image(step.images[0].float().cpu() * self._std + self._mean)
        if filmed:
            self.frames.append(encoded(image, FILMED)[1])
        if shown:
            self._next = now + FRAME_EVERY
            self._job.tell_latest(
                "frame", _with_points, step=step.number + 1, steps=self._steps, image=data_uri(image, STREAMED),
                course=self.rest(),
            )  # fmt: skip


def _with_points(old: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
    """The newer frame, with the points of both."""
    return {**new, "course": [*old["course"], *new["course"]]}


def has_video() -> bool:
    """Whether MP4 can be written."""
    return importlib.util.find_spec("av") is not None


_KINDS = {"image.png": "image/png", "film.gif": "image/gif", "film.mp4": "video/mp4"}
