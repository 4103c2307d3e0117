"""Deconvnet and guided backprop agree with the independent reference, on many networks of two libraries."""

import pytest
import torch

import seewhy
from relu_reference import reference_gradient

TORCHVISION = [
    "alexnet", "vgg11", "vgg11_bn", "resnet18", "resnet34", "resnet50", "wide_resnet50_2", "resnext50_32x4d",
    "squeezenet1_0", "squeezenet1_1", "densenet121", "densenet169", "googlenet", "inception_v3", "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0", "mobilenet_v2", "mnasnet0_5", "mnasnet1_0", "regnet_x_400mf", "regnet_y_400mf",
    "regnet_y_800mf", "mobilenet_v3_small",
]  # fmt: skip
TIMM = [
    "resnet10t", "resnet26d", "tf_efficientnet_lite0", "repvgg_a0", "mobilenetv2_050", "ghostnet_050",
    "hrnet_w18_small",
    "dla34", "densenet121", "mixnet_s", "rexnet_100", "skresnet18", "res2net50_14w_8s", "darknet17", "selecsls42b",
]  # fmt: skip


def _torchvision(name):
    import torchvision

    extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, num_classes=10, **extra)


def _timm(name):
    import timm

    return timm.create_model(name, num_classes=10)


def _agree(model, size):
    model.eval()
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        outputs = model(x)
    target = getattr(outputs, "logits", outputs).argmax(1)  # any other class of a random SqueezeNet may be dead
    for rule, method in [("deconvnet", "deconvnet"), ("guided", "guided_backprop")]:
        expected, count = reference_gradient(model, x, target, rule)
        got = seewhy.attribute(model, x, method, target)
        assert count > 0
        assert got.overridden == count
        assert expected.abs().max() > 0
        assert (got.values - expected).abs().max() <= 1e-6 * expected.abs().max()


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(name):
    _agree(_torchvision(name), 96)


@pytest.mark.parametrize("name", TIMM)
def test_timm(name):
    _agree(_timm(name), 64)
