"""Colour maps of other tools, for whoever is used to them: viridis, magma and jet.

They run from one end to the other; for a signed map the whole of them is stretched from the most negative to the most
positive value, so that zero has the colour of their middle.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TABLE = Path(__file__).with_name("colormaps.tsv")
"""Made by ``scripts/make_colormaps.py``: 256 colours of viridis and magma, which are in the public domain (CC0)."""


def _tabulated(column: int) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    def at(place: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = [line.split("\t") for line in TABLE.read_text("utf-8").splitlines() if not line.startswith("#")]
        colours = np.array([list(bytes.fromhex(row[column])) for row in rows]) / 255
        known = np.linspace(0, 1, len(colours))
        return np.stack([np.interp(place, known, colours[:, part]) for part in range(3)], axis=1)

    return at


def _jet(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Trapezoids of red, green and blue, a quarter of the map apart."""
    middles = np.array([0.75, 0.5, 0.25])
    colours: NDArray[np.float64] = 1.5 - 4 * np.abs(place[:, None] - middles)
    return colours.clip(0, 1)


BORROWED = {"viridis": _tabulated(0), "magma": _tabulated(1), "jet": _jet}


def borrowed(name: str, steps: int) -> NDArray[np.float64]:
    """The colours of one of ``BORROWED`` at ``steps`` even places from end to end, (steps, 3), sRGB in 0..1."""
    return BORROWED[name](np.linspace(0, 1, steps))
