"""Threads that explain one model, or models with common parts, give what each gives alone."""

import threading
import time

import pytest
import torch
from torch import nn

import seewhy
from nets.written import head
from seewhy.checks import fingerprint
from seewhy.core import turns
from seewhy.errors import ModelError
from seewhy.incremental import Rescorer
from seewhy.methods import Occlusion

METHODS = ["saliency", "guided_backprop", "cam", "grad_cam", Occlusion(8, 8)]


@pytest.fixture
def model():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), head()]
    return nn.Sequential(*layers).train()


def photos(count):
    return torch.randn(count, 1, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def together(works):
    """What each work gives or raises, all at once."""
    found = [None] * len(works)

    def run(number):
        try:
            found[number] = works[number]()
        except Exception as error:  # noqa: BLE001
            found[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return found


def maps(model, x, methods=METHODS):
    return {name: a.values for name, a in seewhy.attribute(model, x, methods, 1).items()}


def test_four_threads_on_one_model_in_training_mode(model):
    xs, before = photos(4), fingerprint(model)
    alone = [maps(model, x) for x in xs]

    def work(x):
        return [maps(model, x) for _ in range(10)]

    for expected, found in zip(alone, together([lambda x=x: work(x) for x in xs]), strict=True):
        assert not isinstance(found, Exception), found
        for each in found:
            assert all(torch.equal(each[name], expected[name]) for name in expected)
    assert fingerprint(model) == before


def test_models_with_common_parts_wait_as_well(model):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = model

        def forward(self, x):
            return self.part(x)

    other = nn.Conv2d(3, 8, 3, padding=1)
    other.weight, other.bias = model[0].weight, model[0].bias  # tied, in another module
    tied = nn.Sequential(other, head()).train()
    nets, x = [model, Wrapped().train(), tied], photos(1)[0]
    alone = [maps(net, x, ["grad_cam"]) for net in nets]
    trainable = [p.requires_grad for net in nets for p in net.parameters()]
    found = together([lambda net=net: [maps(net, x, ["grad_cam"]) for _ in range(15)] for net in nets])
    for expected, results in zip(alone, found, strict=True):
        assert not isinstance(results, Exception), results
        assert all(torch.equal(each["grad_cam"], expected["grad_cam"]) for each in results)
    assert [p.requires_grad for net in nets for p in net.parameters()] == trainable
    assert all(part.training for net in nets for part in net.modules())


def test_other_models_do_not_wait(model):
    other = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), head())
    x = photos(1)[0]
    with seewhy.record(model, x, 1):
        (found,) = together([lambda: seewhy.attribute(other, x, "grad_cam", 1)])
    assert isinstance(found, seewhy.Attribution)


def test_the_same_thread_may_ask_again_inside_a_block(model):
    x = photos(1)[0]
    expected = seewhy.attribute(model, x, "grad_cam", 1).values
    with seewhy.record(model, x, 1):
        assert torch.equal(seewhy.attribute(model, x, "grad_cam", 1).values, expected)


def test_random_numbers_are_as_before_though_blocks_overlap():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), head())

        def forward(self, x):
            time.sleep(0.002)
            return self.net(x) + 1e-3 * torch.rand(())

    before = torch.get_rng_state()
    nets, x = [Noisy() for _ in range(4)], photos(1)[0]
    torch.set_rng_state(before)
    together([lambda net=net: [seewhy.attribute(net, x, "grad_cam", 1) for _ in range(5)] for net in nets])
    assert torch.equal(torch.get_rng_state(), before)


def test_who_waits_for_ever_is_told_by_whom(model, monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE", 0.1)
    x = photos(1)[0]
    with seewhy.record(model, x, 1):
        (found,) = together([lambda: seewhy.attribute(model, x, "grad_cam", 1)])
    assert isinstance(found, ModelError)
    assert "MainThread" in str(found)
    assert seewhy.attribute(model, x, "grad_cam", 1).values.shape == (1, 1, 16, 16)


def test_two_that_wait_for_each_other_are_told():
    nets = [nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), head()) for _ in range(2)]
    x, both = photos(1)[0], threading.Barrier(2)

    def crosswise(mine, theirs):
        with seewhy.record(mine, x, 1):
            both.wait(20)
            return seewhy.attribute(theirs, x, "grad_cam", 1)

    found = together([lambda: crosswise(*nets), lambda: crosswise(*nets[::-1])])
    assert sum(isinstance(each, ModelError) for each in found) == 1
    assert sum(isinstance(each, seewhy.Attribution) for each in found) == 1


def test_a_rescorer_serves_one_thread_at_a_time(model):
    rescorer = Rescorer(model, photos(1)[0], 1)
    patches = torch.randn(6, 3, 5, 5, generator=torch.Generator().manual_seed(2))
    corners = [[(0, 0), (2, 3)], [(4, 4), (9, 1)], [(11, 11), (0, 7)]]
    alone = [rescorer.scores(patches[2 * i : 2 * i + 2], corner) for i, corner in enumerate(corners)]

    def work(i):
        return [rescorer.scores(patches[2 * i : 2 * i + 2], corners[i]) for _ in range(40)]

    for expected, found in zip(alone, together([lambda i=i: work(i) for i in range(3)]), strict=True):
        assert not isinstance(found, Exception), found
        assert all(torch.equal(each, expected) for each in found)
