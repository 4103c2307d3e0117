"""Grad-CAM and CAM against one plain forward; all methods at once against the cheapest peer of each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import torch
from networks import build
from occlusion import captum
from paired import median, paired, ratio
from torch import Tensor, nn

import seewhy
from seewhy.methods import Occlusion

LAYERS = {"resnet18": "layer4", "resnet50": "layer4", "mobilenet_v2": "features"}
SIX = ["saliency", "deconvnet", "guided_backprop", "cam", "grad_cam", "guided_grad_cam"]
MASK = 32
"""Pixels of a mask, and from one to the next: 49 on a photo."""


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
            seconds = paired(contenders, repeats=(11 if batch == 1 else 3) if quick else (21 if batch == 1 else 5))
            ratios = [f"{ratio(seconds, each, 'forward'):.2f}" for each in contenders if each != "forward"]
            yield [name, str(batch), f"{median(seconds, 'forward') * 1e3:.0f} ms", *ratios]


ONE_MAP_COLUMNS = ["network", "batch", "forward", "seewhy CAM", "seewhy Grad-CAM", "Captum Grad-CAM",
                   "torch-cam Grad-CAM", "pytorch-grad-cam"]  # fmt: skip


def all_at_once(quick: bool) -> Iterator[list[str]]:
    """Rows: network, batch, methods, ours, the sum of the cheapest peers, ours over theirs."""
    for name in ["resnet18"] if quick else ["resnet18", "resnet50"]:
        model = build(name)
        for batch in (1,) if quick else (1, 16):
            x, target = torch.randn(batch, 3, 224, 224), 3
            peers = _cheapest(model, x, target, LAYERS[name])
            six = {"seewhy": lambda m=model, x=x: seewhy.attribute(m, x, SIX, 3), **peers}
            yield [name, str(batch), "six by gradients", *_against_the_sum(six, 7 if batch == 1 else 3)]
            at_once = 8 if batch == 1 else 1
            seven = {
                "seewhy": lambda m=model, x=x: seewhy.attribute(m, x, [*SIX, Occlusion(MASK, MASK)], 3), **peers,
                "Occlusion": lambda m=model, x=x, t=target, n=at_once: captum(m, x, MASK, n, MASK, t),
            }  # fmt: skip
            yield [name, str(batch), "all seven", *_against_the_sum(seven, 3 if batch == 1 else 1)]


def _against_the_sum(contenders: dict[str, Callable[[], object]], repeats: int) -> list[str]:
    seconds = paired(contenders, repeats)
    peers = [seconds[name] for name in contenders if name != "seewhy"]
    seconds["peers"] = [sum(times) for times in zip(*peers, strict=True)]
    ours, theirs = median(seconds, "seewhy") * 1e3, median(seconds, "peers") * 1e3
    return [f"{ours:.0f} ms", f"{theirs:.0f} ms", f"{ratio(seconds, 'seewhy', 'peers'):.0%}"]


ALL_COLUMNS = ["network", "batch", "methods", "seewhy, at once", "cheapest peers, summed", "seewhy / peers"]


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
