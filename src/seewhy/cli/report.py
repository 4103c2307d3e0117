"""seewhy report DIR"""

from __future__ import annotations

import os
from pathlib import Path

import click

from ..errors import InputError, OutputError
from ..files import write_text
from ..legible import in_one_line
from ..pictures.colormaps import OWN, find_colormap
from ..report.from_folder import explanations_in, report_of
from ..results import Explanation
from ..results.saved import figures, write_picture
from .console import console, shown


@click.command("report", short_help="Draw the report again from what was saved.")
@click.argument("folder", metavar="DIR", type=click.Path(readable=False))
@click.option("--output", "-o", type=click.Path(readable=False), help="The page; default: report.html in DIR.")
@click.option("--figures", "redraw", is_flag=True, help="Draw the figures again too.")
@click.option("--colormap", metavar="NAME", help="Of the figures: seewhy (the default), viridis, magma or jet.")
def command(folder: str, output: str | None, redraw: bool, colormap: str | None) -> None:
    """Draw the report again from what ``seewhy explain`` saved in DIR; neither the model nor the photos are needed.

    DIR is the folder of a run, or of one photo. The report in it is replaced; another file with --output only where
    there is none.
    """
    if colormap is not None and not redraw:
        raise InputError("--colormap applies to figures, which are not asked for", expected="--figures too")
    colormap = find_colormap(colormap or OWN)
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
            _draw_figures(place, colormap)
        text = report_of(place, each)
    write_text(page, text, overwrite=output is None)
    terminal.print(f"[bold]{shown(page)}[/bold]", soft_wrap=True)


def _draw_figures(place: Path, colormap: str) -> None:
    for folder in explanations_in(place):
        try:
            found = Explanation.load(folder)
        except InputError:  # the report says why
            continue
        for name, target in figures(found).items():
            if (folder / name).is_symlink():
                raise OutputError(f"{in_one_line(folder / name)} is a link, and is not replaced")
            write_picture(folder / name, found.figure(target, colormap=colormap), overwrite=True)
