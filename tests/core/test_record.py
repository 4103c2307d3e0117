"""One forward, one backward per rule, nothing kept that was not asked for, and the model as it came."""

import gc

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import seewhy
from seewhy.checks import awkward_networks, fingerprint
from seewhy.core.needs import Needs
from seewhy.core.record import recorded
from seewhy.errors import InputError, LayerError, ModelError, TargetError
from seewhy.methods import METHODS, GradCAM, Occlusion

SIX = [method.id for method in METHODS if method is not Occlusion]


class Counting(torch.autograd.Function):
    """The identity; counts the backwards that pass."""

    passed = 0

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        Counting.passed += 1
        return grad


class Counted(nn.Module):
    """A small network that counts its forwards and backwards by itself."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.fc = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 8, 3), nn.Linear(8, 4)
        self.forwards = 0

    def forward(self, x):
        object.__setattr__(self, "forwards", self.forwards + 1)
        x = F.relu(self.conv2(F.relu(self.conv1(x))), inplace=True)
        return Counting.apply(self.fc(x.mean((2, 3))))


@pytest.mark.parametrize("layer", [None, "conv2"])
def test_all_seven_cost_one_forward_and_three_backwards(layer):
    model, x = Counted(), torch.randn(2, 3, 12, 12)
    Counting.passed = 0
    methods = [GradCAM(layer) if method == "grad_cam" else method for method in SIX]
    assert len(seewhy.attribute(model, x, methods, [1, 2])) == 6
    assert (model.forwards, Counting.passed) == (1, 3)

    model.forwards, Counting.passed = 0, 0
    occlusion = Occlusion(window=6, stride=6)  # 2 x 2 masks, two images each: 8 images, in forwards of 6
    seewhy.attribute(model, x, [*methods, occlusion], [1, 2], batch_size=6)
    assert (model.forwards, Counting.passed) == (1 + 2, 3)


def _graph_below(model, x, method, layer):
    """Whether the output of ``layer`` hangs on a graph while the method runs alone."""
    seen = []
    handle = layer.register_forward_hook(lambda m, a, output: seen.append(output.requires_grad))
    seewhy.attribute(model, x, method)
    handle.remove()
    return seen


def test_grad_cam_alone_keeps_no_graph_below_its_layer():
    model, x = Counted(), torch.randn(2, 3, 12, 12)
    for _ in range(2):  # the first call searches the default layer, the second knows it
        assert _graph_below(model, x, "grad_cam", model.conv1) == [False]
        with recorded(model, x, None, GradCAM().needs()) as record:
            record.gradient()
            nodes = [
                node.name()
                for node in seewhy.core.relu_rules.nodes_of(record._forward.on_graph(record.score_of).grad_fn)
            ]
        assert not any("Convolution" in node for node in nodes)


def test_cam_alone_keeps_no_graph():
    model, x = Counted(), torch.randn(2, 3, 12, 12)
    assert _graph_below(model, x, "cam", model.fc) == [False]


def test_memory_is_let_go():
    model, x = Counted(), torch.randn(2, 3, 12, 12)
    seewhy.attribute(model, x, SIX)
    gc.collect()
    before = sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())
    for _ in range(3):
        seewhy.attribute(model, x, SIX)
    gc.collect()
    assert sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects()) <= before


@pytest.mark.parametrize("name", sorted(awkward_networks().keys() - {"coupled"}))
def test_default_layer_equals_the_same_layer_by_name(name):
    """Searching, knowing and naming the layer give the same activation and gradient, in-place ReLUs and all."""
    model, x = awkward_networks()[name]
    found = []
    for layers in ([None], [None]):
        with seewhy.record(model, x, 0, layers=layers, input_gradient=False, class_map=False) as record:
            found.append((record.activation(), record.gradient(), record.default_layer))
    layer = found[0][2]
    with seewhy.record(model, x, 0, layers=[layer]) as record:
        found.append((record.activation(layer), record.gradient(layer), layer))
    for activation, gradient, name_ in found:
        assert name_ == layer
        assert torch.equal(activation, found[0][0])
        assert torch.allclose(gradient, found[0][1], rtol=0, atol=1e-7)


def test_an_in_place_relu_does_not_change_the_captured_layer():
    model, x = Counted(), torch.randn(2, 3, 12, 12)
    expected = model.conv2(F.relu(model.conv1(x)))
    assert (expected < 0).any()
    for layers in ([None], ["conv2"]):
        with seewhy.record(model, x, layers=layers) as record:
            assert torch.allclose(record.activation("conv2"), expected, atol=1e-6)


def test_a_layer_whose_input_is_overwritten_too():
    class AddOne(nn.Module):
        def forward(self, x):
            return x.add_(1)

    class Overwriting(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.alias, self.fc = nn.Conv2d(3, 4, 3), AddOne(), nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(self.alias(self.conv(x)).mul_(2).mean((2, 3)))

    model, x = Overwriting(), torch.randn(2, 3, 8, 8)
    with seewhy.record(model, x) as record:
        assert record.default_layer == "alias"
        assert torch.equal(record.activation(), model.conv(x).detach() + 1)
        assert torch.allclose(record.gradient(), (2 / 36 * model.fc.weight[record.target])[..., None, None].detach())


def test_gradients_are_autograds():
    model, x = Counted(), torch.randn(3, 3, 10, 14)
    leaf = x.clone().requires_grad_()
    maps = model.conv2(F.relu(model.conv1(leaf)))
    maps.retain_grad()
    model.fc(F.relu(maps).mean((2, 3)))[torch.arange(3), torch.tensor([3, 0, 1])].sum().backward()
    model.zero_grad()
    with seewhy.record(model, x, [3, 0, 1], layers=["conv2"]) as record:
        assert torch.allclose(record.gradient("input"), leaf.grad, atol=1e-7)
        assert torch.allclose(record.gradient("conv2"), maps.grad, atol=1e-7)
        assert record.score.shape == (3,)
        assert record.target.tolist() == [3, 0, 1]


def test_two_layers_and_the_input_in_one_backward():
    model, x = Counted(), torch.randn(2, 3, 12, 12)
    Counting.passed = 0
    with seewhy.record(model, x, layers=["conv1", "conv2"]) as record:
        record.gradient("conv2"), record.gradient("conv1"), record.gradient("input")
    assert Counting.passed == 1
    with seewhy.record(model, x, layers=["conv1", "conv2"], input_gradient=False) as alone:
        assert torch.equal(alone.gradient("conv1"), record.gradient("conv1"))


def test_rescore_scores_each_image_for_its_own_target():
    model, x = Counted(), torch.randn(3, 3, 12, 12)
    variants = torch.randn(4, 3, 3, 12, 12)
    with torch.no_grad():
        expected = torch.stack([model(v)[torch.arange(3), torch.tensor([0, 3, 1])] for v in variants])
    for batch_size in (1, 6, 100):
        with seewhy.record(model, x, [0, 3, 1], batch_size=batch_size) as record:
            assert torch.allclose(record.rescore(variants), expected, atol=1e-6)
    with seewhy.record(model, x, lambda outputs: outputs[torch.arange(3), torch.tensor([0, 3, 1])]) as record:
        assert torch.allclose(record.rescore(variants), expected, atol=1e-6)
        with pytest.raises(InputError, match="another shape"):
            record.rescore(variants[:, :2])


def test_the_model_is_as_it_came_after_an_interrupt():
    model, x = awkward_networks()["normalised_in_training"]
    model(x).sum().backward()
    before, grads = fingerprint(model), [p.grad.clone() for p in model.parameters()]

    def interrupt(*_):
        raise KeyboardInterrupt

    handle = model.fc.register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        seewhy.attribute(model, x, SIX)
    handle.remove()
    assert fingerprint(model) == before
    with pytest.raises(ZeroDivisionError), seewhy.record(model, x):
        raise ZeroDivisionError
    assert fingerprint(model) == before
    assert all(torch.equal(a, p.grad) for a, p in zip(grads, model.parameters(), strict=True))


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_inside_any_gradient_mode(context):
    model, x = Counted(), torch.randn(2, 3, 12, 12)
    expected = seewhy.attribute(model, x, "saliency").values
    with context():
        assert torch.equal(seewhy.attribute(model, x, "saliency").values, expected)
        assert torch.equal(seewhy.attribute(model, x.clone(), "grad_cam").values, seewhy.attribute(model, x).values)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_give_float32(dtype):
    model, x = Counted().to(dtype), torch.randn(2, 3, 12, 12)
    many = seewhy.attribute(model, x, [*SIX, Occlusion(6, 6)], 1)
    exact = seewhy.attribute(model.double(), x, [*SIX, Occlusion(6, 6)], 1)
    for name, a in many.items():
        assert a.values.dtype == torch.float32
        error = (a.values - exact[name].values).abs().max() / exact[name].values.abs().max()
        assert error < (1e-5 if dtype == torch.float64 else 0.1), name


def test_what_does_not_fit_is_said():
    model, x = Counted(), torch.randn(2, 3, 12, 12)
    with pytest.raises(InputError, match=r"x\[None\]"):
        seewhy.attribute(model, x[0])
    with pytest.raises(InputError, match="floating point"):
        seewhy.attribute(model, x.byte())
    with pytest.raises(LayerError, match="did you mean conv2"):
        seewhy.attribute(model, x, GradCAM("conv_2x"))
    with pytest.raises(LayerError, match="has no maps"):
        seewhy.attribute(model, x, GradCAM("fc"))
    with pytest.raises(ModelError, match=r"not a model"):
        seewhy.attribute("resnet", x)
    with seewhy.record(model, x, layers=["conv2"]) as record:
        with pytest.raises(LayerError, match="was not recorded"):
            record.activation("conv1")
        with pytest.raises(InputError, match="no such rule"):
            record.gradient("conv2", "guidedd")
    with pytest.raises(InputError, match="closed"):
        record.gradient("conv2")


def test_a_layer_that_did_not_run():
    model, x = Counted(), torch.randn(2, 3, 12, 12)
    model.spare = nn.Conv2d(3, 3, 1)
    with pytest.raises(LayerError, match="did not run"):
        seewhy.attribute(model, x, GradCAM("spare"))


def test_nan_in_the_weights_is_refused():
    model, x = Counted(), torch.randn(2, 3, 12, 12)
    with torch.no_grad():
        model.fc.bias[1] = float("nan")
    for target in (None, 1):
        with pytest.raises(ModelError, match="NaN"):
            seewhy.attribute(model, x, "grad_cam", target)
    assert seewhy.attribute(model, x, "grad_cam", 0).values.isfinite().all()


def test_a_model_cut_off_from_its_input():
    class Frozen(Counted):
        def forward(self, x):
            with torch.no_grad():
                x = F.relu(self.conv1(x))
            return self.fc(F.relu(self.conv2(x)).mean((2, 3)))

    model, x = Frozen(), torch.randn(2, 3, 12, 12)
    assert seewhy.attribute(model, x, GradCAM("conv2")).values.any()
    with pytest.raises(ModelError, match="autograd can see"):
        seewhy.attribute(model, x, "saliency")


def test_targets():
    model, x = Counted(), torch.randn(3, 3, 12, 12)
    with torch.no_grad():
        logits = model(x)
    assert seewhy.attribute(model, x).target.tolist() == logits.argmax(1).tolist()
    assert torch.allclose(
        seewhy.attribute(model, x, target=torch.tensor([1, 0, 2])).score, logits[[0, 1, 2], [1, 0, 2]]
    )
    by_function = seewhy.attribute(model, x, "saliency", lambda outputs: outputs[:, 2])
    assert torch.equal(by_function.values, seewhy.attribute(model, x, "saliency", 2).values)
    assert by_function.target is None
    for bad, match in [
        (4, "0 to 3"), (-1, "0 to 3"), ([1, 2], "one target per image"), (1.5, "integers"), (True, "class index"),
        ("cat", r"no names of classes.*seewhy\.classifier\(module, labels="),
        (lambda outputs: outputs, "one score per image"),
    ]:  # fmt: skip
        with pytest.raises(TargetError, match=match):
            seewhy.attribute(model, x, "saliency", bad)
    with pytest.raises(InputError, match="CAM explains a class"):
        seewhy.attribute(model, x, "cam", lambda outputs: outputs[:, 2])


def test_outputs_of_other_kinds():
    from collections import namedtuple

    class Wrapped(nn.Module):
        def __init__(self, wrap):
            super().__init__()
            self.body, self.wrap = Counted(), wrap

        def forward(self, x):
            return self.wrap(self.body(x))

    x = torch.randn(2, 3, 12, 12)
    Output = namedtuple("Output", "aux logits")
    for wrap in (lambda y: (y, y * 0), lambda y: {"logits": y, "other": y * 0}, lambda y: {"only": y}, lambda y: [y],
                 lambda y: Output(y * 0, y)):  # fmt: skip
        model = Wrapped(wrap)
        expected = seewhy.attribute(model.body, x, "grad_cam")
        assert torch.allclose(seewhy.attribute(model, x, "grad_cam").values, expected.values, atol=1e-7)
    for wrap, match in [
        (lambda y: {"a": y, "b": y}, "keys a, b"), (lambda y: y[:, :, None], r"\(B, classes\)"),
        (lambda y: "no", "no tensor"),
        (lambda y: y[:1], "rows"),
    ]:  # fmt: skip
        with pytest.raises(ModelError, match=match):
            seewhy.attribute(Wrapped(wrap), x, "grad_cam")
    regression = seewhy.attribute(Wrapped(lambda y: y[:, 0]), x, "saliency", lambda outputs: outputs)
    assert torch.equal(regression.values, seewhy.attribute(Counted(), x, "saliency", 0).values) is False


def test_a_record_without_what_is_asked_says_so():
    model, x = Counted(), torch.randn(2, 3, 12, 12)
    with seewhy.record(model, x, layers=["conv1"]) as record:
        with pytest.raises(LayerError, match="no layer 'conv3'; did you mean"):
            record.gradient("conv3")
        with pytest.raises(LayerError, match="'conv2' was not recorded"):
            record.gradient("conv2")
        assert record.backwards == 0
    with recorded(model, x, None, Needs(layers=frozenset({None}))) as record:
        with pytest.raises(InputError, match="input_gradient=True"):
            record.gradient("input")
        with pytest.raises(InputError, match="layer_gradients=True"):
            record.gradient()
        with pytest.raises(InputError, match="class_map=True"):
            record.class_map()


def test_hugging_face_models():
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic")
    model = transformers.ResNetForImageClassification(config)
    x = torch.randn(2, 3, 64, 64)
    many = seewhy.attribute(model, x, [*SIX, Occlusion(32, 32)], [1, 0])
    bias = model.classifier[1].bias.detach()[[1, 0]]
    assert torch.allclose(many["cam"].values.mean((1, 2, 3)), many["cam"].score - bias, atol=1e-5)
    assert many["grad_cam"].layer.startswith("resnet.encoder")
    assert many["guided_backprop"].overridden > 0


def test_a_second_head_that_runs_last_does_not_take_the_default_layer():
    class TwoHeads(Counted):
        def __init__(self):
            super().__init__()
            self.segment = nn.Conv2d(8, 2, 1)

        def forward(self, x):
            x = F.relu(self.conv2(F.relu(self.conv1(x))))
            return {"logits": self.fc(x.mean((2, 3))), "mask": self.segment(x).relu().sigmoid()}

    model, x = TwoHeads(), torch.randn(2, 3, 12, 12)
    for _ in range(2):
        many = seewhy.attribute(model, x, ["grad_cam", "cam"], 1)
        assert many["grad_cam"].layer == "conv2 + relu"
        assert many["cam"].layer == "conv2 + relu"
        assert torch.equal(seewhy.attribute(model, x, "grad_cam", 1).values, many["grad_cam"].values)


def test_attention_is_no_map():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch, self.softmax = nn.Conv2d(3, 8, 4, stride=4), nn.Softmax(-1)
            self.layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(10)])
            self.fc = nn.Linear(8, 4)

        def forward(self, x):
            tokens = self.patch(x).flatten(2).transpose(1, 2)
            for layer in self.layers:
                attention = self.softmax((tokens @ tokens.transpose(1, 2))[:, None])
                tokens = tokens + layer(attention[:, 0] @ tokens)
            return self.fc(tokens.mean(1))

    model, x = Attention(), torch.randn(2, 3, 16, 16)
    with pytest.raises(LayerError, match="as transformers do"):
        seewhy.attribute(model, x, "grad_cam")
    assert seewhy.attribute(model, x, GradCAM("patch")).values.shape == (2, 1, 4, 4)


def test_what_was_noted_is_looked_up_again_when_the_network_changes_its_way():
    class Switch(Counted):
        deep = True

        def forward(self, x):
            x = F.relu(self.conv1(x))
            x = F.relu(self.conv2(x)) if self.deep else torch.cat([x, x[:, :2]], 1)
            return self.fc(x.mean((2, 3)))

    model, x = Switch(), torch.randn(2, 3, 12, 12)
    assert seewhy.attribute(model, x).layer == "conv2 + relu"
    model.deep = False
    assert seewhy.attribute(model, x).layer == "conv1 + relu"
    assert seewhy.attribute(model, x, "cam").layer == "conv1 + cat"


def test_a_layer_that_changes_its_own_input():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)

        def forward(self, x):
            return self.conv(F.leaky_relu_(x, 0.5)) * 1.0

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.own, self.fc = nn.Conv2d(3, 4, 3), Own(), nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(self.own(self.first(x)).relu_().mean((2, 3)))

    model, x = Net(), torch.randn(2, 3, 9, 9)
    expected = model.own(model.first(x)).detach()
    with seewhy.record(model, x) as record:
        assert record.default_layer == "own + relu"
        assert torch.allclose(record.activation(), expected.relu(), atol=1e-6)
        assert torch.allclose(record.activation("own"), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_cam_is_checked_in_half_precision_too(dtype):
    class Scaled(Counted):
        factor = 1.0

        def forward(self, x):
            return self.fc(F.relu(self.conv2(F.relu(self.conv1(x)))).mean((2, 3)) * self.factor)

    model, x = Scaled().to(dtype), torch.randn(2, 3, 12, 12)
    assert seewhy.attribute(model, x, "cam", 1).values.isfinite().all()
    model.factor = 1.1
    with pytest.raises(seewhy.SeewhyError, match="CAM does not apply"):
        seewhy.attribute(model, x, "cam", 1)


def test_nothing_runs_after_the_record_is_closed():
    model, x = Counted().train(), torch.randn(2, 3, 12, 12)
    with seewhy.record(model, x) as record:
        pass
    before = model.forwards
    with pytest.raises(InputError, match="closed"):
        record.rescore(x[None])
    assert model.forwards == before


def test_no_forward_takes_more_images_than_the_batch_size():
    sizes = []
    model, x = Counted(), torch.randn(5, 3, 12, 12)
    model.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    small = seewhy.attribute(model, x, Occlusion(6, 6), [0, 1, 2, 3, 0], batch_size=2)
    assert max(sizes[1:]) == 2
    large = seewhy.attribute(model, x, Occlusion(6, 6), [0, 1, 2, 3, 0], batch_size=100)
    assert torch.allclose(small.values, large.values, atol=1e-6)


def test_models_that_cannot_be_explained_are_named():
    x = torch.randn(2, 3, 12, 12)
    with torch.inference_mode():
        inference = Counted()
    for model, match in [
        (torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())), "TorchScript"), (inference, "inference_mode"),
        (nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten()), "lazy"), (Counted().to("meta"), "meta device"),
    ]:  # fmt: skip
        with pytest.raises(ModelError, match=match):
            seewhy.attribute(model, x, "saliency")
    for wrong in (Counted(), ["conv2"]):
        with pytest.raises(LayerError, match="dotted name"):
            GradCAM(layer=wrong)


def test_buffers_that_are_added_resized_or_replaced_are_put_back():
    class Restless(Counted):
        def __init__(self):
            super().__init__()
            self.register_buffer("grid", torch.zeros(3))

        def forward(self, x):
            self.grid.resize_(7).fill_(1)
            self.register_buffer("extra", x.detach().mean())
            return super().forward(x)

    model, x = Restless(), torch.randn(2, 3, 12, 12)
    before = fingerprint(model)
    seewhy.attribute(model, x, SIX)
    assert fingerprint(model) == before
    assert "extra" not in model.state_dict()


def test_a_module_compiled_in_place():
    model, x = Counted(), torch.randn(2, 3, 12, 12)
    expected = seewhy.attribute(model, x, "guided_backprop", 1)
    model.compile(backend="eager")
    assert torch.equal(seewhy.attribute(model, x, "guided_backprop", 1).values, expected.values)
