"""Setting text with Pillow alone: measured, cut to a width, and with a fallback for every missing glyph.

Pillow's own font has few glyphs: no accents, no minus, no multiplication sign. A character that it lacks is
taken from a common system font if there is one, else written in plain letters (é as e, × as x), else shown as
the font's empty box. So a figure looks alike on every machine, and no label can break it.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import groupby

from PIL import ImageDraw, ImageFont

Face = ImageFont.FreeTypeFont | ImageFont.ImageFont
Ink = tuple[int, int, int]

# The first that is found lends the glyphs that Pillow's own font lacks.
SYSTEM_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "arial.ttf", "Arial.ttf")
CJK_FONTS = ("NotoSansCJK-Regular.ttc", "PingFang.ttc", "msyh.ttc", "YuGothM.ttc")
PLAIN = {
    "−": "-", "–": "-", "—": "-", "×": "x", "²": "^2", "³": "^3", "‖": "||", "≥": ">=", "≤": "<=", "→": "->",
    "λ": "lambda", "α": "alpha", "Σ": "sum", "½": "1/2", "✓": "ok", "ß": "ss", "ø": "o", "æ": "ae",
}  # fmt: skip
NO_GLYPH = "\U000f0000"  # private use: drawn as the font's empty box


LONGEST = 2000
"""Characters that are looked at: no place in a figure shows more, and measuring a megabyte takes minutes."""


class Typesetter:
    """Measures, cuts and draws text.

    Args:
        system_fonts: names of fonts that may lend missing glyphs; empty for none.
    """

    def __init__(self, system_fonts: tuple[str, ...] = SYSTEM_FONTS + CJK_FONTS):
        self.system_fonts = system_fonts

    def width(self, text: str, size: int) -> float:
        """Width in pixels of ``text`` on one line."""
        return sum(face.getlength(run) for face, run in self._runs(text, size))

    def line(
        self,
        draw: ImageDraw.ImageDraw,
        at: tuple[float, float],
        text: str,
        size: int,
        ink: Ink,
        anchor: str = "l",
    ) -> None:
        """Draw one line whose baseline passes through ``at``; anchor ``"l"``, ``"m"`` or ``"r"``."""
        x, baseline = at
        x -= {"l": 0.0, "m": 0.5, "r": 1.0}[anchor] * self.width(text, size)
        for face, run in self._runs(text, size):
            draw.text((x, baseline), run, fill=ink, font=face, anchor="ls")
            x += face.getlength(run)

    def cut(self, text: str, size: int, width: float) -> str:
        """The longest beginning of ``text``, with an ellipsis, that fits; ``text`` itself where it fits."""
        text = clean(text)
        if self.width(text, size) <= width:
            return text
        fits, too_long = 0, len(text)
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            if self.width(text[:middle].rstrip() + "…", size) <= width:
                fits = middle
            else:
                too_long = middle
        return text[:fits].rstrip() + "…"

    def wrap(self, text: str, size: int, width: float, lines: int) -> list[str]:
        """Break ``text`` at spaces into at most ``lines`` lines; the last is cut where it does not fit."""
        words = clean(text).split(" ")
        wrapped: list[str] = []
        while words and len(wrapped) < lines - 1:
            taken = 1
            while taken < len(words) and self.width(" ".join(words[: taken + 1]), size) <= width:
                taken += 1
            wrapped.append(self.cut(" ".join(words[:taken]), size, width))
            words = words[taken:]
        rest = " ".join(words)
        return [*wrapped, self.cut(rest, size, width)] if rest else wrapped

    def _runs(self, text: str, size: int) -> list[tuple[Face, str]]:
        """The text in stretches of one font each."""
        chosen = [(font, drawn) for character in clean(text) for font, drawn in [_choose(character, self.system_fonts)]]
        return [
            (_face(font, size), "".join(drawn for _, drawn in run))
            for font, run in groupby(chosen, key=lambda choice: choice[0])
        ]


def clean(text: str) -> str:
    """One line of visible text: any white space is a space, control and direction characters are gone."""
    spaced = "".join(" " if c.isspace() else c for c in unicodedata.normalize("NFC", text[:LONGEST]))
    kept = (c for c in spaced if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    return " ".join("".join(kept).split(" ")).strip()


@lru_cache(maxsize=4096)
def _choose(character: str, system_fonts: tuple[str, ...]) -> tuple[str, str]:
    """The font that draws a character ("" for Pillow's own), and what it draws."""
    if _has("", character):
        return "", character
    for font in system_fonts:
        if _has(font, character):
            return font, character
    plain = PLAIN.get(character) or "".join(
        c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c)
    )
    return "", plain if plain and all(_has("", c) for c in plain) else character


def _has(font: str, character: str) -> bool:
    if character == " ":
        return True
    try:
        face = _face(font, 32)
    except OSError:
        return False
    return _shape(face, character) != _shape(face, NO_GLYPH)


def _shape(face: Face, character: str) -> tuple[tuple[int, int], bytes]:
    mask = face.getmask(character)
    return mask.size, bytes(mask)


@lru_cache(maxsize=64)
def _face(font: str, size: int) -> Face:
    return ImageFont.truetype(font, size) if font else ImageFont.load_default(size)
