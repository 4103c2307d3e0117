"""The bar that shows how far a run is, drawn from its events."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .. import events
from ..legible import in_one_line
from ..pace import Pace
from .console import shown


class Bar:
    """One bar over all photos, and what is being done; nothing where nobody watches.

    Args:
        console: where it is drawn.
        photos: how many there are.
    """

    def __init__(self, console: Console, photos: int):
        columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f}%")]
        columns.append(TextColumn("{task.fields[pace]}"))
        many = [MofNCompleteColumn(), TimeRemainingColumn()] if photos > 1 else []
        self._bar = Progress(
            *columns, *many, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
        )
        self._photos, self._done = photos, 0
        self._task = self._bar.add_task("", total=photos, pace="")
        self._pace = Pace()

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def listen(self, event: events.Event) -> None:
        """Show an event."""
        if event.kind not in ("started", "progress"):
            return
        what = " ".join(dict.fromkeys([in_one_line(event.path[0], 40), in_one_line(event.name, 40)]))
        if event.kind == "progress":
            self._pace.hear(event.path, event.done, event.total)
        # Of many photos the bar itself tells the time that is left.
        pace = self._pace.text if self._photos == 1 and event.path == self._pace.path else ""
        if self._done < self._photos:
            self._bar.update(self._task, completed=self._done + event.share, description=shown(what), pace=pace)
        else:  # after all photos
            self._bar.update(self._task, completed=event.share, total=1, description=shown(what), pace=pace)

    def next(self) -> None:
        """A photo is done."""
        self._done += 1
        self._bar.update(self._task, completed=self._done)
