"""A picture does not depend on what else is asked: streams, starts, transforms, whole ascents."""

import pytest
import torch
from torch import nn

import seewhy
from nets.tiny import make
from seewhy.synthesis import PRESETS
from seewhy.synthesis import objectives as o
from seewhy.synthesis import transforms as t
from seewhy.synthesis.images import FourierImage, TransparentImage
from seewhy.synthesis.pixels import Normalization, starting_image
from seewhy.synthesis.streams import BLOCK, Streams, keys_of, normal, starting_streams

UNITS = {"mean": (0.5,) * 3, "std": (0.25,) * 3}
SCALE = Normalization((0.5,) * 3, (0.25,) * 3, torch.zeros(()))


class Own:
    """A transform as a user writes it: one draw for all images it is called with, of their whole shape."""

    def __call__(self, x, generator):
        shift = int(torch.randint(-3, 4, (), generator=generator))
        return x.roll(shift, -1) + 0.1 * torch.randn(x.shape, generator=generator).to(x)


CHANGES = {
    "warp": t.Warp(15, 0.2, 0.05), "crop": t.RandomCrop(0.7, 1.0), "noise": t.Noise(0.1), "colour": t.Colour(),
    "mirror": t.Mirror(), "blur": t.Blur(2), "jitter": t.jitter(4, 20), "own": Own(),
    "framed": t.Framed(0.1, (t.Warp(scale=0.1), Own(), t.Warp(rotate=9))),
}  # fmt: skip


def test_what_an_image_is_of_and_its_number_among_these_tell_it_apart():
    assert keys_of([(5, 7, 5)], 3) == [((5,), 0), ((7,), 0), ((5,), 1)]
    assert keys_of([5], 2) == [((5,), 0), ((5,), 1)]
    assert keys_of([], 2) == [((), 0), ((), 1)]
    assert keys_of([(1, 1), 4, (2, 3)], 2) == [((1, 4, 2), 0), ((1, 4, 3), 0)]
    assert (o.logit([1, 2]) + 0.1 * o.channel("2", 4) - o.l2()).of == ((1, 2), 4)
    assert o.mean(o.neuron("2", [3, 4])).of == ((3, 4),)


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_of_an_image_is_the_same_in_any_company(name):
    x = torch.rand(4, 3, 20, 24, generator=torch.Generator().manual_seed(1))
    keys, change = keys_of([(3, 1, 3, 2)], 4), CHANGES[name]
    together = Streams(7, keys)
    alone = [Streams(7, [key]) for key in keys]
    for look in range(3):
        of_all = t.apply((change, t.Mirror(), change), x, together, 0.7)
        for row, streams in enumerate(alone):
            of_one = t.apply((change, t.Mirror(), change), x[row : row + 1], streams, 0.7)
            assert torch.allclose(of_all[row], of_one[0], atol=1e-6), (look, row)
    assert not torch.allclose(of_all[0] - x[0], of_all[2] - x[2]) or name in (
        "blur",
        "mirror",
    )  # two of one class differ


def test_draws_are_equal_to_the_last_bit_also_where_a_block_ends():
    keys = keys_of([(3, 1)], 2)
    together, second = Streams(0, keys), Streams(0, keys[1:])
    for count in (5, BLOCK - 9, 8, 2 * BLOCK, 1):
        assert torch.equal(together.uniform(count)[1:], second.uniform(count))
        like = torch.empty(2, 3, 7, 9)
        assert torch.equal(together.normal(like)[1:], second.normal(like[1:]))
        assert torch.equal(together.ghost(count), second.ghost(count))
        assert torch.equal(torch.rand(count, generator=together), torch.rand(count, generator=second))


def test_streams_are_uniform_normal_and_unlike_each_other():
    streams = Streams(0, keys_of([(1, 2)], 2))
    uniform, noise = streams.uniform(20_000), streams.normal(torch.empty(2, 20_000))
    assert uniform.mean(1).sub(0.5).abs().max() < 0.01
    assert uniform.var(1).sub(1 / 12).abs().max() < 0.005
    assert noise.mean(1).abs().max() < 0.03
    assert noise.std(1).sub(1).abs().max() < 0.03
    for pair in (uniform, noise, torch.stack([noise[0], streams.ghost(20_000)])):
        assert torch.corrcoef(pair)[0, 1].abs() < 0.03
    assert not torch.equal(Streams(1, keys_of([(1, 2)], 2)).uniform(9), Streams(0, keys_of([(1, 2)], 2)).uniform(9))


