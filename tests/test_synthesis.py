"""Plain gradient ascent: it ascends, its penalty trades score against norm, and a seed makes it again."""

import pytest
import torch
from PIL import Image
from torch import nn

import seewhy
from nets.tiny import make
from seewhy.checks import fingerprint

GREY = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}


def test_the_ascent_of_the_notes_rises():
    v = seewhy.visualize(make(), 2, steps=40, size=20, **GREY)
    assert v.history.shape == v.objective.shape == (40, 1)
    assert (v.objective.diff(dim=0) > 0).all()
    assert v.history[-1] > v.history[0] + 0.05
    assert v.images.shape == (1, 3, 20, 20)
    assert 0 <= v.images.min() <= v.images.max() <= 1


def test_one_step_is_the_gradient_of_the_objective():
    model = make()
    start = torch.rand(3, 20, 20) * 0.5 + 0.25
    x = ((start - 0.5) / 0.25)[None].requires_grad_()
    J = model(x)[0, 1] - 0.01 * x.square().sum()
    (gradient,) = torch.autograd.grad(J, x)
    expected = x.detach() + 0.02 * gradient / gradient.square().mean().sqrt()
    v = seewhy.visualize(model, 1, steps=1, size=20, start=start, l2=0.01, **GREY)
    assert torch.allclose(v.images, (expected * 0.25 + 0.5).clamp(0, 1), atol=1e-6)
    assert torch.allclose(v.objective[0, 0], J, atol=1e-5)


def test_lambda_trades_score_against_norm():
    found = [seewhy.visualize(make(), 0, steps=80, size=20, l2=l2, **GREY) for l2 in (0.0, 1e-3, 1e-2)]
    norms = [((v.images - 0.5) / 0.25).square().sum().item() for v in found]
    assert norms[0] > norms[1] > norms[2]
    assert found[0].score > found[1].score > found[2].score


def test_an_optimum_known_on_paper():
    """argmax <w, I> - l2 ||I||^2 is w / (2 l2)."""

    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.randn(1, 8, 8))

        def forward(self, x):
            return (x * self.w).sum((1, 2, 3))[:, None]

    model = Inner()
    v = seewhy.visualize(model, 0, steps=2000, size=8, l2=1.0, learning_rate=0.002, mean=(0.5,), std=(0.1,))
    assert torch.allclose((v.images[0] - 0.5) / 0.1, model.w.detach() / 2, atol=0.02)


def test_a_seed_makes_it_again_and_another_does_not():
    a, b, c = (seewhy.visualize(make(), 1, steps=5, size=16, start="noise", seed=s, **GREY) for s in (7, 7, 8))
    assert torch.equal(a.images, b.images)
    assert not torch.equal(a.images, c.images)
    assert a.params["seed"] == 7


def test_a_batch_is_its_images_one_by_one():
    together = seewhy.visualize(make(), [0, 3], steps=6, size=16, **GREY)
    for row, target in enumerate([0, 3]):
        alone = seewhy.visualize(make(), target, steps=6, size=16, **GREY)
        assert torch.allclose(together.images[row], alone.images[0], atol=1e-5)
    assert together.target.tolist() == [0, 3]


def test_starts():
    photo = Image.new("RGB", (20, 20), (200, 30, 90))
    v = seewhy.visualize(make(), 1, steps=1, size=20, start=photo, learning_rate=1e-6, **GREY)
    assert torch.allclose(v.images[0, :, 5, 5], torch.tensor([200, 30, 90]) / 255, atol=1e-4)
    for bad, match in [
        ("gray", "no start"),
        (torch.zeros(3, 5, 5), "does not fit"),
        (torch.ones(3, 20, 20) * 2, "0, 1"),
    ]:
        with pytest.raises(seewhy.SeewhyError, match=match):
            seewhy.visualize(make(), 1, steps=1, size=20, start=bad, **GREY)


def test_shown_score_is_of_the_shown_image():
    model = make()
    v = seewhy.visualize(model, 1, steps=30, size=16, learning_rate=0.5, **GREY)
    with torch.no_grad():
        logits = model((v.images - 0.5) / 0.25)
    assert torch.allclose(v.score, logits[:, 1], atol=1e-4)
    assert torch.allclose(v.probability, logits.softmax(1)[:, 1], atol=1e-4)


def test_the_model_is_as_it_was_also_on_ctrl_c_which_keeps_the_image():
    model = make().train()
    before = fingerprint(model)

    def stop(step, score, image):
        if step == 3:
            raise KeyboardInterrupt

    v = seewhy.visualize(model, 1, steps=50, size=16, callback=stop, **GREY)
    assert v.interrupted
    assert len(v.history) == 4
    assert fingerprint(model) == before
    assert len(seewhy.visualize(model, 1, steps=50, size=16, callback=lambda *_: True, **GREY).history) == 1


@pytest.mark.parametrize(
    ("wrong", "match"),
    [({"steps": 0}, "above zero"), ({"l2": -1}, "not below"), ({"parameterization": "wavelet"}, "parameterization"),
     ({"size": 0}, "pixels"), ({"mean": (0.5,), "std": (0.5, 0.5)}, "mean and std")],
)  # fmt: skip
def test_what_does_not_fit_is_said(wrong, match):
    with pytest.raises(seewhy.SeewhyError, match=match):
        seewhy.visualize(make(), 1, **{"steps": 1, "size": 16, **GREY, **wrong})
    with pytest.raises(seewhy.SeewhyError, match="needs a target"):
        seewhy.visualize(make(), None, **GREY)
