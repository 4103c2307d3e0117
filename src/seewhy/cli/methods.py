"""seewhy methods"""

from __future__ import annotations

import json
from dataclasses import fields

import click

from ..bibliography import BIBLIOGRAPHY
from ..methods import METHODS
from ..results import CLASS_VISUALIZATION
from ..results.view import VISUALIZATION_FORMULA, VISUALIZATION_MISLEADS
from .console import console
from .streams import output


@click.command("methods")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool) -> None:
    """List the methods: what they compute, where they come from, their parameters, and how they mislead."""
    rows = [
        {
            "id": method.id,
            "title": method.title,
            "formula": method.formula,
            "source": str(BIBLIOGRAPHY[method.source]),
            "misleads": method.misleads,
            "params": {field.name: field.metadata["help"] for field in fields(method)},
        }
        for method in METHODS
    ]
    rows.append(
        {
            "id": CLASS_VISUALIZATION,
            "title": "Class visualization",
            "formula": VISUALIZATION_FORMULA,
            "source": str(BIBLIOGRAPHY["simonyan2013"]),
            "misleads": VISUALIZATION_MISLEADS,
            "params": {},
        }
    )
    if as_json:
        click.echo(json.dumps(rows), file=output())
        return
    terminal = console()
    for row in rows:
        terminal.print(f"[bold]{row['id']}[/bold]  {row['formula']}".replace("[R", r"\[R").replace("[h", r"\[h"))
        terminal.print(f"  [dim]{row['source']}[/dim]")
        terminal.print(f"  misleads: {row['misleads']}")
        for name, text in row["params"].items():  # type: ignore[attr-defined]
            terminal.print(f"  {name}: {text}", markup=False)
        terminal.print()
