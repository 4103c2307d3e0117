"""Grad-CAM and its like on networks as people write them: the photo's own map, from the equations by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import seewhy
from nets.written import head
from seewhy.errors import LayerError
from seewhy.methods import CAM, GradCAM


def grad_cam(model, x, layer, target=0, run=0):
    """Selvaraju 2017, eqs. 1-2 without the ReLU, with plain hooks and a plain backward; of one run of a module."""
    runs = []
    handle = layer.register_forward_hook(lambda m, a, output: (output.retain_grad(), runs.append(output))[0])
    model(x.clone().requires_grad_())[:, target].sum().backward()
    handle.remove()
    A = runs[run]
    return (A.grad.mean((2, 3), keepdim=True) * A).sum(1, keepdim=True).detach()


class Siamese(nn.Module):
    """Compares the photo with a reference that it keeps; the reference may be embedded first or last."""

    def __init__(self, order, embed="shared"):
        super().__init__()
        self.e = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
        self.other = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        self.register_buffer("ref", torch.randn(1, 3, 32, 32))
        self.order, self.embed = order, embed

    def one(self, x):
        return self.e(x).mean((2, 3))

    def two(self, x):
        x = torch.zeros_like(x) + self.ref
        return (self.other if self.embed == "apart" else self.e)(x).mean((2, 3))

    def forward(self, x):
        if self.order == "photo first":
            a, b = self.one(x), self.two(x)
        else:
            b, a = self.two(x), self.one(x)
        return torch.stack([F.cosine_similarity(a, b), (a - b).square().sum(1)], 1)


@pytest.mark.parametrize("order", ["photo first", "reference first"])
@pytest.mark.parametrize("embed", ["shared", "apart"])
@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("target", [0, 1])
def test_the_map_is_the_photos_and_not_the_references(order, embed, alone, target):
    model, x = Siamese(order, embed).eval(), torch.randn(1, 3, 32, 32)
    run = 0 if order == "photo first" or embed == "apart" else 1
    expected = grad_cam(model, x, model.e, target, run)
    for layer in (None, "e", "e.3", None, "e"):
        methods = GradCAM(layer, relu=False) if alone else [GradCAM(layer, relu=False), "saliency"]
        a = seewhy.attribute(model, x, methods, target)
        a = a if alone else a["grad_cam"]
        assert torch.allclose(a.values, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
        if embed == "shared":
            assert "2 times" in a.notes["runs"]
    if embed == "apart":
        with pytest.raises(LayerError, match="something else than the photo"):
            seewhy.attribute(model, x, GradCAM("other"), target)


class Twice(nn.Module):
    """One layer runs on the photo, and again on what came of it."""

    def __init__(self):
        super().__init__()
        self.stem, self.body, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        for _ in range(3):
            x = torch.tanh(self.body(x)) + x
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize("methods", ["grad_cam", ["grad_cam", "saliency"]])
def test_of_several_runs_on_the_photo_it_says_which(methods):
    model, x = Twice().eval(), torch.randn(1, 3, 32, 32)
    expected = grad_cam(model, x, model.body, 0, 2)
    methods = [GradCAM("body", relu=False), *([] if methods == "grad_cam" else ["saliency"])]
    for _ in range(2):
        a = seewhy.attribute(model, x, methods, 0)["grad_cam"]
        assert torch.allclose(a.values, expected, atol=1e-6)
        assert a.notes["runs"] == "body ran 3 times, each on the photo; shown is the last of these"


class DetachedTrunk(nn.Module):
    """A trunk that is not trained: gradients end there, and the photo's trace with them."""

    def __init__(self):
        super().__init__()
        self.trunk, self.last, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 5)

    def forward(self, x):
        with torch.no_grad():
            x = F.relu(self.trunk(x))
        return self.fc(self.last(x).sigmoid().mean((2, 3)))


def test_behind_a_trunk_without_gradients():
    model, x = DetachedTrunk().eval(), torch.randn(1, 3, 32, 32)
    whole = nn.Sequential(
        model.trunk, nn.ReLU(), model.last, nn.Sigmoid(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), model.fc
    )
    for _ in range(2):
        a = seewhy.attribute(model, x, "grad_cam", 1)
        assert torch.allclose(a.values, seewhy.attribute(whole, x, "grad_cam", 1).values, atol=1e-7)


