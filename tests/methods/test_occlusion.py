"""Occlusion: every pixel covered, edge windows clipped, each window scored as it would be alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import seewhy
from seewhy.core.gaussian import blur
from seewhy.methods import Occlusion
from seewhy.methods.occlusion import baseline_like, spans


@given(st.integers(1, 60), st.integers(1, 80), st.integers(1, 40))
def test_windows_cover_the_image_and_stay_inside(length, window, stride):
    found = spans(length, window, stride)
    assert found[0][0] == 0
    assert all(0 <= a < b <= length and b - a <= window for a, b in found)
    assert all(b - a == window for a, b in found[:-1])
    starts = [a for a, _ in found]
    assert starts == list(range(0, stride * len(starts), stride))
    if stride <= window:
        assert set().union(*(range(a, b) for a, b in found)) == set(range(length))
        assert len(found) == 1 or found[-2][1] < length  # no window more than needed


class Net(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.Flatten(2))
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc((self.body(x) ** 2).mean(2))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_equals_the_definition_pixel_by_pixel(data):
    """Average, over the windows that cover a pixel, of f(x) - f(x with the window hidden)."""
    torch.manual_seed(0)
    height, width = data.draw(st.tuples(st.integers(3, 9), st.integers(3, 9)))
    window, stride = (data.draw(st.tuples(st.integers(1, 10), st.integers(1, 10))) for _ in range(2))
    batch = data.draw(st.integers(1, 3))
    baseline = data.draw(st.sampled_from([0.0, -1.5, (0.1, 0.2, 0.3), torch.randn(3, height, width), "blur"]))
    model, x = Net(), torch.randn(batch, 3, height, width)
    targets = list(range(batch))
    a = seewhy.attribute(
        model, x, Occlusion(window, stride, baseline), targets, batch_size=data.draw(st.integers(1, 9))
    )

    hidden = baseline_like(x, baseline, window)
    total, count = torch.zeros(batch, height, width), torch.zeros(height, width)
    with torch.no_grad():
        clean = model(x)[range(batch), targets]
        scores = []
        for top, bottom in spans(height, window[0], stride[0]):
            for left, right in spans(width, window[1], stride[1]):
                y = x.clone()
                for i in range(top, bottom):
                    y[:, :, i, left:right] = hidden[:, :, i, left:right]
                scores.append(model(y)[range(batch), targets])
                total[:, top:bottom, left:right] += (clean - scores[-1])[:, None, None]
                count[top:bottom, left:right] += 1
    assert torch.allclose(a.values[:, 0], total / count.clamp(min=1), atol=1e-5)
    assert torch.allclose(a.details["grid"].flatten(1), torch.stack(scores, 1), atol=1e-5)
    assert torch.equal(a.details["coverage"], count)
    assert len(a.details["windows"]) == len(scores)


def test_baselines():
    x = torch.randn(2, 3, 8, 10)
    assert (baseline_like(x, 0.5, (2, 2)) == 0.5).all()
    assert baseline_like(x, (1.0, 2.0, 3.0), (2, 2))[0, :, 4, 4].tolist() == [1, 2, 3]
    assert torch.equal(baseline_like(x, x[:1], (2, 2)), x[:1].expand(2, 3, 8, 10))
    for bad in [(1.0, 2.0), torch.zeros(4, 8, 10), "blurr", None, "grey"]:
        with pytest.raises(seewhy.SeewhyError, match="baseline does not fit"):
            baseline_like(x, bad, (2, 2))


def test_blur_is_a_gaussian():
    x = torch.zeros(1, 1, 41, 41)
    x[0, 0, 20, 20] = 1
    y = blur(x, 3.0)[0, 0]
    assert y.sum() == pytest.approx(1, abs=1e-5)
    assert y[20, 23] / y[20, 20] == pytest.approx(torch.tensor(-0.5).exp().item(), abs=1e-5)
    assert torch.allclose(y, y.T)
    assert torch.allclose(blur(torch.full((1, 2, 9, 9), 0.7), 4.0), torch.full((1, 2, 9, 9), 0.7), atol=1e-6)


@pytest.mark.parametrize("bad", [0, -1, (1,), (1, 2, 3), 1.5, "7", (2, 0)])
def test_bad_windows(bad):
    with pytest.raises(seewhy.SeewhyError, match="window is in pixels"):
        Occlusion(window=bad)
    with pytest.raises(seewhy.SeewhyError, match="stride is in pixels"):
        Occlusion(window=2, stride=bad)


def test_default_window_is_a_seventh_and_progress_is_told():
    told = []
    a = seewhy.attribute(Net(), torch.randn(1, 3, 14, 28), Occlusion(), progress=lambda *step: told.append(step))
    assert a.details["windows"][0].tolist() == [0, 0, 2, 4]
    assert a.details["grid"].shape == (1, 13, 13)
    assert told[-1] == ("occlusion", 169, 169)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
