"""On a CUDA device: the maps of the CPU, the guest as it came, autocast, ascents. Skipped where there is none."""

import copy

import pytest
import torch
from torch import nn

import seewhy
from nets.written import by_definition, head
from seewhy.checks import awkward_networks, fingerprint
from seewhy.errors import SeewhyError
from seewhy.methods import Occlusion

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

METHODS = ["saliency", "deconvnet", "guided_backprop", "cam", "grad_cam", "guided_grad_cam", Occlusion(6, 5)]


@pytest.fixture
def whole_float32(monkeypatch):
    """TensorFloat-32, the default of convolutions on a GPU, rounds to ten bits, which is no fault of ours."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)


MOVED = [name for name in awkward_networks() if name != "kept_from_inference"]
"""That one keeps a tensor as a plain attribute, which ``.cuda()`` leaves on the CPU."""


def conv_net(channels=16):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(),
              nn.Conv2d(channels, 8, 3, padding=1), head()]  # fmt: skip
    return nn.Sequential(*layers).eval()


@pytest.mark.usefixtures("whole_float32")
@pytest.mark.parametrize("name", MOVED)
@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_map_is_the_same_as_on_the_cpu(name, method):
    model, x = awkward_networks()[name]
    x = x[:1]  # some of these networks let the images of a batch see each other
    on_gpu = copy.deepcopy(model).cuda()
    before = fingerprint(on_gpu)
    try:
        wanted = seewhy.attribute(model, x, method, 1).values
    except SeewhyError as error:
        with pytest.raises(type(error)):
            seewhy.attribute(on_gpu, x.cuda(), method, 1)
    else:
        found = seewhy.attribute(on_gpu, x.cuda(), method, 1).values.cpu()
        assert torch.allclose(found, wanted, atol=1e-4 * float(wanted.abs().max()) + 1e-6)
    assert fingerprint(on_gpu) == before


@pytest.mark.usefixtures("whole_float32")
@pytest.mark.parametrize("engine", ["auto", "dense", "incremental"])
def test_occlusion_is_its_definition(engine):
    model, x = conv_net(), torch.randn(1, 3, 32, 32)
    a = seewhy.attribute(model.cuda(), x.cuda(), Occlusion(12, 10, engine=engine), 2)
    wanted = by_definition(model.cpu(), x, 2)
    assert torch.allclose(a.values.cpu().reshape(32, 32), torch.as_tensor(wanted).reshape(32, 32), atol=1e-4)


@pytest.mark.parametrize("engine", ["auto", "dense"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_gives_float32_maps(engine, dtype):
    model, x = conv_net().cuda(), torch.randn(1, 3, 32, 32, device="cuda")
    methods = ["saliency", "cam", "grad_cam", Occlusion(12, 10, engine=engine)]
    plain = seewhy.attribute(model, x, methods, 2)
    with torch.autocast("cuda", dtype):
        half = seewhy.attribute(model, x, methods, 2)
    for name, a in half.items():
        assert a.values.dtype == torch.float32
        assert torch.allclose(a.values, plain[name].values, atol=0.1 * float(plain[name].values.abs().max())), name


def test_the_random_state_of_the_device_is_kept():
    model, x = conv_net().cuda(), torch.randn(1, 3, 32, 32, device="cuda")
    before = torch.cuda.get_rng_state()
    seewhy.attribute(model, x, ["grad_cam", Occlusion(12, 10)], 2)
    seewhy.visualize(model, 2, steps=4, size=32, attempts=1)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_state_that_a_forward_writes_is_put_back():
    class Writes(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = conv_net()
            self.register_buffer("n", torch.zeros(3))

        def forward(self, x):
            self.n.data.add_(1)
            return self.net(x)

    model, x = Writes().cuda(), torch.randn(1, 3, 32, 32, device="cuda")
    for _ in range(3):
        seewhy.attribute(model, x, "grad_cam", 2)
    assert model.n.tolist() == [0, 0, 0]


def test_an_ascent_ascends_and_a_picture_is_its_own():
    model = conv_net().cuda()
    two = seewhy.visualize(model, [1, 2], steps=24, size=32, attempts=1)
    one = seewhy.visualize(model, [2], steps=24, size=32, attempts=1)
    assert two.history[-1, 0] > two.history[0, 0]
    assert (two.images[1:].cpu() - one.images.cpu()).abs().max() < 0.05


class Averaging(nn.Module):
    """Each image's maps are moved by the mean over the batch, a little."""

    def __init__(self, share):
        super().__init__()
        self.first, self.rest, self.share = nn.Conv2d(3, 8, 3, padding=1), head(), share

    def forward(self, x):
        x = self.first(x)
        return self.rest(x + self.share * x.mean(0, keepdim=True))


def deep_net(blocks=40):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 64, 3, padding=1)]
    for _ in range(blocks):
        layers += [nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()]
    net = nn.Sequential(*layers, head(64)).train()
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = None
    net(torch.randn(16, 3, 32, 32))
    return net.eval()


def test_the_rounding_of_a_gpu_is_not_taken_for_coupling():
    model, x = deep_net().cuda(), torch.randn(1, 3, 32, 32, device="cuda")
    a = seewhy.attribute(model, x, Occlusion(12, 10), 2)
    assert a.notes["reason"] == "whole images go faster on a GPU"


@pytest.mark.parametrize("share", [0.3, 0.01])
def test_images_that_see_each_other_go_one_by_one(share):
    torch.manual_seed(0)
    model, x = Averaging(share).cuda().eval(), torch.randn(1, 3, 32, 32, device="cuda")
    a = seewhy.attribute(model, x, Occlusion(12, 10), 2)
    assert "one image a forward" in a.notes["reason"]
