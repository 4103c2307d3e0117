"""Every rule against whole maps: the result under a mask is what the operator gives for the masked image."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seewhy.incremental.engine import Engine, masked
from seewhy.incremental.kernels import Filter, onednn
from seewhy.incremental.pasting import pasted
from seewhy.incremental.program import trace
from seewhy.incremental.simplify import simplified


class Maps(nn.Module):
    """A function of maps, whose result is read whole."""

    def __init__(self, function, channels=None):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x).flatten(1)


def agree(function, x, boxes, ended=("flatten",)):
    """The engine's maps are the function's own, everywhere, for every box; and windows reached that far."""
    model = function if isinstance(function, nn.Module) else Maps(function)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    boxes = np.array(boxes, np.int64)
    fill = torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(5)).to(x)
    with torch.no_grad():
        program, one, _ = trace(model, lambda outputs: outputs, x, torch.cat([x, x.flip(3)]))
        engine = Engine(simplified(program))
        photo = engine.photo(x.contiguous(memory_format=torch.channels_last))
        expected = model(pasted(x, boxes, fill))
        got, _ = engine.logits(photo, masked(photo, boxes, fill))
    scale = float(expected.abs().max())
    assert torch.allclose(photo.logits, one, atol=1e-5 * scale)
    assert torch.allclose(got, expected, atol=2e-5 * scale)
    assert tuple(engine.ended) == ended
    return engine


def corners(height, width, size=3):
    """A box at each corner, one in the middle, one that covers nearly all, and one of another size."""
    a, b = height - size, width - size
    places = [(0, 0), (0, b), (a, 0), (a, b), (a // 2, b // 2)]
    return [(t, le, t + size, le + size) for t, le in places] + [(0, 1, height - 1, width), (2, 0, 3, 5)]


sizes = st.tuples(st.integers(9, 22), st.integers(9, 22))


@settings(max_examples=60, deadline=None)
@given(st.data(), sizes)
def test_convolution(data, size):
    kernel = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = data.draw(st.sampled_from([1, 1, 2]))
    padding = tuple(data.draw(st.integers(0, dilation * (k - 1))) for k in kernel)
    groups = data.draw(st.sampled_from([1, 1, 2, 16]))
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 32, kernel, stride, padding, dilation, groups, bias=data.draw(st.booleans()))
    after = data.draw(st.sampled_from([lambda y: y, F.relu, F.relu6, F.silu, torch.tanh]))
    agree(Maps(lambda x: after(conv(x))).to(torch.float32), torch.randn(1, 16, *size), corners(*size))


@settings(max_examples=40, deadline=None)
@given(st.data(), sizes)
def test_what_changed_may_be_rounded(data, size):
    """In bfloat16 a result is off by a share of what changed in it, and by nothing where nothing did."""
    kernel, stride = data.draw(st.sampled_from([1, 1, 3, 5])), data.draw(st.integers(1, 3))
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 24, kernel, stride, kernel // 2, bias=data.draw(st.booleans())).requires_grad_(False)
    active = data.draw(st.booleans())
    model = Maps(lambda x: F.relu(conv(x)) if active else conv(x))
    x, fill, boxes = torch.randn(1, 16, *size), torch.randn(16, *size), np.array(corners(*size), np.int64)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr("seewhy.incremental.kernels.WORTH_HALVING", 0)
        program, one, _ = trace(model, lambda outputs: outputs, x, torch.cat([x, x.flip(3)]))
        engine = Engine(simplified(program, half=True))
        assert type(engine.steps[0].rule).__name__.startswith("Changed")
        photo = engine.photo(x.contiguous(memory_format=torch.channels_last))
        got, _ = engine.logits(photo, masked(photo, boxes, fill))
        expected = model(pasted(x, boxes, fill))
    change = 2 * max(float(x.abs().max()), float(fill.abs().max()))
    # Of a sum of products, whose factors have 8 bits each.
    most = change * float(conv.weight.abs().sum((1, 2, 3)).max())
    assert float((got - expected).abs().max()) < 2**-7 * most
    if not active:
        same = expected == one
        assert torch.allclose(got[same], expected[same], atol=1e-5)


def test_all_that_follows_is_done_where_what_changed_is_rounded():
    """Two functions after a 1x1 convolution whose rows a depthwise one will look up."""
    torch.manual_seed(0)
    points, around = nn.Conv2d(16, 24, 1), nn.Conv2d(24, 24, 3, padding=1, groups=24)
    model = Maps(nn.Sequential(points, nn.ReLU(), nn.Hardswish(), around).requires_grad_(False))
    x, fill, boxes = torch.randn(1, 16, 12, 12), torch.randn(16, 12, 12), np.array(corners(12, 12), np.int64)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr("seewhy.incremental.kernels.WORTH_HALVING", 0)
        program, _, _ = trace(model, lambda outputs: outputs, x, torch.cat([x, x.flip(3)]))
        engine = Engine(simplified(program, half=True))
        photo = engine.photo(x.contiguous(memory_format=torch.channels_last))
        got, _ = engine.logits(photo, masked(photo, boxes, fill))
        expected = model(pasted(x, boxes, fill))
    assert float((got - expected).abs().max()) < 0.02 * float(expected.abs().max())


@pytest.mark.parametrize("size", [7, 30])
def test_a_model_of_short_numbers(size):
    """A network in bfloat16 is followed in bfloat16, and off by no more than it is itself."""
    torch.manual_seed(0)
    wide, points, last = nn.Conv2d(3, 64, 3, padding=1), nn.Conv2d(64, 64, 1), nn.Conv2d(64, 8, 3, 2, 1)
    model = Maps(lambda x: F.relu(last(F.relu(points(F.relu(wide(x))) + wide(x)))))
    for conv in (wide, points, last):
        conv.requires_grad_(False)
    x, fill, boxes = torch.randn(1, 3, size, size), torch.randn(3, size, size), np.array(corners(size, size), np.int64)
    with torch.no_grad():
        exact = model(pasted(x, boxes, fill))
        for conv in (wide, points, last):
            conv.bfloat16()
        x, fill = x.bfloat16(), fill.bfloat16()
        program, _, _ = trace(model, lambda outputs: outputs, x, torch.cat([x, x.flip(3)]))
        engine = Engine(simplified(program))
        photo = engine.photo(x.contiguous(memory_format=torch.channels_last))
        got, _ = engine.logits(photo, masked(photo, boxes, fill))
        itself = model(pasted(x, boxes, fill))
    assert got.dtype == torch.bfloat16
    assert float((got - exact).abs().max()) < 2 * float((itself - exact).abs().max())


@settings(max_examples=30, deadline=None)
@given(st.data(), sizes)
def test_a_1x1_convolution_adds_what_its_result_is_added_to(data, size):
    """One operator for both, whichever of the two terms it is, also where the other's windows are the larger ones."""
    torch.manual_seed(0)
    around, wide = nn.Conv2d(6, 16, 3, padding=1), nn.Conv2d(6, 24, 5, padding=2)
    points = nn.Conv2d(16, 24, 1, bias=data.draw(st.booleans()))
    after = data.draw(st.sampled_from([lambda y: y, F.relu, F.silu, torch.tanh]))
    last = data.draw(st.booleans())
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]))
    model = Maps(lambda x: after(wide(x) + points(F.relu(around(x))) if last else points(around(x)) + wide(x)))
    for conv in (around, wide, points):
        conv.to(dtype)
    engine = agree(model, torch.randn(1, 6, *size, dtype=dtype), corners(*size))
    names = [node.name for node in engine.program.nodes]
    assert "add" not in names
    assert names.count("conv2d") == 3


