"""How much of the score a map's values are: faint evidence must not look like strong evidence."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from ..core.attribution import Attribution
from ..core.method import Method

FAINT_DROP = 0.01
"""A map of drops of the score is painted faint where its largest is below this share of the score."""

FAINT_PART = 0.5
"""A map whose values make up the score is painted faint where its largest is below this share of what each position
would have if all had the same."""


@dataclass(frozen=True)
class Amount:
    """A map's largest magnitude beside the score that it explains.

    Attributes:
        share: of the magnitude of the score; for a gradient, of its change per unit of the network's input.
        per_unit: whether it is a gradient's.
        at_least: the colour scale ends no lower than this value.
    """

    share: float
    per_unit: bool = False
    at_least: float = 0.0

    def __str__(self) -> str:
        if self.share > 1:
            share = "more than all"
        else:
            share = f"{100 * self.share:.2g} %" if self.share < 0.1 else f"{100 * self.share:.0f} %"
        return f"largest: {share} of the score" + (" per unit of input" if self.per_unit else "")


def amount_of(method: Method, found: Attribution) -> Amount | None:
    """For a map of one image; None where its values are no amounts of the score, or the score is zero."""
    score = abs(float(found.score[0]))
    if not method.unit or not score:
        return None
    largest = float(found.values.abs().max())
    cells = found.values.shape[-1] * found.values.shape[-2]
    if method.unit == "gradient":
        largest = sqrt(largest) if method.params.get("magnitude") == "square" else largest
        return Amount(largest / score, per_unit=True)
    if method.unit == "mean":
        return Amount(largest / cells / score, at_least=FAINT_PART * score)
    faint = FAINT_PART / cells if method.unit == "part" else FAINT_DROP
    return Amount(largest / score, at_least=faint * score)
