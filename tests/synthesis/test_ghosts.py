"""Ghosts differ a little from the network, which stays as it is; transforms and ghosts grow."""

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, parametrize

import seewhy
from nets.tiny import make
from seewhy.checks import fingerprint
from seewhy.synthesis import transforms as t
from seewhy.synthesis.ghosts import Ghosts
from seewhy.synthesis.schedule import scheduled
from seewhy.synthesis.streams import Streams, keys_of


def _draw(seed=0):
    return torch.Generator().manual_seed(seed)


def _streams(seed=0):
    return Streams(seed, keys_of((), 1))


def test_each_channel_that_is_read_is_off_by_its_share_in_every_look():
    eye, ghosts, streams, seen = torch.eye(400), Ghosts(0.1, channels=3), _streams(), []
    kernels = eye.view(400, 400, 1, 1)
    for _ in range(3):
        with ghosts.look(streams):
            linear = F.linear(eye, eye)
            convolution = F.conv2d(kernels, weight=kernels).view(400, 400)
            of_the_image = F.conv2d(torch.ones(1, 3, 4, 4), torch.ones(5, 3, 1, 1))
        for off in (linear, convolution):
            assert off.count_nonzero() == 400  # one factor per channel, and nothing between channels
            assert off.diagonal().std() == pytest.approx(0.1, rel=0.15)
            assert off.diagonal().mean() == pytest.approx(1, abs=0.02)
            seen.append(off.diagonal().clone())
        assert torch.equal(of_the_image, torch.full((1, 5, 4, 4), 3.0))
    assert torch.corrcoef(torch.stack(seen)).fill_diagonal_(0).abs().max() < 0.2
    assert torch.equal(eye, torch.eye(400))


def test_a_ghost_answers_a_little_differently_and_the_next_one_again():
    model = make().eval()
    x = torch.randn(2, 3, 20, 20)
    before = fingerprint(model)
    ghosts, streams = Ghosts(0.05, channels=3), _streams()

    def answer(strength=1.0):
        with torch.no_grad(), ghosts.look(streams, strength):
            return model(x)

    with torch.no_grad():
        real = model(x)
    one, two = answer(), answer()
    assert torch.equal(answer(strength=0.0), real)
    assert 0 < (one - real).abs().max() < 0.3 * real.abs().max() + 0.1
    assert not torch.equal(one, two)
    assert fingerprint(model) == before


def test_filters_of_grouped_convolutions_are_off():
    with Ghosts(0.1, channels=3).look(_streams()):
        off = F.conv2d(torch.ones(1, 6, 3, 3), torch.ones(12, 1, 3, 3), groups=6).flatten() / 9
    assert off.unique().numel() == 12
    assert off.mean() == pytest.approx(1, abs=0.1)


def test_a_look_takes_its_numbers_in_one_draw_after_the_first():
    class Counted(Streams):
        drawn = 0

        def ghost(self, count):
            type(self).drawn += count > 0
            return super().ghost(count)

    ghosts, streams, model = Ghosts(0.1, channels=3), Counted(0, keys_of((), 1)), make()
    draws = []
    for _ in range(3):
        Counted.drawn = 0
        with ghosts.look(streams):
            model(torch.ones(1, 3, 20, 20))
        draws.append(Counted.drawn)
    assert draws == [2, 1, 1]


class Wandering(nn.Module):
    """Every second forward goes another way, with other weights in another order."""

    def __init__(self):
        super().__init__()
        self.first, self.wide, self.narrow = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 1, groups=8)
        self.last, self.calls = nn.Linear(8, 5), 0

    def forward(self, x):
        self.calls += 1
        layers = [self.wide, self.narrow] if self.calls % 2 else [self.narrow, self.wide, self.narrow]
        y = torch.relu(self.first(x))
        for layer in layers:
            y = torch.relu(layer(y))
        return self.last(y.mean((2, 3)))


class Answering(nn.Module):
    """Its second weight is made of the image."""

    def __init__(self):
        super().__init__()
        self.first, self.make = nn.Conv2d(3, 8, 3), nn.Linear(3, 40)

    def forward(self, x):
        weight = self.make(x.mean((0, 2, 3))).view(5, 8, 1, 1)
        return F.conv2d(torch.relu(self.first(x)), weight).mean((2, 3))


@pytest.mark.parametrize("kind", [Wandering, Answering])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_ghosts_follow_a_network_wherever_it_goes(kind, dtype):
    torch.manual_seed(0)
    model, ghosts, streams = kind().to(dtype), Ghosts(0.1, channels=3), _streams()
    x = torch.randn(1, 3, 12, 12, dtype=dtype, requires_grad=True)
    model.requires_grad_(False)
    answers = []
    for _ in range(6):
        with ghosts.look(streams):
            y = model(x)
        assert y.dtype == dtype
        (gradient,) = torch.autograd.grad(y.sum(), x)
        assert gradient.isfinite().all()
        answers.append(y.detach())
        with ghosts.look(streams, 0.0), torch.no_grad():
            if kind is Answering:
                assert torch.equal(model(x), kind.forward(model, x))
    assert all(not torch.equal(a, b) for a, b in zip(answers, answers[2:], strict=False))


class HandWritten(nn.Module):
    """A spectral norm of someone's own, as a parametrization."""

    def forward(self, weight):
        return weight / weight.flatten(1).norm(dim=1).amax()


