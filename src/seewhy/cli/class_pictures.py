"""The images of classes that a run of ``seewhy explain`` needs: made after all maps, each class once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .. import events
from ..legible import message
from ..results import Explained, Explanation, View
from ..session import Session, pending
from ..synthesis.cached import at_once
from .ending import check
from .progress import Bar
from .writing import Writer

AT_ONCE = 4
"""Photos of a run, at most, whose figures are drawn before the images of their classes, and again with them."""

MOST = 16
"""Classes whose images are made unless they were asked for by name: each takes as long as several photos' maps."""


Keep = Callable[[Explanation, Path], None]


class ClassPictures:
    """What is still to be made.

    Args:
        session: makes them.
        writer: writes, in the background.
        keep: writes an explanation again, with them.
        tell: a line for people.
        all_of_them: whether they were asked for by name: all are made, however many, and one that cannot be is an
            error.

    Attributes:
        left: photos whose figures were not drawn.
    """

    def __init__(self, session: Session, writer: Writer, keep: Keep, tell: Callable[[str], None], *, all_of_them: bool):
        self._session, self._writer, self._keep, self._tell, self._all = session, writer, keep, tell, all_of_them
        self._wanted: dict[str, Explained] = {}
        self._photos: Counter[str] = Counter()
        self._waiting: dict[Path, set[str]] = {}
        self._undrawn: set[Path] = set()
        self._failed = 0

    @property
    def left(self) -> int:
        """Photos whose figures were not drawn, since the run ended before."""
        return len(self._undrawn)

    def waits_for(self, explanation: Explanation, folder: Path, photos: int) -> bool:
        """Note what a photo needs; whether its figure is to wait for it."""
        missing = pending(explanation)
        if not missing:
            return False
        self._waiting[folder] = {each.key for each in missing}
        self._photos.update(self._waiting[folder])
        # Without its maps, which are on disk.
        self._wanted |= {each.key: Explained(each.target, each.score, {}) for each in missing}
        if photos > AT_ONCE:
            self._undrawn.add(folder)
            return True
        return False

    def forget(self, folder: Path) -> None:
        """A photo could not be written."""
        self._waiting.pop(folder, None)
        self._undrawn.discard(folder)

    def make(self, bar: Bar) -> int:
        """Make them, the most frequent classes first, and write each photo again as soon as it has all of its own;
        gives how many could not be made.
        """
        order = [key for key, _ in self._photos.most_common()]
        made: dict[str, View] = {}
        if not self._all and len(order) > MOST:
            why = f"not made: this run met {len(order)} classes, and only the {MOST} most frequent are made unless "
            why += "class_visualization is asked for by name"
            made = {key: View.without_visualization(why) for key in order[MOST:]}
            order = order[:MOST]
            self._hand_out(made)
        together = at_once(self._session.classifier.input_size)
        for start in range(0, len(order), together):
            check()
            part = order[start : start + together]
            names = ", ".join(self._wanted[key].name for key in part)
            with events.job(f"Class visualization: {names}", listener=bar.listen):
                made |= self._session.visualizations([self._wanted[key] for key in part])
            for key in part:
                if made[key].error is not None and self._all:
                    self._tell(f"seewhy: {self._wanted[key].name}: class_visualization: {made[key].error}")
                    self._failed += 1
            self._hand_out(made)
        self._writer.settle()
        for note in self._session.notes:
            self._tell(f"note: {note}")
        return self._failed

    def _hand_out(self, made: dict[str, View]) -> None:
        for folder, keys in list(self._waiting.items()):
            if keys <= made.keys():
                check()
                views = {key: made[key] for key in self._waiting.pop(folder)}
                self._writer.put(partial(self._write, folder, views), partial(self._written, folder))

    def _write(self, folder: Path, views: dict[str, View]) -> None:
        self._keep(Explanation.load(folder).with_visualizations(views), folder)

    def _written(self, folder: Path, error: BaseException | None) -> None:
        if error is None:
            self._undrawn.discard(folder)
            return
        self._tell(f"seewhy: {folder}: {message(error)}")
        self._failed += 1