def test_a_convolution_is_not_put_off_until_what_it_reads_was_changed():
    """Its result is added to something only after its input was overwritten in place."""
    torch.manual_seed(0)
    first, points, last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 1), nn.Conv2d(4, 6, 3, padding=1)

    def function(x):
        x = first(x)
        y = points(x)
        x.tanh_()
        return y + last(x)

    x = torch.randn(1, 3, 9, 9)
    model = Maps(function)
    two = torch.cat([x, x.flip(3)])
    with torch.no_grad():
        program, _, _ = trace(model, lambda outputs: outputs, x, two)
        engine = Engine(simplified(program))
        assert torch.allclose(engine.whole(two), model(two), atol=1e-5)
    agree(model, x, corners(9, 9))


@settings(max_examples=40, deadline=None)
@given(st.data(), sizes)
def test_pooling(data, size):
    kernel = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    ceil = data.draw(st.booleans())
    x = torch.randn(1, 3, *size) - 2  # negative: zeros beyond the border would show
    if data.draw(st.booleans()):
        agree(lambda x: F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil), x, corners(*size))
    else:
        count = data.draw(st.booleans())
        agree(lambda x: F.avg_pool2d(x, kernel, stride, padding, ceil, count), x, corners(*size))


@settings(max_examples=25, deadline=None)
@given(st.data(), sizes)
def test_adaptive_pooling_and_upsampling(data, size):
    to = data.draw(st.tuples(st.integers(2, 30), st.integers(2, 30)))
    mode = data.draw(st.sampled_from(["nearest", "bilinear", "bicubic"]))
    function = data.draw(
        st.sampled_from(
            [
                lambda x: F.adaptive_avg_pool2d(x, to),
                lambda x: F.interpolate(x, size=to, mode=mode),
                lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False),
            ]
        )
    )
    agree(function, torch.randn(1, 3, *size), corners(*size))