FUNCTIONS = {
    "F.relu": (F.relu, nn.ReLU()),
    "torch.relu": (torch.relu, nn.ReLU()),
    "Tensor.relu": (lambda x: x.relu(), nn.ReLU()),
    "relu in place": (lambda x: F.relu(x, inplace=True), nn.ReLU()),
    "Tensor.relu_": (lambda x: x.relu_(), nn.ReLU()),
    "clamp": (lambda x: x.clamp(min=0), nn.ReLU()),
    "clamp_": (lambda x: x.clamp_(min=0), nn.ReLU()),
    "maximum": (lambda x: torch.maximum(x, torch.zeros(())), nn.ReLU()),
    "threshold": (lambda x: F.threshold(x, 0, 0), nn.ReLU()),
    "relu6": (F.relu6, nn.ReLU6()),
    "leaky": (lambda x: F.leaky_relu(x, 0.2), nn.LeakyReLU(0.2)),
    "leaky in place": (lambda x: F.leaky_relu_(x, 0.2), nn.LeakyReLU(0.2)),
    "silu": (F.silu, nn.SiLU()),
    "gelu": (F.gelu, nn.GELU()),
    "gelu tanh": (lambda x: F.gelu(x, approximate="tanh"), nn.GELU(approximate="tanh")),
    "hardswish": (F.hardswish, nn.Hardswish()),
    "elu": (F.elu, nn.ELU()),
    "elu in place": (lambda x: F.elu_(x), nn.ELU()),
    "selu": (F.selu, nn.SELU()),
    "mish": (F.mish, nn.Mish()),
    "softplus": (F.softplus, nn.Softplus()),
    "sigmoid": (torch.sigmoid, nn.Sigmoid()),
    "dropped": (lambda x: F.dropout(F.relu(x), 0.5, False), nn.ReLU()),
}


class Functional(nn.Module):
    def __init__(self, function, skip):
        super().__init__()
        self.one, self.two, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 5)
        self.function, self.skip = function, skip

    def forward(self, x):
        x = F.relu(self.one(x))
        y = self.two(x) + x if self.skip else self.two(x)
        return self.fc(F.adaptive_avg_pool2d(self.function(y), 1).flatten(1))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("skip", [False, True])
def test_a_function_after_the_last_layer_is_as_a_module_there(name, skip):
    function, module = FUNCTIONS[name]
    written, built = Functional(function, skip).eval(), Functional(module, skip).eval()
    built.load_state_dict(written.state_dict(), strict=False)
    x = torch.randn(2, 3, 20, 24)
    for methods in ([GradCAM(relu=False)], [GradCAM(relu=False), CAM(), "saliency"]):
        for _ in range(2):
            a, b = (seewhy.attribute(model, x, methods, 1) for model in (written, built))
            assert torch.allclose(a["grad_cam"].values, b["grad_cam"].values, rtol=0, atol=1e-7), methods
            again = seewhy.attribute(written, x, GradCAM(a["grad_cam"].layer, relu=False), 1)
            assert torch.allclose(again.values, a["grad_cam"].values, rtol=0, atol=1e-7)
    cam = seewhy.attribute(written, x, "cam", 1)
    assert torch.allclose(
        cam.values,
        a["grad_cam"].values * cam.values.abs().amax() / a["grad_cam"].values.abs().amax(),
        atol=1e-5 * float(cam.values.abs().amax()),
    )  # for this kind of network they are proportional


class Depth(nn.Module):
    """Goes deeper on a flag, or where the pixels say so."""

    def __init__(self, by):
        super().__init__()
        self.one, self.two, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 5)
        self.by, self.deep = by, False

    def forward(self, x):
        deep = self.deep if self.by == "flag" else bool(x.mean() > 0)
        x = torch.relu(self.one(x))
        if deep:
            x = torch.relu(self.two(x))
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize("by", ["flag", "pixels"])
@pytest.mark.parametrize("methods", [["grad_cam"], ["grad_cam", "saliency", "cam"]])
def test_what_was_found_before_is_not_believed_when_it_no_longer_holds(by, methods):
    model, shallow = Depth(by).eval(), -torch.rand(1, 3, 20, 20)
    for x, deep in [(shallow, False), (-shallow, True), (shallow, False), (-shallow, True)]:
        model.deep = deep
        fresh = Depth(by).eval()
        fresh.load_state_dict(model.state_dict())
        fresh.deep = deep
        a, b = (seewhy.attribute(net, x, methods, 1) for net in (model, fresh))
        for name in methods:
            assert torch.equal(a[name].values, b[name].values)
            assert a[name].layer == b[name].layer


class Nothing(torch.autograd.Function):
    """The identity, whose backward gives no gradient."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return None


class NoGradient(nn.Module):
    """A ReLU whose result is also read by something that gives no gradient back, and one read by nothing else."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3), nn.Linear(16, 5)

    def forward(self, x):
        a, b = F.relu(self.one(x)), Nothing.apply(F.relu(self.two(x)))
        return self.fc(torch.cat([a, b], 1).mean((2, 3)))


