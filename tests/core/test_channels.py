"""How many channels a network reads is found by running it, whatever its weights look like."""

import pytest
import torch
from torch import nn

import seewhy
from seewhy.checks import fingerprint
from seewhy.core.channels import channels_read, complaint, first_guess

SIZE = (32, 32)


def head(width=8):
    return [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5)]


class Coordinates(nn.Module):
    """CoordConv: the first convolution reads where it is, too."""

    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels + 2, 8, 3), *head())

    def forward(self, x):
        grid = torch.linspace(-1, 1, x.shape[-1]).expand(len(x), 2, *x.shape[2:])
        return self.body(torch.cat([x, grid], 1))


class Positions(nn.Module):
    """Its first 4-D weight is a grid of positions."""

    def __init__(self, channels):
        super().__init__()
        self.positions = nn.Parameter(torch.randn(1, 16, 16, 16))
        self.patches, self.head = nn.Conv2d(channels, 16, 2, 2), nn.Sequential(*head(16))

    def forward(self, x):
        return self.head(self.patches(x) + self.positions)


class Functional(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.w = nn.Parameter(torch.randn(5, channels, 3, 3))

    def forward(self, x):
        return nn.functional.conv2d(x, self.w).mean((2, 3))


class Normalized(nn.Module):
    """A mean of its own, which is no mean for us."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.full((1, 1, 1, 1), 0.5))
        self.std, self.body = 0.5, nn.Sequential(nn.Conv2d(1, 8, 3), *head())

    def forward(self, x):
        return self.body((x - self.mean) / self.std)


NETWORKS = {
    "grouped": (3, lambda: nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.Conv2d(3, 8, 1), *head())),
    "two groups of six": (6, lambda: nn.Sequential(nn.Conv2d(6, 8, 3, groups=2), *head())),
    "depthwise": (4, lambda: nn.Sequential(nn.Conv2d(4, 8, 3, groups=4), *head())),
    "grey": (1, lambda: nn.Sequential(nn.Conv2d(1, 8, 3), *head())),
    "two": (2, lambda: nn.Sequential(nn.Conv2d(2, 8, 3), *head())),
    "hyperspectral": (103, lambda: nn.Sequential(nn.Conv2d(103, 8, 3), *head())),
    "norm first": (3, lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3, groups=3), *head(3))),
    "coordinates": (3, lambda: Coordinates(3)), "coordinates, grey": (1, lambda: Coordinates(1)),
    "coordinates, two": (2, lambda: Coordinates(2)),
    "positions": (3, lambda: Positions(3)), "positions, five": (5, lambda: Positions(5)),
    "space to depth": (3, lambda: nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(48, 8, 3), *head())),
    "space to depth, grey": (1, lambda: nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(16, 8, 3), *head())),
    "space to depth, twenty": (20, lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(80, 8, 3), *head())),
    "no convolution": (3, lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 5))),
    "no convolution, grey": (1, lambda: nn.Sequential(nn.Flatten(), nn.Linear(32 * 32, 5))),
    "no convolution, twenty": (20, lambda: nn.Sequential(nn.Flatten(), nn.Linear(20 * 32 * 32, 5))),
    "functional": (3, lambda: Functional(3)), "functional, four": (4, lambda: Functional(4)),
    "half": (3, lambda: nn.Sequential(nn.Conv2d(3, 8, 3), *head()).to(torch.bfloat16)),
    "a mean of its own": (1, Normalized),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_the_count_is_what_the_network_answers(name):
    expected, make = NETWORKS[name]
    model = make().train()
    before = fingerprint(model)
    like = next(model.parameters())
    assert channels_read(model, SIZE, like) == expected
    assert complaint(model, expected, SIZE, like) is None
    assert fingerprint(model) == before


@pytest.mark.parametrize("name", NETWORKS)
def test_a_picture_has_as_many_channels(name):
    expected, make = NETWORKS[name]
    assert seewhy.visualize(make(), 1, steps=2, size=32, attempts=1).images.shape == (1, expected, 32, 32)


def test_what_mean_and_std_say_wins():
    anything = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LogSoftmax(1))
    for given in ({"mean": (0.4,) * 7}, {"std": (0.4,) * 7}, {"mean": (0.4,) * 7, "std": (0.2,) * 7}):
        v = seewhy.visualize(anything, 1, steps=1, size=16, attempts=1, **given)
        assert v.images.shape[1] == 7
        assert v.params["std"][0] == given.get("std", (0.5,))[0]
    assert seewhy.visualize(anything, 1, steps=1, size=16, attempts=1).images.shape[1] == 3


def test_where_none_runs_it_is_said_with_the_networks_own_words_and_the_way_out():
    grey = nn.Sequential(nn.Conv2d(1, 8, 9), nn.Conv2d(8, 8, 9), *head())
    assert channels_read(grey, (12, 12), grey[0].weight) is None
    assert first_guess(grey) == 1
    with pytest.raises(seewhy.SeewhyError, match=r"1 channels, 12 x 12.*mean=.*--mean.*size=.*[Kk]ernel size"):
        seewhy.visualize(grey, 1, size=12)
    with pytest.raises(seewhy.SeewhyError, match=r"2 channels, 32 x 32.*to have 1 channels, but got 2"):
        seewhy.visualize(grey, 1, size=32, mean=(0.5, 0.5))
