"""The report of what was saved: the same page that the run itself wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from seewhy.errors import InputError
from seewhy.legible import in_one_line
from seewhy.report.entries import Failure, Item, RunInfo
from seewhy.report.render import render_report
from seewhy.results import Explanation
from seewhy.results.run import RUN, Run, RunPhoto
from seewhy.results.saved import ABOUT, figures

Each = Callable[[int, int, Explanation | None], None]


def report_of(folder: Path, each: Each = lambda done, total, found: None) -> str:
    """The report of a folder that ``seewhy explain`` wrote, or of any folder with saved explanations in it.

    Explanations are read one by one, so that memory does not grow with their pictures; one that cannot be read stands
    in the report with the reason.

    Args:
        folder: with run.json; or an explanation's own; or one with explanations' folders in it.
        each: called with photos done, photos in all, and the explanation (None of one that could not be read).

    Raises:
        InputError: there is no saved explanation in it.
    """
    run = _run_of(folder)

    def items() -> Iterator[Item]:
        for done, photo in enumerate(run.photos, 1):
            item = _item(folder, photo)
            yield item
            each(done, len(run.photos), item.shown if isinstance(item.shown, Explanation) else None)

    info = RunInfo(run.model, run.weights, run.seewhy, run.created, run.command, run.facts)
    return render_report(items(), run=info, count=len(run.photos))


def _item(folder: Path, photo: RunPhoto) -> Item:
    if photo.folder is None:
        return Item(Failure(photo.path, photo.error or "not explained"))
    try:
        check_inside(folder, photo.folder)
        found = Explanation.load(folder / photo.folder)
        drawn = all((folder / photo.folder / name).exists() for name in figures(found))
        return Item(found, photo.folder if drawn else "")
    except InputError as error:
        return Item(Failure(photo.path, str(error)))


def check_inside(folder: Path, name: str) -> None:
    """Raises InputError where a name in run.json, which may be anyone's, leads out of the run's folder."""
    inside = name == "." or (name not in ("", "..") and Path(name).name == name and not (folder / name).is_symlink())
    if not inside:
        raise InputError("an explanation lies in the run's own folder", got=repr(name)[:60])


def explanations_in(folder: Path) -> list[Path]:
    """The folders of all saved explanations that a report of ``folder`` is of.

    Raises:
        InputError: there is none, or run.json is damaged.
    """
    run = _run_of(folder)
    found = []
    for photo in run.photos:
        if photo.folder is not None:
            with suppress(InputError):  # the report says why
                check_inside(folder, photo.folder)
                found.append(folder / photo.folder)
    return found


def _run_of(folder: Path) -> Run:
    return Run.load(folder) if (folder / RUN).exists() else _found_in(folder)


def _found_in(folder: Path) -> Run:
    """What a folder without run.json tells."""
    try:
        folders = ["."] if (folder / ABOUT).exists() else sorted(path.parent.name for path in folder.glob(f"*/{ABOUT}"))
    except OSError as error:
        raise InputError(f"{in_one_line(folder)} cannot be read: {error.strerror}") from error
    if not folders:
        what = f"there is no explanation in {in_one_line(folder)}"
        raise InputError(what, expected="a folder that `seewhy explain` or Explanation.save wrote")
    first = next(
        (
            item.shown
            for name in folders
            if isinstance((item := _item(folder, RunPhoto(name, name))).shown, Explanation)
        ),
        None,
    )
    if first is None:
        return Run("", "", "", "", "", [RunPhoto(name, name) for name in folders])
    made = first.made
    photos = [RunPhoto(name, name) for name in folders]
    return Run(first.model.spec, first.model.weights_sha256, made.seewhy, made.created, made.command, photos)
