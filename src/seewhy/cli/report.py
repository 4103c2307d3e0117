"""seewhy report DIR"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from ..errors import InputError, OutputError
from ..files import write_text
from ..legible import in_one_line
from ..report.from_folder import explanations_in, report_of
from ..results import Explanation
from ..results.saved import figures, write_picture
from .console import console, shown
from .drawn import asked_for, drawing_options, drawn


@click.command("report", short_help="Draw the report again from what was saved.")
@click.argument("folder", metavar="DIR", type=click.Path(readable=False))
@click.option("--output", "-o", type=click.Path(readable=False), help="The page; default: report.html in DIR.")
@click.option("--figures", "redraw", is_flag=True, help="Draw the figures again too.")
@drawing_options
def command(folder: str, output: str | None, redraw: bool, **given: Any) -> None:
    """Draw the report again from what ``seewhy explain`` saved in DIR; neither the model nor the photos are needed.

    DIR is the folder of a run, or of one photo. The report in it is replaced; another file with --output only where
    there is none.
    """
    if (options := asked_for(given)) and not redraw:
        raise InputError(f"{options} applies to figures, which are not asked for", expected="--figures too")
    ink = drawn(given)
    place = Path(folder)
    page = place / "report.html" if output is None else Path(output)
    if os.path.isdir(page) or page.is_symlink():  # a folder from elsewhere may hold links to anything
        raise OutputError(f"{in_one_line(page)} is a folder or a link, and is not replaced", expected="--output FILE")
    if output is not None and os.path.lexists(page):
        raise OutputError(f"{in_one_line(page)} exists", expected="a name that is free")
    terminal = console()
    with terminal.status("Reading") as status:

        def each(done: int, total: int, found: Explanation | None) -> None:
            status.update(f"{done} of {total}")

        if redraw:
            _draw_figures(place, ink)
        text = report_of(place, each)
    write_text(page, text, overwrite=output is None)
    terminal.print(f"[bold]{shown(page)}[/bold]", soft_wrap=True)


def _draw_figures(place: Path, ink: dict[str, Any]) -> None:
    for folder in explanations_in(place):
        try:
            found = Explanation.load(folder)
        except InputError:  # the report says why
            continue
        for name, target in figures(found).items():
            if (folder / name).is_symlink():
                raise OutputError(f"{in_one_line(folder / name)} is a link, and is not replaced")
            write_picture(folder / name, found.figure(target, **ink), overwrite=True)
