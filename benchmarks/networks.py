"""The networks that are timed."""

from __future__ import annotations

import torch
from torch import nn


def build(name: str) -> nn.Module:
    """A torchvision model with random weights, its ReLUs not in place: Captum's hooks need that."""
    import torchvision

    torch.manual_seed(0)
    model: nn.Module = torchvision.models.get_model(name).eval()
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    return model
