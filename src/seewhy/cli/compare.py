"""seewhy compare PHOTOS_DIR --model A --model B, or seewhy compare A B [PHOTOS_DIR]"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from ..errors import InputError, OutputError
from ..files import make_folder
from ..legible import in_one_line
from ..pictures.cells import percentage
from .console import console, plain_table, shown
from .options import foreign, load_model, load_models, models_options, tell_notes
from .progress import Bar
from .streams import output

if TYPE_CHECKING:
    from ..auditing.comparing.comparison import Comparison
    from ..auditing.comparing.parts import Compared

UNSAID = ("efficientnet_lite0",)
"""--model where it is not given."""

WORSE = 3
"""The exit code where something got worse."""

MOST = 10
"""Slices and sentences that are printed."""


@click.command("compare", short_help="Put two models, or two audits, side by side.")
@click.argument("a", metavar="PHOTOS_DIR|A", type=click.Path(readable=False))
@click.argument("b", metavar="[B]", required=False, type=click.Path(readable=False))
@click.argument("photos", metavar="[PHOTOS_DIR]", required=False, type=click.Path(readable=False))
@models_options
@click.option("--audit", metavar="DIR", type=click.Path(readable=False),
              help="With two --model: put the stamps that this audit found into the same photos for both.")  # fmt: skip
@click.option("--truth", default="folders", show_default=True, metavar="folders|FILE.csv", help="As for the audit.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of every draw.")
@click.option("--output-dir", "-o", type=click.Path(readable=False),
              help="Where compare.html and compare.json go. Default: nowhere.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an earlier compare.html and compare.json.")
@click.option("--page/--no-page", default=True, help="Whether to write compare.html.")
@click.option("--json", "as_json", is_flag=True, help="Print compare.json.")
def command(a: str, b: str | None, photos: str | None, **given: Any) -> int:
    """Put two models, or two audits, side by side: which photos are right, class by class and slice by slice, what was
    fixed and what was broken, with the maps of both, and the effect of the same changes on both.

    \b
    seewhy compare PHOTOS_DIR --model A --model B [--audit DIR]   two models
    seewhy compare A B [PHOTOS_DIR]                               two audits

    A and B are folders that `seewhy audit` wrote, of the same photos; or models, each as for --model, which are audited
    on PHOTOS_DIR first. --weights and --labels are given once for each model. Exit code 3: something got significantly
    worse.
    """  # noqa: D301
    from ..auditing.comparing.comparison import FILE, PAGE

    place = None if given["output_dir"] is None else make_folder(Path(given["output_dir"]))
    for name in (FILE, PAGE) if given["page"] else (FILE,):
        if place is not None and os.path.lexists(place / name) and not given["force"]:
            expected = "--force to replace it, or another --output-dir"
            raise OutputError(f"{in_one_line(place / name)} exists", expected=expected)
    named = given["spec"] != UNSAID
    if named and b is not None:
        raise InputError("--model does not apply to two audits", expected="PHOTOS_DIR alone, then --model twice", got=b)
    if not named and b is None:
        raise InputError("there is nothing to compare", expected="two audits, A and B, or PHOTOS_DIR and --model twice")
    if not named and given["audit"] is not None:
        raise InputError("--audit does not apply to two audits", expected="PHOTOS_DIR and --model twice")
    found = _of_models(a, given) if b is None else _of_audits((a, b), photos, given)
    path = None if place is None else found.save(place, overwrite=given["force"], page=given["page"])
    if given["as_json"]:
        click.echo(json.dumps(found.describe()), file=output())
    else:
        _tell(found, path)
    return WORSE if found.worse else 0


def _of_models(photos: str, given: dict[str, Any]) -> Comparison:
    """Two models on a folder, and an audit's stamps on both."""
    from ..auditing.comparing.models import compare

    if len(given["spec"]) != 2:
        raise InputError("two models are compared", expected="--model twice", got=f"{len(given['spec'])}")
    with console(error=True).status("Loading the models"):
        a, b = load_models(given)
    for classifier in (a, b):
        tell_notes(classifier)
    with foreign(a), Bar(console(error=True), 1) as bar:
        return compare(
            a, b, photos, truth=given["truth"], audit=given["audit"], seed=given["seed"], listener=bar.listen
        )  # fmt: skip


