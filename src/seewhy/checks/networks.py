"""Small awkward networks: each is right in a way that has broken an explanation library somewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import written


class _Pooled(nn.Module):
    """Maps, global average pooling, one linear layer."""

    def __init__(self, channels: int = 3):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.fc = nn.Linear(12, 5)


class ModuleReLU(_Pooled):
    """One in-place ReLU module, used twice."""

    def __init__(self, channels: int = 3):
        super().__init__(channels)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv2(self.relu(self.conv1(x))))
        return self.fc(self.pool(x).flatten(1))  # type: ignore[no-any-return]


class FunctionalReLU(_Pooled):
    """ReLUs as functions; the last one overwrites what the last convolution gave, as in torchvision's DenseNet."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x), inplace=True)
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


class OverwritesInput(_Pooled):
    """Changes its own input in place before anything else."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.mul_(0.5)
        x = torch.clamp(self.conv2(self.conv1(x).relu_()), min=0)
        return self.fc(F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0])  # type: ignore[no-any-return]


class Residual(_Pooled):
    """A skip taken from a ReLU's input, and an in-place addition."""

    def __init__(self, channels: int = 3):
        super().__init__(channels)
        self.block = nn.Conv2d(12, 12, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(F.relu(self.conv1(x)))
        y = self.block(F.relu(x))
        y += x
        return self.fc(F.relu(y).mean((-2, -1)))  # type: ignore[no-any-return]


class NormalisedInTraining(_Pooled):
    """Handed over in training mode: batch norm would mix the batch, dropout would roll dice; has ReLU6."""

    def __init__(self, channels: int = 3):
        super().__init__(channels)
        self.norm = nn.BatchNorm2d(12)
        self.drop = nn.Dropout(0.5)
        with torch.no_grad():
            self.norm.running_mean.uniform_(-0.1, 0.1)  # type: ignore[union-attr]
            self.norm.running_var.uniform_(0.01, 0.03)  # type: ignore[union-attr]
        self.train()
        self.conv1.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.norm(self.conv2(F.relu6(self.conv1(x)))))
        return self.fc(self.drop(F.avg_pool2d(x, x.shape[-2:]).flatten(1)))  # type: ignore[no-any-return]


class Stateful(_Pooled):
    """Counts its calls in a buffer, replaces another, draws random numbers; gives a dict."""

    def __init__(self, channels: int = 3):
        super().__init__(channels)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("last", torch.zeros(()))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        self.calls += 1  # type: ignore[operator,assignment]
        self.last = x.mean() + 0 * torch.rand(())
        x = F.leaky_relu(self.conv2(F.relu(self.conv1(x))))
        return {"logits": self.fc(x.mean((2, 3))), "features": x}


class Branches(nn.Module):
    """Parallel branches, concatenated; a 1x1-convolution head pooled after its ReLU, as in SqueezeNet."""

    def __init__(self, channels: int = 3):
        super().__init__()
        self.left = nn.Sequential(nn.Conv2d(channels, 6, 1), nn.ReLU())
        self.right = nn.Sequential(nn.Conv2d(channels, 6, 3, padding=1), nn.PReLU())
        self.head = nn.Conv2d(12, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(torch.cat([self.left(x), self.right(x)], 1), 2)
        return F.relu(self.head(x) + 1).mean((2, 3))


class Flattened(nn.Module):
    """No global pooling: a CAM does not exist, and saying so is the right answer."""

    def __init__(self, channels: int = 3):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(channels, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.pool = nn.AdaptiveAvgPool2d((3, 2))
        self.classifier = nn.Sequential(nn.Linear(36, 10), nn.ReLU(), nn.Linear(10, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.pool(self.features(x)).flatten(1))  # type: ignore[no-any-return]


def awkward_networks() -> dict[str, tuple[nn.Module, Tensor]]:
    """Name -> (network with seeded random weights, inputs (3, C, H, W)); 1 and 3 channels, square and not."""
    builds: dict[str, tuple[Callable[..., nn.Module], int, tuple[int, int]]] = {
        "module_relu": (ModuleReLU, 3, (16, 16)),
        "functional_relu": (FunctionalReLU, 3, (12, 20)),
        "overwrites_input": (OverwritesInput, 3, (16, 12)),
        "residual": (Residual, 1, (14, 14)),
        "normalised_in_training": (NormalisedInTraining, 3, (16, 16)),
        "stateful": (Stateful, 3, (11, 13)),
        "branches": (Branches, 3, (16, 16)),
        "flattened": (Flattened, 1, (18, 16)),
        "viewed": (written.Viewed, 3, (15, 17)),
        "parametrized": (written.Parametrized, 3, (14, 14)),
        "coupled": (written.Coupled, 3, (14, 16)),
        "compared": (written.Compared, 3, (14, 14)),
        "writes_unseen": (written.WritesUnseen, 1, (14, 14)),
        "kept_from_inference": (written.KeptFromInference, 3, (14, 14)),
        "gives_no_gradient": (written.GivesNoGradient, 3, (14, 16)),
        "channels_last": (written.ChannelsLast, 3, (14, 14)),
    }
    networks: dict[str, tuple[nn.Module, Tensor]] = {}
    with torch.random.fork_rng(devices=[]):
        for seed, (name, (build, channels, size)) in enumerate(builds.items()):
            torch.manual_seed(seed)
            networks[name] = build(channels), torch.randn(3, channels, *size)
    return networks


def fingerprint(model: nn.Module) -> dict[str, Any]:
    """Everything about a model that an explanation must leave alone, comparable with ``==``."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return {
        "bytes": {name: tensor.detach().cpu().double().numpy().tobytes() for name, tensor in tensors},
        "identity": {name: id(tensor) for name, tensor in tensors},
        "requires_grad": {name: tensor.requires_grad for name, tensor in tensors},
        "grad": {name: tensor.grad is None for name, tensor in model.named_parameters()},
        "training": {name: module.training for name, module in model.named_modules()},
        "hooks": {
            name: [
                len(getattr(module, kind))
                for kind in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
            ]
            for name, module in model.named_modules()
        },
        "modules": {name: id(module) for name, module in model.named_modules()},
        "attributes": {name: sorted(vars(module)) for name, module in model.named_modules()},
        "random": torch.random.get_rng_state().numpy().tobytes(),
        "grad_enabled": torch.is_grad_enabled(),
    }
