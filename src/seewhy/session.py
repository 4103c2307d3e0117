"""Who may touch a model, when: one object owns it, and whoever wants an explanation asks it."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import numpy as np
import PIL
import torch
from torch import Tensor, nn

from . import __version__, events
from .api import AnyMethod
from .core.needs import Needs
from .core.queue import Queue
from .core.record import Record, recorded_for
from .core.target import Target, Versus
from .errors import InputError, ModelError, SeewhyError
from .explaining import explained
from .incremental import Programs
from .interrupts import shielded
from .models import Classifier, load
from .models.from_memory import classifier
from .models.prediction import Prediction, predicted
from .models.weights import state_hash
from .patch import Patch
from .patched import WhatIf, WhatIfs, answered
from .pictures import Photo
from .pictures.in_memory import as_photo
from .request import AnyTarget, Request
from .results import Explained, Explanation, Made, ModelFacts, SeenPhoto, View
from .strongest import Channels, strongest
from .synthesis import Visualization
from .synthesis.cached import cached
from .synthesis.presets import find_preset

PENDING = "not made yet: images of classes are made after all maps"

_MAPS = 0.5
"""The share of an explanation's progress that its maps are counted as, beside the images of its classes."""


class Session:
    """Owns a model, its traced programs and its caches. Threads that ask at once are answered one after the other, in
    the order in which they asked.

    Args:
        model: a SPEC for ``seewhy.load``, a ``Classifier``, or a ``torch.nn.Module``, which is taken as
            ``seewhy.classifier(module)`` takes it.
        preset, steps: how the images of classes are made, see ``seewhy.visualize``; steps None: the preset's.

    Attributes:
        classifier: the model with its labels and its preprocessing.
        notes: what is to be known of the cache of images, such as that nothing can be written to it.
    """

    def __init__(self, model: object = "efficientnet_lite0", *, preset: str = "default", steps: int | None = None):
        self.preset, self.steps = find_preset(preset).but(steps=steps).name, steps
        self.classifier = _classifier(model)
        self.notes: tuple[str, ...] = ()
        self._programs = Programs()
        self._queue = Queue()
        self._versions: list[tuple[int, int]] | None = None
        if isinstance(model, str):
            self._versions = _versions(self.classifier.model)

    def __repr__(self) -> str:
        return f"Session({self.classifier!r})"

    @shielded
    def turn(self, cancellation: events.Cancellation | None = None) -> Iterator[Classifier]:
        """The model is this thread's for the time of the block, for whatever a session has no method for.

        Raises:
            ModelError: this thread is at work in this session already, as in a listener.
            Cancelled: it was cancelled while it waited.
        """
        with self._queue.turn(cancellation):
            yield self.classifier

    def predict(self, photo: Any, *, top: int = 5) -> Prediction:
        """See ``Classifier.predict``."""
        read = as_photo(photo)
        with self._queue.turn():
            return self.classifier.predict(read, top=top)

    def explain(
        self,
        photo: Any,
        methods: AnyMethod | Sequence[AnyMethod] | None = None,
        targets: AnyTarget | Sequence[AnyTarget] | None = None,
        versus: int | str | Sequence[int | str] | None = None,
        *,
        truth: str | None = None,
        shared_scale: bool | None = None,
        batch_size: int | None = None,
        listener: events.Listener | None = None,
        cancellation: events.Cancellation | None = None,
    ) -> Explanation:
        """See ``seewhy.explain``; with a stream of events.

        Args:
            photo, methods, targets, versus, truth, shared_scale, batch_size: as there.
            listener: hears the events of the job that is called as the photo: each view as a result, then the
                explanation without images of classes where some have to be made, then the whole.
            cancellation: ends the job at the next forward when it is asked to.

        Raises:
            SeewhyError: as ``seewhy.explain``; ModelError where this thread is at work in this session already, as
                in a listener.
            Cancelled: it was cancelled.
        """
        read = as_photo(photo)
        request = Request.of(
            self.classifier, methods, targets, versus, batch_size=batch_size, shared_scale=shared_scale
        )
        truth = None if truth is None else self.classifier.label(self.classifier.index(truth))
        job = events.job(read.path.name, listener=listener, cancellation=cancellation)
        with job, self._queue.turn(cancellation):
            start = time.perf_counter()
            with events.part("Maps", 0, _MAPS if request.visualized else 1):
                found = self._maps(read, request, truth, "")
            if missing := pending(found):
                events.result(found)
                with events.part("Class visualization", _MAPS, 1 - _MAPS):
                    found = found.with_visualizations(self._visualizations(missing, make=True))
            seconds = round(time.perf_counter() - start, 3)
            found = replace(found, made=replace(found.made, seconds=seconds))
            events.result(found)
            return found

    def what_if(
        self, photo: Any, patch: Patch | Sequence[Patch], classes: int | str | Sequence[int | str] | None = None
    ) -> WhatIf:
        """See ``seewhy.what_if``."""
        return answered(self.what_ifs(photo), patch, classes)

    def what_ifs(self, photo: Any) -> WhatIfs:
        """To ask many patches of one photo. A patch waits for this session's other work only where each needs a whole
        forward (``WhatIfs.engine``).
        """
        return WhatIfs(self.classifier, photo, programs=self._programs, turn=self._queue.turn)

    def channels(
        self, photo: Any, layer: str | None = None, target: Target = None, *,
        at: tuple[int, int] | None = None, count: int | None = 12,
    ) -> Channels:  # fmt: skip
        """See ``seewhy.channels``."""
        inputs = photo if isinstance(photo, Tensor) else self.classifier.preprocess(as_photo(photo).image)
        with self._queue.turn():
            return strongest(self.classifier, inputs, layer, target, at=at, count=count)

    def maps(self, photo: Photo, request: Request, *, truth: str | None = None, command: str = "") -> Explanation:
        """A photo explained, with the images of classes that are in the cache; in place of others stands an error view
        that says so, see ``pending``. All targets share one forward.

        Raises:
            SeewhyError: the model's output cannot be explained. A method that does not apply stops nothing: its error
                takes its place among the views.
        """
        with self._queue.turn():
            return self._maps(photo, request, truth, command)

    def visualizations(self, asked: Sequence[Explained]) -> dict[str, View]:
        """The image of each class, by the target's key: from the cache, or made, as many at once as memory allows.

        Raises:
            KeyboardInterrupt: Ctrl-C came while an image was being made.
        """
        with self._queue.turn():
            return self._visualizations(asked, make=True)

    def _maps(self, photo: Photo, request: Request, truth: str | None, command: str) -> Explanation:
        start = time.perf_counter()
        self._look_at_weights()
        model, inputs = self.classifier, self.classifier.preprocess(photo.image)
        notes, request = self._comparable(photo, request)
        seen = SeenPhoto.of(photo, model.crop(photo.image), model.box(photo.image), notes)
        needs = Needs.of(method for _, method in request.methods)
        with recorded_for(
            model, inputs, request.targets, needs, request.batch_size, programs=self._programs
        ) as records:
            prediction = self._predicted(records[0])
            targets = []
            for number, record in enumerate(records):
                with events.part(f"target {number + 1}", number / len(records), 1 / len(records)):
                    targets.append(explained(model, record, request))
        found = Explanation(
            photo=seen,
            model=self.facts,
            top=prediction.top,
            probabilities=prediction.how,
            targets=tuple(targets),
            made=Made(__version__, _VERSIONS, _now(), round(time.perf_counter() - start, 3), command),
            truth=truth,
            shared_scale=request.shared_scale,
        )  # fmt: skip
        if not request.visualized:
            return found
        asked = [each for each in found.targets if each.against is None]
        views = dict.fromkeys((each.key for each in asked), View.without_visualization(PENDING))
        return found.with_visualizations(views | self._visualizations(asked, make=False))

    def _visualizations(self, asked: Sequence[Explained], *, make: bool) -> dict[str, View]:
        """From the cache alone, or made as well."""
        wanted = {each.key: (each.target.index, each.target.sign) for each in asked}
        found: dict[tuple[int, int], Visualization | SeewhyError] = {}
        try:
            pictures = cached(self.classifier, wanted.values(), preset=self.preset, steps=self.steps, make=make)
            self.notes = pictures.notes
            found |= pictures
        except SeewhyError as error:
            if events.raised_by_a_listener(error):
                raise
            if len(wanted) > 1:  # one that cannot be made stops no other
                return {key: view for each in asked for key, view in self._visualizations([each], make=make).items()}
            found = dict.fromkeys(wanted.values(), error)
        return {key: _view_of(found[each]) for key, each in wanted.items() if each in found}

    @property
    def facts(self) -> ModelFacts:
        """What a reader must know of the model."""
        model = self.classifier
        provenance = {**model.provenance, **({"namesakes": same} if (same := model.namesakes) else {})}
        return ModelFacts(model.name, model.weights_hash, str(model.transform), model.notes, provenance)

    def _comparable(self, photo: Photo, request: Request) -> tuple[tuple[str, ...], Request]:
        """The photo's notes, and the request; without the comparison of its predicted class with itself, which a note
        says.
        """
        others = {each.other for each in request.targets if isinstance(each, Versus) and each.target is None}
        if not others or (first := self.classifier.predict(photo, top=1)).index not in others:
            return photo.notes, request
        note = f"{first.name} is what was predicted: it is not held against itself"
        kept = [each for each in request.targets if each != Versus(None, first.index)]
        return (*photo.notes, note), replace(request, targets=tuple(kept))

    def _look_at_weights(self) -> None:
        """The hash is of the weights as they are: a network may have been trained since. What is written through
        ``.data`` shows nowhere; a new session sees it.
        """
        versions = _versions(self.classifier.model)
        if versions != self._versions:
            self.classifier = replace(self.classifier, weights_hash=state_hash(self.classifier.model))
            self._versions = versions

    def _predicted(self, record: Record) -> Prediction:
        assert record.logits is not None
        self.classifier.check_outputs(record.logits.shape[1])
        return predicted(self.classifier, record.logits[0])


