"""seewhy explain PHOTO|DIR..."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from .. import __version__, events
from ..errors import OutputError, PhotoError, SeewhyError
from ..files import write_text
from ..interrupts import shielded
from ..legible import in_one_line, message
from ..models import Classifier
from ..pictures import read_photo
from ..report.from_folder import report_of
from ..results import Explanation
from ..results.run import RUN, Run, RunPhoto
from ..results.saved import check_folder, describe
from ..session import Session
from .asked import Asked
from .class_pictures import ClassPictures
from .console import console
from .drawn import drawing_options
from .ending import check
from .names import folder_names, name_bytes
from .options import foreign, load_model, method_options, model_options, tell_notes
from .photos import Found, found_in, truths
from .places import output_folder
from .progress import Bar
from .said import Teller
from .streams import output
from .writing import Writer


@click.command("explain", short_help="Explain what a model said about photos.")
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO|DIR...", type=click.Path(readable=False))
@model_options
@click.option(
    "--method", "-M", "methods", multiple=True, metavar="ID|MODULE:CLASS", help="Only these; see `seewhy methods`."
)
@click.option("--target", "-t", "targets", multiple=True, metavar="NAME|INDEX", help="Default: the predicted class.")
@click.option(
    "--versus", multiple=True, metavar="NAME|INDEX", help="Also: why the first target rather than this class."
)
@click.option("--layer", "layers", multiple=True, metavar="NAME", help="For Grad-CAM; may be repeated. "
              "Default: the last spatial layer before pooling.")  # fmt: skip
@click.option("--shared-scale", is_flag=True, help="One colour scale for all targets of a photo; usual with --versus.")
@click.option(
    "--output-dir", "-o", type=click.Path(readable=False), help="Default: seewhy-out, or the next free number."
)
@click.option("--force", is_flag=True, help="Replace earlier results.")
@click.option("--figure/--no-figure", default=True, help="Whether to draw figure.png of each photo.")
@drawing_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option(
    "--preset",
    default="default",
    show_default=True,
    help="Of the class visualization: default, simonyan, yosinski, olah or maco.",
)
@click.option("--steps", type=click.IntRange(1), help="Of the class visualization. Default: the preset's.")
@click.option("--batch-size", type=click.IntRange(1), help="Images per forward. Default: 32, and 256 on a GPU.")
@click.option("--background", default="white", show_default=True, help="Colour behind transparent pixels.")
@method_options
@click.pass_context
def command(context: click.Context, /, photos: tuple[str, ...], **given: Any) -> int:
    """Explain what a model said about photos, with every view at once.

    Writes, for each photo, a folder with figure.png, maps.npz (raw values) and explanation.json; and one report.html.
    Of a folder, all photos in it are explained; folders in it that are named like classes tell the true classes, and
    the report lists the wrong ones first. A photo that cannot be read stops no other. Exit code 0: all photos
    explained; 2: some, or none. Where the model itself fails, SEEWHY_TRACEBACK=1 in the environment shows where.
    """
    return _Run(photos, given, context).all()


class _Run:
    """One call of the command."""

    def __init__(self, photos: tuple[str, ...], given: dict[str, Any], context: click.Context):
        self.given = given
        self.console, self.errors = console(error=given["as_json"]), console(error=True)
        asked = Asked(given, context)
        found = found_in(photos)
        if given["output_dir"] is not None or given["force"]:
            self._write_into(found)  # what cannot be written there is said before the work
        with self.console.status("Loading the model"):
            self.classifier = load_model(given)
        tell_notes(self.classifier)
        self.session = Session(self.classifier, preset=asked.preset, steps=given["steps"])
        self.request = asked.request(self.classifier)
        if given["output_dir"] is None and not given["force"]:
            self._write_into(found)  # a folder of its own, and none where something above does not fit
        self.background, self.drawn = asked.background, asked.drawn
        self.truths, unknown = truths(found, self.classifier)
        self.command = shlex.join(["seewhy", *sys.argv[1:]])
        self.done: dict[str, RunPhoto] = {}
        self.results: dict[Path, dict[str, Any]] = {}
        self.writer = Writer()
        self.failed = 0
        self.reported = False
        self.bar = Bar(self.errors, len(found))
        self.teller = Teller(self.console, asked, len(found), quiet=given["as_json"])
        self.teller.begin(photos, found, unknown)
        self.pictures = ClassPictures(
            self.session, self.writer, self._keep_again, self._tell, all_of_them=asked.pictures_by_name
        )

    def _write_into(self, found: list[Found]) -> None:
        self.folder = output_folder(self.given["output_dir"], force=self.given["force"])
        self.report = self.folder / "report.html"
        for path in (self.report, self.folder / RUN):
            if os.path.isdir(path):
                raise OutputError(f"{in_one_line(path)} cannot be written: it is a folder")
            if os.path.lexists(path) and not self.given["force"]:
                raise OutputError(f"{in_one_line(path)} exists; use --force to replace it, or another --output-dir")
        names = folder_names([photo.label for photo in found], name_bytes(self.folder))
        self.photos = dict(zip(found, names, strict=True))

    def all(self) -> int:
        """Every photo, then the images of their classes, then the report; gives the exit code."""
        with self._finished(), self.bar:
            for photo, name in self.photos.items():
                check()
                self._one(photo, self.folder / name)
            self.writer.settle()
            with foreign(self.classifier):
                self.failed += self.pictures.make(self.bar)
        if self.given["as_json"]:
            printed = {"photos": list(self.results.values()), "report": str(self.report) if self.reported else None}
            click.echo(json.dumps(printed), file=output())
        return 2 if self.failed else 0

    @shielded
    def _finished(self) -> Iterator[None]:
        """Also after Ctrl-C, what was begun to be written is finished, and the report is of what is there."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.writer.settle()
            self.reported = bool(self.done) and self._write_report(time.perf_counter() - start)
            if not self.given["as_json"]:
                self.teller.end(self.report if self.reported else None, self.pictures.left)

    def _one(self, photo: Found, folder: Path) -> None:
        try:
            if photo.error:
                raise PhotoError(photo.error)
            check_folder(folder, self.given["force"])
            with foreign(self.classifier), events.job(Path(photo.path).name, listener=self.bar.listen):
                read = read_photo(photo.path, background=self.background)
                truth = self.truths.get(photo.path)
                explanation = self.session.maps(read, self.request, truth=truth, command=self.command)
            waits = self.pictures.waits_for(explanation, folder, len(self.photos))
            self._put(photo, folder, explanation, figure=self.given["figure"] and not waits)
        except Exception as error:  # noqa: BLE001 - one bad thing stops no other
            self.writer.settle()
            self._failed(photo, error)
        finally:
            self.bar.next()

    def _put(self, photo: Found, folder: Path, explanation: Explanation, *, figure: bool) -> None:
        def save() -> None:
            explanation.save(folder, figure=figure, overwrite=self.given["force"], **self.drawn)

        def then(error: BaseException | None) -> None:
            if error is None:
                self._kept(photo, folder, explanation)
            else:
                self.pictures.forget(folder)
                self._failed(photo, error)

        self.writer.put(save, then)

    def _kept(self, photo: Found, folder: Path, explanation: Explanation) -> None:
        self.done[photo.path] = RunPhoto(photo.path, folder.name)
        if self.given["as_json"]:
            self.results[folder] = {"folder": str(folder), **describe(explanation)}
        self.failed += self.teller.photo(explanation, folder, figure=self.given["figure"])

    def _keep_again(self, explanation: Explanation, folder: Path) -> None:
        """With the images of its classes."""
        explanation.save(folder, figure=self.given["figure"], overwrite=True, **self.drawn)
        if folder in self.results:
            self.results[folder] = {"folder": str(folder), **describe(explanation)}

    def _tell(self, line: str) -> None:
        self.errors.print(message(line), markup=False, soft_wrap=True)

    def _failed(self, photo: Found, error: BaseException) -> None:
        if not isinstance(error, SeewhyError) and os.environ.get("SEEWHY_TRACEBACK"):
            raise error
        self.failed += 1
        line = message(error if isinstance(error, SeewhyError) else f"{type(error).__name__}: {error}")
        where = "" if line.startswith(in_one_line(photo.path)) else f"{in_one_line(photo.path)}: "
        self._tell(f"seewhy: {where}{line}")
        self.done[photo.path] = RunPhoto(photo.path, error=line)
        self.results[Path(photo.path)] = {"photo": {"path": photo.path}, "error": line}

    def _write_report(self, seconds: float) -> bool:
        run = Run(
            self.classifier.name, self.classifier.weights_hash, __version__,
            datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"), self.command, tuple(self.done.values()),
            _facts(self.classifier, seconds),
        )  # fmt: skip
        try:
            run.save(self.folder, overwrite=self.given["force"])
            with self.console.status("Writing the report"):
                write_text(self.report, report_of(self.folder), overwrite=self.given["force"])
        except (OutputError, PhotoError) as error:
            self.failed += 1
            self._tell(f"seewhy: {message(error)}")
            return False
        return True


def _facts(classifier: Classifier, seconds: float) -> dict[str, str]:
    import torch

    device = next((str(p.device) for p in classifier.model.parameters()), "cpu")
    return {"torch": torch.__version__, "device": device, "time": f"{seconds:.1f} s"}
