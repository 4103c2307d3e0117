"""A Gaussian blur, differentiable, on any device."""

from __future__ import annotations

from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor


def blur(x: Tensor, sigma: float) -> Tensor:
    """``x`` (B, C, H, W) under a Gaussian of ``sigma`` pixels, its edge repeated outwards."""
    radius = ceil(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, device=x.device, dtype=torch.float32)
    kernel = torch.softmax(-(offsets**2) / (2 * sigma**2), 0).to(x)
    channels = x.shape[1]
    padded = F.pad(x, (radius,) * 4, mode="replicate")
    across = F.conv2d(padded, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(across, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
