"""A model of the page: the session that owns it, what the page is told of it, and private copies for long work."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from PIL import Image

from ..core.needs import Needs
from ..core.record import recorded
from ..errors import SeewhyError
from ..events import Cancellation, Cancelled
from ..layer_table import layers
from ..legible import in_one_line, message
from ..models import Classifier
from ..results.viewed import LONGEST, viewed
from ..session import Session
from .jobs import log

MOST_COPIED = 1 << 30
"""Bytes of weights up to which a network is copied."""


class LiveModel:
    """One of the models that were chosen at launch; used by all threads.

    Attributes:
        number: its place among them.
        session: owns the network; answers in the order of asking.
        following: held while the network is followed for a photo.
    """

    def __init__(self, classifier: Classifier, number: int = 0):
        self.number, self.session = number, Session(classifier)
        self._facts: dict[str, Any] | None = None
        self._spare: Classifier | None = None
        self._lock, self.following = threading.Lock(), threading.Lock()

    @property
    def classifier(self) -> Classifier:
        """The model with its labels and its preprocessing."""
        return self.session.classifier

    def warm_up(self, cancellation: Cancellation | None = None) -> None:
        """Everything that only the first photo would wait for: kernels, the default layer, imports."""
        grey = Image.new("RGB", (256, 256), (127, 127, 127))
        try:
            viewed(self.session.explain(grey, ["grad_cam"], cancellation=cancellation))
        except Cancelled:
            return
        except SeewhyError:
            pass  # the model says so again of each photo
        except BaseException as error:  # noqa: BLE001 - it is foreign code
            log(error)
        self.facts()

    def facts(self) -> dict[str, Any]:
        """What the page is told: name, classes, layers."""
        with self._lock:
            if self._facts is None:
                self._facts = self._found_out()
            return self._facts

    def _found_out(self) -> dict[str, Any]:
        model, notes = self.classifier, list(self.classifier.notes)
        count, table = None if model.labels is None else len(model.labels), list[dict[str, Any]]()
        inputs = torch.zeros(1, len(model.mean), *model.input_size)
        try:
            with self.session.turn() as classifier:
                inputs = inputs.to(next((each.device for each in classifier.model.parameters()), inputs.device))
                with recorded(classifier, inputs, None, Needs()) as record:
                    count = count if record.logits is None else record.logits.shape[1]
                table = [vars(layer) for layer in layers(classifier, inputs)]
        except SeewhyError as error:
            notes.append(str(error))
        except BaseException as error:  # noqa: BLE001 - it is foreign code
            log(error)
            notes.append(f"the model failed on a grey picture: {type(error).__name__}")
        return {
            "name": in_one_line(model.name), "spec": in_one_line(model.name),
            "classes": None if model.labels is None else [in_one_line(name, LONGEST) for name in model.labels],
            "count": count, "input_size": list(model.input_size), "notes": [message(note) for note in notes],
            "layers": table,
            "weights": model.weights_hash,
        }  # fmt: skip

    @contextmanager
    def private(self, cancellation: Cancellation) -> Iterator[tuple[Classifier, bool]]:
        """A copy of the model for work that takes long, so that nobody waits for it; and whether it is one.

        A network that cannot be copied, or is large, is lent itself: then everyone else waits.
        """
        with self._lock:
            mine, self._spare = self._spare, None
        mine = mine or self._copied(cancellation)
        if mine is None:
            with self.session.turn(cancellation) as classifier:
                yield classifier, False
            return
        try:
            yield mine, True
        finally:
            with self._lock:
                self._spare = mine

    def _copied(self, cancellation: Cancellation) -> Classifier | None:
        with self.session.turn(cancellation) as classifier:
            if sum(each.nbytes for each in classifier.model.state_dict().values() if _is_tensor(each)) > MOST_COPIED:
                return None
            try:
                return replace(classifier, model=copy.deepcopy(classifier.model))
            except Exception:  # noqa: BLE001 - whatever a foreign network cannot do
                return None


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)