def explain(
    photo: Any,
    model: object = "efficientnet_lite0",
    methods: AnyMethod | Sequence[AnyMethod] | None = None,
    targets: AnyTarget | Sequence[AnyTarget] | None = None,
    versus: int | str | Sequence[int | str] | None = None,
    *,
    truth: str | None = None,
    shared_scale: bool | None = None,
    batch_size: int | None = None,
    preset: str | None = None,
    steps: int | None = None,
    listener: events.Listener | None = None,
    cancellation: events.Cancellation | None = None,
) -> Explanation:
    """Why ``model`` said what it said of a photo, by every method at once.

    All methods and all targets share one forward. The image of each class is made last, and once: the next photo of
    the same model finds it in the cache, see ``seewhy cache``.

    Args:
        photo: a path, a PIL image, or an array (H, W, 3) of uint8 0..255 or floats 0..1; as it is, not preprocessed.
        model: a SPEC for ``seewhy.load``, a ``Classifier``, a ``torch.nn.Module``, or a ``Session``.
        methods: ids or methods, or one of them; "class_visualization" is one too. None: all.
        targets: classes, by name or number, or one of them; ``Versus`` too. None: the predicted class.
        versus: another class, or several: for each, why the first target *rather than* it, as a further target.
        truth: the photo's true class, where it is known.
        shared_scale: whether the maps of one method have one colour scale over all targets; None: with ``versus``.
        batch_size: images per forward where a method needs many.
        preset, steps: of the image of the class, see ``seewhy.visualize``; a ``Session`` has its own. None: "default",
            and the preset's.
        listener, cancellation: see ``Session.explain``.

    Raises:
        SeewhyError: the photo cannot be read, there is no such model, method or class, or the model's output cannot be
            explained. A method that does not apply stops nothing: its view holds the error.
    """
    if isinstance(model, Session):
        if (preset, steps) != (None, None):
            raise InputError("preset and steps are the session's own", expected="Session(model, preset=..., steps=...)")
        session = model
    else:
        session = Session(model, preset=preset or "default", steps=steps)
    return session.explain(
        photo, methods, targets, versus, truth=truth, shared_scale=shared_scale, batch_size=batch_size,
        listener=listener, cancellation=cancellation,
    )  # fmt: skip


def _versions(model: nn.Module) -> list[tuple[int, int]]:
    """What changes when a weight is written, or another takes its place."""
    tensors = (tensor for tensor in model.state_dict(keep_vars=True).values() if isinstance(tensor, torch.Tensor))
    return [(id(tensor), -1 if tensor.is_inference() else tensor._version) for tensor in tensors]


def pending(found: Explanation) -> list[Explained]:
    """The targets whose image of the class is still to be made."""
    return [each for each in found.targets if any(view.error == PENDING for view in each.views.values())]


_VERSIONS = {
    "python": platform.python_version(),
    "torch": str(torch.__version__),
    "numpy": np.__version__,
    "pillow": PIL.__version__,
}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _view_of(made: Visualization | SeewhyError) -> View:
    if isinstance(made, SeewhyError):
        return View.without_visualization(str(made), type(made).__name__)
    return View.of_visualization(made)


def _classifier(model: object) -> Classifier:
    if isinstance(model, Classifier):
        return model
    if isinstance(model, nn.Module):
        return classifier(model)
    if isinstance(model, str):
        return load(model)
    expected = "a SPEC, a Classifier, a torch.nn.Module or a Session"
    raise ModelError("this is not a model", expected=expected, got=type(model).__name__)
