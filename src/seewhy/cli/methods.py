"""seewhy methods"""

from __future__ import annotations

import json
from dataclasses import fields

import click

from ..bibliography import BIBLIOGRAPHY
from ..errors import SeewhyError
from ..methods import METHODS, Method
from ..results import CLASS_VISUALIZATION
from ..results.view import VISUALIZATION_FORMULA, VISUALIZATION_MISLEADS
from .console import console, shown
from .streams import output


@click.command("methods")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool) -> None:
    """List the methods: what they compute, where they come from, their parameters, and how they mislead."""
    kinds, broken = _installed()
    rows = [
        {
            "id": method.id,
            "title": method.title,
            "formula": method.formula,
            "source": str(BIBLIOGRAPHY.get(method.source, method.source)),
            "misleads": method.misleads,
            "params": {field.name: field.metadata["help"] for field in fields(method) if "help" in field.metadata},
        }
        for method in (*METHODS, *kinds)
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
        terminal.print(f"[bold]{shown(row['id'])}[/bold]  {shown(row['formula'])}")
        terminal.print(f"  [dim]{shown(row['source'])}[/dim]")
        terminal.print(f"  misleads: {shown(row['misleads'])}")
        for name, text in row["params"].items():  # type: ignore[attr-defined]
            terminal.print(f"  {name}: {text}", markup=False)
        terminal.print()
    for name, error in broken.items():
        terminal.print(f"{name} cannot be used: {error}", markup=False)


def _installed() -> tuple[list[type[Method]], dict[str, SeewhyError]]:
    """The methods that packages offer; and those of them that cannot be used, with the reason."""
    found, broken = [], {}
    for name in installed_methods():
        try:
            found.append(find_kind(name))
        except SeewhyError as error:
            broken[name] = error
    return found, broken
