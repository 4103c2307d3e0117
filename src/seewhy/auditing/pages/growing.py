"""The page of an audit that goes on: written early and again and again, so that it can be opened while it grows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ...events import Cancelled, Event
from ...files import write_text
from ...legible import in_one_line, message
from ...models import Classifier
from ...pace import Pace
from ...viewer.page import MARK
from ..eye import Eye
from ..finding import Finding
from ..result import FILE as FINDINGS
from ..stages import INTERVENTIONS, PHOTOS, Passed, Plan, Proposed
from .page import crossed_and_classes, document, photo_counts
from .page_pictures import Pictures
from .told import shell_quoted, undecided

EVERY = 2.0
"""Seconds from one writing to the next, at least; and ``SHARE`` times as long as a writing takes."""
SHARE = 20
RELOADED = 5
"""Seconds after which the page is loaded again."""
STRIP = 4
"""Photos of a finding that are shown before it is decided."""
MOST = 40
"""Findings of either kind that are shown before they are decided; more are counted."""
UNFINISHED = "unfinished audit"
HEAD = 2048
"""Bytes in which a page says that it is unfinished."""


def unfinished(path: Path) -> bool:
    """Whether a file is the page of an audit that was not finished, which another one may replace."""
    try:
        with open(path, "rb") as file:
            return MARK.format(UNFINISHED).encode() in file.read(HEAD)
    except OSError:
        return False


class Growing:
    """Writes the page of an audit from its events, at most every ``EVERY`` seconds; to be entered for the time of the
    audit: what ends it, such as Ctrl-C, is written too. Nothing is written before the first photos are looked at.

    Args:
        path: of the page.
        root: the folder of the photos.
        classifier: the model.
        command: the words of the command that goes on with the audit.
        force: whether a page that is there is replaced, although it is that of a finished audit.
        clock: gives seconds.

    Attributes:
        pictures: photos that were read for it, for the page of the finished audit.
    """

    def __init__(
        self, path: Path, root: str | os.PathLike[str], classifier: Classifier, command: Sequence[str] = (), *,
        force: bool = False, clock: Callable[[], float] = time.monotonic,
    ):  # fmt: skip
        self.pictures = Pictures(Eye(classifier, root))
        self._path, self._root, self._spec = path, Path(root), classifier.name
        self._command, self._force, self._clock = command, force, clock
        self._ours, self._next = False, 0.0
        self._pace = Pace(clock)
        self._parts: tuple[str, ...] = ()
        self._at, self._share = "", 0.0
        self._said: dict[str, str] = {}
        self._about: Passed | None = None
        self._waiting: dict[str, Finding] = {}
        self._measured: list[Finding] = []

    def __enter__(self) -> Growing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or not self._ours:
            return
        if isinstance(error, KeyboardInterrupt | Cancelled):
            self._write("interrupted", "The audit was interrupted", "It was told to end before it was done.")
        else:
            what = message(error) or type(error).__name__
            self._write("failed", "The audit ended with an error", in_one_line(what, 1000))

    def listen(self, event: Event) -> None:
        """Hear an event of the audit, and write the page where it is time to.

        Raises:
            OutputError: the page cannot be written, or one is there that is not to be replaced.
        """
        if len(event.path) > 1:
            self._at = event.path[1]
        self._share = event.share
        if event.kind == "result":
            self._hear(event.value)
        if event.kind == "progress":
            self._pace.hear(event.path, event.done, event.total)
            if isinstance(event.value, Finding):
                self._waiting.pop(event.value.id, None)
                self._measured.append(event.value)
        if event.kind == "progress" or isinstance(event.value, Passed | Proposed):
            self._write_in_time()

    def finish(self, page: str) -> None:
        """Write the page of the finished audit.

        Raises:
            OutputError: it cannot be written, or one is there that is not to be replaced.
        """
        write_text(self._path, page, overwrite=self._replaced())
        self._ours = False

    def _hear(self, value: Any) -> None:
        if isinstance(value, Plan):
            self._parts = value.parts
        elif isinstance(value, Passed):
            self._about = value
            self._said[PHOTOS] = f"{value.photos['count']:,} photos"
        elif isinstance(value, Proposed):
            self._measured += value.findings
            self._waiting |= {each.id: each for each in value.candidates}
            told = [f"{len(some)} {name}" for some, name in
                    ((value.findings, "measured"), (value.candidates, "to be tested")) if some]  # fmt: skip
            self._said[self._at] = ", ".join(told) or "nothing"

    def _write_in_time(self) -> None:
        begin = self._clock()
        if begin < self._next:
            return
        self._write("running", f"The audit is running: {round(100 * self._share)} % done")
        end = self._clock()
        self._next = end + max(EVERY, SHARE * (end - begin))

    def _write(self, state: str, headline: str, why: str = "") -> None:
        running = state == "running"
        page = document(
            "growing.html", f"{headline}: {self._root.name or self._root}", refresh=RELOADED if running else None,
            mark=UNFINISHED, root=str(self._root), headline=headline, state=state, why=why, again=self._again(),
            seconds=RELOADED, written=time.strftime("%Y-%m-%d %H:%M:%S"),
            now={"part": self._now, "text": self._pace.text if self._pace.path[1:2] == (self._now,) else "",
                 "share": self._share},
            parts=self._done(running), groups=self._groups(),
            counts=[] if self._about is None else photo_counts(self._about.photos),
            notes=[] if self._about is None else self._about.photos["notes"],
            **crossed_and_classes({} if self._about is None else self._about.photos),
        )  # fmt: skip
        write_text(self._path, page, overwrite=self._replaced())
        self._ours = True

    def _replaced(self) -> bool:
        """Whether the page that is there may be replaced."""
        return self._ours or self._force or unfinished(self._path)

    def _again(self) -> str:
        """The command that goes on; an earlier findings.json is replaced only where that is asked for."""
        words = list(self._command)
        if words and "--force" not in words and os.path.lexists(self._path.with_name(FINDINGS)):
            words.append("--force")
        return " ".join(map(shell_quoted, words))

    @property
    def _now(self) -> str:
        """The part that is worked on: after one that is done, the next."""
        at = self._parts.index(self._at) if self._at in self._parts else 0
        return next((name for name in self._parts[at:] if name not in self._said), self._at)

    def _done(self, running: bool) -> list[dict[str, str]]:
        begun = "being worked on" if running else "ended here"
        at = self._parts.index(self._now) if self._now in self._parts else 0
        found = []
        for number, name in enumerate(self._parts):
            state = "done" if number < at else "now" if number == at else "later"
            text = self._said.get(name) or {"done": "done", "now": begun, "later": "not yet"}[state]
            found.append({"name": name, "state": state, "text": text})
        return found

    def _groups(self) -> list[tuple[str, str, str, list[dict[str, Any]], int]]:
        """(id, title, what it is, the first findings, how many more)."""
        kinds = (
            ("measured", "Measured", "What of this is proven is known when all is measured: all tests are corrected "
             "for each other.", "Measured, not corrected yet", self._measured),
            ("waiting", "Not tested yet", f"Candidates. {INTERVENTIONS} decide: each is put into photos and taken out "
             "of them, beside matched controls.", "Not tested yet", list(self._waiting.values())),
        )  # fmt: skip
        number, found = 0, []
        for id, title, about, state, some in kinds:
            told = []
            for each in some[:MOST]:
                number += 1
                pictures = self.pictures.of(each.carriers[:STRIP])
                told.append({**undecided(number, each, state, self._spec, self._root), "pictures": pictures})
            if some:
                found.append((id, title, about, told, len(some) - len(told)))
        return found