@settings(max_examples=25, deadline=None)
@given(st.data(), sizes)
def test_a_chain_of_convolutions_and_a_skip(data, size):
    """Windows that grow, meet the border, and are joined: the residual block, with any strides."""
    torch.manual_seed(1)
    stride = data.draw(st.integers(1, 2))
    first, second = nn.Conv2d(16, 24, 3, stride, 1), nn.Conv2d(24, 24, 3, padding=1)
    skip = nn.Conv2d(16, 24, 1, stride)

    def block(x):
        x = F.relu(x)
        y = second(F.relu(first(x)))
        y += skip(x)
        return torch.cat([F.max_pool2d(F.relu(y), 2), F.avg_pool2d(y, 2)], 1)

    agree(block, torch.randn(1, 16, *size), corners(*size))


BLOCKS = {
    "batch norm": lambda: nn.Sequential(nn.BatchNorm2d(16), nn.Conv2d(16, 4, 3), nn.BatchNorm2d(4)),
    "prelu and leaky": lambda: nn.Sequential(nn.Conv2d(16, 4, 3), nn.LeakyReLU(0.2), nn.Hardswish(), nn.ELU()),
    "transposed": lambda: nn.Conv2d(16, 4, (1, 7), padding=(0, 3)),
    "same": lambda: nn.Conv2d(16, 4, 3, padding="same"),
    "upsample": lambda: nn.Sequential(nn.Conv2d(16, 4, 3, stride=2), nn.Upsample(scale_factor=2)),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_modules(name):
    block = BLOCKS[name]().eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    agree(nn.Sequential(block, nn.Flatten()), torch.randn(1, 16, 14, 18), corners(14, 18))


FUNCTIONS = {
    "sums with constants": lambda x: 2 * x + torch.arange(4.0).view(4, 1, 1) - 1,
    "products of maps": lambda x: x * torch.sigmoid(x) - x / 3,
    "channel shuffle": lambda x: F.relu(x.view(len(x), 2, 2, *x.shape[2:]).transpose(1, 2).reshape(x.shape)) * 2,
    "parts": lambda x: torch.cat([part.relu() * k for k, part in enumerate(x.chunk(2, 1))], 1),
    "slices": lambda x: F.pad(x[:, :, ::2, 1::3], (0, 0, 0, 0, 1, 2)),
    "channels cut": lambda x: x[:, 1:3] + x[:, :2],
    "rim": lambda x: F.max_pool2d(F.pad(x, (1, 2, 3, 0)), 3),
    "clamp": lambda x: x.clamp(min=-0.5).clamp_(max=0.7),
    "softplus and pow": lambda x: F.softplus(x, 2, 10) ** 2,
    "in place on a skip": lambda x: _in_place(x),
}


def _in_place(x):
    y = F.max_pool2d(x, 3, 1, 1)
    y.add_(1)
    z = F.avg_pool2d(y, 2)
    y.relu_()
    return F.interpolate(z, size=y.shape[2:]) + y


def _refuses(*args):
    raise RuntimeError("not for this processor")


def _errs(rows, *args):
    return rows + 1


@pytest.mark.parametrize("operator", [_refuses, _errs])
def test_where_onednn_lacks_an_operator(monkeypatch, operator):
    """The same numbers by torch's public functions."""
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", operator)
    monkeypatch.setattr("seewhy.incremental.kernels.onednn", onednn.__wrapped__)
    assert not onednn.__wrapped__("cpu", torch.float32)
    torch.manual_seed(0)
    blocks = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 24, 1), nn.ReLU6(), nn.Conv2d(24, 24, 3, 1, 1, groups=24),
        nn.SiLU(), nn.Conv2d(24, 8, 1, 2), nn.Tanh(), nn.Conv2d(8, 16, 3, padding=1),
    )  # fmt: skip
    engine = agree(Maps(blocks), torch.randn(1, 3, 21, 18), corners(21, 18))
    assert not any(step.node.function.fast for step in engine.steps if isinstance(step.node.function, Filter))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    agree(FUNCTIONS[name], torch.randn(1, 4, 13, 16), corners(13, 16))


