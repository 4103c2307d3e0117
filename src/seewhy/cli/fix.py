"""seewhy fix AUDIT_DIR PHOTOS_DIR"""

from __future__ import annotations

import json
import os
from typing import Any

import click
from rich.table import Table

from ..errors import InputError, OutputError
from ..legible import in_one_line
from .console import console, shown
from .options import foreign, load_model, model_options, tell_notes
from .streams import output


@click.command("fix", short_help="Train the last layer again, against a stamp that an audit found.")
@click.argument("audit_dir", metavar="AUDIT_DIR", type=click.Path(readable=False))
@click.argument("photos", metavar="PHOTOS_DIR", type=click.Path(readable=False))
@model_options
@click.option("--output", "-o", required=True, type=click.Path(readable=False),
              help="A new file, in the format of --weights.")  # fmt: skip
@click.option("--finding", metavar="ID", help="A stamp. Default: the first that is a suspected shortcut.")
@click.option("--truth", default="folders", show_default=True, metavar="folders|FILE.csv", help="As for the audit.")
@click.option("--seeds", type=click.IntRange(5), default=5, show_default=True, help="How often it is trained.")
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True, help="Images per forward.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def command(audit_dir: str, photos: str, **given: Any) -> None:
    """Train the last layer again, with as many photos with a stamp as without it, and say whether that helped.

    Trained on one half of the audited photos, measured on the other. The file is written whether it helped or not;
    nothing that is there is replaced.
    """
    import torch

    from ..auditing.fixing import fix
    from ..auditing.remedies.written import write_weights

    if not given["weights"] or not os.path.isfile(given["weights"]):
        raise InputError("fix needs the file that the weights are in", expected="--weights FILE", got=given["weights"])
    if os.path.lexists(given["output"]):
        raise OutputError(f"{in_one_line(given['output'])} exists", expected="a name that is free")
    terminal = console(error=given["as_json"])
    with terminal.status("Loading the model"):
        classifier = load_model(given)
    tell_notes(classifier)
    with foreign(classifier), terminal.status("Training the last layer"):
        fixed = fix(
            audit_dir, photos, classifier, given["finding"], given["seeds"], truth=given["truth"],
            batch_size=given["batch_size"],
        )  # fmt: skip
    head = fixed.head
    new = {"weight": torch.from_numpy(head.weight), "bias": torch.from_numpy(head.bias)}
    write_weights(given["weights"], given["output"], {f"{head.name}.{name}": each for name, each in new.items()})
    if given["as_json"]:
        click.echo(json.dumps({**fixed.describe(), "output": given["output"]}), file=output())
        return
    terminal.print(shown(fixed.finding.sentence), soft_wrap=True)
    for note in fixed.notes:
        terminal.print(f"[dim]{shown(note)}[/dim]", soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    for way in fixed.values:
        table.add_column(way, justify="right")
    for name in next(iter(fixed.values.values())):
        table.add_row(name, *(f"{values[name]:.3f}" for values in fixed.values.values()))
    terminal.print(table)
    terminal.print(f"[bold]{shown(fixed.sentence)}[/bold]", soft_wrap=True)
    terminal.print(f"[bold]{shown(given['output'])}[/bold]", soft_wrap=True)
