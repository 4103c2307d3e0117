"""seewhy layers"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click
import torch

from ..layer_table import layers
from .console import console, plain_table, shown
from .options import foreign, load_model, model_options
from .streams import output


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
        click.echo(json.dumps([asdict(layer) for layer in found]), file=output())
        return
    table = plain_table()
    for heading in ("layer", "kind", "output"):
        table.add_column(heading, style="" if heading == "layer" else "dim", overflow="fold")
    for layer in found:
        shape = " × ".join(map(str, layer.shape)) if layer.shape is not None else "no tensor"
        name = f"[bold red]{shown(layer.name)}  ← default[/bold red]" if layer.default else shown(layer.name)
        table.add_row(name, shown(layer.kind), shape)
    terminal = console()
    terminal.print(table)
    if not any(layer.default for layer in found):
        text = "none is the default; Grad-CAM needs one that gives maps, channels × height × width: --layer NAME"
        terminal.print(text, soft_wrap=True)
