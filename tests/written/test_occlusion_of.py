"""Occlusion of networks as people write them: the map of the definition, whatever the engine makes of the network."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import seewhy
from nets.written import by_definition, head
from seewhy.methods import Occlusion

WINDOW = Occlusion(window=12, stride=10)


class LeNet(nn.Module):
    def __init__(self, flatten):
        super().__init__()
        self.conv1, self.conv2, self.pool = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5), nn.MaxPool2d(2)
        self.fc1, self.fc2 = nn.Linear(400, 30), nn.Linear(30, 5)
        self.flatten = flatten

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        return self.fc2(F.relu(self.fc1(self.flatten(x))))


FLATTENED = {
    "view(-1, 400)": lambda x: x.view(-1, 400),
    "view(x.size(0), -1)": lambda x: x.view(x.size(0), -1),
    "view(shape)": lambda x: x.view((x.shape[0], 400)),
    "view_as": lambda x: x.view_as(torch.empty(len(x), 400)),
    "view of channels": lambda x: x.view(len(x), 16, 25).view(len(x), 400),
    "as_strided": lambda x: x.contiguous().as_strided((len(x), 400), (400, 1)),
    "as_strided raw": lambda x: x.as_strided((len(x), 400), (400, 1)),
    "numpy": lambda x: torch.from_numpy(x.detach().numpy().reshape(-1, 400)),
    "view_as_complex": lambda x: torch.view_as_real(torch.view_as_complex(x.view(len(x), 200, 2)) * (1 + 0.5j)).view(
        len(x), 400
    ),
    "view of bytes": lambda x: x.view(torch.int32).view(torch.float32).view(len(x), 400),
    "squeeze": lambda x: x.unsqueeze(1).view(len(x), 1, 400).squeeze(1),
}


@pytest.mark.parametrize("how", FLATTENED)
@pytest.mark.parametrize("engine", ["auto", "dense"])
def test_any_way_to_flatten(how, engine):
    model, x = LeNet(FLATTENED[how]).eval(), torch.randn(1, 3, 32, 32)
    a = seewhy.attribute(model, x, Occlusion(window=12, stride=10, engine=engine), 3)
    expected = by_definition(model, x, 3)
    assert (a.values - expected).abs().max() <= 1e-4 * expected.abs().max()


class Shuffled(nn.Module):
    """Channel shuffle, as ShuffleNet does it by views, and a view after a permutation."""

    def __init__(self):
        super().__init__()
        self.conv, self.next, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), head()

    def forward(self, x):
        x = self.conv(x)
        batch, channels, height, width = x.shape
        x = (
            x.view(batch, 2, channels // 2, height, width)
            .transpose(1, 2)
            .contiguous()
            .view(batch, channels, height, width)
        )
        x = self.next(x).permute(0, 2, 3, 1).contiguous().view(batch, -1, channels)
        return self.head(x.permute(0, 2, 1).contiguous().view(batch, channels, height, width))


class Broken(nn.Module):
    """Needs torch's usual order of memory: asserts it."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3), head()

    def forward(self, x):
        assert x.is_contiguous()
        y = self.conv(x)
        assert y.stride(1) == y.shape[2] * y.shape[3]
        return self.head(y)


@pytest.mark.parametrize("build", [Shuffled, Broken])
def test_memory_order_is_the_networks_own(build):
    model, x = build().eval(), torch.randn(1, 3, 32, 32)
    expected = by_definition(model, x, 1)
    a = seewhy.attribute(model, x, WINDOW, 1)
    assert (a.values - expected).abs().max() <= 1e-4 * expected.abs().max()


class Coupled(nn.Module):
    def __init__(self, couple):
        super().__init__()
        self.conv, self.couple, self.head = nn.Conv2d(3, 8, 3), couple, head()

    def forward(self, x):
        return self.head(self.couple(self.conv(x)))


def _batch_norm():
    norm = nn.BatchNorm2d(8, track_running_stats=False)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    return norm


COUPLINGS = {
    "batch norm without statistics": _batch_norm,
    "functional batch norm": lambda: lambda x: F.batch_norm(x, None, None, training=True),
    "the batch's mean": lambda: lambda x: x - x.mean(0, keepdim=True) / 2,
    "the batch's deviation": lambda: lambda x: torch.cat([x[:, :7], x.std(0, keepdim=True, correction=0).mean()
                                                          .expand(len(x), 1, *x.shape[2:])], 1),
    "the largest of all": lambda: lambda x: x / x.abs().max(),
    "softmax over the batch": lambda: lambda x: x.softmax(0) * x,
    "attention between images": lambda: lambda x: (
        (x.flatten(1) @ x.flatten(1).T / 400).softmax(1) @ x.flatten(1)).view_as(x),
    "order in the batch": lambda: lambda x: x * (1 + torch.arange(len(x)).view(-1, 1, 1, 1)),
}  # fmt: skip


@pytest.mark.parametrize("kind", COUPLINGS)
@pytest.mark.parametrize("engine", ["auto", "dense"])
def test_images_that_see_each_other(kind, engine):
    model, x = Coupled(COUPLINGS[kind]()).eval(), torch.randn(1, 3, 32, 32)
    expected = by_definition(model, x, 2)
    a = seewhy.attribute(model, x, Occlusion(window=12, stride=10, engine=engine), 2)
    assert (a.values - expected).abs().max() <= 1e-3 * expected.abs().max() + 1e-6
    assert a.notes["engine"] == "dense"
    assert "see each other" in a.notes["reason"] or "one image a forward" in a.notes["reason"]


