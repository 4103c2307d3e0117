"""Each row of docs/compatibility.md is true."""

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

import seewhy
from nets.written import head
from seewhy.methods import GradCAM, Occlusion

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
NATIVE, ADAPTED, REFUSED = "native", "adapted", "refused"


class Net(nn.Module):
    """conv, ReLU, conv, ReLU, pooled: whatever ``middle`` does in between."""

    def __init__(self, middle=None, classes=5):
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, padding=1), head(classes=classes)
        self.middle = middle or (lambda self, x: F.relu(self.two(x)))

    def forward(self, x):
        return self.head(self.middle(self, F.relu(self.one(x))))


class Flattening(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 6, 5), nn.Linear(6 * 14 * 14, 5)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv(x)), 2)
        return self.fc(x.view(x.size(0), -1))


class Siamese(Net):
    def forward(self, x):
        a = super().forward(x)
        return a + 0 * super().forward(torch.ones(1, 3, 32, 32)).sum()


class Inference(Net):
    @torch.inference_mode()
    def forward(self, x):
        return super().forward(x)


class Autocast(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3), head())

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.net(x).float()


class Maps(nn.Module):
    """A segmenter or a detector in small: maps of classes, or rows of boxes with their scores."""

    def __init__(self, boxes):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.last, self.boxes = nn.Conv2d(8, 6, 1), boxes

    def forward(self, x):
        maps = self.last(self.trunk(x))
        if self.boxes:
            return [{"boxes": m[:4].flatten(1).T, "scores": m[4].flatten()} for m in maps]
        return {"out": F.interpolate(maps, scale_factor=2)}


def _transformer(kind):
    torchvision = pytest.importorskip("torchvision")
    if kind == "swin":
        model = torchvision.models.SwinTransformer([4, 4], 24, [2, 2], [2, 4], [4, 4], num_classes=5)
    else:
        model = torchvision.models.VisionTransformer(32, 8, 4, 2, 24, 48, num_classes=5)
    for parameter in model.parameters():  # torchvision starts the head of a ViT at zero
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return model


def _quantized():
    return torch.ao.quantization.quantize_dynamic(Net().eval(), {nn.Linear})


def _parametrized():
    model = Net()
    parametrizations.spectral_norm(model.one)
    parametrizations.orthogonal(model.two)
    return model


def _lazy():
    return nn.Sequential(nn.LazyConv2d(8, 3), head())


def _several():
    class Several(Net):
        def forward(self, x, y):
            return super().forward(x + y)

    return Several()


def _checkpointed(reentrant):
    return Net(lambda self, x: checkpoint(lambda y: F.relu(self.two(y)), x, use_reentrant=reentrant))


def _exported():
    batch = torch.export.Dim("batch", min=1, max=64)
    return torch.export.export(Net().eval(), (torch.randn(2, 3, 32, 32),), dynamic_shapes=({0: batch},)).module()


def _of_maps(outputs):
    return outputs["out"][:, 1].mean((1, 2))


def _of_boxes(outputs):
    return torch.stack([one["scores"].max() for one in outputs])


ALL = {"saliency": NATIVE, "grad_cam": NATIVE, "cam": NATIVE, "occlusion": NATIVE}
ROWS = {
    "cnn": (Net, ALL, {}),
    "flattening_cnn": (Flattening, ALL | {"cam": REFUSED}, {}),
    "functional_cnn": (lambda: Net(lambda self, x: F.relu_(self.two(F.relu6(x)))), ALL, {}),
    "vit": (lambda: _transformer("vit"), {"saliency": NATIVE, "grad_cam": ADAPTED, "cam": REFUSED, "occlusion": NATIVE},
            {"layer": "encoder.layers.encoder_layer_1.ln_1"}),
    "swin": (lambda: _transformer("swin"), ALL | {"grad_cam": ADAPTED}, {"layer": "features.1.1.norm2"}),
    "detector": (lambda: Maps(True), {"saliency": NATIVE, "grad_cam": NATIVE, "cam": REFUSED, "occlusion": ADAPTED},
                 {"target": _of_boxes}),
    "segmenter": (lambda: Maps(False), {"saliency": NATIVE, "grad_cam": NATIVE, "cam": REFUSED, "occlusion": ADAPTED},
                  {"target": _of_maps}),
    "one_output": (lambda: Net(classes=1), ALL, {"target": None}),
    "siamese": (Siamese, ALL | {"grad_cam": ADAPTED}, {}),
    "batch_coupled": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, track_running_stats=False), head()),
                      ALL | {"occlusion": ADAPTED}, {}),
    "inference_mode": (Inference, {"saliency": REFUSED, "grad_cam": REFUSED, "cam": NATIVE, "occlusion": ADAPTED}, {}),
    "autocast": (Autocast, {"saliency": NATIVE, "grad_cam": NATIVE, "cam": NATIVE}, {}),
    "quantized": (_quantized, {"saliency": REFUSED, "grad_cam": REFUSED, "cam": REFUSED, "occlusion": ADAPTED}, {}),
    "compiled": (lambda: torch.compile(Net()), ALL, {}),
    "data_parallel": (lambda: nn.DataParallel(Net()), ALL, {}),
    "checkpointed": (lambda: _checkpointed(False), ALL, {}),
    "reentrant": (lambda: _checkpointed(True), {"guided_backprop": REFUSED, "cam": NATIVE, "occlusion": NATIVE}, {}),
    "exported": (_exported, ALL | {"grad_cam": REFUSED, "cam": REFUSED}, {}),
    "torchscript": (lambda: torch.jit.script(head(3)), dict.fromkeys(ALL, REFUSED), {}),
    "other_inputs": (_several, {}, {}),
    "lazy": (_lazy, dict.fromkeys(ALL, REFUSED), {}),
    "parametrized": (_parametrized, ALL, {}),
}  # fmt: skip