def _of_audits(sides: tuple[str, str], photos: str | None, given: dict[str, Any]) -> Comparison:
    """Two audits; what is none is a model, which is audited first."""
    from ..auditing.comparing.models import compare, is_audit

    with tempfile.TemporaryDirectory(prefix="seewhy-compare-") as folder:
        for number, side in enumerate(sides):
            if not is_audit(side):
                _audited(side, number, photos, Path(folder), given)
        a, b = (side if is_audit(side) else Path(folder) / str(number) for number, side in enumerate(sides))
        return compare(a, b, photos)


def _audited(spec: str, number: int, photos: str | None, folder: Path, given: dict[str, Any]) -> None:
    """Audit a model into a folder of its own."""
    from ..auditing.circle import audit

    if photos is None:
        expected = "a folder that `seewhy audit` wrote, or PHOTOS_DIR after two models"
        raise InputError(f"{in_one_line(spec)} is no audit", expected=expected)
    own: dict[str, Any] = {"spec": spec}
    for name in ("weights", "labels"):
        if given[name] and len(given[name]) != 2:
            expected = f"--{name} once for each of the two; '' for its own"
            raise InputError(f"--{name} does not go with the models", expected=expected, got=len(given[name]))
        own[name] = (given[name][number] or None) if given[name] else None
    classifier = load_model({**given, **own})
    tell_notes(classifier)
    with foreign(classifier), Bar(console(error=True), 1) as bar:
        audit(
            photos, classifier, truth=given["truth"], sources=["stamps", "sensitivity", "calibration"],
            output_dir=folder / str(number), seed=given["seed"], listener=bar.listen,
        ).save(folder / str(number))  # fmt: skip


def _tell(found: Comparison, path: Path | None) -> None:
    terminal = console()
    terminal.print(f"[bold]{shown(found.headline)}[/bold]\n", soft_wrap=True)
    terminal.print(_parts("", found.parts))
    if told := found.told_slices:
        terminal.print("")
        terminal.print(_parts("slice", told[:MOST]))
        if len(told) > MOST:
            terminal.print(f"and {len(told) - MOST} more")
    if found.effects:
        rows = [(shown(id_), *(f"{one.effect:+.3f}" for one in pair)) for id_, pair in found.effects.items()]
        terminal.print("")
        terminal.print(_table(("effect of", "A", "B"), 1, rows))
    if found.repeated:
        table = _table(("put into the same photos", "class", "photos", "A", "B", "difference", "q"), 2, ())
        for one in found.repeated:
            table.add_row(
                shown(one.name), shown(one.class_name), str(one.photos), f"{one.a_beyond:+.3f}", f"{one.b_beyond:+.3f}",
                f"{one.difference:+.3f}", f"{one.q:.2g}", style="bold red" if one.worse else "",
            )  # fmt: skip
        terminal.print("")
        terminal.print(table)
    terminal.print("")
    terminal.print(f"{len(found.fixed)} fixed, {len(found.broken)} broken")
    for name, changed in (("fixed", found.fixed), ("broken", found.broken)):
        if changed:
            more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
            paths = ", ".join(each.path for each in changed[:5])
            terminal.print(f"{name}: {shown(paths)}{more}", soft_wrap=True)
    for note in found.notes:
        terminal.print(f"[dim]{shown(note)}[/dim]", soft_wrap=True)
    for name, style, sentences in (("worse", "bold red", found.worse), ("better", "bold", found.better)):
        for sentence in sentences[:MOST]:
            terminal.print(f"[{style}]{name}[/{style}] {shown(sentence)}", soft_wrap=True)
        if len(sentences) > MOST:
            terminal.print(f"and {len(sentences) - MOST} more are {name}")
    if not found.worse:
        terminal.print("[bold]nothing got significantly worse[/bold]")
    if path is not None:
        terminal.print(f"[bold]{shown(path)}[/bold]", soft_wrap=True)


def _parts(heading: str, parts: Sequence[Compared]) -> Table:
    table = _table((heading, "photos", "A", "B", "points", "95 % interval", "fixed", "broken", "q"), 1, ())
    for part in parts:
        style = "bold red" if part.worse else "bold" if part.kind == "all" else ""
        interval = f"{100 * part.ci[0]:+.1f} to {100 * part.ci[1]:+.1f}"
        table.add_row(
            shown(part.name), str(part.photos), percentage(part.a), percentage(part.b),
            f"{100 * part.difference:+.1f}", interval, str(part.fixed), str(part.broken), f"{part.q:.2g}", style=style,
        )  # fmt: skip
    return table


def _table(headings: Sequence[str], names: int, rows: Iterable[Sequence[str]]) -> Table:
    """A table whose first ``names`` columns hold names, and the others numbers."""
    table = plain_table()
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < names else "right")
    for row in rows:
        table.add_row(*row)
    return table
