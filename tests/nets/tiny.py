"""A small classifier for the command's tests."""

import torch
from torch import nn


def make() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 12, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4),
    )  # fmt: skip


def make_flat() -> nn.Module:
    """No CAM: the maps are flattened."""
    torch.manual_seed(4)
    return nn.Sequential(nn.Conv2d(3, 4, 5, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 7 * 7, 4))


def make_nan() -> nn.Module:
    model = make()
    with torch.no_grad():
        model[-1].bias.fill_(float("nan"))
    return model


def make_maps() -> nn.Module:
    """Gives (B, 4, h, w): no classifier."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())


class _Rude(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.calls = make(), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("hello from the model")
        if x.any():
            self.calls += 1
            assert self.calls > 1, "not yet"
        return self.body(x)


def make_rude() -> nn.Module:
    """Prints, and fails on its first photo."""
    return _Rude()


def make_without_bias() -> nn.Module:
    """On grey nothing moves: every gradient is zero."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 4, bias=False),
    )  # fmt: skip


def make_one_output() -> nn.Module:
    """A yes or no: one score per photo."""
    return nn.Sequential(*make()[:-1], nn.Linear(12, 1))


def make_softmax() -> nn.Module:
    """Ends in a softmax, as networks that come from elsewhere do."""
    return nn.Sequential(make(), nn.Softmax(1))


def make_undecided() -> nn.Module:
    """All eight classes have the same score."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 8), nn.Threshold(9.0, 0.0))


def make_no() -> nn.Module:
    """A yes or no that says no."""
    model = make_one_output()
    with torch.no_grad():
        model[-1].bias.fill_(-2.8)
    return model