def test_the_page_and_the_tests_have_the_same_rows():
    assert re.findall(r"\| `(\w+)` \|$", PAGE.read_text(), re.M) == list(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_true(name):
    build, promised, options = ROWS[name]
    model, x = build(), torch.randn(1, 3, 32, 32)
    if name != "exported":
        model.eval()
    target = options.get("target", 1)
    for method, promise in promised.items():
        if method == "occlusion":
            method = Occlusion(12, 10)
        if method == "grad_cam" and "layer" in options:
            method = GradCAM(options["layer"])
        if promise == REFUSED:
            with pytest.raises(seewhy.SeewhyError) as caught:
                seewhy.attribute(model, x, method, target)
            assert "\n" not in str(caught.value)
            continue
        a = seewhy.attribute(model, x, method, target)
        assert a.values.isfinite().all()
        assert a.values.any()
        said = {key for key, value in a.notes.items() if (key, value) != ("engine", "incremental")} - {
            "whole_maps_from"
        }
        assert bool(said) == (promise == ADAPTED), (method, dict(a.notes))


class Scaled(Net):
    """Gives whole numbers: thousandths of a score."""

    def forward(self, x):
        return (1000 * super().forward(x)).round().long()


def test_whole_numbers_have_an_occlusion_map_and_nothing_else():
    model, x = Scaled().eval(), torch.randn(1, 3, 32, 32)
    found = seewhy.attribute(model, x, Occlusion(12, 10), 1).values
    exact = seewhy.attribute(super_of(model), x, Occlusion(12, 10), 1).values
    assert (found / 1000 - exact).abs().max() <= 1e-3
    for method in ("saliency", "grad_cam", "cam"):
        with pytest.raises(seewhy.SeewhyError, match=r"integers|whole numbers"):
            seewhy.attribute(model, x, method, 1)


def super_of(model):
    plain = Net().eval()
    plain.load_state_dict(model.state_dict())
    return plain


@pytest.mark.parametrize("batch", [1, 3])
def test_one_score_an_image_may_come_squeezed(batch):
    plain, x = Net(classes=1).eval(), torch.randn(batch, 3, 32, 32)
    squeezed = nn.Sequential(plain, nn.Flatten(0))
    for method in ("saliency", "grad_cam", Occlusion(12, 10)):
        a, b = (seewhy.attribute(model, x, method) for model in (squeezed, plain))
        assert torch.allclose(a.values, b.values, atol=1e-6)
        assert torch.allclose(a.score, b.score)
    labels = nn.Sequential(Net().eval(), _Argmax())
    with pytest.raises(seewhy.SeewhyError, match="class scores"):
        seewhy.attribute(labels, x, Occlusion(12, 10))


class _Argmax(nn.Module):
    def forward(self, x):
        return x.argmax(1)


@pytest.mark.parametrize("shape", [(1, 3, 32), (1, 3, 8, 32, 32), (3, 32, 32)])
def test_inputs_that_are_no_batch_of_images_are_refused(shape):
    with pytest.raises(seewhy.SeewhyError, match=r"\(B, C, H, W\)"):
        seewhy.attribute(nn.Conv1d(3, 8, 3), torch.randn(shape), "saliency")


@pytest.mark.parametrize(
    "name", ["cnn", "flattening_cnn", "functional_cnn", "batch_coupled", "parametrized", "compiled"]
)
def test_class_pictures_of_native_networks(name):
    made = seewhy.visualize(ROWS[name][0]().eval(), 1, steps=2, size=32)
    assert made.images.shape == (1, 3, 32, 32)


@pytest.mark.parametrize("name", ["inference_mode", "quantized", "torchscript", "lazy"])
def test_class_pictures_that_are_refused(name):
    with pytest.raises(seewhy.SeewhyError) as caught:
        seewhy.visualize(ROWS[name][0]().eval(), 1, steps=2, size=32)
    assert "\n" not in str(caught.value)
