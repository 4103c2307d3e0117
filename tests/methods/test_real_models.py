"""On real weights: the embedded model, and a CIFAR ResNet-20 as people have them."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import seewhy
from relu_reference import reference_gradient
from seewhy.checks import awkward_networks, fingerprint
from seewhy.methods import METHODS, Occlusion


@pytest.fixture(scope="module")
def embedded():
    return seewhy.load("efficientnet_lite0")


@pytest.fixture
def resnet20(shared_data):
    weights = shared_data / "cifar_resnet" / "resnet20-12fca82f.th"
    return seewhy.load("nets.cifar_resnet:resnet20", weights=weights, input_size=32)


def _photo(seed=0):
    coarse = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(seed))
    pixels = F.interpolate(coarse, (240, 320), mode="bicubic").clamp(0, 1)[0]
    return Image.fromarray((pixels.permute(1, 2, 0) * 255).byte().numpy())


def _identities(clf, x, targets):
    many = seewhy.attribute(clf, x, ["cam", "grad_cam"], targets)
    bias = many["cam"].score - many["cam"].values.mean((1, 2, 3))
    linear = [m for m in clf.model.modules() if isinstance(m, torch.nn.Linear)][-1]
    assert torch.allclose(bias, linear.bias.detach()[targets], atol=1e-4)
    positions = many["cam"].values[0].numel()
    assert torch.allclose(many["grad_cam"].values * positions, F.relu(many["cam"].values), atol=1e-4)
    assert many["cam"].layer == many["grad_cam"].layer


def test_identities_on_the_embedded_model(embedded):
    x = torch.cat([embedded.preprocess(_photo(seed)) for seed in (0, 1)])
    _identities(embedded, x, [281, 954])


def test_identities_on_cifar_resnet20(resnet20):
    x = torch.cat([resnet20.preprocess(_photo(seed)) for seed in (0, 1, 2)])
    _identities(resnet20, x, [3, 5, 9])


def test_reference_on_cifar_resnet20(resnet20):
    """Every ReLU of it is functional, and the shortcut is added in place."""
    x, target = resnet20.preprocess(_photo()), torch.tensor([3])
    for rule, method in [("deconvnet", "deconvnet"), ("guided", "guided_backprop")]:
        expected, count = reference_gradient(resnet20.model, x, target, rule)
        got = seewhy.attribute(resnet20, x, method, target)
        assert got.overridden == count == 19
        assert (got.values - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_reference_on_the_embedded_model(embedded):
    x, target = embedded.preprocess(_photo()), torch.tensor([281])
    expected, count = reference_gradient(embedded.model, x, target, "guided")
    got = seewhy.attribute(embedded, x, "guided_backprop", target)
    assert got.overridden == count == 33
    assert (got.values - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_the_embedded_model_is_untouched(embedded):
    before = fingerprint(embedded.model)
    seewhy.attribute(embedded, embedded.preprocess(_photo()), [*METHODS[:-1], Occlusion(112, 112)])
    seewhy.visualize(embedded, 1, steps=2)
    assert fingerprint(embedded.model) == before


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(awkward_networks())), st.lists(st.integers(0, 4), min_size=1, max_size=6), st.randoms())
def test_a_batch_is_its_images_one_by_one(name, targets, random):
    """For any composition of a batch, any order, any targets."""
    model, images = awkward_networks()[name]
    picks = [random.randrange(len(images)) for _ in targets]
    scale = torch.tensor([random.uniform(0.2, 3) for _ in targets])[:, None, None, None]
    x = images[picks] * scale
    methods = [method() for method in METHODS if name != "flattened" or method.id != "cam"]
    together = seewhy.attribute(model, x, methods, targets)
    for row, target in enumerate(targets):
        alone = seewhy.attribute(model, x[row : row + 1], methods, target)
        for method, a in alone.items():
            values = together[method].values[row]
            assert (a.values[0] - values).abs().max() <= 1e-4 * a.values.abs().max() + 1e-7, method