@pytest.mark.parametrize("method", ["deconvnet", "guided_backprop", "guided_grad_cam", "saliency"])
def test_no_gradient_is_a_gradient_of_zero(method):
    model, x = NoGradient().eval(), torch.randn(1, 3, 20, 20)

    class Half(NoGradient):
        def forward(self, x):
            a, b = F.relu(self.one(x)), torch.zeros(len(x), 8, x.shape[2] - 2, x.shape[3] - 2)
            return self.fc(torch.cat([a, b], 1).mean((2, 3)))

    half = Half().eval()
    half.load_state_dict(model.state_dict())
    layer = {"layer": "one"} if method == "guided_grad_cam" else {}
    found, expected = (
        seewhy.attribute(net, x, seewhy.methods.find_method(method).__class__(**layer), 2).values
        for net in (model, half)
    )
    assert torch.allclose(found, expected, atol=1e-8)


def test_a_quantized_network_is_refused_by_name_where_a_gradient_is_needed():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), head()).eval()
    quantized = torch.ao.quantization.quantize_dynamic(model, {nn.Linear})
    for method in ("deconvnet", "guided_backprop", "saliency", "grad_cam"):
        with pytest.raises(seewhy.SeewhyError, match="quantized"):
            seewhy.attribute(quantized, torch.randn(1, 3, 20, 20), method, 1)


@pytest.mark.parametrize("target", [None, 0])
@pytest.mark.parametrize("bias", [-9.0, 9.0])
def test_one_logit_explains_the_decision_that_it_is(target, bias):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), head(classes=1)).eval()
    with torch.no_grad():
        model[1][3].bias.fill_(bias)
    x = torch.randn(2, 3, 20, 20)
    sign = -1 if target is None and bias < 0 else 1
    methods = ["grad_cam", "cam", seewhy.methods.Saliency("signed"), seewhy.methods.Occlusion(8, 8)]
    found = seewhy.attribute(model, x, methods, target)
    with torch.no_grad():
        logit = model(x)[:, 0]
    for a in found.values():
        assert torch.allclose(a.score, sign * logit, atol=1e-5)
        assert a.target.tolist() == [0, 0]
    plain = seewhy.attribute(model, x, [GradCAM(relu=False), *methods[1:]], 0)
    assert torch.allclose(found["grad_cam"].values, F.relu(sign * plain["grad_cam"].values), atol=1e-7)
    for name in ("cam", "saliency", "occlusion"):
        assert torch.allclose(found[name].values, sign * plain[name].values, atol=1e-5)


def test_a_rescorer_tells_the_scores_of_the_decision_too():
    model, x = nn.Sequential(nn.Conv2d(3, 8, 3), head(classes=1)).eval(), torch.randn(2, 3, 20, 20)
    with torch.no_grad():
        model[1][3].bias.fill_(-9.0)
    rescorer = seewhy.incremental.Rescorer(model, x)
    hidden = x.clone()
    hidden[:, :, 4:9, 2:7] = 0.5
    with torch.no_grad():
        expected, whole = -model(hidden)[:, 0], -model(x)[:, 0]
    assert torch.allclose(rescorer.score, whole, atol=1e-5)
    assert torch.allclose(rescorer.scores(torch.full((3, 5, 5), 0.5), [(4, 2)])[0], expected, atol=1e-5)


class Segmenter(nn.Module):
    def __init__(self, how):
        super().__init__()
        first, second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.trunk = nn.Sequential(first, nn.ReLU(), nn.MaxPool2d(2), second, nn.ReLU())
        self.classifier, self.up = nn.Conv2d(8, 4, 1), nn.Upsample(scale_factor=2, mode="bilinear")
        self.aux = nn.Conv2d(8, 4, 1)
        self.how = how

    def forward(self, x):
        features = self.trunk(x)
        maps = self.classifier(features)
        if self.how == "plain":
            return maps
        if self.how == "module":
            return self.up(maps)
        out = F.interpolate(maps, size=x.shape[2:], mode="bilinear")
        return {"out": out, "aux": self.aux(features)} if self.how == "dict" else out


@pytest.mark.parametrize("how", ["plain", "module", "function", "dict"])
@pytest.mark.parametrize("methods", ["grad_cam", ["grad_cam", "saliency"]])
def test_the_default_layer_of_a_segmenter_is_not_its_answer(how, methods):
    model, x = Segmenter(how).eval(), torch.randn(1, 3, 24, 24)
    for _ in range(2):
        a = seewhy.attribute(model, x, methods, lambda o: (o["out"] if isinstance(o, dict) else o)[:, 2].mean((1, 2)))
        a = a if methods == "grad_cam" else a["grad_cam"]
        assert a.layer in ("trunk", "trunk.4")


