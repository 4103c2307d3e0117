"""One place in the grid: title, picture, colour bar, caption. All lengths are in points of the figure."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw

from seewhy.pictures.panels import ErrorPanel, MapPanel, Panel, TopPanel
from seewhy.pictures.text import Ink, Typesetter

CELL = 224  # width of a picture; also the crop of most networks, which is then drawn without resampling at 2x
TALLEST = 336
TITLE = 25
LINE = 15
CAPTION_LINES = 2
BAR_GAP, BAR, BAR_TOTAL, NARROWEST_BAR = 9, 9, 36, 140
PLAIN_GAP = 8
ERROR = 160
TOP_ROW = 45


@dataclass(frozen=True)
class Style:
    """Pixels per point, and the few inks that there are."""

    scale: int
    white: Ink = (255, 255, 255)
    ink: Ink = (23, 23, 28)
    quiet: Ink = (95, 95, 105)
    faint: Ink = (125, 125, 134)
    hair: Ink = (224, 224, 229)
    wash: Ink = (246, 246, 248)
    accent: Ink = (200, 62, 40)
    bar: Ink = (150, 152, 162)

    def px(self, points: float) -> int:
        """Points to pixels."""
        return round(points * self.scale)


class Cell:
    """A panel measured and drawn in a column of the grid."""

    def __init__(self, panel: Panel, style: Style, text: Typesetter):
        self.panel = panel
        self.style = style
        self.text = text
        px = style.px
        caption = "" if isinstance(panel, ErrorPanel) else panel.caption
        self.lines = text.wrap(caption, px(11), px(CELL), CAPTION_LINES)
        if isinstance(panel, MapPanel):
            self.lines += [text.cut(line, px(11), px(CELL)) for line in (*panel.facts, panel.scale.remark) if line]

    @property
    def picture_size(self) -> tuple[int, int]:
        """(width, height) in points: as wide as the column, or as tall as is allowed, never distorted."""
        if isinstance(self.panel, TopPanel):
            return CELL, len(self.panel.rows) * TOP_ROW
        if isinstance(self.panel, ErrorPanel):
            return CELL, ERROR
        width, height = self.panel.size
        factor = min(CELL / width, TALLEST / height)
        return max(1, round(width * factor)), max(1, round(height * factor))

    @property
    def height(self) -> int:
        """Height in points of the whole."""
        bar = BAR_TOTAL if isinstance(self.panel, MapPanel) else PLAIN_GAP
        return TITLE + self.picture_size[1] + bar + LINE * len(self.lines)

    def draw(self, sheet: Image.Image, draw: ImageDraw.ImageDraw, left: int, top: int) -> None:
        """Draw with the top left corner at (left, top) in points."""
        px, style, panel, text = self.style.px, self.style, self.panel, self.text
        title = text.cut(panel.title, px(14), px(CELL))
        text.line(draw, (px(left), px(top + 13)), title, px(14), style.ink)
        top += TITLE
        width, height = self.picture_size
        if isinstance(panel, TopPanel):
            self._draw_rows(draw, panel, left, top)
        elif isinstance(panel, ErrorPanel):
            self._draw_error(draw, panel, left, top)
        else:
            sheet.paste(panel.picture((px(width), px(height))), (px(left), px(top)))
            self._outline(draw, left, top, width, height)
        below = top + height + PLAIN_GAP
        if isinstance(panel, MapPanel):
            self._draw_bar(sheet, draw, panel, left, top + height + BAR_GAP)
            below = top + height + BAR_TOTAL
        for i, line in enumerate(self.lines):
            text.line(draw, (px(left), px(below + (i + 1) * LINE - 3)), line, px(11), style.quiet)

    def _outline(
        self, draw: ImageDraw.ImageDraw, left: int, top: int, width: int, height: int, fill: Ink | None = None
    ) -> None:
        px = self.style.px
        edge = (px(left), px(top), px(left + width) - 1, px(top + height) - 1)
        draw.rectangle(edge, fill=fill, outline=self.style.hair)

    def _draw_bar(self, sheet: Image.Image, draw: ImageDraw.ImageDraw, panel: MapPanel, left: int, top: int) -> None:
        px, style, text, scale = self.style.px, self.style, self.text, panel.scale
        width = max(self.picture_size[0], NARROWEST_BAR)
        sheet.paste(panel.bar((px(width), px(BAR))), (px(left), px(top)))
        self._outline(draw, left, top, width, BAR)
        low, high = scale.ends
        baseline = px(top + BAR + 12)
        text.line(draw, (px(left), baseline), low, px(10), style.quiet)
        text.line(draw, (px(left + width), baseline), high, px(10), style.quiet, anchor="r")
        if scale.kind == "diverging" and scale.high:
            text.line(draw, (px(left + width / 2), baseline), "0", px(10), style.quiet, anchor="m")

    def _draw_rows(self, draw: ImageDraw.ImageDraw, panel: TopPanel, left: int, top: int) -> None:
        px, style, text = self.style.px, self.style, self.text
        for i, (name, probability) in enumerate(panel.rows):
            y = top + i * TOP_ROW
            percent = percentage(probability)
            room = px(CELL - 10) - text.width(percent, px(12))
            text.line(draw, (px(left), px(y + 12)), text.cut(name, px(12), room), px(12), style.ink)
            text.line(draw, (px(left + CELL), px(y + 12)), percent, px(12), style.quiet, anchor="r")
            self._pill(draw, left, y + 19, CELL, style.hair)
            share = min(max(probability, 0.0), 1.0)
            if share > 0:
                ink = style.accent if name in panel.marked else style.bar
                self._pill(draw, left, y + 19, max(4, CELL * share), ink)

    def _pill(self, draw: ImageDraw.ImageDraw, left: float, top: float, width: float, ink: Ink) -> None:
        px = self.style.px
        edge = (px(left), px(top), px(left + width) - 1, px(top + 4) - 1)
        draw.rounded_rectangle(edge, px(2), fill=ink)

    def _draw_error(self, draw: ImageDraw.ImageDraw, panel: ErrorPanel, left: int, top: int) -> None:
        px, style = self.style.px, self.style
        self._outline(draw, left, top, CELL, ERROR, fill=style.wash)
        lines = self.text.wrap(panel.message, px(11), px(CELL - 28), (ERROR - 28) // LINE)
        for i, line in enumerate(lines):
            self.text.line(draw, (px(left + 14), px(top + 24 + i * LINE)), line, px(11), style.quiet)


def percentage(probability: float) -> str:
    """A probability for people: ``62 %``, ``3.1 %``, ``< 0.1 %``, never rounded up to certainty; ``?`` for NaN."""
    if probability != probability:
        return "?"
    if probability > 0.999:
        return "> 99.9 %" if probability < 1 else "100 %"
    if 0 < probability < 0.001:
        return "< 0.1 %"
    return f"{100 * probability:.1f} %"
