"""The figure: a labelled grid of panels, drawn with Pillow alone."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from seewhy.errors import InputError
from seewhy.pictures.cells import CELL, LINE, Cell, Style
from seewhy.pictures.panels import Panel
from seewhy.pictures.text import Typesetter

MARGIN, GUTTER, ROW_GAP = 40, 28, 30
MOST_COLUMNS = 5


def figure(
    panels: Sequence[Panel],
    *,
    title: str,
    subtitle: str = "",
    warning: str = "",
    footer: str = "",
    together: Sequence[Sequence[Panel]] = (),
    scale: int = 2,
) -> Image.Image:
    """Draw panels as a grid, in their order, row by row.

    Args:
        panels: at least one.
        title: what the figure is about, such as the photo's name and what was predicted.
        subtitle: one quiet line: model, target.
        warning: one line below it in the accent's colour: what must not be overlooked.
        footer: one small line: versions, date.
        together: further panels that are compared with each other, such as one method at several layers: each group
            begins a row.
        scale: pixels per point; 2 is crisp on any screen and in print.

    Returns:
        RGB on white. Text that does not fit its place is cut with an ellipsis; nothing is distorted.
    """
    if not panels:
        raise InputError("a figure needs something to show", expected="at least one panel")
    style = Style(scale)
    px = style.px
    columns = columns_for(len(panels))
    if together:
        columns = max(columns, *(min(len(group), MOST_COLUMNS) for group in together))
    text = Typesetter()
    rows = [
        [Cell(panel, style, text) for panel in group[start : start + columns]]
        for group in (panels, *together) for start in range(0, len(group), columns)
    ]  # fmt: skip
    heights = [max(cell.height for cell in row) for row in rows]

    width = 2 * MARGIN + max(columns, 2) * CELL + (max(columns, 2) - 1) * GUTTER
    head = MARGIN + 26 + (22 if subtitle else 0) + (20 if warning else 0) + 26
    tail = (LINE + 18 if footer else 0) + MARGIN - 8
    height = head + sum(heights) + ROW_GAP * (len(rows) - 1) + tail
    sheet = Image.new("RGB", (px(width), px(height)), style.white)
    draw = ImageDraw.Draw(sheet)

    room = px(width - 2 * MARGIN)
    text.line(draw, (px(MARGIN), px(MARGIN + 18)), text.cut(title, px(24), room), px(24), style.ink)
    text.line(draw, (px(MARGIN), px(MARGIN + 42)), text.cut(subtitle, px(13), room), px(13), style.quiet)
    below = MARGIN + (62 if subtitle else 40)
    text.line(draw, (px(MARGIN), px(below)), text.cut(warning, px(13), room), px(13), style.accent)
    top = head
    for row, row_height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            cell.draw(sheet, draw, MARGIN + column * (CELL + GUTTER), top)
        top += row_height + ROW_GAP
    if footer:
        baseline = px(height - MARGIN + 8)
        text.line(draw, (px(MARGIN), baseline), text.cut(footer, px(10), room), px(10), style.faint)
    return sheet


def columns_for(count: int) -> int:
    """How many columns: one row up to five panels, else as few empty places as possible, the wider first."""
    if count <= MOST_COLUMNS:
        return count
    return min((5, 4, 3), key=lambda columns: -count % columns)
