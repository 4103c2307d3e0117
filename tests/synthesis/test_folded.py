"""A batch norm folded into its convolution answers alike; where it would not, the original goes on."""

import pytest
import torch
from torch import nn

from nets.cifar_resnet import resnet20
from seewhy.checks import fingerprint
from seewhy.core.guest import guest
from seewhy.synthesis.folded import folded

X = torch.zeros(2, 3, 24, 24)


def _norms(model):
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def _lively(model):
    """Batch norms that have seen something."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                module.weight.normal_(1, 0.2)
                module.bias.normal_()
    return model.eval()


def test_norms_are_folded_and_answers_stay():
    model = _lively(resnet20())
    before = fingerprint(model)
    with guest(model):
        twin = folded(model, X, frozenset({"layer2.0"}))
        x = torch.randn(3, 3, 24, 24)
        assert _norms(twin) == 0 < _norms(model)
        with torch.no_grad():
            assert torch.allclose(twin(x), model(x), atol=1e-3)
    assert fingerprint(model) == before


class Forked(nn.Module):
    """The norm is not the only one that reads the convolution."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.conv(x)
        return (self.norm(y) + y).mean((2, 3))


class Shared(nn.Module):
    """One convolution, run twice, before two norms."""

    def __init__(self):
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.two(self.conv(self.one(self.conv(x)))).mean((2, 3))


class Uncopied(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x):
        return self.body(x)

    def __deepcopy__(self, memo):
        raise RuntimeError("there is only one of me")


@pytest.mark.parametrize("kind", [Forked, Shared, Uncopied])
def test_what_cannot_be_folded_goes_on_as_it_is(kind):
    model = _lively(kind())
    with guest(model):
        assert folded(model, X) is model


def test_a_layer_that_is_asked_for_keeps_its_answer():
    model = _lively(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    with guest(model):
        assert folded(model, X) is not model
        assert folded(model, X, frozenset({"1"})) is not model
        assert folded(model, X, frozenset({"0"})) is model