def test_channels_last_blocks():
    """ConvNeXt's: permuted, normed over channels, linear layers on the last dimension, a scale, a skip."""
    conv, norm = nn.Conv2d(8, 8, 7, padding=3, groups=8), nn.LayerNorm(8)
    up, down, scale = nn.Linear(8, 16), nn.Linear(16, 8), torch.randn(8, 1, 1)

    def block(x):
        y = norm(conv(x).permute(0, 2, 3, 1))
        return x + scale * down(F.gelu(up(y))).permute(0, 3, 1, 2)

    agree(block, torch.randn(1, 8, 15, 17), corners(15, 17))


@pytest.mark.parametrize("pool", [
    lambda x: x.mean((2, 3)), lambda x: x.mean([-1, -2], keepdim=True), lambda x: F.adaptive_avg_pool2d(x, 1),
    lambda x: F.adaptive_avg_pool2d(x, (1, 1))[:, :, 0, 0],
])  # fmt: skip
def test_means_end_in_numbers(pool):
    torch.manual_seed(2)
    conv = nn.Conv2d(3, 16, 3)
    agree(Maps(lambda x: pool(F.relu(conv(x)))), torch.randn(1, 3, 17, 15), corners(17, 15), ended=())


def test_a_map_that_waits_while_another_becomes_whole():
    """Whatever the order of branches: one still in windows is needed whole before anything looked beyond them."""
    torch.manual_seed(3)
    stem, left, right = (
        nn.Conv2d(3, 16, 3, padding=1),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.Conv2d(16, 16, 25, padding=12),
    )
    point = nn.Conv2d(16, 16, 1)

    def branches(x):
        x = F.relu(stem(x))
        a, b = left(x), right(x)
        return torch.cat([F.relu(point(a)), b], 1).mean((2, 3))

    agree(Maps(branches), torch.randn(1, 3, 20, 24), [(0, 0, 16, 18), (4, 6, 20, 24)], ended=())


@settings(max_examples=30, deadline=None)
@given(st.data(), sizes)
def test_windows_are_as_small_as_can_be(data, size):
    """The window of a convolution is the bounding box of what really changed."""
    torch.manual_seed(0)
    k, s = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 3))
    p = data.draw(st.integers(0, k - 1))
    conv = nn.Conv2d(1, 1, k, s, p)
    x = torch.randn(1, 1, *size)
    boxes = np.array(corners(*size)[:5], np.int64)
    engine = agree(Maps(conv), x, boxes)
    with torch.no_grad():
        changed = (conv(pasted(x, boxes, torch.full(size, 9.0)[None])) - conv(x)).abs()[:, 0] > 1e-5
    photo = engine.photo(x)
    patches = masked(photo, boxes, x[0])
    windows = engine.steps[0].rule.spread([patches.windows])
    for mask, where in enumerate(changed):
        rows, columns = (where.any(dim).nonzero()[:, 0] for dim in (1, 0))
        if len(rows):
            assert (windows.top[mask], windows.bottom[mask]) == (int(rows[0]), int(rows[-1]) + 1)
            assert (windows.left[mask], windows.right[mask]) == (int(columns[0]), int(columns[-1]) + 1)


def test_an_operator_nobody_has_a_rule_for():
    conv = nn.Conv2d(3, 4, 3)
    agree(lambda x: F.relu(conv(x).cumsum(2)), torch.randn(1, 3, 12, 12), corners(12, 12), ended=("cumsum",))


def test_a_rule_can_be_taught():
    from seewhy.incremental.operators import RULES, rowwise

    def flipped_sign(x):
        return torch.sinh(x)

    x = torch.randn(1, 3, 12, 12)
    agree(flipped_sign, x, corners(12, 12), ended=("sinh",))
    RULES["sinh"] = rowwise.elementwise
    try:
        agree(flipped_sign, x, corners(12, 12))
    finally:
        del RULES["sinh"]
