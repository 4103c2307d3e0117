"""Whether images of a batch are coupled: whether an image's score depends on the other images of its forward."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from .target import logits_of


class CoupledError(ModelError):
    """This network couples the images of a batch; they have to be explained one by one."""

    def __init__(self, why: str):
        what = f"the images of one batch see each other in this network: {why}"
        super().__init__(what, expected="one image at a time")


def rounding(scores: Tensor) -> float:
    """How far scores may differ by the accumulated rounding of a deep network alone."""
    eps = torch.finfo(scores.dtype).eps
    if coarse(scores):
        eps = TENSOR_FLOAT_EPS
    return min(1e4 * eps, 0.05) * _largest(scores)


def coarse(tensor: Tensor) -> bool:
    """Whether products may be rounded more coarsely than the dtype: convolutions on a GPU use TensorFloat-32."""
    return tensor.is_cuda and tensor.dtype == torch.float32


TENSOR_FLOAT_EPS = 2.0**-10
"""The relative rounding of TensorFloat-32, which has ten bits of fraction."""


def coupling(modules: Iterable[nn.Module]) -> str | None:
    """Which layer couples the images of a batch, whatever the images are, and why; None if none does."""
    for module in modules:
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            return f"{type(module).__name__} without running statistics averages over the batch"
        if type(module).__module__.startswith("torch.ao.nn.quantized.dynamic"):
            return "dynamic quantization takes its scale from the whole batch"
    return None


def why_alone(run: Callable[[Tensor], Any], inputs: Tensor, logits: Tensor, most: int) -> str | None:
    """Why ``inputs`` cannot be batched with other images in one forward; None where that changes no score.

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
    except Exception as error:  # noqa: BLE001 - a foreign model that fails on a batch is run on single images
        return f"it fails for {len(together)} images: {' '.join(str(error).split())[:120]}"
    if len(found) != len(together):
        return f"it gives {len(found)} rows of scores for {len(together)} images"
    expected = torch.cat([logits, found[len(inputs) : len(inputs) + 2], logits[:1]])[: len(found)]
    difference = largest_difference(found, expected)
    if repeated is not None and difference <= CHANGED_BY_NUMBER * _largest(logits):
        difference = largest_difference(found[:1], repeated[:1])
    allowed = min(1e4 * torch.finfo(logits.dtype).eps, 0.05) / 5 * _largest(logits)
    return None if difference <= allowed else f"a score changes by {difference:.2g} in other company"


CHANGED_BY_NUMBER = 0.2
"""Relative to the scores: the batch size changes them by more where images are coupled (a sum over the batch), and by
less where it only changes the rounding."""


def largest_difference(a: Tensor, b: Tensor) -> float:
    """The largest absolute difference; NaN in both counts as none, NaN in one of them as infinite."""
    a, b = a.double(), b.double()
    same = (a == b) | (a.isnan() & b.isnan())
    return float(torch.where(same, 0.0, (a - b).abs()).nan_to_num(nan=float("inf")).max())


def _largest(scores: Tensor) -> float:
    """Of the numbers among them."""
    numbers = scores[scores.isfinite()].abs()
    return float(numbers.max()) if numbers.numel() else 0.0
