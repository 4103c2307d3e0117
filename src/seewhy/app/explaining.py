"""A photo explained in stages: what is quick comes at once, what takes longer fills in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace

from .. import events
from ..core.method import Method
from ..methods import CAM, METHODS, GradCAM, Occlusion
from ..pictures import Photo
from ..request import Request
from ..results import CLASS_VISUALIZATION, Explanation
from ..results.viewed import viewed
from ..session import Session, pending
from .jobs import Job
from .live_model import LiveModel
from .messages import Explain

COARSE = (3, 5)
"""Occlusion is shown first with windows of these parts of the photo's side, side by side, then as it is by default."""

_ORDER = {method.id: place for place, method in enumerate(METHODS)} | {CLASS_VISUALIZATION: len(METHODS)}


def stages(wanted: Sequence[str] | None, layers: Sequence[str], size: tuple[int, int]) -> list[list[Method]]:
    """The maps that are asked for, in the order in which they are made.

    Args:
        wanted: ids; None for all.
        layers: for the methods that have one; empty for the default layer.
        size: (height, width) of the model's input.
    """
    kinds = [kind for kind in METHODS if wanted is None or kind.id in wanted]
    first = [method for kind in kinds if kind is GradCAM for method in _at_layers(kind, layers)]
    rest = [kind for kind in kinds if kind not in (GradCAM, Occlusion)]
    # CAM needs no backward: where there is no Grad-CAM it is what comes first.
    if not first and CAM in rest and len(rest) > 1:
        first, rest = [CAM()], [kind for kind in rest if kind is not CAM]
    second = [method for kind in rest for method in _at_layers(kind, layers)]
    coarse = [_coarse(size, part) for part in COARSE if min(size) >= 4 * part]
    third: list[list[Method]] = [[method] for method in (*coarse, Occlusion())] if Occlusion in kinds else []
    return [*([first] if first else []), *([second] if second else []), *third]


def _at_layers(kind: type[Method], layers: Sequence[str]) -> list[Method]:
    if layers and any(field.name == "layer" for field in fields(kind)):
        return [kind(layer=layer) for layer in layers]  # type: ignore[call-arg]
    return [kind()]


def _coarse(size: tuple[int, int], part: int) -> Occlusion:
    window = size[0] // part, size[1] // part
    return Occlusion(window=window, stride=window)


def merged(old: Explanation | None, new: Explanation) -> Explanation:
    """The views of both, in their usual order; of one that both have the newer. Both explain the same targets."""
    if old is None:
        return new
    before = {found.key: found.views for found in old.targets}
    targets = []
    for found in new.targets:
        views = {**before.get(found.key, {}), **found.views}
        ordered = dict(sorted(views.items(), key=lambda item: _ORDER.get(item[0].partition("(")[0], len(_ORDER))))
        targets.append(replace(found, views=ordered))
    made = replace(new.made, seconds=round(old.made.seconds + new.made.seconds, 3))
    return replace(new, targets=tuple(targets), made=made)


class Explaining:
    """One photo, explained for a page.

    Args:
        asked: by the page.
        model, photo: which.
        truth: the photo's class, where known.
    """

    def __init__(self, asked: Explain, model: LiveModel, photo: Photo, truth: str | None):
        self._asked, self._model, self._photo, self._truth = asked, model, photo, truth
        self.found: Explanation | None = None

    def run(self, job: Job, between: Callable[[], object]) -> None:
        """All stages; ``between`` is called after the quick ones."""
        asked, session = self._asked, self._model.session
        plan = stages(asked.methods, asked.layers, self._model.classifier.input_size)
        pictured = CLASS_VISUALIZATION in (asked.methods or ())
        pieces = len(plan) + pictured
        for number, methods in enumerate(plan):
            if isinstance(methods[0], Occlusion) and (number == 0 or not isinstance(plan[number - 1][0], Occlusion)):
                job.control.check()
                between()
            new = session.explain(
                self._photo, methods, asked.targets or None, asked.versus or None, truth=self._truth,
                listener=job.listener(number / pieces, 1 / pieces), cancellation=job.control,
            )  # fmt: skip
            self._tell(job, merged(self.found, new), final=number + 1 == pieces)
        if pictured:
            self._tell(job, merged(self.found, self._pictured(job, len(plan) / pieces, 1 / pieces)), final=True)
        if not plan or not isinstance(plan[-1][0], Occlusion):
            job.control.check()
            between()

    def _pictured(self, job: Job, begin: float, share: float) -> Explanation:
        """The image of each class: from the cache, or made by a copy of the network, which nobody waits for."""
        model, listener = self._model, job.listener(begin, share)
        targets, versus = self._asked.targets or None, self._asked.versus or None
        request = Request.of(model.classifier, [CLASS_VISUALIZATION], targets, versus)
        with events.job("Class visualization", listener=listener, cancellation=job.control):
            found = model.session.maps(self._photo, request, truth=self._truth)
            if missing := pending(found):
                with model.private(job.control) as (classifier, _):
                    found = found.with_visualizations(Session(classifier).visualizations(missing))
        return found

    def _tell(self, job: Job, found: Explanation, *, final: bool) -> None:
        self.found = found
        job.tell("explained", explanation=viewed(found), final=final)