def test_starts_are_the_same_in_any_company():
    keys = keys_of([(9, 4, 9)], 3)
    like = torch.zeros(3, 3, 16, 20)
    together = starting_image("noise", SCALE, 3, (16, 20), starting_streams(3, keys))
    waves = FourierImage(like, SCALE, 1.5, noise=starting_streams(3, keys)).variables[0]
    for row, key in enumerate(keys):
        assert torch.equal(together[row], starting_image("noise", SCALE, 1, (16, 20), starting_streams(3, [key]))[0])
        assert torch.equal(
            waves[row], FourierImage(like[:1], SCALE, 1.5, noise=starting_streams(3, [key])).variables[0][0]
        )
    assert not torch.equal(together[0], together[2])
    assert torch.equal(normal(starting_streams(0, keys), like), normal(starting_streams(0, keys), like))


def test_what_shines_through_an_alpha_channel_is_the_same_in_any_company():
    keys = keys_of([(9, 4)], 2)

    def shown(keys):
        like = torch.zeros(len(keys), 3, 16, 16)
        image = TransparentImage(FourierImage(like, SCALE, 1.5), torch.full_like(like[:, :1], 0.5), 1.5)
        return image.shown(image.x(), Streams(0, keys))

    assert torch.allclose(shown(keys)[1], shown(keys[1:])[0], atol=1e-6)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_row_of_a_batch_is_the_picture_asked_for_alone(preset):
    """To what rounding grows to in a few steps, in float64."""
    options = {"preset": preset, "steps": 6, "size": 20, "seed": 5, "attempts": 1, **UNITS}
    model = make().double()
    together = seewhy.visualize(model, [2, 0, 2, 3], **options)
    for row, target in ((0, 2), (1, 0), (3, 3)):
        alone = seewhy.visualize(model, target, **options)
        assert (together.images[row] - alone.images[0]).abs().max() < 1e-6
        assert (together.history[:, row] - alone.history[:, 0]).abs().max() < 1e-6
    pair = seewhy.visualize(model, [2, 2], **options)
    assert (together.images[2] - pair.images[1]).abs().max() < 1e-6
    same = torch.equal(pair.images[0], pair.images[1])
    assert same == (preset in ("simonyan", "yosinski"))  # from grey, without changes, chance has no part


def test_channels_and_what_is_asked_beside_a_class_too():
    options = {"steps": 5, "size": 20, "seed": 1, **UNITS, "transforms": (t.Warp(9, 0.1, 0.1), Own()), "alpha": 0.1}
    model = make().double()
    together = seewhy.visualize(model, objective=o.channel("2", [7, 4, 7]), **options)
    alone = seewhy.visualize(model, objective=o.channel("2", 4), **options)
    assert (together.images[1] - alone.images[0]).abs().max() < 1e-6
    assert (together.alpha[1] - alone.alpha[0]).abs().max() < 1e-6
    together = seewhy.visualize(model, [1, 2], objective=o.neuron("0", [3, 5]), **options)
    alone = seewhy.visualize(model, 2, objective=o.neuron("0", 5), **options)
    assert (together.images[1] - alone.images[0]).abs().max() < 1e-6


def test_a_network_whose_images_see_each_other_is_refused_by_name():
    def net(**options):
        body = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, **options), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*body, nn.Linear(8, 5))

    options = {"steps": 2, "size": 20, "attempts": 1}
    with pytest.raises(seewhy.SeewhyError, match=r"other images of its batch.*batch=1"):
        seewhy.visualize(net(track_running_stats=False), [1, 2], **options)
    assert len(seewhy.visualize(net(track_running_stats=False), 1, **options).images) == 1
    assert len(seewhy.visualize(net(), [1, 2], **options).images) == 2


def test_a_transform_that_makes_several_images_of_one_is_refused():
    with pytest.raises(seewhy.SeewhyError, match="one image"):
        seewhy.visualize(make(), 1, steps=1, size=20, transforms=(lambda x, generator: x.repeat(2, 1, 1, 1),))
