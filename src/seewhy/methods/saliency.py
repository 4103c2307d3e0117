"""Saliency: which pixels would change the score the most."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..core.method import Method, check_choices, param
from ..core.needs import Needs
from ..core.record import INPUT, Record


@dataclass(frozen=True)
class Saliency(Method):
    """The gradient of the score at the pixels, squared; of the colours the largest (Simonyan 2013, section 3).

    ``magnitude="square"`` and ``"abs"`` give (B, 1, H, W), zero or more; ``"signed"`` gives the gradient itself,
    (B, C, H, W).
    """

    id = "saliency"
    title = "Saliency"
    source = "simonyan2013"
    unit = "gradient"
    formula = "max over colour of (∂y/∂x)²"
    misleads = (
        "It shows where a tiny change of a pixel moves the score, not which pixels the score rests on: where "
        "the network is saturated, what matters most can be dark. Noise in it is the network's, not a defect."
    )

    magnitude: str = param(
        "square", "square, abs (both the largest over colour), or signed", choices=("square", "abs", "signed")
    )

    def __post_init__(self) -> None:
        check_choices(self)

    @property
    def signed(self) -> bool:
        return self.magnitude == "signed"

    def needs(self) -> Needs:
        return Needs(input_gradient=True)

    def __call__(self, record: Record) -> Tensor:
        gradient = record.gradient(INPUT)
        if self.magnitude == "signed":
            return gradient
        size = gradient.square() if self.magnitude == "square" else gradient.abs()
        return size.amax(1, keepdim=True)
