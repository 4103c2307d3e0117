"""What each method gives where the answer is known on paper."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import seewhy
from seewhy.methods import CAM, GradCAM, GuidedGradCAM, Occlusion, Saliency


class Linear(nn.Module):
    """score_c = <W_c, x> + b_c."""

    def __init__(self, channels=3, height=6, width=10, classes=4):
        super().__init__()
        self.W = nn.Parameter(torch.randn(classes, channels, height, width))
        self.b = nn.Parameter(torch.randn(classes))

    def forward(self, x):
        return torch.einsum("bchw,kchw->bk", x, self.W) + self.b


class GapLinear(nn.Module):
    """Positive maps, global average pooling, one linear layer."""

    def __init__(self, bias=True):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU())
        self.fc = nn.Linear(8, 5, bias=bias)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


def test_saliency_of_a_linear_network_is_its_weights():
    model, x = Linear(), torch.randn(2, 3, 6, 10)
    W = model.W.detach()[[1, 3]]
    kinds = {"signed": W, "abs": W.abs().amax(1, keepdim=True), "square": W.square().amax(1, keepdim=True)}
    for magnitude, expected in kinds.items():
        assert torch.allclose(seewhy.attribute(model, x, Saliency(magnitude), [1, 3]).values, expected, atol=1e-6)
    assert seewhy.attribute(model, x, "saliency").params == {"magnitude": "square"}
    with pytest.raises(seewhy.SeewhyError, match="square, abs, signed"):
        Saliency("l1")


@pytest.mark.parametrize("bias", [True, False])
def test_the_mean_of_cam_is_the_logit_without_its_bias(bias):
    model, x = GapLinear(bias), torch.randn(3, 3, 17, 21)
    a = seewhy.attribute(model, x, CAM(), [0, 4, 2])
    expected = a.score - (model.fc.bias.detach()[[0, 4, 2]] if bias else 0)
    assert torch.allclose(a.values.mean((1, 2, 3)), expected, atol=1e-6)
    assert a.layer == "features"


def test_grad_cam_is_relu_of_cam_up_to_the_number_of_positions():
    model, x = GapLinear(), torch.randn(3, 3, 17, 21)
    cam, grad_cam = (seewhy.attribute(model, x, m, [0, 4, 2]) for m in (CAM(), GradCAM()))
    positions = cam.values.shape[2] * cam.values.shape[3]
    assert torch.allclose(grad_cam.values * positions, F.relu(cam.values), atol=1e-6)
    assert (cam.values < 0).any()
    signed = seewhy.attribute(model, x, GradCAM(relu=False), [0, 4, 2])
    assert torch.allclose(signed.values * positions, cam.values, atol=1e-6)
    assert grad_cam.layer == signed.layer == "features"


def test_guided_grad_cam_is_the_product():
    model, x = GapLinear(), torch.randn(2, 3, 17, 21)
    many = seewhy.attribute(model, x, ["grad_cam", "guided_backprop", "guided_grad_cam"], 1)
    product = many["grad_cam"].upsampled((17, 21)) * many["guided_backprop"].values
    assert torch.allclose(many["guided_grad_cam"].values, product, atol=1e-7)
    assert many["guided_grad_cam"].layer == "features"
    assert many["guided_grad_cam"].overridden == 1
    named = seewhy.attribute(model, x, GuidedGradCAM(layer="features.0"), 1)
    assert named.layer == "features.0"


def test_occlusion_of_a_linear_network():
    """Hiding a window takes away exactly what its pixels gave: sum of W (x - baseline) inside."""
    model, x = Linear(), torch.randn(2, 3, 6, 10)
    a = seewhy.attribute(model, x, Occlusion(window=(2, 5), stride=(2, 5), baseline=0.3), 2)
    gave = (model.W.detach()[2] * (x - 0.3)).sum(1, keepdim=True)
    per_window = F.avg_pool2d(gave, (2, 5)) * 10
    assert torch.allclose(a.values, F.interpolate(per_window, scale_factor=(2, 5)), atol=1e-4)
    assert torch.allclose(a.details["grid"], a.score[:, None, None] - per_window[:, 0], atol=1e-4)


def test_a_uniformly_positive_cam_stays_positive():
    model = GapLinear()
    with torch.no_grad():
        model.fc.weight.abs_()
        for p in model.features.parameters():
            p.zero_().add_(0.5)
    a = seewhy.attribute(model, torch.ones(1, 3, 9, 9), "cam", 0)
    assert (a.values > 0).all()
    assert a.values.max() - a.values.min() < 1e-6


def _conv_head(relu):
    class ConvHead(nn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.head = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 4, 1)

        def forward(self, x):
            maps = self.head(F.relu(self.features(x)))
            return F.adaptive_avg_pool2d(F.relu(maps) if relu else maps, 1).flatten(1)

    return ConvHead()


@pytest.mark.parametrize("relu", [True, False])
def test_cam_of_a_convolutional_head(relu):
    model, x = _conv_head(relu), torch.randn(2, 3, 11, 9)
    a = seewhy.attribute(model, x, "cam", [3, 0])
    maps = model.head(F.relu(model.features(x))).detach()
    expected = (F.relu(maps) if relu else maps)[[0, 1], [3, 0]][:, None]
    assert torch.allclose(a.values, expected, atol=1e-6)
    assert torch.allclose(a.values.mean((1, 2, 3)), a.score, atol=1e-6)
    assert a.layer == ("head + relu" if relu else "head")


@pytest.mark.parametrize("pool", [
    lambda x: x.mean((2, 3)), lambda x: x.mean([-1, -2]), lambda x: x.mean(3).mean(2), lambda x: x.flatten(2).mean(2),
    lambda x: x.sum((2, 3)) / (x.shape[2] * x.shape[3]), lambda x: F.avg_pool2d(x, x.shape[2:]).flatten(1),
    lambda x: F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0], lambda x: F.dropout(x.mean((2, 3)), 0.9, training=False),
    lambda x: torch.einsum("bchw->bc", x) / (x.shape[2] * x.shape[3]),
])  # fmt: skip
def test_cam_finds_the_pooling_however_it_is_written(pool):
    class Net(GapLinear):
        def forward(self, x):
            return self.fc(pool(self.features(x)))

    model, x = Net(), torch.randn(2, 3, 17, 21)
    a = seewhy.attribute(model, x, "cam", 1)
    assert torch.allclose(a.values.mean((1, 2, 3)), a.score - model.fc.bias.detach()[1], atol=1e-6)


@pytest.mark.parametrize("head", [
    lambda m, x: m.fc(F.max_pool2d(x, x.shape[2:]).flatten(1)),  # not the mean
    lambda m, x: m.fc(F.layer_norm(x.mean((2, 3)), (8,))),  # something between pooling and the linear layer
    lambda m, x: F.relu(m.fc(x.mean((2, 3)))) * 2,  # something after it
    lambda m, x: x.mean((2, 3)) @ torch.ones(8, 5),  # no linear layer
])  # fmt: skip
def test_cam_refuses_what_is_not_its_kind_and_names_grad_cam(head):
    class Net(GapLinear):
        def forward(self, x):
            return head(self, self.features(x))

    with pytest.raises(seewhy.errors.MethodError, match=r"CAM does not apply.*Grad-CAM works on any CNN"):
        seewhy.attribute(Net(), torch.randn(2, 3, 17, 21), "cam", 1)


def test_upsampling_has_half_pixel_centres():
    a = seewhy.attribute(GapLinear(), torch.randn(1, 3, 5, 5), "cam", 0)
    assert a.values.shape[-2:] == (2, 2)
    (p, q), (r, s) = a.values[0, 0].tolist()
    assert a.upsampled((4, 4))[0, 0, 0].tolist() == pytest.approx([p, 0.75 * p + 0.25 * q, 0.25 * p + 0.75 * q, q])
    assert a.upsampled()[0, 0, :, 0].tolist()[2] == pytest.approx((p + r) / 2)
    assert s == a.upsampled((4, 4))[0, 0, 3, 3]