class Tied(nn.Module):
    """One weight for two convolutions, and a linear layer that reads a convolution's buffer."""

    def __init__(self):
        super().__init__()
        self.first, self.one, self.two = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3)
        self.two.weight = self.one.weight
        self.register_buffer("table", torch.randn(8, 8))
        self.last = nn.Linear(8, 8)
        self.last.weight = nn.Parameter(self.table)

    def forward(self, x):
        y = self.two(torch.relu(self.one(torch.relu(self.first(x)))))
        return self.last(y.mean((2, 3))) + F.linear(y.mean((2, 3)), self.table)


class Functional(nn.Module):
    """No layers at all."""

    def __init__(self):
        super().__init__()
        self.stem, self.w = nn.Parameter(torch.randn(8, 3, 3, 3)), nn.Parameter(torch.randn(8, 8, 3, 3))

    def forward(self, x):
        return F.conv2d(torch.relu(F.conv2d(x, self.stem)), weight=self.w, stride=2).mean((2, 3))


def _around(wrapped):
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), wrapped, nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Linear(8, 5))  # fmt: skip


def _parametrized():
    layer = nn.Conv2d(8, 8, 3)
    parametrize.register_parametrization(layer, "weight", HandWritten())
    return _around(layer)


GUESTS = {
    "spectral": lambda: _around(parametrizations.spectral_norm(nn.Conv2d(8, 8, 3))),
    "weight": lambda: _around(parametrizations.weight_norm(nn.Conv2d(8, 8, 3))),
    "orthogonal": lambda: _around(parametrizations.orthogonal(nn.Conv2d(8, 8, 3))),
    "hand written": _parametrized,
    "weight, by hook": lambda: _around(nn.utils.weight_norm(nn.Conv2d(8, 8, 3))),
    "spectral, by hook": lambda: _around(nn.utils.spectral_norm(nn.Conv2d(8, 8, 3))),
    "tied": Tied,
    "functional": Functional,
}


def _bytes(model):
    """Of everything that a model remembers, parametrizations' originals and power iterations among it."""
    kept = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    return {name: (id(tensor), tensor.detach().contiguous().numpy().tobytes()) for name, tensor in kept}


class Stops(nn.Module):
    """Ctrl-C in a forward."""

    def __init__(self, forward):
        super().__init__()
        self.left = forward

    def forward(self, x):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return x


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", GUESTS)
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_weights_come_back_byte_for_byte_however_they_are_made(name, training):
    torch.manual_seed(0)
    model = GUESTS[name]()
    with torch.no_grad():
        model(torch.randn(2, 3, 32, 32))  # what is made at the first forward is made
    model.train(training)
    before, weights = _bytes(model), list(model.parameters())

    def stop(step, score, x):
        if step == 2:
            raise KeyboardInterrupt

    def fail(step, score, x):
        raise RuntimeError("not mine")

    assert seewhy.visualize(model, 1, steps=3, size=32, attempts=1).score.isfinite().all()
    assert _bytes(model) == before
    assert seewhy.visualize(model, 1, steps=18, size=32, callback=stop).interrupted  # through a folded copy
    assert _bytes(model) == before
    with pytest.raises(RuntimeError, match="not mine"):
        seewhy.visualize(model, 1, steps=3, size=32, callback=fail)
    for forward in (1, 2, 4):  # to find out the channels, the first look, the third
        with pytest.raises(KeyboardInterrupt) if forward < 3 else nullcontext():
            seewhy.visualize(nn.Sequential(model, Stops(forward)), 1, steps=6, size=32)
        assert _bytes(model) == before
    assert all(a is b for a, b in zip(model.parameters(), weights, strict=True))


@pytest.mark.parametrize("name", GUESTS)
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_ghosts_differ_whatever_makes_their_weights(name):
    torch.manual_seed(0)
    model, x = GUESTS[name]().eval(), torch.randn(1, 3, 32, 32)
    ghosts, streams = Ghosts(0.2, channels=3), _streams()
    with torch.no_grad():
        real = model(x)
        with ghosts.look(streams):
            assert (model(x) - real).abs().max() > 1e-4 * real.abs().max()


def test_ctrl_c_during_a_ghosts_look_keeps_the_image_so_far():
    v = seewhy.visualize(nn.Sequential(make(), Stops(5)), 1, steps=12, size=20)
    assert v.interrupted
    assert len(v.history) == 3  # the first forward found out how many channels are read


def test_strength_goes_up_a_hill_and_eases():
    strengths = [scheduled("hill", done) for done in (0, 0.2, 0.4, 0.7, 0.85, 1.0)]
    assert strengths == pytest.approx([0.2, 0.6, 1, 1, 0.75, 0.5])
    assert scheduled("constant", 0.5) == 1
    assert scheduled("cosine", 1.0) == pytest.approx(0.1)


def test_a_graded_transform_is_weaker():
    assert t.Warp(rotate=10, scale=0.2, shift=0.1).graded(0.5) == t.Warp(rotate=5, scale=0.1, shift=0.05)
    x = torch.rand(1, 3, 16, 16)
    faint, full = (t.apply((t.Noise(0.1),), x, _draw(), strength) - x for strength in (0.1, 1.0))
    assert torch.allclose(10 * faint, full, atol=1e-4)
    assert t.RandomCrop(0.6, 1.0).graded(0.5) == t.RandomCrop(0.8, 1.0)
    assert torch.equal(t.apply((t.Mirror(),), x, _draw(), 0.1), t.apply((t.Mirror(),), x, _draw()))
