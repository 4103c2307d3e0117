"""The page itself: the viewer's elements, and those of the live page."""

from __future__ import annotations

import html
import re
from functools import lru_cache
from importlib.resources import files

from ..viewer.page import assemble

MODULES = (
    "link", "class_box", "bars", "rail", "curve", "ascent", "channels", "views", "what_if", "app", "start_app",
)  # fmt: skip
"""The live page's own modules; each imports from the viewer's, and from those before it."""

_STATIC = '<noscript><p id="static">This page is drawn by a script, which may not run here.</p></noscript>'


@lru_cache(maxsize=1)
def page() -> tuple[str, str]:
    """The document, and the Content-Security-Policy that lets it do what it does and nothing else."""
    room = files("seewhy.app")
    document = assemble(
        "seewhy", _STATIC, start=None, modules=[room.joinpath(f"js/{name}.js").read_text("utf-8") for name in MODULES],
        sheets=[room.joinpath("css/app.css").read_text("utf-8")], styles=("viewer", "report"), connect=True,
    )  # fmt: skip
    found = re.search('http-equiv="Content-Security-Policy" content="([^"]*)"', document)
    assert found is not None
    return document, f"{html.unescape(found[1])}; frame-ancestors 'none'"
