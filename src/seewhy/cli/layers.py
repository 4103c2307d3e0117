"""seewhy layers"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click
import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..layer_table import layers
from ..pictures import in_one_line
from .options import foreign, load_model, model_options


@click.command("layers")
@model_options
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool, **given: Any) -> None:
    """List a model's layers with the shape of what they give; the one explained by default is marked."""
    classifier = load_model(given)
    inputs = torch.zeros(1, len(classifier.mean), *classifier.input_size)
    with foreign(classifier):
        found = layers(classifier, inputs)
    if as_json:
        click.echo(json.dumps([asdict(layer) for layer in found]))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("layer", "kind", "output"):
        table.add_column(heading, style="" if heading == "layer" else "dim", overflow="fold")
    for layer in found:
        shape = " × ".join(map(str, layer.shape)) if layer.shape is not None else "no tensor"
        name = escape(in_one_line(layer.name))  # a network's names are its author's
        table.add_row(
            f"[bold red]{name}  ← default[/bold red]" if layer.default else name, escape(in_one_line(layer.kind)), shape
        )
    console = Console(highlight=False)
    console.print(table)
    if not any(layer.default for layer in found):
        text = "none is the default; Grad-CAM needs one that gives maps, channels × height × width: --layer NAME"
        console.print(text, soft_wrap=True)
