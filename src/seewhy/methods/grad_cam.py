"""Grad-CAM and guided Grad-CAM."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F

from ..core.layout import LAYOUTS
from ..core.method import Method, Values, check_choices, param
from ..core.needs import Needs
from ..core.record import INPUT, Record
from ..errors import LayerError

_LAYOUT = "how the layer's output lies: auto, channels_first, channels_last, or tokens"
_LAYER = "dotted name of the layer; default: the last spatial one before pooling"


@dataclass(frozen=True)
class GradCAM(Method):
    """ReLU(sum over k of alpha_k A^k), alpha_k the mean over space of dy/dA^k (Selvaraju 2017, eqs. 1-2).

    Gives (B, 1, h, w), zero or more; signed with ``relu=False``. Its backward stops at the layer.
    """

    id = "grad_cam"
    title = "Grad-CAM"
    source = "selvaraju2017"
    unit = "part"
    formula = "ReLU(Σₖ αₖ Aᵏ), αₖ = mean of ∂y/∂Aᵏ over space"
    misleads = (
        "Averaging the gradient over space loses where it came from: at layers other than the last, a place can "
        "light up that the class does not use, and evidence against the class is cut off."
    )

    layer: str | None = param(None, _LAYER)
    layout: str = param("auto", _LAYOUT, choices=LAYOUTS)
    relu: bool = param(True, "keep evidence for the class only (eq. 2); without it the map is signed")

    def __post_init__(self) -> None:
        check_choices(self)
        _check_name(self.layer)

    @property
    def signed(self) -> bool:
        return not self.relu

    def needs(self) -> Needs:
        return Needs(layers=frozenset({self.layer}), layer_gradients=True)

    def __call__(self, record: Record) -> Values:
        layer = record.layer_name(self.layer)
        maps = record.maps(layer, self.layout)
        A, dy_dA = maps(record.activation(layer)), maps(record.gradient(layer))
        if maps.prefix and not dy_dA.any() and record.gradient(layer).any():
            raise LayerError(
                f"the score reads nothing but the first token of layer {layer!r}, so there is no map of the others",
                expected="a layer before the last attention, such as the first norm of the last block",
            )
        alpha = dy_dA.mean((2, 3), keepdim=True)
        cam = (alpha * A).sum(1, keepdim=True)
        return Values(F.relu(cam) if self.relu else cam, layer, notes=maps.said)


@dataclass(frozen=True)
class GuidedGradCAM(Method):
    """Grad-CAM, upsampled, times guided backprop (Selvaraju 2017, section 3.3); (B, C, H, W), signed."""

    id = "guided_grad_cam"
    title = "Guided Grad-CAM"
    source = "selvaraju2017"
    rule = "guided"
    formula = "upsampled Grad-CAM × guided backprop"
    misleads = (
        "Grad-CAM says where, guided backprop draws the edges there; the fine detail is the edge detector's and "
        "is no more tied to the class than guided backprop is."
    )

    layer: str | None = param(None, _LAYER)
    layout: str = param("auto", _LAYOUT, choices=LAYOUTS)
    smooth: bool = param(False, "treat SiLU, GELU, ELU, Mish, hard-swish and softplus as ReLUs too")

    def __post_init__(self) -> None:
        check_choices(self)
        _check_name(self.layer)

    @property
    def _cam(self) -> GradCAM:
        return GradCAM(self.layer, self.layout)

    def needs(self) -> Needs:
        return self._cam.needs() | Needs(input_gradient=True)

    def __call__(self, record: Record) -> Values:
        cam = self._cam(record)
        guided = record.gradient(INPUT, "guided", self.smooth)
        upsampled = F.interpolate(cam.values, size=guided.shape[-2:], mode="bilinear", align_corners=False)
        return Values(upsampled * guided, cam.layer, notes=cam.notes)


def _check_name(layer: object) -> None:
    if not isinstance(layer, str | None):
        raise LayerError("a layer is given by its dotted name", expected="such as 'layer4.1'", got=type(layer).__name__)
