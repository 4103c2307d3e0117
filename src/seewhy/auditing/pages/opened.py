"""Photos of an audit's page explained for the viewer, which opens them large."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ... import events
from ...core.method import Method
from ...errors import SeewhyError
from ...methods import CAM, GradCAM
from ...models import Classifier
from ...pictures import read_photo
from ...request import Request
from ...results import Explanation
from ...results.viewed import viewed
from ...session import Session

MOST_OPENED = 120
"""Photos of a page that can be opened: some 12 KB each, most of that the whole photo in small."""


class Opened:
    """Explains photos, each with one map per class: CAM, or Grad-CAM where CAM does not apply to the network.

    Args:
        classifier: the model.
        root: the folder that paths are within.
        labels: the name of each class by its index: two may be called alike, and a name may be none of the model's own.

    Attributes:
        blocks: id of a block of the page -> what the viewer shows of it, but for the crop, which the page holds once,
            in its strip.
    """

    def __init__(self, classifier: Classifier, root: Path, labels: Mapping[int, str]):
        self._session, self._root = Session(classifier), root
        self._index = {name: index for index, name in reversed(list(labels.items()))}
        self._method: Method = CAM()
        self._known: dict[tuple[str, tuple[str, ...]], str | None] = {}
        self.blocks: dict[str, dict[str, Any]] = {}

    def of(self, path: str, classes: Sequence[str | None], truth: str | None = None) -> str | None:
        """The id of the block of a photo; None where it cannot be explained, or the page has enough.

        Args:
            path: within the folder.
            classes: whose maps are shown, on one scale; None is the predicted one.
            truth: the true class, where it is known.
        """
        key = path, tuple("" if each is None else each for each in classes)
        if key not in self._known:
            if len(self.blocks) >= MOST_OPENED:
                return None
            events.checkpoint()
            try:
                about = viewed(self._explained(path, classes, truth))
            except (SeewhyError, OSError, ValueError):  # what is wrong with a photo is said where it is shown
                self._known[key] = None
            else:
                about["photo"]["crop"] = ""
                self._known[key] = f"photo-{len(self.blocks) + 1}"
                self.blocks[f"photo-{len(self.blocks) + 1}"] = about
        return self._known[key]

    def _explained(self, path: str, classes: Sequence[str | None], truth: str | None) -> Explanation:
        named = [each for each in dict.fromkeys(classes) if each is not None]
        targets = [self._index.get(each, each) for each in named] or None
        photo, classifier = read_photo(self._root / path), self._session.classifier

        def by(method: Method) -> Explanation:
            request = Request.of(classifier, [method], targets, shared_scale=True)
            return self._session.maps(photo, request, truth=truth)

        found = by(self._method)
        if isinstance(self._method, CAM) and any(view.error for view in found.targets[0].views.values()):
            self._method = GradCAM(relu=False)
            found = by(self._method)
        return found
