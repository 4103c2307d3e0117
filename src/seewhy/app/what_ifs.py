"""A mask that is dragged over a photo: scores at once, from what was computed of the photo before."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from ..errors import InputError
from ..patch import Patch
from ..patched import WhatIfs
from .live_model import LiveModel
from .messages import WhatIf
from .photos import Photos
from .predicting import told
from .priority import Priority

MOST_KEPT = 4
"""Photos whose maps are kept at each layer, of all models together: tens of megabytes each."""


class Answers:
    """Of all models and photos."""

    def __init__(self, photos: Photos, priority: Priority):
        self._photos, self._priority = photos, priority
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], WhatIfs] = OrderedDict()

    def prepare(self, model: LiveModel, photo: str) -> WhatIfs:
        """What answers for a photo, made before it is asked."""
        key = (model.number, *self._photos.stamp(photo))
        read = self._photos.photo(photo)
        if (kept := self._find(key)) is not None:
            return kept
        with model.following:  # two pages that ask about one photo have it followed once
            if (kept := self._find(key)) is not None:  # another thread made it meanwhile
                return kept
            made = model.session.what_ifs(read)
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return made

    def ask(self, asked: WhatIf, model: LiveModel) -> dict[str, Any]:
        """The scores under a patch.

        Raises:
            SeewhyError: the patch does not fit, or the model cannot be asked.
        """
        patch, classes = self._patch(asked), asked.classes or None  # none: the most probable ones of the photo
        answers = self.prepare(model, asked.photo)
        if answers.engine == "incremental":  # it works on copies of its own, and waits for no explanation
            with self._priority.urgent():
                answer = answers.ask(patch, classes)
        else:
            answer = answers.ask(patch, classes)
        return {
            "type": "scores", "id": asked.id, "photo": asked.photo, "model": asked.model,
            "top": [told(entry) for entry in answer.top], "classes": [told(each.after) for each in answer.classes],
            "before": [told(each.before) for each in answer.classes], "exact": True, "engine": answers.engine,
            "reason": answers.reason,
        }  # fmt: skip

    def _find(self, key: tuple[object, ...]) -> WhatIfs | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _patch(self, asked: WhatIf) -> Patch:
        top, left, height, width = asked.box
        own: dict[str, Any] = {}
        if asked.fill == "blur":
            own["sigma"] = asked.sigma
        elif asked.fill == "colour":
            own["colour"] = asked.colour
        elif asked.source is None:
            raise InputError("a patch is cut from somewhere", expected="a source: photo, top and left")
        else:
            own["source"] = self._photos.photo(asked.source.photo)
            own["source_corner"] = asked.source.top, asked.source.left
        return Patch((top, left, height, width), asked.shape, asked.fill, **own)
