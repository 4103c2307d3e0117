"""Whole networks: occlusion by windows is occlusion by definition, and what cannot be followed says so."""

import copy
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import seewhy
from seewhy.checks import awkward_networks, fingerprint
from seewhy.core.ranks import rank_correlation
from seewhy.errors import InputError, MethodError, TargetError
from seewhy.incremental import Rescorer
from seewhy.incremental.dense import Batches
from seewhy.incremental.followed import LARGEST
from seewhy.incremental.pasting import pasted
from seewhy.methods import Occlusion

TORCHVISION = [
    "alexnet", "vgg11_bn", "resnet18", "resnet50", "resnext50_32x4d", "squeezenet1_0", "squeezenet1_1",
    "densenet121", "googlenet", "inception_v3", "shufflenet_v2_x0_5", "mobilenet_v2", "mnasnet0_5", "regnet_x_400mf",
    "regnet_y_400mf", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny",
]  # fmt: skip
TIMM = [
    "resnet10t", "resnet26d", "tf_efficientnet_lite0", "repvgg_a0", "ghostnet_050", "hrnet_w18_small", "dla34",
    "mixnet_s", "rexnet_100", "res2net50_14w_8s", "darknet17", "selecsls42b", "convnextv2_atto",
]  # fmt: skip


def lively(model, size):
    """Batch norms that know their data: a random network whose scores depend on its input."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
        if hasattr(module, "inplace"):
            module.inplace = False
    model.train()
    with torch.no_grad():
        model(torch.randn(8, 3, *size))
    return model.eval()


def brute(model, x, boxes, fill, targets):
    """(M, B) by definition."""
    with torch.no_grad():
        x = x.contiguous(memory_format=torch.channels_last)  # the engine's own order, in which rounding is compared
        outputs = [model(pasted(x[b : b + 1], boxes, fill[b])) for b in range(len(x))]
    return torch.stack([getattr(o, "logits", o)[:, t] for o, t in zip(outputs, targets, strict=True)], 1)


def check(model, size=(72, 88), batch=1, targets=None):
    """In float64 the same to 1e-8 of the scores' spread; in float32 to 1e-4 of it, or to a few times what the network
    itself loses to rounding, where that is more (deep networks with random weights lose that much)."""
    x, targets = torch.randn(batch, 3, *size), targets or [2, 5][:batch]
    method = Occlusion(window=(20, 16), stride=(18, 24), engine="incremental")
    found = {}
    for dtype in (torch.float32, torch.float64):
        model.to(dtype)
        a = seewhy.attribute(model, x.to(dtype), method, targets)
        boxes = a.details["windows"].numpy()
        found[dtype] = (
            a.details["grid"].flatten(1).T.double(),
            brute(model, x.to(dtype), boxes, 0 * x, targets).double(),
        )
    (single, own), (double, expected) = found.values()
    spread = float((expected.max(0).values - expected.min(0).values).min())
    assert spread > 1e-4
    assert (double - expected).abs().max() <= 1e-8 * spread + 1e-7 * expected.abs().max()  # results are float32
    assert (single - own).abs().max() <= max(1e-4 * spread, 4 * float((own - expected).abs().max()))
    assert a.notes["engine"] == "incremental"
    return a


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(name):
    import torchvision

    extra = {"init_weights": True, "aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    size = {"inception_v3": (128, 112), "alexnet": (96, 80)}.get(name, (72, 88))
    check(lively(torchvision.models.get_model(name, num_classes=10, **extra), size), size)


@pytest.mark.parametrize("name", TIMM)
def test_timm(name):
    import timm

    size = (64, 96) if name in ("hrnet_w18_small", "dla34") else (72, 88)
    check(lively(timm.create_model(name, num_classes=10), size), size)


def test_a_batch_of_photos_each_with_its_own_class():
    import torchvision

    check(lively(torchvision.models.resnet18(num_classes=10), (64, 48)), (64, 48), batch=2, targets=[7, 1])


def test_global_attention_ends_the_windows():
    import timm

    a = check(timm.create_model("vit_tiny_patch16_224", img_size=(64, 96), num_classes=10).eval(), (64, 96))
    assert a.notes["whole_maps_from"] == "flatten"


def test_squeeze_and_excitation_ends_the_windows():
    import torchvision

    a = check(lively(torchvision.models.mobilenet_v3_small(num_classes=10), (64, 64)), (64, 64))
    assert a.notes["whole_maps_from"] == "mul"


@pytest.mark.parametrize("window", [1, 30, (50, 7)])
@pytest.mark.parametrize("stride", [13, 40])
@pytest.mark.parametrize("baseline", [0.3, (0.1, -0.2, 0.3), "blur"])
def test_any_window_stride_and_baseline(window, stride, baseline):
    """Also larger than half the photo, also further apart than they are long."""
    model, x = awkward_networks()["module_relu"][0], torch.randn(2, 3, 40, 33)
    many = [
        seewhy.attribute(model, x, Occlusion(window, stride, baseline, engine=engine), [1, 3])
        for engine in ("incremental", "dense")
    ]
    spread = float(many[1].details["grid"].max() - many[1].details["grid"].min())
    assert torch.allclose(many[0].details["grid"], many[1].details["grid"], atol=1e-4 * max(spread, 1e-3))
    assert torch.allclose(many[0].values, many[1].values, atol=1e-5)
    assert [a.notes["engine"] for a in many] == ["incremental", "dense"]


class _Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc, self.calls = nn.Conv2d(3, 8, 3), nn.Linear(8, 4), 0
        self.register_buffer("count", torch.zeros(()))

    def features(self, x):
        return F.relu(self.conv(x)).mean((2, 3))


class WritesBuffer(_Net):
    def forward(self, x):
        self.count += 1
        return self.fc(self.features(x))


class Branches(_Net):
    def forward(self, x):
        y = self.features(x)
        return self.fc(y) if y.sum() > 0 else self.fc(-y)


class CountsCalls(_Net):
    def forward(self, x):
        self.calls += 1
        return self.fc(self.features(x)) * (1 + 0.1 * (self.calls % 3))


class Autocast(_Net):
    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            y = self.features(x)
        return self.fc(y.float())


class RollsDice(_Net):
    def forward(self, x):
        return self.fc(self.features(x) + 0 * torch.rand(8))


class InPlaceOnView(_Net):
    def forward(self, x):
        y = self.conv(x)
        y[:, :4].relu_()
        return self.fc(y.mean((2, 3)))


class BatchDependent(_Net):
    def forward(self, x):
        y = self.features(x)
        return self.fc(y if len(x) == 1 else F.relu(y))


@pytest.mark.parametrize(
    ("net", "reason"),
    [(WritesBuffer, "writes to a tensor that the model keeps"), (Branches, "depend on the pixels"),
     (CountsCalls, "differs from one forward"), (Autocast, "other scores"), (RollsDice, "rolls dice"),
     (InPlaceOnView, "through a view"), (BatchDependent, "same way for two images")],
)  # fmt: skip
def test_what_cannot_be_followed_is_done_whole_and_says_why(net, reason):
    torch.manual_seed(0)
    model, x = net().eval(), torch.randn(1, 3, 16, 16)
    a = seewhy.attribute(model, x, Occlusion(6, 5), 1)
    assert a.notes["engine"] == "dense"
    assert reason in a.notes["reason"]
    with pytest.raises(MethodError, match="cannot be followed"):
        seewhy.attribute(model, x, Occlusion(6, 5, engine="incremental"), 1)
    if net is not CountsCalls:
        boxes = a.details["windows"].numpy()
        single = torch.cat([brute(model, x, boxes[i : i + 1], torch.zeros_like(x), [1]) for i in range(len(boxes))])
        if net is not BatchDependent:
            assert torch.allclose(a.details["grid"].flatten(), single[:, 0], atol=1e-5)


def test_a_target_function_is_done_whole():
    model, x = awkward_networks()["residual"]
    a = seewhy.attribute(model, x, Occlusion(5, 5), lambda outputs: outputs[:, 1] - outputs[:, 0])
    assert "target function" in a.notes["reason"]


@pytest.mark.parametrize("name", ["overwrites_input", "normalised_in_training", "branches", "functional_relu"])
def test_the_model_is_a_guest(name):
    model, x = awkward_networks()[name]
    before, given = fingerprint(model), x.clone()
    seewhy.attribute(model, x, Occlusion(5, 5, engine="incremental"), 1)
    assert fingerprint(model) == before
    assert torch.equal(x, given)

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seewhy.attribute(model, x, Occlusion(5, 5), 1, progress=stop)
    assert fingerprint(model) == before


def test_memory_is_bounded_by_the_chunk_not_by_the_masks():
    """No tensor on the way, and no sum of those alive, grows with the number of masks."""
    import torchvision

    model, x = lively(torchvision.models.squeezenet1_1(num_classes=10), (64, 64)), torch.randn(1, 3, 160, 160)
    peaks = []
    for stride in (8, 4):
        with torch.profiler.profile(profile_memory=True) as profile:
            seewhy.attribute(model, x, Occlusion(16, stride, engine="incremental"), 1)
        events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
        sizes = np.cumsum([e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())])
        assert max(e.nbytes() for e in events) <= 2 * LARGEST
        peaks.append(sizes.max())
    assert peaks[1] <= 1.5 * peaks[0]  # four times the masks
    assert peaks[1] <= 200e6


def test_whole_maps_are_made_a_few_masks_at_a_time():
    """Windows that end early, at the first squeeze-and-excitation, do not bring all masks' maps into memory."""
    import torchvision

    model, x = lively(torchvision.models.efficientnet_b0(num_classes=10), (64, 64)), torch.randn(1, 3, 128, 128)
    with torch.profiler.profile(profile_memory=True) as profile:
        seewhy.attribute(model, x, Occlusion(16, 8, engine="incremental"), 1)
    events = [e.nbytes() for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    assert max(events) <= 2 * LARGEST


class TestFastModes:
    def test_bfloat16_measures_its_error(self):
        clf = seewhy.load("efficientnet_lite0")
        x = torch.nn.functional.interpolate(torch.rand(1, 3, 14, 14), (224, 224), mode="bicubic") * 2 - 1
        exact = seewhy.attribute(clf, x, Occlusion(32, 32), 281)
        fast = seewhy.attribute(clf, x, Occlusion(32, 32, precision="bfloat16"), 281)
        assert rank_correlation(exact.details["grid"].flatten(1), fast.details["grid"].flatten(1)) >= 0.99
        error = fast.notes["measured_error"]
        assert error["masks"] == 16
        assert error["rank_correlation"] >= 0.99
        difference = (exact.details["grid"] - fast.details["grid"]).abs().max()
        assert 0 < error["largest"] <= difference + 1e-6
        assert "measured_error" not in exact.notes
        assert json.dumps(dict(fast.notes))

    def test_reach_touches_nothing_beyond_it(self):
        """A window that may not grow is the mask alone: for pointwise networks that is exact."""
        point = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
        x = torch.randn(1, 3, 24, 24)
        exact = seewhy.attribute(point, x, Occlusion(6, 6), 1)
        fast = seewhy.attribute(point, x, Occlusion(6, 6, reach=0.25), 1)
        assert torch.allclose(exact.values, fast.values, atol=1e-6)
        wide = nn.Sequential(nn.Conv2d(3, 8, 9, padding=4), *list(point)[1:])
        exact = seewhy.attribute(wide, x, Occlusion(6, 6), 1)
        fast = seewhy.attribute(wide, x, Occlusion(6, 6, reach=0.25), 1)
        assert fast.notes["measured_error"]["largest"] > 0
        assert not torch.allclose(exact.values, fast.values, atol=1e-6)

    @pytest.mark.parametrize("wrong", [{"reach": 0}, {"reach": 1.5}, {"reach": "half"}, {"precision": "int8"},
                                       {"engine": "magic"}])  # fmt: skip
    def test_wrong_settings(self, wrong):
        with pytest.raises(InputError):
            Occlusion(**wrong)

    def test_reach_belongs_to_windows(self):
        model, x = awkward_networks()["residual"]
        with pytest.raises(InputError, match="belong to windows"):
            seewhy.attribute(model, x, Occlusion(5, 5, engine="dense", reach=0.5), 1)


NOT_FOLLOWED = {"coupled", "stateful"}


class Made(TorchDispatchMode):
    """Counts the numbers that torch's operators make, views apart."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and not func.is_view:
            self.numbers += result.numel()
        return result


class Closed(nn.Module):
    """Rules out class 1."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        logits = self.model(x)
        return logits.masked_fill(torch.arange(logits.shape[1]) == 1, -torch.inf)


class TestRescorer:
    def test_any_patch_anywhere(self):
        import torchvision

        model = lively(torchvision.models.squeezenet1_1(num_classes=10), (64, 80))
        x = torch.randn(2, 3, 64, 80)
        rescorer = Rescorer(model, x, [3, 7])
        state = copy.deepcopy(model.state_dict())
        patches, corners = torch.randn(4, 3, 17, 9), [(0, 0), (47, 71), (20, 31), (47, 0)]
        got = rescorer.scores(patches, corners)
        for row, (patch, (top, left)) in enumerate(zip(patches, corners, strict=True)):
            shown = x.clone()
            shown[:, :, top : top + 17, left : left + 9] = patch
            with torch.no_grad():
                expected = model(shown)[[0, 1], [3, 7]]
            assert torch.allclose(got[row], expected, atol=1e-5)
        assert torch.allclose(rescorer.scores(x[0, :, 5:9, 6:8], [(5, 6)])[0, 0], rescorer.score[0], atol=1e-5)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
        assert torch.equal(rescorer.scores(patches, corners), got)  # it has weights of its own
        model.load_state_dict(state)

    @pytest.mark.parametrize("classes", ["all", [6, 0, 3, 6], [9], range(10)])
    @pytest.mark.parametrize("build", ["squeezenet1_1", "resnet18", "shufflenet_v2_x0_5"])
    def test_several_classes_at_once(self, build, classes):
        import torchvision

        model = lively(getattr(torchvision.models, build)(num_classes=10), (64, 80)).double()
        x = torch.randn(2, 3, 64, 80, dtype=torch.float64)
        rescorer = Rescorer(model, x, [3, 7], classes=classes)
        columns = list(range(10)) if classes == "all" else list(classes)
        patches, corners = torch.randn(3, 3, 17, 9, dtype=torch.float64), [(0, 0), (47, 71), (20, 31)]
        with torch.no_grad():
            images = [x.clone() for _ in patches]
            for image, patch, (top, left) in zip(images, patches, corners, strict=True):
                image[:, :, top : top + 17, left : left + 9] = patch
            expected, before = torch.stack([model(image) for image in images]), model(x)
        found = rescorer.logits(patches, corners)
        assert rescorer.classes.tolist() == columns
        assert torch.allclose(found, expected[:, :, columns], rtol=0, atol=1e-9)
        assert torch.allclose(rescorer.logits_before, before[:, columns], rtol=0, atol=1e-9)
        assert torch.allclose(rescorer.scores(patches, corners), expected[:, [0, 1], [3, 7]], rtol=0, atol=1e-9)

    @pytest.mark.parametrize("name", sorted(awkward_networks()))
    def test_all_classes_of_awkward_networks(self, name):
        model, x = awkward_networks()[name]
        x = x[:1]
        if name in NOT_FOLLOWED:
            with pytest.raises(MethodError, match="cannot be followed"):
                Rescorer(model, x, classes="all")
            return
        rescorer = Rescorer(model, x, classes="all")
        patch, shown = torch.randn(x.shape[1], 5, 4).to(x), x.clone()
        shown[:, :, 2:7, 3:7] = patch
        with torch.no_grad(), seewhy.record(model, shown, 0) as record:
            expected = record.logits
        assert torch.allclose(rescorer.logits(patch, [(2, 3)])[0], expected, rtol=1e-4, atol=1e-5)

    def test_one_more_class_is_one_more_row_of_the_last_layer(self):
        import torchvision

        model = lively(torchvision.models.mobilenet_v2(num_classes=100), (64, 64))
        x, patch = torch.randn(1, 3, 64, 64), torch.randn(3, 20, 20)
        made = []
        for classes in ([3], range(100)):
            rescorer = Rescorer(model, x, 3, classes=classes)
            with Made() as counter:
                rescorer.logits(patch, [(20, 20)])
            made.append(counter.numbers)
        more = made[1] - made[0]
        assert 99 <= more <= 5 * 99, "each class is a number in the last layer's result, and in copies of it"
        assert more < made[0] / 1000

    def test_a_class_that_is_ruled_out_does_not_stop_the_others(self):
        model, x = awkward_networks()["module_relu"]
        closed = Closed(model)
        rescorer = Rescorer(closed, x, 0, classes="all")
        found = rescorer.logits(torch.zeros(x.shape[1], 4, 4), [(3, 3)])
        assert (found[..., 1] == -torch.inf).all()
        assert found[..., 0].isfinite().all()

    def test_classes_that_there_are_not(self):
        model, x = awkward_networks()["module_relu"]
        for classes, match in [([99], "no such class"), ([], "no class was asked for"), (["cat"], "no names")]:
            with pytest.raises(TargetError, match=match):
                Rescorer(model, x, 0, classes=classes)
        named = seewhy.classifier(model, labels=[f"c{i}" for i in range(5)], mean=[0.0] * 3, std=[1.0] * 3, size=16)
        assert Rescorer(named, x, 0, classes=["c2", 1]).classes.tolist() == [2, 1]

    def test_what_does_not_fit_is_said(self):
        model, x = awkward_networks()["module_relu"]
        rescorer = Rescorer(model, x, 1)
        for patches, corners, match in [
            (torch.zeros(3, 4, 4), [(14, 0)], "inside the photo"), (torch.zeros(3, 4, 4), [(-1, 0)], "inside"),
            (torch.zeros(1, 4, 4), [(0, 0)], "do not fit"), (torch.zeros(3, 4, 4), [], "corners"),
            (torch.zeros(2, 3, 4, 4), [(0, 0)], "do not fit"),
        ]:  # fmt: skip
            with pytest.raises(InputError, match=match):
                rescorer.scores(patches, corners)
        with pytest.raises(MethodError, match="cannot be followed"):
            Rescorer(WritesBuffer(), x[:, :3], 1)


class TestBatches:
    def test_every_image_once_in_order(self):
        asked = []

        def scores(some):
            asked.append(some.stop - some.start)
            return torch.arange(some.start, some.stop)

        assert torch.equal(Batches(8).run(53, scores), torch.arange(53))
        assert asked == [1, 8, 8, 8, 8, 8, 8, 4]  # nothing to measure: all at once

    def test_sizes_grow_while_that_pays(self, monkeypatch):
        """On a clock of its own: batches of 4 are the fastest an image."""
        clock, asked = [0.0], []
        monkeypatch.setattr("seewhy.incremental.dense.time.perf_counter", lambda: clock[0])

        def scores(some):
            size = some.stop - some.start
            asked.append(size)
            clock[0] += size * {1: 4.0, 2: 2.0, 4: 1.0, 8: 3.0}[size]
            return torch.arange(some.start, some.stop)

        assert torch.equal(Batches(64).run(31, scores), torch.arange(31))
        assert asked == [1, 2, 4, 8, 4, 4, 4, 4]

    def test_memory_that_runs_out_halves_the_batch(self):
        asked = []

        def scores(some):
            asked.append(some.stop - some.start)
            if asked[-1] > 3:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return torch.arange(some.start, some.stop)

        batches = Batches(64)
        batches.size = 16
        assert torch.equal(batches.run(20, scores), torch.arange(20))
        assert asked[:4] == [16, 8, 4, 2]
        with pytest.raises(RuntimeError, match="no such"):
            Batches(4).run(3, lambda some: (_ for _ in ()).throw(RuntimeError("no such thing")))
