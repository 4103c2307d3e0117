"""Captum as an oracle wherever it is right, and the places where it is known to be wrong."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from captum.attr import Deconvolution, GuidedBackprop, GuidedGradCam, LayerGradCam
from captum.attr import Occlusion as CaptumOcclusion
from captum.attr import Saliency as CaptumSaliency
from torch import nn

import seewhy
from seewhy.methods import GradCAM, GuidedGradCAM, Occlusion, Saliency

RIGHT = {"resnet18": "layer4", "vgg11": "features.10", "squeezenet1_1": "features.12", "shufflenet_v2_x0_5": "conv5",
         "mnasnet0_5": "layers.16", "regnet_x_400mf": "trunk_output"}  # fmt: skip
"""Networks whose ReLUs are all modules: Captum's backward hooks on modules see every one of them."""

WRONG = {
    "densenet121": "its last ReLU is F.relu, in place; module hooks never see it",
    "googlenet": "every ReLU is F.relu inside BasicConv2d",
    "inception_v3": "every ReLU is F.relu inside BasicConv2d",
    "mobilenet_v2": "ReLU6 is not nn.ReLU, so no hook is put on it",
}
"""Networks on which Captum's deconvnet and guided backprop are silently not what they say, and why."""


def _model(name):
    import torchvision

    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = torchvision.models.get_model(name, num_classes=10, **extra).eval()
    for module in model.modules():  # Captum's full backward hooks do not work on in-place ReLUs
        if hasattr(module, "inplace"):
            module.inplace = False
    x = torch.randn(2, 3, 96, 96)
    return model, x, model(x).argmax(1)


def _close(ours, theirs):
    assert ours.shape == theirs.shape
    assert theirs.abs().max() > 0
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def _captum(method, model, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return method(model, *args).attribute(**kwargs).detach()


@pytest.mark.parametrize("name", RIGHT)
def test_agrees_where_captum_is_right(name):
    model, x, target = _model(name)
    layer_name = RIGHT[name]
    layer = model.get_submodule(layer_name)
    many = seewhy.attribute(model, x, [Saliency("abs"), "deconvnet", "guided_backprop", GradCAM(layer_name)], target)
    saliency = _captum(CaptumSaliency, model, inputs=x.clone(), target=target)
    _close(many["saliency"].values, saliency.amax(1, keepdim=True))
    _close(many["deconvnet"].values, _captum(Deconvolution, model, inputs=x.clone(), target=target))
    _close(many["guided_backprop"].values, _captum(GuidedBackprop, model, inputs=x.clone(), target=target))
    grad_cam = _captum(LayerGradCam, model, layer, inputs=x.clone(), target=target, relu_attributions=True)
    _close(many["grad_cam"].values, grad_cam)
    theirs = _captum(GuidedGradCam, model, layer, inputs=x.clone(), target=target, interpolate_mode="nearest")
    ours = F.interpolate(many["grad_cam"].values, x.shape[2:]) * many["guided_backprop"].values
    _close(ours, theirs)
    bilinear = seewhy.attribute(model, x, GuidedGradCAM(layer_name), target)
    assert bilinear.values.shape == theirs.shape


@pytest.mark.parametrize("name", WRONG)
def test_captum_is_wrong_where_relus_are_not_modules(name):
    """Kept as a table, so that a release of Captum that repairs one of these is noticed."""
    model, x, target = _model(name)
    ours = seewhy.attribute(model, x, "guided_backprop", target).values
    theirs = _captum(GuidedBackprop, model, inputs=x.clone(), target=target)
    assert (ours - theirs).abs().max() > 0.05 * ours.abs().max(), f"Captum now agrees on {name}"


def test_grad_cam_at_a_layer_that_an_in_place_relu_follows():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.relu, self.fc = nn.Conv2d(3, 6, 3), nn.ReLU(inplace=True), nn.Linear(6, 4)

        def forward(self, x):
            return self.fc(self.relu(self.conv(x)).mean((2, 3)))

    model, x = Net(), torch.randn(2, 3, 12, 12)
    before = model.conv(x).detach()
    alpha = (model.fc.weight[1][:, None, None] / 100 * (before > 0)).mean((2, 3), keepdim=True).detach()
    expected = F.relu((alpha * before).sum(1, keepdim=True))
    _close(seewhy.attribute(model, x, GradCAM("conv"), 1).values, expected)
    _close(_captum(LayerGradCam, model, model.conv, inputs=x.clone(), target=1, relu_attributions=True), expected)


@pytest.mark.parametrize(("window", "stride"), [((24, 24), (12, 12)), ((20, 30), (17, 30)), ((40, 16), (40, 9))])
def test_occlusion_agrees_with_captum(window, stride):
    model, x, target = _model("squeezenet1_1")
    ours = seewhy.attribute(model, x, Occlusion(window, stride, baseline=0.25), target).values
    theirs = CaptumOcclusion(model).attribute(
        x, sliding_window_shapes=(3, *window), strides=(3, *stride), baselines=0.25, target=target,
        perturbations_per_eval=4,
    )  # fmt: skip
    difference = (ours - theirs.detach()[:, :1]).abs().max()
    assert difference <= 1e-4 * theirs.abs().max()
