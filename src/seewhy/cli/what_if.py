"""seewhy what-if"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from ..errors import InputError, OutputError
from ..files import write_atomically
from ..legible import in_one_line
from ..patch import FILLS, SHAPES, Patch
from ..patched import Answer, WhatIf
from ..pictures import percentage, png_bytes, read_photo
from ..session import Session
from .console import console, plain_table, shown
from .options import WholeNumbers, colour, foreign, load_model, model_options, tell_notes
from .streams import output


@click.command("what-if", short_help="Compare a photo's classes with and without something over it.")
@click.argument("photo", type=click.Path(readable=False))
@click.option(
    "--box",
    "boxes",
    multiple=True,
    required=True,
    type=WholeNumbers("top", "left", "height", "width"),
    help="What is covered, in pixels of what the model sees. May be repeated: each is tried by itself.",
)
@click.option("--shape", type=click.Choice(SHAPES), default="box", show_default=True, help="Of what is covered.")
@click.option(
    "--fill",
    type=click.Choice(FILLS),
    help="What it is covered with: the photo blurred, a colour, or a "
    "part of a photo. Default: what --colour or --source are for, else blur.",
)
@click.option("--sigma", type=float, help="Of the blur, in pixels. Default: a twentieth of the longer side.")
@click.option("--colour", metavar="NAME|#RRGGBB", help="Default: the model's mean colour.")
@click.option("--source", type=click.Path(readable=False), help="The photo that a part is cut from; default: the same.")
@click.option("--source-corner", type=WholeNumbers("top", "left"), help="Of that part. Default: that of the box.")
@click.option(
    "--target",
    "-t",
    "targets",
    multiple=True,
    metavar="NAME|INDEX",
    help="A class to compare. May be repeated. Default: the most probable ones.",
)
@model_options
@click.option(
    "--output",
    "-o",
    "file",
    type=click.Path(readable=False),
    help="Write what the model saw as a PNG; of several boxes with -2, -3, ... in the names.",
)
@click.option("--force", is_flag=True, help="Replace an earlier file.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")  # fmt: skip
def command(photo: str, targets: tuple[str, ...], file: str | None, force: bool, as_json: bool, **given: Any) -> None:
    """Compare the classes of PHOTO with and without something over it.

    The pixels are those that the model sees: `seewhy explain` writes them as crop.png.
    """
    patches = _patches(given)
    files = [] if file is None else _names(Path(file), len(patches), force=force)
    read = read_photo(photo)
    with console(error=True).status("Loading the model"):
        classifier = load_model(given)
    tell_notes(classifier)
    classes = list(targets) or None
    with foreign(classifier):
        found = Session(classifier).what_if(read, patches, classes)
    for name, answer in zip(files, found.answers, strict=bool(files)):
        with write_atomically(name, overwrite=force) as out:
            out.write(png_bytes(answer.to_image()))
    if as_json:
        described = found.describe() | {"pictures": [str(name) for name in files]}
        click.echo(json.dumps(described, allow_nan=False), file=output())
    else:
        _tell(found, files)


def _patches(given: dict[str, Any]) -> list[Patch]:
    fill = given["fill"]
    if fill is None:
        of_source = given["source"] is not None or given["source_corner"] is not None
        fill = "colour" if given["colour"] is not None else "patch" if of_source else "blur"
    painted = None if given["colour"] is None else colour(given["colour"])
    source = None if given["source"] is None else read_photo(given["source"])
    return [
        Patch(box, given["shape"], fill, given["sigma"], painted, source, given["source_corner"])
        for box in given["boxes"]
    ]


def _names(first: Path, count: int, *, force: bool) -> list[Path]:
    """A file for each box; what cannot be written is said before the work."""
    if first.suffix.lower() != ".png":
        raise InputError("the picture is a PNG", expected="--output with a name that ends in .png", got=str(first))
    names = [first, *(first.with_name(f"{first.stem}-{number}{first.suffix}") for number in range(2, count + 1))]
    for name in names:
        if name.exists() and not force:
            raise OutputError(f"{in_one_line(name)} exists", expected="--force to replace it, or another --output")
    return names


def _tell(found: WhatIf, files: list[Path]) -> None:
    terminal = console()
    terminal.print(f"[bold]{shown(found.photo)}[/bold]", soft_wrap=True)
    if found.reason is not None:
        console(error=True).print(f"note: whole forwards: {shown(found.reason)}", soft_wrap=True)
    for number, answer in enumerate(found.answers):
        terminal.print(f"  [dim]{shown(answer.patch)}[/dim]", soft_wrap=True)
        terminal.print(_table(answer))
        if answer.changed:
            now, then = shown(answer.top[0].name), shown(answer.top_before[0].name)
            terminal.print(f"  [red]now {now} {percentage(answer.top[0].probability)} instead of {then}[/red]",
                           soft_wrap=True)  # fmt: skip
        if files:
            terminal.print(f"  {shown(files[number])}", soft_wrap=True)


def _table(answer: Answer) -> Table:
    table = plain_table()
    for heading in ("class", "before", "after", "score by"):
        table.add_column(heading, justify="left" if heading == "class" else "right", header_style="dim")
    for each in answer.classes:
        change = f"{each.change:+.2f}" if each.change == each.change else "?"
        before, after = percentage(each.before.probability), percentage(each.after.probability)
        table.add_row(shown(each.name), before, after, change)
    return table
