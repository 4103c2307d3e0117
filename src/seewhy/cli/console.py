"""What the command prints to people with rich, in any terminal."""

from __future__ import annotations

import os
import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..legible import legible
from .streams import output

NARROWEST, WIDEST, USUAL = 40, 400, 80
"""Columns: a table needs some, and one that fills a million takes gigabytes."""


def console(*, error: bool = False) -> Console:
    """On stdout, or on stderr; as wide as the terminal, whatever COLUMNS says."""
    return Console(file=sys.stderr if error else output(), highlight=False, width=_width(), height=25)


def plain_table(*, show_header: bool = True) -> Table:
    """Columns with room between them, and no lines."""
    return Table(box=None, padding=(0, 2, 0, 0), show_header=show_header)


def shown(text: object) -> str:
    """Text from outside for rich's markup: nothing in it acts, and nothing in it is markup."""
    return escape(legible(text))


def _width() -> int:
    told = os.environ.get("COLUMNS", "")
    if told.isascii() and told.isdigit() and len(told) < 6 and NARROWEST <= int(told) <= WIDEST:
        return int(told)
    for number in (2, 1, 0):
        try:
            columns = os.get_terminal_size(number).columns
        except OSError:
            continue
        if columns > 0:  # a terminal may not know
            return min(max(columns, NARROWEST), WIDEST)
    return USUAL
