"""Whether the images of one forward see each other: a score is then not the image's own, but its company's as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from .target import logits_of


class CoupledError(ModelError):
    """The images of a batch see each other in this network, and are to be explained one by one."""

    def __init__(self, why: str):
        what = f"the images of one batch see each other in this network: {why}"
        super().__init__(what, expected="one image at a time")


def rounding(scores: Tensor) -> float:
    """How far scores may be apart for no other reason than how a deep network's products round and add up."""
    eps = torch.finfo(scores.dtype).eps
    if coarse(scores):
        eps = TENSOR_FLOAT_EPS
    return min(1e4 * eps, 0.05) * _largest(scores)


def coarse(tensor: Tensor) -> bool:
    """Whether products may be rounded more coarsely than the type says: convolutions on a GPU use TensorFloat-32."""
    return tensor.is_cuda and tensor.dtype == torch.float32


TENSOR_FLOAT_EPS = 2.0**-10
"""The relative rounding of TensorFloat-32, which has ten bits of fraction."""


def coupling(modules: Iterable[nn.Module]) -> str | None:
    """Why the layers of a network make its images see each other, whatever the images are; None if none does."""
    for module in modules:
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            return f"{type(module).__name__} without running statistics averages over the batch"
        if type(module).__module__.startswith("torch.ao.nn.quantized.dynamic"):
            return "dynamic quantization takes its scale from the whole batch"
    return None


def why_alone(run: Callable[[Tensor], Any], inputs: Tensor, logits: Tensor, most: int) -> str | None:
    """Why no other images can be put beside ``inputs`` in one forward; None where that changes no score.

    Args:
        run: the model, without gradients.
        inputs: (B, C, H, W).
        logits: (B, classes), of these images by themselves.
        most: images a forward; more than B.
    """
    first = inputs[:1]
    other = 2 * first.flip(2, 3) + 0.5  # brighter, richer in contrast, and its largest value elsewhere
    alike = first.clone()
    alike[:, :, ::4] *= 0.5
    together = torch.cat([inputs, other, alike, first])[:most]
    try:
        found = logits_of(run(together))
        # Another number of images goes through other kernels, which round otherwise; the same number, through the same.
        repeated = logits_of(run(first.repeat(len(together), 1, 1, 1))) if coarse(logits) else None
    except Exception as error:  # noqa: BLE001 - what a foreign model cannot do in company, it is not asked for
        return f"it fails for {len(together)} images: {' '.join(str(error).split())[:120]}"
    if len(found) != len(together):
        return f"it gives {len(found)} rows of scores for {len(together)} images"
    expected = torch.cat([logits, found[len(inputs) : len(inputs) + 2], logits[:1]])[: len(found)]
    difference = _difference(found, expected)
    if repeated is not None and difference <= CHANGED_BY_NUMBER * _largest(logits):
        difference = _difference(found[:1], repeated[:1])
    allowed = min(1e4 * torch.finfo(logits.dtype).eps, 0.05) / 5 * _largest(logits)
    return None if difference <= allowed else f"a score changes by {difference:.2g} in other company"


CHANGED_BY_NUMBER = 0.2
"""A share of the scores: what their number does to images (a sum over the batch) is more, what it does to rounding is
less."""


def _difference(a: Tensor, b: Tensor) -> float:
    """The largest; NaN in both, which is a class's own affair, is none, and NaN in one of them is infinite."""
    a, b = a.double(), b.double()
    same = (a == b) | (a.isnan() & b.isnan())
    return float(torch.where(same, 0.0, (a - b).abs()).nan_to_num(nan=float("inf")).max())


def _largest(scores: Tensor) -> float:
    """Of the numbers among them."""
    numbers = scores[scores.isfinite()].abs()
    return float(numbers.max()) if numbers.numel() else 0.0
