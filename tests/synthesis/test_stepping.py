"""How a gradient becomes a step: every option does what its source says."""

import pytest
import torch
from torch import nn

import seewhy
from nets.tiny import make
from seewhy.core.gaussian import blur
from seewhy.synthesis import Ascent, BlurEvery, Optimizer, Pixels, SmallContribution, SmallNorm, presets

UNIT = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
PLAIN = Ascent("plain", "a test", steps=1, image=Pixels(), optimizer=Optimizer("sgd", learning_rate=0.1))
START = torch.full((3, 12, 12), 0.5)


class Inner(nn.Module):
    """<w, x>: its gradient is w."""

    def __init__(self, scale=0.1):
        super().__init__()
        self.w = nn.Parameter(scale * torch.randn(3, 12, 12, generator=torch.Generator().manual_seed(0)))

    def forward(self, x):
        return (x * self.w).sum((1, 2, 3))[:, None]


def _moved(**options):
    model = Inner()
    v = seewhy.visualize(model, 0, ascent=PLAIN.but(**options), start=START, size=12, **UNIT)
    return model.w.detach(), v.images[0] - START


def test_a_plain_step_is_the_gradient():
    w, moved = _moved()
    assert torch.allclose(moved, 0.1 * w, atol=1e-6)


def test_the_gradient_is_blurred():
    w, moved = _moved(gradient_blur=1.5)
    assert torch.allclose(moved, 0.1 * blur(w[None], 1.5)[0], atol=1e-6)


def test_the_gradient_is_clipped_to_a_length():
    w, moved = _moved(gradient_clip=0.5)
    assert w.norm() > 1
    assert moved.norm() == pytest.approx(0.05, rel=1e-3)
    _, free = _moved(gradient_clip=100)
    assert torch.allclose(free, 0.1 * w, atol=1e-6)


def test_small_contributions_and_small_norms_become_zero():
    w, moved = _moved(filters=(SmallContribution(0.3),))
    image = START + moved
    gone = (image == 0).all(0)
    assert gone.float().mean() == pytest.approx(0.3, abs=0.02)
    contribution = ((START + 0.1 * w) * w).sum(0).abs()
    assert contribution[gone].max() <= contribution[~gone].min()
    _, moved = _moved(filters=(SmallNorm(0.25),))
    assert ((START + moved) == 0).all(0).float().mean() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("optimizer", ["Adam", "nadam", "rmsprop", "LBFGS", torch.optim.AdamW])
def test_any_optimizer_of_torch_ascends(optimizer):
    plan = PLAIN.but(kind=optimizer, steps=12, learning_rate=0.02)
    v = seewhy.visualize(make(), 1, ascent=plan, size=20, mean=(0.5,) * 3, std=(0.25,) * 3)
    assert v.history[-1] > v.history[0]
    assert len(v.history) == 12


def test_an_optimizer_that_is_none_is_refused():
    with pytest.raises(seewhy.SeewhyError, match="did you mean adam"):
        _moved(kind="adamv")
    with pytest.raises(seewhy.SeewhyError, match="makes no optimizer"):
        _moved(kind=lambda variables, lr: object())
    with pytest.raises(seewhy.SeewhyError, match="constant, cosine"):
        _moved(schedule="linear")


def test_a_schedule_may_be_any_function():
    w, moved = _moved(schedule=lambda done: 1 - done, steps=2)
    assert torch.allclose(moved, 0.1 * (1 + 0.5) * w, atol=1e-6)


def test_yosinski_blurs_every_fourth_step():
    assert presets.yosinski().filters == (BlurEvery(4, 1.0),)
    w, moved = _moved(filters=(BlurEvery(2, 1.0),), steps=2)
    assert torch.allclose(moved, 0.2 * blur(w[None], 1.0)[0], atol=1e-5)


@pytest.mark.parametrize("preset", ["default", "simonyan", "yosinski", "olah", "maco"])
@pytest.mark.parametrize(("channels", "side"), [(3, 32), (1, 28)])
def test_small_and_grey_networks_ascend_too(preset, channels, side):
    torch.manual_seed(1)
    body = [nn.Conv2d(channels, 8, 3), nn.BatchNorm2d(8), nn.ReLU()]
    model = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()
    with torch.no_grad():
        model[-1].weight.mul_(10)
    v = seewhy.visualize(model, 2, preset=preset, steps=40, size=side, learning_rate=0.1)
    assert v.images.shape == (1, channels, side, side)
    if preset != "maco":  # the averages of one layer hardly change with phases alone
        assert v.history[-10:].mean() > v.history[:3].mean()
    fixed = nn.Sequential(*body, nn.Flatten(), nn.Linear(8 * (side - 2) ** 2, 4)).eval()  # it takes no other size
    assert seewhy.visualize(fixed, 2, preset=preset, steps=2, size=side).images.shape == (1, channels, side, side)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_models_of_other_precision(dtype):
    v = seewhy.visualize(make().to(dtype), 1, steps=8, size=24)
    assert v.images.dtype == torch.float32
    assert torch.isfinite(v.history).all()
