"""A receipt says what the networks say, and whether a picture runs as photos do."""

import pytest
import torch
from torch import nn

import seewhy
from nets.tiny import make
from seewhy.synthesis.path import Likeness, along_the_depth, in_words, likeness
from seewhy.synthesis.receipts import damaged, receipts

UNITS = {"mean": (0.5,) * 3, "std": (0.25,) * 3}


def test_the_verdict_is_the_networks_own():
    model, images = make(), torch.rand(3, 3, 24, 24)
    with torch.no_grad():
        logits = model((images - 0.5) / 0.25)
    found = receipts(model, images, [0, 1, 2], **UNITS)
    for row, receipt in enumerate(found):
        assert receipt.own.score == pytest.approx(float(logits[row, row]), abs=1e-4)
        assert receipt.own.probability == pytest.approx(float(logits[row].softmax(0)[row]), abs=1e-4)
        assert receipt.own.rank == int((logits[row] > logits[row, row]).sum()) + 1
    assert found[0].other is None
    with pytest.raises(seewhy.SeewhyError, match="mean= and std="):
        receipts(model, images, 0)


def test_a_network_of_one_output_has_the_probability_of_its_sigmoid():
    model = nn.Sequential(nn.Conv2d(3, 1, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    v = seewhy.visualize(model, 0, steps=20, size=24, **UNITS)
    assert v.probability == pytest.approx(float(v.score.sigmoid()), abs=1e-5)
    (found,) = receipts(model, v.images, 0, **UNITS)
    assert found.own.probability == pytest.approx(float(v.score.sigmoid()), abs=1e-4)
    assert v.objective[-1] < v.history[-1]  # the logarithm of a probability is below zero


def test_a_second_network_judges_too():
    first = seewhy.load("nets.tiny:make", input_size=24)
    second = seewhy.load("nets.tiny:make", input_size=32, labels=["a", "b", "c", "d"])
    images = torch.rand(1, 3, 24, 24)
    (found,) = receipts(first, images, 3, second=second, second_target=1)
    seen = torch.nn.functional.interpolate(images, size=(32, 32), mode="bilinear", antialias=True)
    with torch.no_grad():
        x = (seen - torch.tensor(second.mean).view(1, 3, 1, 1)) / torch.tensor(second.std).view(1, 3, 1, 1)
        assert found.other.score == pytest.approx(float(second.model(x)[0, 1]), abs=1e-4)
    assert "A second network gives it" in str(found)


def test_damage_mirrors_and_coarsens():
    images = torch.zeros(1, 3, 64, 64)
    images[..., :32] = 0.8
    hurt = damaged(images)
    assert hurt[..., 40:].mean() == pytest.approx(0.8, abs=0.03)
    assert hurt[..., :24].mean() < 0.03
    fine = (torch.arange(64) % 2).float().expand(1, 1, 64, 64)
    assert damaged(fine).std() < 0.05 < fine.std()


class Colours(nn.Module):
    """Channels that answer to colours: what is red runs another way than what is blue."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 12, 1), nn.ReLU())
        self.head = nn.Linear(12, 2)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def _tinted(channel, count):
    x = 0.3 * torch.randn(count, 3, 16, 16)
    x[:, channel] += 2
    return x


def test_what_looks_like_its_class_runs_like_it_and_what_does_not_is_told():
    red, blue = _tinted(0, 6), _tinted(2, 8)
    like, unlike = likeness(Colours(), torch.cat([_tinted(0, 1), _tinted(2, 1)]), red, blue)
    assert {step.layer for step in like} == {"body.0", "body.1"}
    assert all(step.value == pytest.approx(1, abs=0.3) for step in like)
    assert all(step.value == pytest.approx(0, abs=0.3) for step in unlike)
    assert "as photos of its class do" in in_words(like)[0]
    assert "not how the network sees photos" in in_words(unlike)[0]
    same = likeness(Colours(), red[:1], red, red)
    assert all(step.value is None for step in same[0])
    assert "no layer" in in_words(same[0])[0]
    assert in_words(()) == []
    assert "(b)" in in_words([Likeness("a", 0.9), Likeness("b", 0.1)])[0]
    with pytest.raises(seewhy.SeewhyError, match="two of the class"):
        likeness(Colours(), red, red[:1], blue)


def test_layers_are_spread_along_the_depth():
    model = nn.Sequential(*[nn.Conv2d(3, 3, 1) for _ in range(24)], nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert along_the_depth(model, torch.zeros(1, 3, 8, 8)) == ["2", "5", "8", "11", "14", "17", "20", "23"]
