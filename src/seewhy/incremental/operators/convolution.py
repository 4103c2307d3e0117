"""Which rule a convolution follows."""

from __future__ import annotations

import torch
from torch import Tensor

from ..kernels import Filter
from ..patches import IMAGE
from ..points import Points
from ..program import Ref
from ..winograd import TAPS
from .changing import ChangedConvolution
from .pointwise import AddedPoints, ChangedPickedPoints, ChangedPoints, PickedPoints, PointConvolution
from .rule import Call, OperatorRule
from .sliding import Convolution
from .tiled import TiledConvolution


def conv2d(call: Call, input: Ref, plus: Ref | None = None) -> OperatorRule | None:
    """The rule of a convolution that was made ready, of maps in the usual order."""
    filter = call.node.function
    if not isinstance(filter, Filter) or call.places[input] != IMAGE:
        return None
    if isinstance(filter, Points):
        return _of_points(call, input, plus, filter)
    products = filter.weight.shape[1] * filter.kernel[0] * filter.kernel[1]
    if filter.groups > 1 or filter.kernel == (1, 1) or filter.dilation != (1, 1) or products < 128:
        return Convolution(call, input, filter)
    tiled = filter.kernel == (TAPS, TAPS) and filter.stride == (1, 1) and not filter.halved and _precise(filter.weight)
    return (TiledConvolution if tiled else ChangedConvolution)(call, input, filter)


def _of_points(call: Call, input: Ref, plus: Ref | None, filter: Points) -> OperatorRule | None:
    if plus is not None:
        return AddedPoints(call, [input, plus], filter) if call.places[plus] == IMAGE else None
    if filter.stride != (1, 1):
        return (ChangedPickedPoints if filter.halved else PickedPoints)(call, input, filter)
    return (ChangedPoints if filter.halved else PointConvolution)(call, input, filter)


def _precise(weight: Tensor) -> bool:
    """Whether tiles are for it: shorter numbers lose too much, and what is reckoned above holds for a CPU."""
    return weight.dtype in (torch.float32, torch.float64) and weight.device.type == "cpu"
