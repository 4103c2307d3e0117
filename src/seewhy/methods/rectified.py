"""Deconvnet and guided backpropagation: the gradient at the pixels, with another rule at each ReLU."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..core.method import Method, param
from ..core.needs import Needs
from ..core.record import INPUT, Record


@dataclass(frozen=True)
class _Rectified(Method):
    smooth: bool = param(False, "treat SiLU, GELU, ELU, Mish, hard-swish and softplus as ReLUs too")

    def needs(self) -> Needs:
        return Needs(input_gradient=True)

    def __call__(self, record: Record) -> Tensor:
        return record.gradient(INPUT, self.rule, self.smooth)


@dataclass(frozen=True)
class Deconvnet(_Rectified):
    """R^l = [R^(l+1) > 0] R^(l+1) at each ReLU (Zeiler 2014; Springenberg 2015); (B, C, H, W), signed."""

    id = "deconvnet"
    title = "Deconvnet"
    source = "zeiler2014"
    rule = "deconvnet"
    formula = "∂y/∂x with Rˡ = [Rˡ⁺¹ > 0] Rˡ⁺¹ at each ReLU"
    misleads = (
        "It mostly reconstructs what the pooling switches and strides let through, and changes little with the "
        "class: sharp edges in it are not evidence that the class rests on them (Nie 2018)."
    )


@dataclass(frozen=True)
class GuidedBackprop(_Rectified):
    """R^l = [h^l > 0] [R^(l+1) > 0] R^(l+1) at each ReLU (Springenberg 2015); (B, C, H, W), signed."""

    id = "guided_backprop"
    title = "Guided backprop"
    source = "springenberg2015"
    rule = "guided"
    formula = "∂y/∂x with Rˡ = [hˡ > 0] [Rˡ⁺¹ > 0] Rˡ⁺¹ at each ReLU"
    misleads = (
        "Its crisp pictures are close to an edge detector's: they barely change when the class changes, or when "
        "the upper layers are made random (Adebayo 2018). Use them for texture, not to tell why."
    )
