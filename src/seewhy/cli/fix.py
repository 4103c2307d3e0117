"""seewhy fix AUDIT_DIR PHOTOS_DIR"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from ..errors import InputError, OutputError
from ..files import write_text
from ..legible import in_one_line
from .audit import STATES
from .console import console, plain_table, shown
from .options import foreign, load_model, model_options, tell_notes
from .streams import output

if TYPE_CHECKING:
    from ..auditing.finding import Finding
    from ..auditing.remedies.again import Again
    from ..auditing.remedies.head import Head
    from ..models import Classifier


MOST = 20
"""Classes that are printed."""


@click.command("fix", short_help="Train the last layer again, against what an audit found.")
@click.argument("audit_dir", metavar="AUDIT_DIR", type=click.Path(readable=False))
@click.argument("photos", metavar="[PHOTOS_DIR]", type=click.Path(readable=False), required=False)
@model_options
@click.option("--output", "-o", type=click.Path(readable=False),
              help="A new file, in the format of --weights.")  # fmt: skip
@click.option("--finding", metavar="ID",
              help="A stamp, component, slice or property. Default: the first suspected stamp, else none.")  # fmt: skip
@click.option("--remedy", metavar="dfr|self",
              help="dfr: balanced, with a stamp and without; self: needs no groups. Default: what fits.")  # fmt: skip
@click.option("--snippets", metavar="FILE.py", type=click.Path(readable=False),
              help="Write augmentations against all that was found, as code; needs no more.")  # fmt: skip
@click.option("--truth", default="folders", show_default=True, metavar="folders|FILE.csv", help="As for the audit.")
@click.option("--seeds", type=click.IntRange(5), default=5, show_default=True, help="How often it is trained.")
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True, help="Images per forward.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def command(audit_dir: str, photos: str | None, **given: Any) -> None:
    """Train the last layer again, and say whether that helped.

    Against a stamp, with as many photos with it as without it (dfr); else, with those photos of each class that the
    last layer is least sure about (self).

    Trained on one half of the audited photos, measured on the other. The file is written whether it helped or not;
    nothing that is there is replaced. What is in it is then audited again, for stamps and for calibration.
    """
    if given["snippets"]:
        _write_snippets(audit_dir, given["snippets"])
        if photos is None:
            return
    if photos is None or not given["output"]:
        raise click.UsageError("PHOTOS_DIR and --output are needed, or --snippets FILE.py")
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
    with foreign(classifier), terminal.status("Training the last layer") as status:

        def written(head: Head) -> Classifier:
            new = {"weight": torch.from_numpy(head.weight), "bias": torch.from_numpy(head.bias)}
            tensors = {f"{head.name}.{name}": each for name, each in new.items()}
            write_weights(given["weights"], given["output"], tensors)
            status.update("Auditing the new model")
            return load_model({**given, "weights": given["output"]})

        fixed = fix(
            audit_dir, photos, classifier, given["finding"], given["seeds"], remedy=given["remedy"],
            truth=given["truth"], batch_size=given["batch_size"], written=written,
        )  # fmt: skip
    if given["as_json"]:
        click.echo(json.dumps({**fixed.describe(), "output": given["output"]}), file=output())
        return
    against = "against nothing in particular" if fixed.finding is None else fixed.finding.sentence
    terminal.print(shown(against), soft_wrap=True)
    terminal.print(f"{fixed.remedy.name}: trained on {fixed.remedy.title}", soft_wrap=True)
    for note in fixed.notes:
        terminal.print(f"[dim]{shown(note)}[/dim]", soft_wrap=True)
    table = plain_table()
    table.add_column("")
    for way in fixed.values:
        table.add_column(way, justify="right")
    for name in next(iter(fixed.values.values())):
        table.add_row(name, *(f"{values[name]:.3f}" for values in fixed.values.values()))
    terminal.print(table)
    terminal.print(f"[bold]{shown(fixed.sentence)}[/bold]", soft_wrap=True)
    _tell_again(fixed.again, terminal)
    terminal.print(f"[bold]{shown(given['output'])}[/bold]", soft_wrap=True)


def _write_snippets(audit_dir: str, file: str) -> None:
    from ..auditing.remedies.snippets import snippet
    from ..auditing.result import Audit

    write_text(file, snippet(Audit.load(audit_dir)))
    console(error=True).print(f"[bold]{shown(file)}[/bold]", soft_wrap=True)


def _tell_again(again: Again, terminal: Console) -> None:
    """The finding before and after, and the classes whose accuracy changed most."""
    terminal.print("\nAudited again, with the new model:")
    for name, finding in (("before", again.before), ("after", again.after)):
        if finding is not None:
            terminal.print(f"{name}: {STATES[finding.state]}, effect {_effect(finding)}", soft_wrap=True)
    for each in again.others:
        if each.state == "proven":
            terminal.print(f"proven now: {shown(each.sentence)}", soft_wrap=True)
    if again.error is not None:
        terminal.print(f"calibration error: {again.error['before']:.3f} before, {again.error['after']:.3f} after")
    table = plain_table()
    for heading in ("accuracy of", "photos", "before", "after"):
        table.add_column(heading, justify="left" if heading == "accuracy of" else "right")
    changed = sorted(again.classes.items(), key=lambda each: -abs(each[1]["after"] - each[1]["before"]))
    for name, of in changed[:MOST]:
        table.add_row(shown(name), f"{of['photos']:.0f}", f"{of['before']:.3f}", f"{of['after']:.3f}")
    terminal.print(table)
    if (left := len(changed) - MOST) > 0:
        terminal.print(f"and {left} more, which changed less")


def _effect(finding: Finding) -> str:
    if finding.effect is None or finding.ci is None:
        return "not measured"
    return f"{finding.effect:+.3f} [{finding.ci[0]:+.3f}, {finding.ci[1]:+.3f}]"
