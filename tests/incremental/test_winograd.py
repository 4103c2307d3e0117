"""Winograd's tiles give the convolution itself."""

from unittest import mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from incremental.test_rules import Maps, agree, corners
from seewhy.incremental.engine import Engine
from seewhy.incremental.operators.changing import ChangedConvolution
from seewhy.incremental.operators.tiled import SIDES, TiledConvolution
from seewhy.incremental.patches import Base
from seewhy.incremental.program import trace
from seewhy.incremental.scratch import Scratch
from seewhy.incremental.simplify import simplified
from seewhy.incremental.winograd import TAPS, Winograd, tiling, transforms


@pytest.mark.parametrize("side", range(2, 8))
def test_a_line(side):
    """A' [(G g) * (B' d)] is the correlation of d with g, for any number of results."""
    into, taps, back = transforms(side)
    d, g = torch.randn(side + 2, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    assert torch.allclose(back @ ((taps @ g) * (into @ d)), F.conv1d(d[None, None], g[None, None])[0, 0], atol=1e-12)


@given(st.sampled_from(SIDES), st.integers(1, 13), st.integers(1, 13), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_rectangles(side, height, width, count):
    """Rectangles of any size, cut into tiles, one after the other."""
    weight = torch.randn(5, 4, 3, 3, dtype=torch.float64)
    winograd = Winograd(weight, side, Scratch())
    down, across = tiling(side, height, width)
    seen = down * side + TAPS - 1, across * side + TAPS - 1
    x = torch.randn(count, *seen, 4, dtype=torch.float64)
    index = np.arange(count * seen[0] * seen[1], dtype=np.int32).reshape(count, *seen)
    results = winograd(x.view(-1, 4), winograd.places(index))
    got = results[torch.from_numpy(winograd.results(count, height, width))].view(count, height, width, 5)
    expected = F.conv2d(x.permute(0, 3, 1, 2), weight).permute(0, 2, 3, 1)[:, :height, :width]
    assert torch.allclose(got, expected, atol=1e-10)


@pytest.mark.parametrize("side", SIDES)
def test_what_rounding_costs(side):
    """In float32 at most a hundred-thousandth of the results' spread, in the root mean square."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 128, 3, 3, generator=generator)
    tiles = torch.randn(50 * (side + 2) ** 2, 128, generator=generator).relu()
    places = np.arange(len(tiles), dtype=np.int32)
    single = Winograd(weight, side, Scratch())(tiles, places)
    double = Winograd(weight.double(), side, Scratch())(tiles.double(), places)
    assert (single - double).square().mean().sqrt() <= 1e-5 * double.std()


@given(st.data(), st.tuples(st.integers(9, 22), st.integers(9, 22)))
@settings(max_examples=30, deadline=None)
def test_windows_in_tiles(data, size):
    """What changed, in tiles, wherever the windows lie: also where they would not pay."""
    padding = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 24, 3, 1, padding, bias=data.draw(st.booleans()))
    after = data.draw(st.sampled_from([lambda y: y, F.relu, F.silu]))
    with mock.patch.object(TiledConvolution, "_pays", return_value=True):
        engine = agree(Maps(lambda x: after(conv(x))), torch.randn(1, 16, *size), corners(*size))
    (rule,) = [step.rule for step in engine.steps if isinstance(step.rule, TiledConvolution)]
    assert rule._winograd is not None


def test_whole_maps_in_tiles():
    """The convolution itself, from what differs from the photo's own map."""
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 24, 3, padding=1)
    engine = agree(Maps(lambda x: F.relu(conv(x))), torch.randn(1, 16, 9, 11), corners(9, 11))
    (rule,) = [step.rule for step in engine.steps if isinstance(step.rule, TiledConvolution)]
    x, map = torch.randn(3, 16, 9, 11), torch.randn(1, 16, 9, 11)
    with torch.no_grad(), mock.patch.object(rule, "_pays", return_value=True):
        got = rule.whole(x.contiguous(memory_format=torch.channels_last), Base.of(map, rule.place))
        assert torch.allclose(got, F.relu(conv(x)), atol=1e-5)
    assert rule.whole(x, Base.of(map, rule.place)) is None  # so few channels are cheaper by themselves


def test_tiles_are_for_many_channels():
    """As reckoned: 7 x 7 maps of 512 channels in tiles, of 16 not, nor one small window, for which weights are read."""

    def rule(channels):
        conv = nn.Conv2d(channels, channels, 3, padding=1)
        engine = agree(Maps(conv), torch.randn(1, channels, 7, 7), [(0, 0, 2, 2), (3, 3, 6, 6)])
        return next(step.rule for step in engine.steps if isinstance(step.rule, TiledConvolution))

    many, few = rule(512), rule(16)
    assert many._pays(7, 7, 64)
    assert not few._pays(7, 7, 64)
    assert not many._pays(4, 4, 1)


def test_short_numbers_are_not_for_tiles():
    """In bfloat16 the transforms would lose more than the weights have."""
    program, _, _ = trace(
        Maps(nn.Conv2d(16, 16, 3, padding=1).bfloat16()), lambda outputs: outputs,
        torch.randn(1, 16, 9, 9).bfloat16(), torch.randn(2, 16, 9, 9).bfloat16(),
    )  # fmt: skip
    rules = [type(step.rule) for step in Engine(simplified(program)).steps]
    assert ChangedConvolution in rules
    assert TiledConvolution not in rules


def test_scratch_is_used_again():
    scratch, like = Scratch(), torch.empty(0)
    first = scratch.take("a", (4, 6), like)
    assert scratch.take("a", (3, 5), like).data_ptr() == first.data_ptr()
    assert scratch.take("b", (3, 5), like).data_ptr() != first.data_ptr()
    assert scratch.take("a", (5, 6), like).shape == (5, 6)
    assert scratch.take("a", (2, 2), like.double()).dtype == torch.float64