class ChannelsLast(nn.Module):
    """Works on (B, h, w, C), as Swin does."""

    def __init__(self):
        super().__init__()
        self.patch, self.norm, self.mlp = nn.Conv2d(3, 12, 4, stride=4), nn.LayerNorm(12), nn.Linear(12, 12)
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        x = self.patch(x).permute(0, 2, 3, 1)
        x = x + self.mlp(self.norm(x))
        return self.fc(x.mean((1, 2)))


class Tokens(nn.Module):
    """A vision transformer in small: a class token and registers before the patches."""

    def __init__(self, prefix):
        super().__init__()
        self.patch, self.norm, self.prefix = nn.Conv2d(3, 12, 4, stride=4), nn.LayerNorm(12), prefix
        self.first = nn.Parameter(torch.randn(1, prefix, 12))
        self.attention, self.fc = nn.MultiheadAttention(12, 2, batch_first=True), nn.Linear(12, 5)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(len(x), -1, -1), x], 1)
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return self.fc(x[:, 0] if self.prefix else x.mean(1))


def _by_hand(model, x, layer, maps):
    """Grad-CAM on maps that ``maps`` makes of what a layer gives."""
    seen = []
    handle = layer.register_forward_hook(lambda m, a, output: (output.retain_grad(), seen.append(output))[0])
    model(x.clone().requires_grad_())[:, 1].sum().backward()
    handle.remove()
    A, gradient = maps(seen[0]), maps(seen[0].grad)
    return (gradient.mean((2, 3), keepdim=True) * A).sum(1, keepdim=True).detach()


@pytest.mark.parametrize("layer", ["norm", "mlp"])
@pytest.mark.parametrize("layout", ["auto", "channels_last"])
def test_channels_last(layer, layout):
    model, x = ChannelsLast().eval(), torch.randn(2, 3, 32, 40)
    expected = _by_hand(model, x, model.get_submodule(layer), lambda t: t.permute(0, 3, 1, 2))
    a = seewhy.attribute(model, x, GradCAM(layer, layout=layout, relu=False), 1)
    assert a.values.shape == (2, 1, 8, 10)
    assert torch.allclose(a.values, expected, atol=1e-7)
    assert "channels last" in a.notes["layout"]


@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
def test_tokens(prefix):
    model, x = Tokens(prefix).eval(), torch.randn(2, 3, 32, 40)
    expected = _by_hand(model, x, model.norm, lambda t: t[:, prefix:].transpose(1, 2).reshape(2, 12, 8, 10))
    for layout in ("auto", "tokens"):
        a = seewhy.attribute(model, x, GradCAM("norm", layout=layout, relu=False), 1)
        assert torch.allclose(a.values, expected, atol=1e-7)
    with pytest.raises(LayerError, match="has no maps"):
        seewhy.attribute(model, x, GradCAM("norm", layout="channels_first"), 1)
    with pytest.raises(LayerError, match="has no maps"):
        seewhy.attribute(model, x, GradCAM("fc"), 1)


def test_a_layer_after_which_only_the_class_token_is_read_is_refused():
    class Last(Tokens):
        def __init__(self):
            super().__init__(1)
            self.final = nn.LayerNorm(12)

        def forward(self, x):
            x = self.patch(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.first.expand(len(x), -1, -1), x], 1)
            y = self.norm(x)
            return self.fc(self.final(x + self.attention(y, y, y, need_weights=False)[0])[:, 0])

    with pytest.raises(LayerError, match="first token"):
        seewhy.attribute(Last().eval(), torch.randn(1, 3, 32, 32), GradCAM("final"), 1)


@pytest.mark.parametrize(
    ("shape", "photo", "layer", "layout"),
    [
        ((1, 768, 7, 7), (224, 224), nn.Identity(), "channels_first"),
        ((1, 7, 7, 768), (224, 224), nn.Identity(), "channels_last"),
        ((1, 64, 56, 56), (224, 224), nn.Sequential(nn.Conv2d(3, 64, 1), nn.Linear(64, 64)), "channels_first"),
        ((1, 56, 56, 96), (224, 224), nn.Identity(), "channels_last"),
        ((1, 56, 56, 56), (224, 224), nn.Conv2d(3, 56, 1), "channels_first"),
        ((1, 56, 56, 56), (224, 224), nn.LayerNorm(56), "channels_last"),
        ((1, 32, 32, 26), (32, 32), nn.Conv2d(3, 32, 1), "channels_first"),
        ((1, 96, 1, 64), (32, 256), nn.Identity(), "channels_first"),
        ((1, 8, 8, 8), (32, 32), nn.ReLU(), "channels_first"),
    ],
)
def test_where_the_channels_are(shape, photo, layer, layout):
    from seewhy.core.layout import maps_of

    assert maps_of(shape, photo, layer, "layer").layout == layout
