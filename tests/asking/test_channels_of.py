"""What each channel adds to a score: by hand, in closed form, and together the score."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import seewhy
from nets import tiny
from seewhy import Versus
from seewhy.checks import awkward_networks
from seewhy.errors import InputError, LayerError, SeewhyError, TargetError


class Linear(nn.Module):
    """Everything after ``maps`` is linear: effects are weight × activation, and together score - bias."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(3, 7, 3, stride=2, padding=1), nn.ReLU())
        self.mix = nn.Conv2d(7, 6, 3, padding=1, bias=False)
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        return self.fc(self.mix(self.maps(x)).mean((2, 3)))


class Last(nn.Module):
    """Channels last: (B, h, w, C)."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.norm, self.fc = nn.LayerNorm(8), nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(self.norm(self.patches(x).permute(0, 2, 3, 1)).mean((1, 2)))


class Tokens(nn.Module):
    """Tokens after one of the class: (B, 1 + N, D), all of which the score reads."""

    def __init__(self):
        super().__init__()
        self.patches, self.first = nn.Conv2d(3, 8, 4, stride=4), nn.Parameter(torch.randn(1, 1, 8))
        self.norm, self.fc = nn.LayerNorm(8), nn.Linear(8, 5)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(x), -1, -1), tokens], 1)
        return self.fc(self.norm(tokens).sum(1))


X = torch.randn(1, 3, 24, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def test_closed_form():
    model = Linear().double()
    found = seewhy.channels(model, X, layer="maps", target=3, count=None)
    with torch.no_grad():
        A, logits = model.maps(X)[0], model(X)[0]
        apart = torch.zeros(7, 1, 7, *A.shape[1:], dtype=A.dtype)
        for k in range(7):
            apart[k, 0, k] = A[k]
        alone = torch.stack([model.fc(model.mix(each).mean((2, 3)))[0, 3] - model.fc.bias[3] for each in apart])
    assert {each.channel for each in found.channels} == set(range(7))
    for each in found.channels:
        assert each.effect == pytest.approx(float(alone[each.channel]), abs=1e-12)
        assert each.activation == pytest.approx(float(A[each.channel].max()))
        assert np.allclose(each.map, A[each.channel], atol=1e-6)
        assert (each.map.shape, each.map.dtype) == ((12, 16), np.float32)
    sizes = [abs(each.effect) for each in found.channels]
    assert sizes == sorted(sizes, reverse=True)
    assert found.score == pytest.approx(float(logits[3]))
    assert found.total == pytest.approx(float(logits[3] - model.fc.bias[3].detach()), abs=1e-12)
    assert (found.layer, found.shape, found.target, found.name) == ("maps", (7, 12, 16), 3, "class 3")


def test_all_places_together_are_the_whole():
    """Also where what follows is not linear, and with the photo's sides told apart."""
    model = nn.Sequential(
        nn.Conv2d(3, 5, 8, stride=8), nn.Tanh(), nn.Conv2d(5, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(6, 4),
    ).double()  # fmt: skip
    whole = seewhy.channels(model, X, "1", 2, count=None)
    added, cells = np.zeros(5), set()
    for row in range(4, 24, 8):
        for column in range(7, 32, 8):
            at = seewhy.channels(model, X, "1", 2, at=(row, column), count=None)
            assert at.cell == (row // 8, column // 8)
            cells.add(at.cell)
            for each in at.channels:
                added[each.channel] += each.effect
                assert each.activation == pytest.approx(float(each.map[at.cell]), abs=1e-6)
    assert len(cells) == 12
    assert added == pytest.approx([e.effect for e in sorted(whole.channels, key=lambda each: each.channel)], abs=1e-12)
    assert whole.total == pytest.approx(added.sum(), abs=1e-12)


@pytest.mark.parametrize(("model", "layer", "shape"), [(Last, "norm", (8, 6, 8)), (Tokens, "norm", (8, 6, 8))])
def test_other_layouts(model, layer, shape):
    model = model().double()
    found = seewhy.channels(model, X, layer, 1, count=None)
    with torch.no_grad():
        score, bias, weight = model(X)[0, 1], model.fc.bias[1].detach(), model.fc.weight[1]
        if isinstance(model, Tokens):  # the first token is no place of the photo
            bias = bias + model.norm(model.first[0, 0]) @ weight
    assert found.shape == shape
    assert found.total == pytest.approx(float(score - bias), abs=1e-12)
    assert "layout" in found.notes
    with torch.no_grad():
        x = model.patches(X)[0].permute(1, 2, 0)
        maps = model.norm(x)
    pooled = maps.mean((0, 1)) if isinstance(model, Last) else maps.sum((0, 1))
    for each in found.channels:
        assert np.allclose(each.map, maps[..., each.channel], atol=1e-6)
        assert each.effect == pytest.approx(float(pooled[each.channel] * weight[each.channel].detach()), abs=1e-12)


def test_features_are_one_place():
    model = Linear().double()
    found = seewhy.channels(model, X, "fc", 2, count=None)
    assert found.shape == (5, 1, 1)
    assert found.channels[0].channel == 2
    assert found.channels[0].effect == pytest.approx(found.score)
    assert all(each.effect == 0 for each in found.channels[1:])


def test_one_class_rather_than_another():
    model = Linear().double()
    one, other, both = (
        seewhy.channels(model, X, "maps", target, count=None) for target in (1, 4, Versus(1, 4))
    )  # fmt: skip
    effects = [{each.channel: each.effect for each in found.channels} for found in (one, other, both)]
    for k in range(7):
        assert effects[2][k] == pytest.approx(effects[0][k] - effects[1][k], abs=1e-12)
    assert (both.target, both.against, both.name) == (1, 4, "class 1 rather than class 4")
    scored = seewhy.channels(model, X, "maps", lambda outputs: outputs[:, 1] - outputs[:, 4], count=None)
    assert [e.channel for e in scored.channels] == [e.channel for e in both.channels]
    assert scored.target is None


def test_a_no_is_named_as_one():
    """The score that a network of one output is explained by is that of its decision."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1))
    model, photo = seewhy.classifier(network.eval(), labels=["cat"], size=16), Image.new("RGB", (16, 16), "red")
    for bias, name in ((9.0, "cat"), (-9.0, "not cat")):
        with torch.no_grad():
            network[4].bias.fill_(bias)
        found = seewhy.channels(model, photo)
        assert found.name == name
        assert found.score > 0
        assert seewhy.channels(model, photo, target=0).name == "cat"


@pytest.mark.parametrize("name", sorted(awkward_networks()))
def test_awkward_networks(name):
    """The same as activation × gradient of a record; or an error of the family."""
    model, x = awkward_networks()[name]
    x = x[:1]
    try:
        found = seewhy.channels(model, x, target=1, count=None)
    except SeewhyError:
        with pytest.raises(SeewhyError):
            seewhy.attribute(model, x, "grad_cam", 1)
        return
    with seewhy.record(model, x, 1) as record:
        layer = record.default_layer
        maps = record.maps(layer)
        effects = (maps(record.activation(layer)) * maps(record.gradient(layer)))[0].double().sum((1, 2))
    assert found.layer == layer
    for each in found.channels:
        assert each.effect == pytest.approx(float(effects[each.channel]), rel=1e-4, abs=1e-6)


def test_one_forward_and_the_model_as_it_came():
    model = Linear()
    calls, state = [], {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.register_forward_hook(lambda *_: calls.append(1))
    seewhy.channels(model.train(), X.float(), "maps")
    assert len(calls) == 1
    assert model.training
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_of_a_photo():
    clf = seewhy.classifier(tiny.make(), labels=["ant", "bee", "<b>cat</b>", "dog"], size=32)
    photo = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    found = seewhy.channels(clf, photo, target=2, count=3)
    session = seewhy.Session(clf)
    again = session.channels(photo, target=2, count=3)
    by_hand = seewhy.channels(clf.model, clf.preprocess(Image.fromarray(photo)), None, 2, count=3)
    assert repr(found) == repr(again)
    assert found.describe()["channels"] == by_hand.describe()["channels"]
    assert found.name == "<b>cat</b>"
    assert "<b>" not in found._repr_html_()
    assert str(found.channels[0].channel) in repr(found)
    json.dumps(found.describe(), allow_nan=False)


@pytest.mark.parametrize(("given", "error", "match"), [
    ({"layer": "nothing"}, LayerError, "nothing"),
    ({"layer": 3}, LayerError, "by its name"),
    ({"target": 9}, TargetError, "0 to 4"),
    ({"at": (24, 0)}, InputError, "no such place"),
    ({"at": (0, -1)}, InputError, "no such place"),
    ({"at": 5}, InputError, "2 whole numbers"),
    ({"at": (1.5, 2)}, InputError, "2 whole numbers"),
    ({"count": 0}, InputError, "1 or more"),
    ({"count": True}, InputError, "1 or more"),
])  # fmt: skip
def test_what_does_not_fit_is_said(given, error, match):
    with pytest.raises(error, match=match):
        seewhy.channels(Linear().double(), X, **given)


def test_a_batch_is_no_photo():
    with pytest.raises(InputError, match="one image"):
        seewhy.channels(Linear().double(), X.repeat(2, 1, 1, 1))
