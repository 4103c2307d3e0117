"""A program that is kept gives what a new one would give, and does not outlive its truth."""

import gc
import threading

import pytest
import torch
from torch import nn

import seewhy
from seewhy.api import run
from seewhy.checks import awkward_networks
from seewhy.core.needs import Needs
from seewhy.core.record import recorded
from seewhy.errors import InputError
from seewhy.incremental import Programs
from seewhy.methods import Occlusion

WAY = Occlusion(6, 5)


def occluded(model, x, target, programs=None, way=WAY):
    """The map, and how many forwards the model made."""
    with recorded(model, x, target, Needs(), programs=programs) as record:
        return run(way, record), record.forwards


def same(model, x, target, programs, way=WAY):
    """Whether the program was used again; and it gives what a new one gives, bit for bit."""
    fresh, cost = occluded(model, x, target, None, way)
    kept, spent = occluded(model, x, target, programs, way)
    assert torch.equal(fresh.values, kept.values)
    assert torch.equal(fresh.details["grid"], kept.details["grid"])
    assert kept.notes == fresh.notes
    assert spent <= cost
    return spent < cost


FOLLOWED = ["module_relu", "functional_relu", "overwrites_input", "residual", "branches", "flattened"]


@pytest.mark.parametrize("name", FOLLOWED)
@pytest.mark.parametrize("way", [WAY, Occlusion(6, 5, engine="dense"), Occlusion(6, 5, reach=0.5)], ids=str)
def test_the_next_photo_needs_no_tracing(name, way):
    model, x = awkward_networks()[name]
    programs = Programs()
    assert not same(model, x, 1, programs, way)
    for photos, target in ((x, 1), (x.flip(0) * 1.5, 0), (x[:1] + 0.3, None), (x, seewhy.Versus([0, 1, 2], [2, 0, 1]))):
        assert same(model, photos, target, programs, way)
    assert len(programs) == 1


def _in_place(model):
    with torch.no_grad():
        next(model.parameters()).mul_(1.01)


def _unseen(model):
    next(model.parameters()).data.view(-1)[0].add_(1e-4)


def _swapped(model):
    """The sum of the bits stays: they are read eight bytes at a time."""
    weights = next(model.parameters()).data.view(-1)
    weights[[0, 1, 2, 3]] = weights[[2, 3, 0, 1]].clone()


def _new_data(model):
    parameter = next(model.parameters())
    parameter.data = parameter.data * 1.01


def _layer(model):
    name, layer = next((name, layer) for name, layer in model.named_children() if isinstance(layer, nn.Conv2d))
    new = nn.Conv2d(layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding)
    new.load_state_dict({**new.state_dict(), **layer.state_dict()})
    setattr(model, name, new)


def _hook(model):
    model.register_forward_pre_hook(lambda module, args: (args[0] * 1.1,))


@pytest.mark.parametrize("change", [_in_place, _unseen, _new_data, _layer, _hook])
def test_whatever_is_changed_is_traced_anew(change):
    model, x = awkward_networks()["functional_relu"]
    programs = Programs()
    occluded(model, x, 1, programs)
    assert same(model, x, 1, programs)
    change(model)
    assert not same(model, x, 1, programs)
    assert same(model, x, 1, programs)


def test_weights_that_only_change_places_are_noticed_by_what_they_give():
    model, x = awkward_networks()["functional_relu"]
    programs = Programs()
    occluded(model, x, 1, programs)
    _swapped(model)
    fresh, cost = occluded(model, x, 1)
    kept, spent = occluded(model, x, 1, programs)
    assert torch.equal(fresh.values, kept.values)
    assert spent == cost


class Gated(nn.Module):
    """Which way it goes hangs on the pixels, and on attributes."""

    def __init__(self, how):
        super().__init__()
        torch.manual_seed(2)
        self.conv, self.other, self.fc = nn.Conv2d(3, 6, 3), nn.Conv2d(3, 6, 3), nn.Linear(6, 4)
        self.how, self.level = how, [0.0]

    def forward(self, x):
        if self.how == "branches" and x.mean() > 0:
            return self.fc(self.other(x).relu().mean((2, 3)))
        if self.how == "unseen" and float(x.detach().numpy().mean()) > 0:
            return self.fc(self.other(x).relu().mean((2, 3)))
        x = self.conv(x)
        return self.fc(torch.where(x > self.level[0], x, torch.zeros_like(x)).mean((2, 3)))


@pytest.mark.parametrize("how", ["branches", "unseen"])
def test_a_network_that_branches_on_its_input_stays_right(how):
    model, programs = Gated(how).eval(), Programs()
    photos = torch.randn(4, 3, 14, 14) * 0.1 + torch.tensor([0.5, -0.5, 0.5, -0.5])[:, None, None, None]
    for x in photos.split(1):
        fresh, kept = occluded(model, x, 1)[0], occluded(model, x, 1, programs)[0]
        dense, _ = occluded(model, x, 1, None, Occlusion(6, 5, engine="dense"))
        assert torch.equal(fresh.values, kept.values)
        assert (kept.values - dense.values).abs().max() <= 1e-4 * dense.values.abs().max()


def test_a_plain_attribute_that_is_changed_is_noticed():
    """All values of the photo lie above both levels, those under a mask do not: its logits tell nothing."""
    model, programs = Gated("level").eval(), Programs()
    with torch.no_grad():
        model.conv.weight.abs_()
        model.conv.bias.zero_()
    x = torch.rand(1, 3, 14, 14) + 5
    occluded(model, x, 1, programs)
    assert same(model, x, 1, programs)
    model.level[0] = 0.5
    assert not same(model, x, 1, programs)


def test_another_size_type_and_memory_order_are_other_programs():
    model, x = awkward_networks()["residual"]
    programs = Programs()
    for photos in (x, x[..., :13], x.contiguous(memory_format=torch.channels_last)):
        assert not same(model, photos[:1], 1, programs) or photos.shape[1] == 1
        assert same(model, photos[:1], 1, programs)
    assert not same(model.double(), x[:1].double(), 1, programs)


@pytest.mark.parametrize("training", [True, False])
def test_training_flags_make_no_difference(training):
    """A model is in evaluation mode while it is explained, whatever it was."""
    model, x = awkward_networks()["normalised_in_training"]
    programs = Programs()
    occluded(model.train(training), x, 1, programs)
    fresh, _ = occluded(model.train(not training), x, 1)
    kept, _ = occluded(model.train(not training), x, 1, programs)
    assert torch.equal(fresh.values, kept.values)
    assert model.training is not training


def test_they_are_bounded_and_go_with_their_models():
    programs = Programs(most=2)
    models = [awkward_networks()[name] for name in FOLLOWED[:4]]
    for model, x in models:
        occluded(model, x, 1, programs)
    assert len(programs) == 2
    assert same(*models[3], 1, programs)
    assert not same(*models[0], 1, programs)
    del models, model, x
    gc.collect()
    assert len(programs) == 0
    for most in (0, -1, True, 1.5):
        with pytest.raises(InputError, match="cannot be kept"):
            Programs(most)


def test_threads_share_them():
    nets = [awkward_networks()[name] for name in ("residual", "branches")]
    programs, failed = Programs(most=1), []
    expected = [occluded(model, x, 1)[0].values for model, x in nets]

    def work(number):
        try:
            for _ in range(5):
                assert torch.equal(occluded(*nets[number], 1, programs)[0].values, expected[number])
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number % 2,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
