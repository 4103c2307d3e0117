"""seewhy audit PHOTOS_DIR"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from .. import events
from ..auditing.pages.told import USUAL, shell_quoted, to_answer
from ..auditing.result import FILE, Audit
from ..errors import InputError, OutputError
from ..files import make_folder
from ..legible import in_one_line, message
from ..pictures.cells import percentage
from .console import console, plain_table, shown
from .options import foreign, load_model, model_options, tell_notes
from .progress import Bar
from .streams import output

SOURCES = "preprocessing, stamps, global, components, sensitivity, labels, duplicates, slices, calibration"
SHOWN = 20
WIDEST_ID = 32
STATES = {"proven": "[bold]proven[/bold]", "not_proven": "not proven", "too_few": "too few photos"}


@click.command("audit", short_help="Find what a model leans on, over a folder of photos.")
@click.argument("photos", metavar="PHOTOS_DIR", type=click.Path(readable=False))
@model_options
@click.option("--truth", default="folders", show_default=True, metavar="folders|FILE.csv",
              help="Where the true classes are: folders named like them, or a CSV file with path,label.")  # fmt: skip
@click.option("--other", metavar="DIR", type=click.Path(readable=False),
              help="Such as the training photos: says which photos are in both.")  # fmt: skip
@click.option(
    "--source", "sources", multiple=True, metavar="NAME", help=f"Only these; may be repeated. Default: all: {SOURCES}."
)
@click.option("--output-dir", "-o", type=click.Path(readable=False), help=f"Default: {USUAL}.")
@click.option(
    "--force",
    is_flag=True,
    help="Replace an earlier findings.json, its lists and audit.html, and the rows of other photos.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of every draw.")
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True, help="Images per forward.")
@click.option("--engine", default="local", show_default=True, metavar="local|ray", help="What makes the pass.")
@click.option("--workers", type=click.IntRange(1), help="Of Ray. Default: as many as there are processors.")
@click.option("--page/--no-page", default=True, help="Whether to write audit.html.")
@click.option("--json", "as_json", is_flag=True, help="Print findings.json.")
def command(photos: str, **given: Any) -> None:
    """Find what a model leans on and where it fails, over a folder of photos.

    Each candidate is found on one half of the photos, and decided on the other by changing them, beside matched
    controls. Writes findings.json; relabel.csv and duplicates.csv, of photos to look at; audit.html, one page that
    shows with photos what was found; and the rows of the pass, so that an audit that was interrupted goes on.
    """
    from ..auditing.circle import audit
    from ..auditing.pages.growing import Growing, unfinished
    from ..auditing.pages.page import FILE as PAGE
    from ..auditing.pages.page import render
    from ..auditing.passing.shards import ROWS, read_rows
    from ..auditing.remedies.lists import DUPLICATES, RELABEL, write_lists

    folder = make_folder(Path(given["output_dir"] or USUAL))
    for name in (FILE, RELABEL, DUPLICATES, PAGE) if given["page"] else (FILE, RELABEL, DUPLICATES):
        if os.path.lexists(folder / name) and not given["force"] and not (name == PAGE and unfinished(folder / PAGE)):
            expected = "--force to replace it, or another --output-dir"
            raise OutputError(f"{in_one_line(folder / name)} exists", expected=expected)
    terminal = console(error=given["as_json"])
    with terminal.status("Loading the model"):
        classifier = load_model(given)
    tell_notes(classifier)
    growing = Growing(folder / PAGE, photos, classifier, ["seewhy", *sys.argv[1:]], force=given["force"])
    with foreign(classifier), Bar(console(error=True), 1) as bar, growing:

        def listen(event: events.Event) -> None:
            bar.listen(event)
            if given["page"]:
                growing.listen(event)

        found = audit(
            photos, classifier, truth=given["truth"], other=given["other"], sources=given["sources"] or None,
            output_dir=folder, seed=given["seed"], batch_size=given["batch_size"],
            engine=given["engine"], workers=given["workers"], listener=listen,
            overwrite=given["force"],
        )  # fmt: skip
        if given["force"] and os.path.lexists(folder / FILE):
            found = _with_answers(found, folder)
        path = found.save(folder, overwrite=given["force"])
        write_lists(found, folder, overwrite=given["force"])
        if given["page"]:
            path = folder / PAGE
            with events.job("Page", listener=bar.listen):
                page = render(
                    found, photos, classifier, folder=folder, rows=read_rows(folder / ROWS), pictures=growing.pictures
                )
            growing.finish(page)
    if given["as_json"]:
        click.echo(json.dumps(found.describe()), file=output())
        return
    for note in found.photos["notes"]:
        terminal.print(f"[dim]{shown(note)}[/dim]", soft_wrap=True)
    for name, why in found.photos["unreadable"]:
        terminal.print(f"[red]{shown(name)}[/red]: {shown(why)}", soft_wrap=True)
    counted = f"{found.photos['count']} photos, {found.photos['labelled']} with a known class"
    accuracy = found.photos["accuracy"]
    said = "" if accuracy is None else f"; {percentage(accuracy)} of these right"
    terminal.print(f"{counted}{said}\n[bold]{shown(found.headline)}[/bold]\n", soft_wrap=True)
    table = plain_table()
    table.add_column("state", no_wrap=True)
    table.add_column("id", overflow="fold", max_width=WIDEST_ID)
    table.add_column("finding", overflow="fold")
    for each in found.findings[:SHOWN]:
        table.add_row(STATES[each.state], shown(each.id), shown(each.sentence))
    terminal.print(table)
    if (left := len(found.findings) - SHOWN) > 0:
        terminal.print(f"and {left} more")
    if (open_ := next(filter(to_answer, found.findings), None)) is not None:
        command = f"seewhy answer {shell_quoted(str(folder))} {shell_quoted(open_.id)} spurious|real|unknown"
        asked = (
            f"Is the first of these part of {shown(open_.class_name)}, or spurious? No measurement tells it. Say so:"
        )
        terminal.print(f"\n{asked}", soft_wrap=True)
        terminal.print(f"  {shown(command)}", soft_wrap=True)
    terminal.print(f"\n[bold]{shown(path)}[/bold]", soft_wrap=True)


def _with_answers(found: Audit, folder: Path) -> Audit:
    """With what was answered to the findings that are replaced; a file that cannot be read holds no answers."""
    try:
        return found.answered_as(Audit.load(folder))
    except InputError as error:
        click.echo(f"note: earlier answers are lost: {message(error)}", err=True)
        return found
