"""The caller's images as the model takes them, and numbers as results hold them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import InputError


def at_least_float32(tensor: Tensor) -> Tensor:
    """Half precision becomes float32, so that sums over space do not lose digits; float64 stays."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def fitted(inputs: Tensor, model: nn.Module) -> Tensor:
    """A copy of the caller's inputs, on the model's device and in its dtype.

    Raises:
        InputError: they are no batch of images, (B, C, H, W) floating point.
    """
    if not isinstance(inputs, Tensor) or inputs.dim() != 4 or 0 in inputs.shape:
        shape = tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
        hint = " (one image? give x[None])" if isinstance(inputs, Tensor) and inputs.dim() == 3 else ""
        raise InputError("inputs are a batch of images", expected=f"a tensor (B, C, H, W){hint}", got=shape)
    if inputs.layout != torch.strided or inputs.is_meta:
        got = "on the meta device" if inputs.is_meta else str(inputs.layout)
        raise InputError("inputs are a batch of images", expected="a dense tensor that holds numbers", got=got)
    if not inputs.is_floating_point():
        raise InputError("inputs are preprocessed images", expected="a floating point dtype", got=inputs.dtype)
    weights = next((p for p in model.parameters() if p.is_floating_point()), None)
    if weights is None:
        return inputs.detach().clone()
    return inputs.detach().to(weights.device, weights.dtype, copy=True)
