"""Colours in words."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

_HUES = (
    (15, "red"), (45, "orange"), (70, "yellow"), (165, "green"), (200, "cyan"), (260, "blue"), (290, "violet"),
    (340, "pink"), (360, "red"),
)  # fmt: skip
"""Up to which angle of the colour circle, in degrees, which name holds."""


def colour_name(colour: Sequence[float]) -> str:
    """One of the eleven words that most people use.

    Args:
        colour: red, green, blue, 0..255.
    """
    hue, saturation, value = colorsys.rgb_to_hsv(*(min(max(part / 255, 0.0), 1.0) for part in colour))
    if value < 0.2:
        return "black"
    if saturation < 0.15:
        return "white" if value > 0.85 else "grey"
    name = next(name for end, name in _HUES if 360 * hue <= end)
    return "brown" if name in ("red", "orange") and value < 0.6 else name
