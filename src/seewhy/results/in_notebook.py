"""An explanation below a cell of a notebook: the viewer in a frame of its own, and a picture for where frames are not
shown.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ..legible import in_one_line
from ..pictures.notebook import img
from ..viewer.page import assemble
from .viewed import viewed

if TYPE_CHECKING:
    from .explanation import Explanation

HEIGHT = 760
"""Pixels; a person can pull the frame's lower edge."""

STATIC = 640
"""Pixels of the static picture's longer side."""


WAITING = '<p id="static">The viewer is drawn by a script. Where none may run, see the picture below.</p>'


def shown(explanation: Explanation) -> str:
    """HTML for a notebook.

    The frame has a document, an origin and a policy of its own, so that any number of them stand beside each other and
    none touches the notebook. A notebook's static views (such as a code host's) drop frames; the picture stays.
    """
    title = f"Why {in_one_line(explanation.targets[0].name)}? {in_one_line(explanation.photo.name)}"
    page = assemble(
        title, WAITING, start="start_notebook", blocks=[("seewhy-explanation", viewed(explanation))],
        styles=("viewer", "notebook"),
    )  # fmt: skip
    figure = explanation.figure()
    figure.thumbnail((STATIC, STATIC * 4))
    style = f"width:100%;height:{HEIGHT}px;border:0;border-radius:6px;resize:vertical;overflow:auto;background:#fbfaf8"
    frame = (
        f'<iframe srcdoc="{escape(page)}" title="{escape(title)}" sandbox="allow-scripts" allow="clipboard-write" '
        f'loading="lazy" style="{style}"></iframe>'
    )
    static = f"<details><summary>As a picture</summary>{img(figure, title)}</details>"
    return f"<div>{frame}{static}</div>"
