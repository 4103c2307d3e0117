"""Grad-CAM and CAM against one plain forward; all six gradient methods at once against the cheapest peer of each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import torch
from paired import median, paired, ratio
from torch import Tensor, nn

import seewhy

LAYERS = {"resnet18": "layer4", "resnet50": "layer4", "mobilenet_v2": "features"}
SIX = ["saliency", "deconvnet", "guided_backprop", "cam", "grad_cam", "guided_grad_cam"]


def build(name: str) -> nn.Module:
    """A torchvision model with random weights, its ReLUs not in place: Captum's hooks need that."""
    import torchvision

    torch.manual_seed(0)
    model: nn.Module = torchvision.models.get_model(name).eval()
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    return model


def one_map(quick: bool) -> Iterator[list[str]]:
    """Rows: network, batch, forward in ms, then times one forward."""
    for name in ["resnet18", "mobilenet_v2"] if quick else LAYERS:
        model = build(name)
        for batch in (1, 16):
            x, target = torch.randn(batch, 3, 224, 224), 3
            contenders: dict[str, Callable[[], object]] = {"forward": lambda m=model, x=x: _forward(m, x)}
            contenders |= {
                "seewhy CAM": lambda m=model, x=x: seewhy.attribute(m, x, "cam", 3),
                "seewhy Grad-CAM": lambda m=model, x=x: seewhy.attribute(m, x, "grad_cam", 3),
                **_peers(model, x, target, LAYERS[name]),
            }
            seconds = paired(contenders, repeats=(15 if batch == 1 else 5) if quick else (21 if batch == 1 else 5))
            ratios = [f"{ratio(seconds, each, 'forward'):.2f}" for each in contenders if each != "forward"]
            yield [name, str(batch), f"{median(seconds, 'forward') * 1e3:.0f} ms", *ratios]


ONE_MAP_COLUMNS = ["network", "batch", "forward", "seewhy CAM", "seewhy Grad-CAM", "Captum Grad-CAM",
                   "torch-cam Grad-CAM", "pytorch-grad-cam"]  # fmt: skip


def all_at_once(quick: bool) -> Iterator[list[str]]:
    """Rows: network, batch, ours in ms, sum of the cheapest peers in ms, ours over theirs."""
    for name in ["resnet18"] if quick else ["resnet18", "resnet50"]:
        model = build(name)
        for batch in (1, 16):
            x, target = torch.randn(batch, 3, 224, 224), 3
            peers = _cheapest(model, x, target, LAYERS[name])
            contenders = {"seewhy": lambda m=model, x=x: seewhy.attribute(m, x, SIX, 3), **peers}
            seconds = paired(contenders, repeats=(9 if batch == 1 else 3) if quick else (7 if batch == 1 else 3))
            seconds["peers"] = [sum(times) for times in zip(*(seconds[peer] for peer in peers), strict=True)]
            ours, theirs = median(seconds, "seewhy") * 1e3, median(seconds, "peers") * 1e3
            yield [name, str(batch), f"{ours:.0f} ms", f"{theirs:.0f} ms", f"{ratio(seconds, 'seewhy', 'peers'):.0%}"]


ALL_COLUMNS = ["network", "batch", "seewhy, six methods", "cheapest peers, summed", "seewhy / peers"]


def _forward(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x)  # type: ignore[no-any-return]


def _peers(model: nn.Module, x: Tensor, target: int, layer_name: str) -> dict[str, Callable[[], object]]:
    from captum.attr import LayerGradCam
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    from torchcam.methods import GradCAM as TorchCAM

    layer = model.get_submodule(layer_name)
    captum = LayerGradCam(model, layer)

    def torchcam() -> object:
        with TorchCAM(model, layer) as extractor:
            return extractor([target] * len(x), model(x))

    def pytorch_grad_cam() -> object:
        with GradCAM(model, [layer]) as cam:
            return cam(x, [ClassifierOutputTarget(target)] * len(x))

    return {
        "Captum Grad-CAM": lambda: captum.attribute(x, target),
        "torch-cam Grad-CAM": torchcam,
        "pytorch-grad-cam": pytorch_grad_cam,
    }


def _cheapest(model: nn.Module, x: Tensor, target: int, layer_name: str) -> dict[str, Callable[[], object]]:
    """One peer per method, the cheapest that we found: Captum's, and torch-cam's for CAM."""
    from captum.attr import Deconvolution, GuidedBackprop, GuidedGradCam, LayerGradCam, Saliency
    from torchcam.methods import CAM

    layer = model.get_submodule(layer_name)
    methods = [Saliency(model), Deconvolution(model), GuidedBackprop(model), LayerGradCam(model, layer),
               GuidedGradCam(model, layer)]  # fmt: skip

    def cam() -> object:
        with torch.no_grad(), CAM(model, layer, "fc") as extractor:
            return extractor([target] * len(x), model(x))

    def quietly(method: object) -> Callable[[], object]:
        def run() -> object:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return method.attribute(x.clone().requires_grad_(), target=target)  # type: ignore[attr-defined]

        return run

    return {type(method).__name__: quietly(method) for method in methods} | {"CAM": cam}
