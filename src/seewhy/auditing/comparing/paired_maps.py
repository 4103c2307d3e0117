"""Maps of the true class by two models for the same photo, in one unit, coloured by one scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...errors import SeewhyError
from ...legible import message
from ...pictures.colormaps import Scale
from ...pictures.overlay import overlay
from ...pictures.panels import colour_bar, enlarge
from ..passing.rows import Floats, Rows
from .comparison import SHOWN, Changed, Paired

Seen = Callable[[str], Image.Image]
"""What a model sees of the photo at a path within the folder; raises SeewhyError or OSError."""

QUANTILE = 0.99
"""Of the magnitudes of all maps shown: where their scale ends."""
LEAST_SIDE = 192
"""Pixels of a side that smaller photos are drawn at, a whole number of times as large."""
BAR = (320, 10)


def paired(
    rows_a: Rows, seen_a: Seen, rows_b: Rows, seen_b: Seen, fixed: Sequence[Changed], broken: Sequence[Changed]
) -> tuple[dict[str, Paired], Scale | None, list[str]]:
    """For the first ``SHOWN`` photos of either list what both models see of them, and both maps; the scale of all of
    these maps; and what is missing, a line each.

    Args:
        rows_a, rows_b: of the same photos in the same order, of known classes.
        seen_a, seen_b: what either model sees of a photo.
        fixed, broken: the photos that one of the models alone is right on.
    """
    at = {path: number for number, path in enumerate(rows_a.paths)}
    chosen = [at[each.path] for each in (*fixed[:SHOWN], *broken[:SHOWN])]
    units = unit_of(rows_a), unit_of(rows_b)
    notes = [
        f"there are no maps by {name}: its maps of right decisions do not add up to evidence for the class"
        for name, unit in zip("AB", units, strict=True)
        if unit is None and chosen
    ]
    found = {}
    for i in chosen:
        path = rows_a.paths[i]
        map_a, map_b = (_share(rows.maps[i], unit) for rows, unit in zip((rows_a, rows_b), units, strict=True))
        try:
            photos = seen_a(path), seen_b(path)
        except (SeewhyError, OSError) as error:
            found[path] = Paired(None, None, map_a, map_b, message(error))
        else:
            found[path] = Paired(*photos, map_a, map_b)
    return found, scale_of(found), notes


def unit_of(rows: Rows) -> float | None:
    """What the maps of a model are told in: the median, over the photos that it is right on, of the mean of the map.

    The mean of a CAM is the score without its bias (Zhou 2016, eq. 2), so 1 is as much at a place as each place has
    where the score of a usual right decision is spread evenly. Grad-CAM is that but for a factor, which cancels, where
    CAM applies. So the maps of two models are told alike, whatever the sizes of their scores and of their maps. The
    photo's own score could not be the unit: where the model is wrong it may be near zero, or below.

    None where it is not positive.
    """
    right = np.flatnonzero(rows.known & rows.right)
    if not len(right) or not rows.maps.size:
        return None
    means = rows.maps[right].astype(np.float32).mean((1, 2))
    unit = float(np.median(means[np.isfinite(means)])) if np.isfinite(means).any() else 0.0
    return unit if unit > 0 else None


def _share(values: Floats, unit: float | None) -> npt.NDArray[np.float32] | None:
    found = None if unit is None else values.astype(np.float32) / np.float32(unit)
    return found if found is not None and np.isfinite(found).all() else None


def scale_of(maps: Mapping[str, Paired]) -> Scale | None:
    """One scale for all of them; None where there is none to colour."""
    values = [each.ravel() for pair in maps.values() for each in (pair.map_a, pair.map_b) if each is not None]
    if not values:
        return None
    whole = np.concatenate(values)
    limit = float(np.quantile(np.abs(whole), QUANTILE)) or float(np.abs(whole).max())
    return Scale.of(whole, "diverging" if (whole < 0).any() else "sequential", limit=limit)


def drawn(photo: Image.Image | None, values: Floats, scale: Scale) -> Image.Image:
    """A map over what the model sees, in the colours of the scale; over plain grey where that is not known."""
    return overlay(
        enlarged(photo or Image.new("RGB", (LEAST_SIDE, LEAST_SIDE), "#888")), values, scale=scale, fine=False
    )


def enlarged(photo: Image.Image) -> Image.Image:
    """A small photo with its pixels repeated, so that a map over it is smooth."""
    times = -(-LEAST_SIDE // min(photo.size))
    return enlarge(photo, (photo.width * times, photo.height * times))


def bar(scale: Scale) -> Image.Image:
    """The colours from the low to the high end of the scale."""
    return colour_bar(scale, False, BAR)
