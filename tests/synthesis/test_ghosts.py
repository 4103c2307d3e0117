"""Ghosts differ a little from the network, which stays as it is; transforms and ghosts grow."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.func import functional_call

import seewhy
from nets.tiny import make
from seewhy.checks import fingerprint
from seewhy.synthesis import transforms as t
from seewhy.synthesis.ghosts import Ghosts
from seewhy.synthesis.presets import find_preset
from seewhy.synthesis.stepping import scheduled


def _draw(seed=0):
    return torch.Generator().manual_seed(seed)


def test_each_channel_that_is_read_is_off_by_its_share():
    model = nn.Sequential(nn.Conv2d(3, 400, 3), nn.Conv2d(400, 4, 1), nn.Flatten(), nn.Linear(4, 2))
    weights = Ghosts(model, 0.1, channels=3).draw(_draw())
    assert set(weights) == {"1.weight", "3.weight"}  # the first reads the image itself
    off = (weights["1.weight"] / model[1].weight).detach()
    assert torch.allclose(off, off[:1].expand_as(off), atol=1e-5)  # one factor per channel that is read
    assert off[0, :, 0, 0].std() == pytest.approx(0.1, rel=0.15)
    assert off[0, :, 0, 0].mean() == pytest.approx(1, abs=0.02)


def test_a_ghost_answers_a_little_differently_and_leaves_no_trace():
    model = make().eval()
    x = torch.randn(2, 3, 20, 20)
    before = fingerprint(model)
    with torch.no_grad():
        real = model(x)
        ghosts = Ghosts(model, 0.05, channels=3)
        one, two = (functional_call(model, ghosts.draw(_draw(seed)), (x,)) for seed in (0, 1))
        assert torch.equal(functional_call(model, ghosts.draw(_draw(), strength=0.0), (x,)), real)
    assert 0 < (one - real).abs().max() < 0.3 * real.abs().max() + 0.1
    assert not torch.equal(one, two)
    assert fingerprint(model) == before


def test_filters_of_grouped_convolutions_are_off():
    model = nn.Sequential(nn.Conv2d(6, 12, 3, groups=6))
    off = Ghosts(model, 0.1, channels=3).draw(_draw())["0.weight"].detach() / model[0].weight.detach()
    assert torch.allclose(off, off[:, :, :1, :1].expand_as(off), atol=1e-5)
    assert off[:, 0, 0, 0].unique().numel() == 12


def test_ctrl_c_during_a_ghosts_look_leaves_the_model_as_it_was():
    class Stops(nn.Module):
        looks = 0

        def forward(self, x):
            type(self).looks += 1
            if type(self).looks == 5:
                raise KeyboardInterrupt
            return x

    model = nn.Sequential(make(), Stops())
    before = fingerprint(model)
    weights = [id(p) for p in model.parameters()]
    v = seewhy.visualize(model, 1, steps=12, size=20)
    assert v.interrupted
    assert len(v.history) == 4
    assert fingerprint(model) == before
    assert [id(p) for p in model.parameters()] == weights


def test_strength_goes_up_a_hill_and_eases():
    plan = replace(find_preset("default"), steps=100)
    strengths = [scheduled("hill", plan, step) for step in (0, 20, 40, 70, 85, 100)]
    assert strengths == pytest.approx([0.2, 0.6, 1, 1, 0.75, 0.5])
    assert scheduled("constant", plan, 50) == 1
    assert scheduled("cosine", plan, 100) == pytest.approx(0.1)


def test_a_graded_transform_is_weaker():
    assert t.Warp(rotate=10, scale=0.2, shift=0.1).graded(0.5) == t.Warp(rotate=5, scale=0.1, shift=0.05)
    x = torch.rand(1, 3, 16, 16)
    faint, full = (t.apply((t.Noise(0.1),), x, _draw(), strength) - x for strength in (0.1, 1.0))
    assert torch.allclose(10 * faint, full, atol=1e-4)
    assert t.RandomCrop(0.6, 1.0).graded(0.5) == t.RandomCrop(0.8, 1.0)
    assert torch.equal(t.apply((t.Mirror(),), x, _draw(), 0.1), t.apply((t.Mirror(),), x, _draw()))
