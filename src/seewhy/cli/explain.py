"""seewhy explain PHOTO..."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .. import __version__
from ..core.layers import find_layer
from ..errors import InputError, LayerError, MethodError, OutputError, SeewhyError, close_matches, plain
from ..explain import CLASS_VISUALIZATION, Explainer, Explanation, Folder, Request, figures, photo_entry
from ..explain.names import folder_names, name_bytes
from ..files import make_folder, write_text
from ..interrupts import uninterrupted
from ..legible import in_one_line, message
from ..methods import METHODS
from ..models import Classifier
from ..pictures import percentage
from ..report import PhotoEntry, RunInfo, render_report
from ..synthesis.presets import find_preset
from .console import console, shown
from .ending import check
from .options import build_method, foreign, load_model, method_options, model_options, tell_notes, with_parameters
from .streams import output


@click.command("explain", short_help="Explain what a model said about photos.")
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...", type=click.Path(readable=False))
@model_options
@click.option("--method", "-M", "methods", multiple=True, metavar="ID", help="Only these; see `seewhy methods`.")
@click.option("--target", "-t", "targets", multiple=True, metavar="NAME|INDEX", help="Default: the predicted class.")
@click.option("--layer", metavar="NAME", help="For Grad-CAM; default: the last spatial layer before pooling.")
@click.option("--output-dir", "-o", default="seewhy-out", show_default=True, type=click.Path(readable=False))
@click.option("--force", is_flag=True, help="Replace earlier results.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--steps", type=click.IntRange(1), default=128, show_default=True, help="Of the class visualization.")
@click.option("--preset", default="simonyan", show_default=True, help="Of the class visualization; or default.")
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Images per forward.")
@click.option("--background", default="white", show_default=True, help="Colour behind transparent pixels.")
@method_options
def command(photos: tuple[str, ...], **given: Any) -> int:
    """Explain what a model said about photos, with every view at once.

    Writes, for each photo, a folder with figure.png, maps.npz (raw values) and explanation.json; and one report.html.
    A photo that cannot be read stops no other. Exit code 0: all photos explained; 2: some, or none. Where the model
    itself fails, SEEWHY_TRACEBACK=1 in the environment shows where.
    """
    run = _Run(photos, given)
    return run.all()


class _Run:
    """One call of the command."""

    def __init__(self, photos: tuple[str, ...], given: dict[str, Any]):
        self.given = given
        self.console, self.errors = console(error=given["as_json"]), console(error=True)
        if not given["output_dir"]:
            raise OutputError("--output-dir names no folder", expected="a name; . is the current one")
        self.folder = Path(given["output_dir"])
        self.report = self.folder / "report.html"
        if os.path.lexists(self.report) and not given["force"]:
            raise OutputError(f"{in_one_line(self.report)} exists; use --force to replace it, or another --output-dir")
        if os.path.isdir(self.report):
            raise OutputError(f"{in_one_line(self.report)} cannot be written: it is a folder")
        photos = tuple(dict.fromkeys(photos))
        make_folder(self.folder)
        self.photos = dict(zip(photos, folder_names(photos, name_bytes(self.folder)), strict=True))
        wanted = _wanted(given["methods"])
        self._by_name = (wanted if given["methods"] else set()) | with_parameters(given)
        background = _colour(given["background"])
        with self.console.status("Loading the model"):
            self.classifier = load_model(given)
        tell_notes(self.classifier)
        if given["layer"] is not None:  # it may be what a function made of a layer's output: "conv2 + relu"
            find_layer(self.classifier.model, given["layer"].split(" + ")[0])
        targets = tuple(dict.fromkeys(self.classifier.index(target) for target in given["targets"]))
        built = [build_method(method, given, given["layer"]) for method in METHODS]
        request = Request(
            methods=tuple(method for method in built if method.id in wanted),
            targets=targets,
            preset=find_preset(given["preset"]).name,
            steps=given["steps"] if CLASS_VISUALIZATION in wanted else 0,
            batch_size=given["batch_size"],
            background=background,
        )
        self.explainer = Explainer(self.classifier, request)
        self.command = shlex.join(["seewhy", *sys.argv[1:]])
        self.entries: list[PhotoEntry] = []
        self.results: list[dict[str, Any]] = []
        self.failed = 0
        self.reported = False

    def all(self) -> int:
        """Every photo, then the report; gives the exit code."""
        start = time.perf_counter()
        try:
            for path, name in self.photos.items():
                check()
                self._one(path, self.folder / name)
        finally:  # also after Ctrl-C: what is done is done
            if self.entries:
                uninterrupted(self._write_report, time.perf_counter() - start)
        if self.given["as_json"]:
            click.echo(
                json.dumps({"photos": self.results, "report": str(self.report) if self.reported else None}),
                file=output(),
            )
        elif self.reported:
            missed = sum("error" in result for result in self.results)
            short = f", without {missed} of {len(self.results)} photos" if missed else ""
            if self.reported:
                self.console.print(f"[bold]{shown(self.report)}[/bold]  the report{short}", soft_wrap=True)
        return 2 if self.failed else 0

    def _one(self, path: str, folder: Path) -> None:
        try:
            place = Folder(folder, self.given["force"])
            with self._progress(Path(path).name) as told, foreign(self.classifier):
                explanation = self.explainer(path, told)
            uninterrupted(self._keep, path, folder, place, explanation)
        except SeewhyError as error:
            self._failed(path, str(error))
        except Exception as error:  # one bad thing stops no other
            if os.environ.get("SEEWHY_TRACEBACK"):
                raise
            self._failed(path, f"{type(error).__name__}: {error}")

    def _keep(self, path: str, folder: Path, place: Folder, explanation: Explanation) -> None:
        about = place.write(explanation, self.explainer, self.command)
        self.entries.append(photo_entry(explanation, self.explainer))
        self.results.append({"folder": str(folder), **about})
        self._missed(path, explanation)
        if not self.given["as_json"]:
            self._show(explanation, folder)

    def _is_error(self, method: str, view: object) -> bool:
        """A method, a parameter or a layer that was asked for must apply; where all are tried, it is only noted."""
        named = method in self._by_name or (self.given["layer"] and isinstance(view, LayerError))
        return isinstance(view, SeewhyError) and bool(named)

    def _missed(self, path: str, explanation: Explanation) -> None:
        views = {name: view for found in explanation.targets for name, view in found.views.items()}
        for name, view in views.items():
            if self._is_error(name, view):
                self.failed += 1
                line = f"seewhy: {in_one_line(path)}: {name}: {message(view)}"
                self.errors.print(line, markup=False, soft_wrap=True)

    def _failed(self, path: str, what: str) -> None:
        self.failed += 1
        line = message(what)
        where = "" if line.startswith(in_one_line(path)) else f"{in_one_line(path)}: "
        self.errors.print(f"seewhy: {where}{line}", markup=False, soft_wrap=True)
        self.entries.append(PhotoEntry(path=path, error=line))
        self.results.append({"photo": {"path": path}, "error": line})

    def _show(self, explanation: Explanation, folder: Path) -> None:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        explained = {(found.target.index, found.target.sign): found.target for found in explanation.targets}
        for key, entry in ({(entry.index, entry.sign): entry for entry in explanation.top} | explained).items():
            style = "bold" if key in explained else "dim"
            name = f"[{style}]{shown(entry.name)}[/{style}]"
            table.add_row(f"{percentage(entry.probability):>8}", name, f"[red]{_bar(entry.probability)}[/red]")
        self.console.print(f"[bold]{shown(explanation.photo.path)}[/bold]", soft_wrap=True)
        for note in explanation.notes[len(explanation.model_notes) :]:  # those of the model were told before
            self.console.print(f"  note: {shown(note)}", soft_wrap=True)
        self.console.print(table)
        for found in explanation.targets:
            for name, view in found.views.items():
                if isinstance(view, SeewhyError) and not self._is_error(name, view):
                    self.console.print(f"  [dim]{name}: {shown(view)}[/dim]", soft_wrap=True)
        for name, found in figures(explanation).items():
            about = found.target.name if len(explained) > 1 else f"{explanation.seconds:.1f} s"
            self.console.print(f"  {shown(folder / name)}  [dim]{shown(about)}[/dim]", soft_wrap=True)

    def _write_report(self, seconds: float) -> None:
        run = RunInfo(
            model=self.classifier.name,
            weights=self.classifier.weights_hash,
            version=__version__,
            date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
            command=self.command,
            facts=_facts(self.classifier, seconds),
        )
        try:
            write_text(self.report, render_report(self.entries, run=run), overwrite=self.given["force"])
        except OutputError as error:
            self.failed += 1
            self.errors.print(f"seewhy: {message(error)}", markup=False, soft_wrap=True)
        else:
            self.reported = True

    @contextmanager
    def _progress(self, name: str) -> Iterator[Any]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.errors, transient=True, disable=not self.errors.is_terminal) as progress:
            name = shown(in_one_line(name, 40))
            task = progress.add_task(name, total=1.0)
            yield lambda what, share: progress.update(task, completed=share, description=f"{name}  {shown(what)}")


def _bar(share: float, width: int = 24) -> str:
    """A bar as long as ``share`` says, to an eighth of a character, and never quite empty."""
    eighths = max(1, round(share * width * 8)) if share == share else 0
    return ("█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8]).rstrip()


def _facts(classifier: Classifier, seconds: float) -> dict[str, str]:
    import torch

    device = next((str(p.device) for p in classifier.model.parameters()), "cpu")
    return {"torch": torch.__version__, "device": device, "time": f"{seconds:.1f} s"}


def _wanted(ids: tuple[str, ...]) -> set[str]:
    """The methods' ids, all where none is given; the class visualization counts as one."""
    known = [*(method.id for method in METHODS), CLASS_VISUALIZATION]
    if not ids:
        return set(known)
    by_name = {plain(name): name for name in known}
    for name in ids:
        if plain(name) not in by_name:
            close = close_matches(name, known)
            raise MethodError(f"there is no method {name!r}", expected=None if close else ", ".join(known), close=close)
    return {by_name[plain(name)] for name in ids}


def _colour(text: str) -> tuple[int, int, int]:
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
        if not all(0 <= part <= 255 for part in (red, green, blue)):
            raise ValueError(text)
    except (ValueError, OverflowError) as error:  # an angle may be infinite
        raise InputError("this is no colour", expected="a name such as white, or #rrggbb", got=repr(text)) from error
    return red, green, blue
