"""A page that holds everything it needs, under a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from seewhy.pictures import colormaps
from seewhy.pictures.overlay import (
    EVEN_OF_COARSE,
    EVEN_OF_FINE,
    GROUND_OF_COARSE,
    GROUND_OF_FINE,
    MOST,
    MOST_GAIN,
    RELIEF,
    RISE,
    TAIL,
)

MODULES = (
    "dom", "numbers", "planes", "colours", "drawing", "ground", "zoom", "code", "pane", "viewer", "mean", "report",
    "elements",
)  # fmt: skip
"""The viewer's modules; each imports from those before it."""

_IMPORT = re.compile(r"^import \{[^}]*\} from \"[./a-z]+/[a-z_]+\.js\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async )?function|class|const|let)", re.MULTILINE)
_LINE = re.compile(r"^[ \t]*//[^\n]*\n", re.MULTILINE)
_BLOCK = re.compile(r"^[ \t]*/\*\*(?:(?!\*/)[\s\S])*\*/[ \t]*\n", re.MULTILINE)
_INDENT = re.compile(r"^[ \t]+|\n+(?=\n)", re.MULTILINE)


NO_ICON = '<link rel="icon" href="data:,">\n'
"""A browser asks a server for one where a page names none."""
MARK = '<meta name="seewhy" content="{}">\n'
REFRESH = '<noscript><meta http-equiv="refresh" content="{}"></noscript>\n'


def assemble(
    title: str,
    body: str,
    *,
    start: str | None,
    blocks: Iterable[tuple[str, Any]] = (),
    later: Iterable[tuple[str, Any]] = (),
    styles: Sequence[str] = ("viewer",),
    modules: Sequence[str] = (),
    sheets: Sequence[str] = (),
    connect: bool = False,
    refresh: int | None = None,
    mark: str | None = None,
) -> str:
    """The page as text, to be written as UTF-8.

    Args:
        title: of the page.
        body: HTML that is there before the script runs, and stays where scripts may not run.
        start: the module that starts the page; None where the last of ``modules`` does.
        blocks: id -> what is put into the page as JSON, one script element each that holds data and runs nothing.
        later: more of them, which the page's script does not wait for: they follow it.
        styles: style sheets, by name.
        modules, sheets: further modules and style sheets, by their text.
        connect: whether the page talks to the server that it came from.
        refresh: seconds after which it is loaded again where scripts may not run; where they may, a script of the
            page's own can do so, and can be told to stop.
        mark: what the page is to programs, in its head.
    """
    script = f'(() => {{\n"use strict";\n{joined(start, modules)}}})();'
    style = "".join([*map(stylesheet, styles), *map(_plain_sheet, sheets)])
    head = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy(script, style, connect=connect)}">\n'
        f"{'' if mark is None else MARK.format(html.escape(mark))}"
        f"{'' if refresh is None else REFRESH.format(refresh)}"
        f"{NO_ICON if connect else ''}<title>{html.escape(title)}</title>\n"
        f"<style>{style}</style>\n</head>\n<body>\n{body}\n"
    )
    before, after = (
        "".join(f"{block(id, value)}\n" for id, value in some)
        for some in ((("seewhy-colours", colours()), *blocks), later)
    )
    return f"{head}{before}<script>{script}</script>\n{after}</body>\n</html>\n"


def policy(script: str, style: str, *, connect: bool = False) -> str:
    """The Content-Security-Policy: this script, this style, pictures that the page holds, and nothing else."""
    own = " 'self'" if connect else ""
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data: blob:{own}; "
        f"{'connect-src' + own + '; media-src blob:; ' if connect else ''}base-uri 'none'; form-action 'none'"
    )


def block(id: str, value: Any) -> str:
    """A script element that holds JSON."""
    return f'<script type="application/json" id="{html.escape(id)}">{as_json(value)}</script>'


def as_json(value: Any) -> str:
    """JSON in which nothing ends a script element, or begins a comment."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def joined(start: str | None, further: Sequence[str] = ()) -> str:
    """All modules as one, without what only developers read: a page from a file cannot import any."""
    return "".join([*map(_module, MODULES), *map(_stripped, further), "" if start is None else _module(start)])


@lru_cache(maxsize=32)
def _module(name: str) -> str:
    return _stripped(files("seewhy.viewer").joinpath(f"js/{name}.js").read_text("utf-8"))


def _stripped(module: str) -> str:
    bare = _EXPORT.sub("", _IMPORT.sub("", module))
    return _INDENT.sub("", _LINE.sub("", _BLOCK.sub("", bare)))


@lru_cache(maxsize=8)
def stylesheet(name: str) -> str:
    """A style sheet, without comments and indents."""
    return _plain_sheet(files("seewhy.viewer").joinpath(f"css/{name}.css").read_text("utf-8"))


def _plain_sheet(sheet: str) -> str:
    return _INDENT.sub("", re.sub(r"/\*[^*]*\*/\n?", "", sheet))


@lru_cache(maxsize=1)
def colours() -> dict[str, Any]:
    """The tables of colours, and how they are blended with a photo: what ``overlay.blended`` does."""
    return {
        "tables": {
            name: {kind: base64.b64encode(colormaps.table(kind, name).tobytes()).decode("ascii") for kind in KINDS}
            for name in colormaps.COLORMAPS
        },
        "blend": {
            "own": colormaps.OWN,
            "groundOfCoarse": GROUND_OF_COARSE,
            "groundOfFine": GROUND_OF_FINE,
            "most": MOST,
            "rise": RISE,
            "relief": RELIEF,
            "evenOfCoarse": EVEN_OF_COARSE,
            "evenOfFine": EVEN_OF_FINE,
            "tail": TAIL,
            "mostGain": MOST_GAIN,
        },
    }


KINDS: tuple[colormaps.Kind, ...] = ("sequential", "diverging")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"
