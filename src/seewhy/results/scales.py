"""Where the colours of a map end: by the map itself, or by those of other targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InputError, plain
from ..pictures.colormaps import Scale
from ..pictures.overlay import one_channel
from .view import View

if TYPE_CHECKING:
    from .explanation import Explained

SCALES = ("own", "shared", "share")
"""See ``Explanation.to_image``."""


def find_scale(name: Any) -> str:
    """The name of a scale as ``SCALES`` has it, however it is written.

    Raises:
        InputError: there is none such.
    """
    found = next((known for known in SCALES if isinstance(name, str) and plain(known) == plain(name)), None)
    if found is None:
        raise InputError(f"there is no scale {repr(name)[:40]}", expected=", ".join(SCALES))
    return found


def limit_of(view: View, scale: str, targets: Sequence[Explained]) -> float | None:
    """The value at the end of a map's scale; None where the map itself decides.

    Args:
        view: of an attribution.
        scale: one of ``SCALES``.
        targets: of the explanation.
    """
    if scale == "own" or (scale == "share" and view.amount is None):
        return None
    ends: list[tuple[float, float]] = []  # of the maps of all targets alone, and the scores that they explain
    for found in targets:
        if (other := found.views.get(view.id)) is not None and other.attribution is not None:
            values = one_channel(other.attribution.values[0].numpy())
            ends.append((Scale.of(values, at_least=at_least(other)).high, abs(found.score)))
    if scale == "shared":
        return max(high for high, _ in ends)
    assert view.attribution is not None
    # The square of a gradient grows with the square of the score.
    power = 2 if view.params.get("magnitude") == "square" else 1
    return max(high / score**power for high, score in ends if score) * abs(float(view.attribution.score[0])) ** power


def at_least(view: View) -> float:
    """The least value at which a map's scale ends."""
    return 0.0 if view.amount is None else view.amount.at_least
