"""More small networks, one for each kind of thing that people write and explanation libraries get wrong."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations


class Viewed(nn.Module):
    """Shuffles channels and pools by views, which need torch's usual order of memory."""

    def __init__(self, channels: int = 3):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, 8, 3, padding=1), nn.Conv2d(8, 12, 3, stride=2)
        self.fc = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x).relu_()
        batch, channels, height, width = x.shape
        x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2).contiguous()
        x = F.relu(self.conv2(x.view(batch, channels, height, width)))
        return self.fc(x.view(x.size(0), 12, -1).mean(2))  # type: ignore[no-any-return]


class Parametrized(nn.Module):
    """Weights that are made of others each time that they are read: spectral norm, weight norm; and tied ones."""

    def __init__(self, channels: int = 3):
        super().__init__()
        self.conv1 = parametrizations.spectral_norm(nn.Conv2d(channels, 8, 3, padding=1))
        self.conv2 = parametrizations.weight_norm(nn.Conv2d(8, 8, 3, padding=1))
        self.conv3 = nn.Conv2d(8, 8, 3, padding=1)
        self.conv4 = nn.Conv2d(8, 8, 3, padding=1)
        self.conv4.weight = self.conv3.weight
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        x = F.relu(self.conv4(F.relu(self.conv3(x))))
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


class Coupled(nn.Module):
    """A batch norm without running statistics: the images of one batch see each other, also in evaluation mode."""

    def __init__(self, channels: int = 3):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, 8, 3), nn.BatchNorm2d(8, track_running_stats=False)
        self.next, self.fc = nn.Conv2d(8, 8, 3), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.next(F.relu(self.norm(self.conv(x)))))
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


class Compared(nn.Module):
    """Runs the same layers on a reference image as well, after the photo."""

    def __init__(self, channels: int = 3):
        super().__init__()
        self.embed = nn.Sequential(nn.Conv2d(channels, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
        self.register_buffer("reference", torch.randn(1, channels, 14, 14))
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        one = self.embed(x).mean((2, 3))
        reference: Any = self.reference
        other = self.embed(reference.expand(len(x), -1, -1, -1)).mean((2, 3))
        return {"logits": self.fc(one), "likeness": F.cosine_similarity(one, other)}


class WritesUnseen(nn.Module):
    """Writes to a buffer, a parameter and a plain tensor in ways that no version counter sees."""

    def __init__(self, channels: int = 3):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, 8, 3), nn.Conv2d(8, 8, 3)
        self.register_buffer("calls", torch.zeros(1))
        self.u = nn.Parameter(torch.ones(8), requires_grad=False)
        self.last = torch.zeros(8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        calls: Any = self.calls
        calls.data.add_(1)
        self.u.data = F.normalize(self.u.data + 1, dim=0)
        self.last = x.detach().mean((0, 2, 3))
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


class KeptFromInference(nn.Module):
    """Keeps a grid of positions that an earlier call made in inference mode; autograd refuses such tensors."""

    def __init__(self, channels: int = 3):
        super().__init__()
        self.conv1, self.conv2, self.fc = nn.Conv2d(channels, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 5)
        with torch.inference_mode():
            self.gain = torch.linspace(0.5, 1.5, 8).view(1, 8, 1, 1)

    def __deepcopy__(self, memo: dict[int, Any]) -> KeptFromInference:
        copied = KeptFromInference(self.conv1.in_channels)
        copied.load_state_dict(self.state_dict())
        return copied

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x)) * self.gain
        return self.fc(F.relu(self.conv2(x)).mean((2, 3)))  # type: ignore[no-any-return]


class _NoGradient(torch.autograd.Function):
    """The identity, whose backward gives nothing back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> None:
        return None


class GivesNoGradient(nn.Module):
    """A ReLU to which no gradient comes back at all, beside one to which it does."""

    def __init__(self, channels: int = 3):
        super().__init__()
        self.left, self.right = nn.Conv2d(channels, 4, 3), nn.Conv2d(channels, 4, 3)
        self.next, self.fc = nn.Conv2d(8, 8, 3), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        right = _NoGradient.apply(F.relu(self.right(x)))  # type: ignore[no-untyped-call]
        x = F.relu(self.next(torch.cat([F.relu(self.left(x)), right], 1)))
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


class ChannelsLast(nn.Module):
    """Works on (B, h, w, C) in between."""

    def __init__(self, channels: int = 3):
        super().__init__()
        self.conv, self.norm, self.mix = nn.Conv2d(channels, 10, 3), nn.LayerNorm(10), nn.Linear(10, 10)
        self.fc = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x)).permute(0, 2, 3, 1)
        x = (x + F.relu(self.mix(self.norm(x)))).permute(0, 3, 1, 2)
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]
