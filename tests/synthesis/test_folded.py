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
    with guest(model, grad=True):
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
    with guest(model, grad=True):
        assert folded(model, X) is model


class Viewed(nn.Module):
    """LeNet's way to flatten, which only works where channels come first in memory."""

    def __init__(self, flatten):
        super().__init__()
        self.flatten = flatten
        self.conv, self.norm, self.linear = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4 * 11 * 11, 5)

    def forward(self, x):
        y = torch.max_pool2d(torch.relu(self.norm(self.conv(x))), 2)
        return self.linear(self.flatten(y))


@pytest.mark.parametrize(
    "flatten",
    [lambda y: y.view(y.size(0), -1), lambda y: y.view(-1, 4 * 11 * 11), lambda y: y.view(*y.shape[:2], -1).flatten(1)],
)
def test_a_network_that_asks_for_the_memory_of_its_maps_is_folded_as_well(flatten):
    model = _lively(Viewed(flatten))
    with guest(model, grad=False):
        twin = folded(model, X)
        assert _norms(twin) == 0 < _norms(model)
        x = torch.randn(3, 3, 24, 24)
        assert torch.allclose(twin(x), model(x), atol=1e-3)


def _made(make_weight):
    """Its second convolution's weight is made anew in each forward; the first can be folded."""
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), make_weight(nn.Conv2d(4, 4, 3)), nn.BatchNorm2d(4)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _double(layer):
    layer.register_forward_pre_hook(lambda module, args: (2 * args[0],))
    return layer


@pytest.mark.parametrize(
    "make_weight",
    [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm, nn.utils.weight_norm,
     nn.utils.spectral_norm, _double],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_a_weight_that_is_made_anew_in_each_forward_is_left_alone(make_weight):
    model = _made(make_weight)
    with torch.no_grad():
        model(torch.randn(2, 3, 24, 24))
    model = _lively(model)
    with guest(model, grad=False):
        x = torch.randn(3, 3, 24, 24)
        real = model(x)
        twin = folded(model, X)
        assert _norms(twin) == 1
        assert torch.allclose(twin(x), real, atol=1e-3)


def test_a_parametrized_norm_is_left_alone():
    class Softplus(nn.Module):
        def forward(self, weight):
            return nn.functional.softplus(weight)

    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    nn.utils.parametrize.register_parametrization(model[1], "weight", Softplus())
    with guest(model.eval(), grad=True):
        assert folded(model, X) is model


def test_a_layer_that_is_asked_for_keeps_its_answer():
    model = _lively(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    with guest(model, grad=True):
        assert folded(model, X) is not model
        assert folded(model, X, frozenset({"1"})) is not model
        assert folded(model, X, frozenset({"0"})) is model
