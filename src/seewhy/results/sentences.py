"""What is said of how a map was made: in a caption, and in full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.attribution import Attribution

_MAGNITUDES = {
    "square": "square, largest over colour",
    "abs": "magnitude, largest over colour",
    "signed": "with its sign",
}


def caption_of(found: Attribution) -> str:
    """Layer, resolution, ReLU nodes, masks."""
    parts = []
    if found.layer:
        height, width = found.values.shape[-2:]
        parts.append(found.layer + (f", {height} × {width}" if (height, width) != found.input_size else ""))
    if found.overridden:
        parts.append(f"{found.overridden} ReLU nodes overridden")
    if (windows := found.details.get("windows")) is not None and windows.dim() == 2 and len(windows):
        top, left, bottom, right = windows[0].tolist()
        parts.append(f"{len(windows)} masks of {bottom - top} × {right - left}")
    if magnitude := _MAGNITUDES.get(str(found.params.get("magnitude"))):
        parts.append(magnitude)
    return " · ".join(parts)


def sentences(notes: Mapping[str, Any]) -> tuple[str, ...]:
    """An attribution's notes for people, a sentence each."""
    said = []
    for name, value in notes.items():
        if name == "engine":
            said.append(_engine(notes))
        elif name == "measured_error":
            said.append(
                f"A fast mode: on {value['masks']} masks drawn with seed {value['seed']}, scores are off by up to "
                f"{value['largest']:.2g} where they spread over {value['spread']:.2g}; their ranks correlate by "
                f"{value['rank_correlation']:.3f} with the exact ones."
            )
        elif name == "one_by_one":
            said.append(f"The images were explained one by one: {value}.")
        elif name not in ("reason", "whole_maps_from"):
            said.append(f"{str(value)[:1].upper()}{str(value)[1:]}.")
    return tuple(said)


def _engine(notes: Mapping[str, Any]) -> str:
    if notes["engine"] == "dense":
        return f"Every mask was a whole forward: {notes.get('reason', 'asked for')}."
    whole = f", from {notes['whole_maps_from']} on whole maps" if "whole_maps_from" in notes else ""
    return f"Only what each mask changes was computed again{whole}."