@pytest.mark.parametrize("kind", ["batch norm without statistics", "the largest of all"])
def test_a_batch_of_such_images_is_explained_one_by_one(kind):
    model, x = Coupled(COUPLINGS[kind]()).eval(), torch.randn(3, 3, 32, 32)
    a = seewhy.attribute(model, x, WINDOW, 2)
    expected = by_definition(model, x, 2)
    assert (a.values - expected).abs().max() <= 1e-3 * expected.abs().max()
    assert a.details["windows"].shape == (9, 4)
    assert a.details["grid"].shape == (3, 3, 3)
    assert "see each other" in a.notes["one_by_one"]


def test_batch_norms_without_statistics_are_refused_in_a_record_of_several():
    model, x = Coupled(_batch_norm()).eval(), torch.randn(3, 3, 32, 32)
    many = seewhy.attribute(model, x, ["grad_cam", "saliency"], [0, 1, 2])
    for name, a in many.items():
        for i in range(3):
            alone = seewhy.attribute(model, x[i : i + 1], name, i)
            assert torch.equal(a.values[i : i + 1], alone.values)
    with pytest.raises(seewhy.SeewhyError, match="one image at a time"), seewhy.record(model, x):
        pass


def test_the_largest_batch_is_the_networks_own():
    class Two(nn.Module):
        """Takes exactly one image at a time."""

        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 8, 3), head()

        def forward(self, x):
            if len(x) != 1:
                raise ValueError("one image, please")
            return self.head(self.conv(x))

    model, x = Two().eval(), torch.randn(1, 3, 32, 32)
    a = seewhy.attribute(model, x, WINDOW, 1)
    expected = by_definition(model, x, 1)
    assert (a.values - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_an_exported_program_of_a_fixed_batch():
    inner = nn.Sequential(nn.Conv2d(3, 8, 3), head()).eval()
    x = torch.randn(1, 3, 32, 32)
    module = torch.export.export(inner, (x,)).module()
    a = seewhy.attribute(module, x, WINDOW, 1)
    expected = by_definition(inner, x, 1)
    assert (a.values - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_quantized_networks():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 5)).eval()
    quantized = torch.ao.quantization.quantize_dynamic(model, {nn.Linear})
    x = torch.randn(1, 3, 32, 32)
    expected = by_definition(quantized, x, 1)
    a = seewhy.attribute(quantized, x, WINDOW, 1)
    assert (a.values - expected).abs().max() <= 1e-3 * expected.abs().max()


@pytest.mark.parametrize("method", [WINDOW, "cam", "grad_cam", "saliency"])
def test_autocast_gives_float32(method):
    model, x = nn.Sequential(nn.Conv2d(3, 8, 3), head()).eval(), torch.randn(1, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        a = seewhy.attribute(model, x, method, 1)
    exact = seewhy.attribute(model, x, method, 1)
    assert a.values.dtype == torch.float32
    assert (a.values - exact.values).abs().max() <= 0.2 * exact.values.abs().max()


class Autocasting(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.next, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), head()

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            x = self.next(F.relu(self.conv(x)))
        return self.head(x.float())


def test_a_network_that_sets_autocast_itself():
    model, x = Autocasting().eval(), torch.randn(1, 3, 32, 32)
    expected = by_definition(model, x, 1)
    a = seewhy.attribute(model, x, WINDOW, 1)
    assert (a.values - expected).abs().max() <= 0.1 * expected.abs().max()


class Inference(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3), head()

    @torch.inference_mode()
    def forward(self, x):
        return self.head(self.conv(x))


def test_a_forward_in_inference_mode():
    model, x = Inference().eval(), torch.randn(1, 3, 32, 32)
    expected = by_definition(model, x, 1)
    a = seewhy.attribute(model, x, WINDOW, 1)
    assert (a.values - expected).abs().max() <= 1e-4 * expected.abs().max()
    plain = nn.Sequential(model.conv, model.head)
    assert torch.allclose(seewhy.attribute(model, x, "cam", 1).values, seewhy.attribute(plain, x, "cam", 1).values)
    with pytest.raises(seewhy.SeewhyError, match="inference_mode"):
        seewhy.attribute(model, x, "grad_cam", 1)


class Stop(Exception):
    """What a caller's own callback raises."""


@pytest.mark.parametrize("flatten", ["view(-1, 400)", "numpy"])
def test_what_the_callers_callback_raises_comes_back(flatten):
    def stop(*_):
        raise Stop

    model, x = LeNet(FLATTENED[flatten]).eval(), torch.randn(1, 3, 32, 32)
    with pytest.raises(Stop):
        seewhy.attribute(model, x, WINDOW, 3, progress=stop)


def test_an_error_of_the_engine_does_not_reach_the_user(monkeypatch):
    from seewhy.incremental.engine import Engine

    def fail(*_):
        raise RuntimeError("on purpose")

    monkeypatch.setattr(Engine, "logits", fail)
    model, x = LeNet(FLATTENED["view(-1, 400)"]).eval(), torch.randn(1, 3, 32, 32)
    a = seewhy.attribute(model, x, WINDOW, 3)
    expected = by_definition(model, x, 3)
    assert (a.values - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert "on purpose" in a.notes["reason"]
    with pytest.raises(seewhy.SeewhyError, match="on purpose"):
        seewhy.attribute(model, x, Occlusion(12, 10, engine="incremental"), 3)
    with pytest.raises(seewhy.SeewhyError, match="on purpose"):
        seewhy.incremental.Rescorer(model, x, 3)
