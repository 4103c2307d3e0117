"""What ``seewhy explain`` says of each photo, and what to look at in the end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ..legible import in_one_line, message
from ..pictures import percentage
from ..results import CLASS_VISUALIZATION, Explanation, View
from ..results.saved import figures
from ..session import PENDING
from .asked import Asked
from .console import console, plain_table, shown
from .photos import Found

FEW = 8
"""Photos at most that are told in full; of more each has one line."""


class Teller:
    """Prints for people.

    Args:
        to: stdout, usually.
        asked: what was asked for by name and must apply.
        photos: how many there are.
        quiet: only errors are told.
    """

    def __init__(self, to: Console, asked: Asked, photos: int, *, quiet: bool):
        self._to, self._errors = to, console(error=True)
        self._asked, self._photos, self._quiet = asked, photos, quiet
        self._explained = self._right = self._known = 0

    def begin(self, given: Sequence[str], found: Sequence[Found], unknown: Sequence[str]) -> None:
        """How many photos folders hold; folders that are named like no class, where others are."""
        folders = [name for name in given if os.path.isdir(name)]
        if folders and not self._quiet:
            many = f"{len(found)} photo{'' if len(found) == 1 else 's'}"
            self._to.print(f"{many} found in {', '.join(map(shown, folders))}", soft_wrap=True)
        if unknown:
            names = ", ".join(in_one_line(name, 40) for name in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
            line = f"note: {names}: no class is called so, or several are; the truth of the photos there is not known"
            self._errors.print(line, markup=False, soft_wrap=True)

    def photo(self, explanation: Explanation, folder: Path, *, figure: bool) -> int:
        """One photo is done; gives how many of its views failed that were asked for by name."""
        self._explained += 1
        self._known += explanation.right is not None
        self._right += bool(explanation.right)
        if not self._quiet:
            if self._photos <= FEW:
                self._in_full(explanation, folder, figure)
            else:
                self._in_a_line(explanation)
        return self._missed(explanation)

    def end(self, report: Path | None, undrawn: int) -> None:
        """What to look at."""
        if undrawn:
            told = (
                f"{undrawn} figures were not drawn, since the run ended before: seewhy report DIR --figures draws them"
            )
            self._to.print(told, soft_wrap=True)
        if report is None:
            return
        missed = self._photos - self._explained
        parts = [f"without {missed} of {self._photos} photos"] if missed else []
        if self._known:
            wrong = self._known - self._right
            first = f", the {wrong} wrong ones first" if wrong else ""
            parts.append(f"{self._right} of {self._known} right{first}")
        more = f"  {'; '.join(parts)}" if parts else ""
        self._to.print(f"\n[bold]{shown(report)}[/bold]  ← open this: the report{more}", soft_wrap=True)

    def _in_full(self, explanation: Explanation, folder: Path, figure: bool) -> None:
        table = plain_table(show_header=False)
        targets = [found.target for found in explanation.targets]
        explained = {(target.index, target.sign): target for target in targets}
        for key, entry in ({(entry.index, entry.sign): entry for entry in explanation.top} | explained).items():
            style = "bold" if key in explained else "dim"
            name = f"[{style}]{shown(entry.name)}[/{style}]"
            table.add_row(f"{percentage(entry.probability):>8}", name, f"[red]{_bar(entry.probability)}[/red]")
        truth = f"  [red]truly {shown(explanation.truth)}[/red]" if explanation.right is False else ""
        self._to.print(f"[bold]{shown(explanation.photo.path)}[/bold]{truth}", soft_wrap=True)
        for note in explanation.notes[len(explanation.model.notes) :]:  # those of the model were told before
            self._to.print(f"  note: {shown(note)}", soft_wrap=True)
        self._to.print(table)
        for found in explanation.targets:
            for id, view in found.views.items():
                if view.error not in (None, PENDING) and not self._is_error(id, view):
                    self._to.print(f"  [dim]{shown(id)}: {shown(view.error)}[/dim]", soft_wrap=True)
        for name, found in figures(explanation).items() if figure else ():
            about = found.name if len(explanation.targets) > 1 else f"{explanation.made.seconds:.1f} s"
            self._to.print(f"  {shown(folder / name)}  [dim]{shown(about)}[/dim]", soft_wrap=True)

    def _in_a_line(self, explanation: Explanation) -> None:
        first = explanation.top[0]
        said = f"{percentage(first.probability):>8}  {shown(in_one_line(first.name, 60))}"
        truly = shown(in_one_line(explanation.truth or "", 60))
        truth = f"  [red]truly {truly}[/red]" if explanation.right is False else ""
        self._to.print(f"{said}  [dim]{shown(explanation.photo.path)}[/dim]{truth}", soft_wrap=True)

    def _is_error(self, id: str, view: View) -> bool:
        """A method, a parameter or a layer that was asked for must apply; where all are tried, it is only noted."""
        method = id.partition("(")[0]
        named = method in self._asked.by_name or (self._asked.given["layers"] and view.error_kind == "LayerError")
        return view.error not in (None, PENDING) and bool(named)

    def _missed(self, explanation: Explanation) -> int:
        views = {id: view for found in explanation.targets for id, view in found.views.items()}
        missed = {id: view for id, view in views.items() if self._is_error(id, view) and id != CLASS_VISUALIZATION}
        for id, view in missed.items():
            line = f"seewhy: {in_one_line(explanation.photo.path)}: {id}: {message(view.error)}"
            self._errors.print(line, markup=False, soft_wrap=True)
        return len(missed)


def _bar(share: float, width: int = 24) -> str:
    """A bar as long as ``share`` says, to an eighth of a character, and never quite empty."""
    eighths = max(1, round(share * width * 8)) if share == share else 0
    return ("█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8]).rstrip()
