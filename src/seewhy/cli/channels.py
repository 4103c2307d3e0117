"""seewhy channels"""

from __future__ import annotations

import json
from typing import Any

import click

from ..core.target import Target, Versus
from ..pictures import read_photo
from ..session import Session
from ..strongest import Channels
from .console import console, plain_table, shown
from .options import WholeNumbers, foreign, load_model, model_options, tell_notes
from .streams import output


@click.command("channels", short_help="List the channels that did most for a class, with what each added.")
@click.argument("photo", type=click.Path(readable=False))
@click.option("--layer", metavar="NAME", help="See `seewhy layers`. Default: the last spatial layer before pooling.")
@click.option("--target", "-t", metavar="NAME|INDEX", help="The class to explain. Default: the predicted one.")
@click.option("--versus", metavar="NAME|INDEX", help="Explain why the target rather than this class.")
@click.option(
    "--at", type=WholeNumbers("row", "column"), help="Only what stands at this place: in pixels of what the model sees."
)
@click.option("--count", type=click.IntRange(1), default=12, show_default=True, help="How many are listed.")
@model_options
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")  # fmt: skip
def command(
    photo: str, layer: str | None, target: str | None, versus: str | None, at: tuple[int, int] | None, count: int,
    as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """List the channels of a layer that did most for the class of PHOTO, with what each of them added to its score.

    The effect is activation x gradient, summed over the layer's positions, or at the one under --at. To look at one:
    `seewhy visualize --layer NAME --channel N --photos DIR`.
    """
    read = read_photo(photo)
    with console(error=True).status("Loading the model"):
        classifier = load_model(given)
    tell_notes(classifier)
    asked: Target = None if target is None else classifier.index(target)
    if versus is not None:
        asked = Versus(asked, classifier.index(versus))  # type: ignore[arg-type]  # a number, or None
    with foreign(classifier):
        found = Session(classifier).channels(read, layer, asked, at=at, count=count)
    if as_json:
        click.echo(json.dumps({"photo": str(read.path), **found.describe()}, allow_nan=False), file=output())
    else:
        _tell(str(read.path), found)


def _tell(photo: str, found: Channels) -> None:
    terminal = console()
    terminal.print(f"[bold]{shown(photo)}[/bold]", soft_wrap=True)
    terminal.print(f"  {shown(found.head)}", soft_wrap=True)
    table = plain_table()
    for heading in ("channel", "effect", "activation"):
        table.add_column(heading, justify="right", header_style="dim")
    for each in found.channels:
        table.add_row(str(each.channel), f"{each.effect:+.4g}", f"{each.activation:.4g}")
    terminal.print(table)
