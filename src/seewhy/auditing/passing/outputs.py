"""Class scores, from whatever a network gives: scores, or probabilities already."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...core.inputs import at_least_float32
from ...errors import ModelError, SeewhyError

APART = 1e-3
"""Probabilities that differ by more are not the same up to rounding."""
ROUNDING = 1e-3
"""How far probabilities may be from adding up to 1: half precision has three digits."""


def as_logits(outputs: Tensor) -> Tensor:
    """(B, K) float32 or float64, class scores (B, K) whose softmax is what the network says.

    A row that is probabilities already (none negative, all together 1) becomes their logarithms: a second softmax would
    make the classes nearly alike, and all effects small.

    Raises:
        ModelError: there is one class only.
    """
    if outputs.shape[1] < 2:
        hint = "two outputs or more; of one score z they are torch.cat([torch.zeros_like(z), z], 1)"
        raise ModelError("an audit needs probabilities of classes", expected=hint, got=outputs.shape[1])
    outputs = at_least_float32(outputs)
    already = (outputs >= 0).all(1, keepdim=True) & ((outputs.sum(1, keepdim=True) - 1).abs() <= ROUNDING)
    return torch.where(already, outputs.clamp(min=torch.finfo(outputs.dtype).tiny).log(), outputs)


def ran(model: nn.Module, inputs: Tensor) -> Any:
    """What the model gives.

    Raises:
        ModelError: it raises something.
    """
    try:
        return model(inputs)
    except SeewhyError:
        raise
    except Exception as error:
        raise failure(error) from error


def failure(error: Exception) -> SeewhyError:
    """What came of running a network, as an error of ours."""
    if isinstance(error, SeewhyError):
        return error
    told = ModelError(f"the model failed: {type(error).__name__}: {error}")
    told.__cause__ = error
    return told
