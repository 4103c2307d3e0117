"""The templates of the pages, and how they write text from outside."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ...legible import in_one_line
from ...pictures.cells import percentage

LONGEST_TEXT = 4000


def environment(**filters: Any) -> Environment:
    """Of the folder templates: every text from outside is made legible and escaped, and nothing is left undefined.

    Args:
        filters: by name, beside ``percentage``.
    """
    made = Environment(
        loader=PackageLoader("seewhy.auditing.pages", "templates"), autoescape=True, undefined=StrictUndefined,
        finalize=_legible, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {"percentage": percentage, **filters}
    return made


def _legible(value: Any) -> Any:
    return in_one_line(value, LONGEST_TEXT) if isinstance(value, str) and not isinstance(value, Markup) else value
