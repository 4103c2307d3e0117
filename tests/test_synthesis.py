"""Plain gradient ascent: it ascends, its penalty trades score against norm, and a seed makes it again."""

import pytest
import torch
from PIL import Image
from torch import nn

import seewhy
from nets.tiny import make
from seewhy.checks import fingerprint

GREY = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25), "preset": "simonyan"}


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
    v = seewhy.visualize(model, 0, steps=2000, size=8, l2=1.0, learning_rate=0.002, mean=(0.5,), std=(0.1,),
                         preset="simonyan")  # fmt: skip
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


CLEAR = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}


def _seen(size=32):
    photo = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(2))
    return torch.nn.functional.interpolate(photo, (size, size + 8), mode="bicubic").clamp(0.02, 0.98)


@pytest.mark.parametrize("image", ["pixels", "fourier", "phase"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_parameterization_can_reproduce_a_photo(image, channels):
    from seewhy.synthesis.images import FourierImage, PhaseImage, PixelImage
    from seewhy.synthesis.pixels import Normalization

    pixels = _seen()[:, :channels]
    scale = Normalization(CLEAR["mean"][:channels], (0.2, 0.25, 0.3)[:channels], pixels)
    x = scale.to_network(pixels)
    made = {
        "pixels": lambda: PixelImage(x),
        "fourier": lambda: FourierImage(x, scale, 1.3),
        "phase": lambda: PhaseImage(x, scale),
    }[image]()
    assert torch.allclose(scale.to_pixels(made.x().detach()), pixels, atol=1e-3)


@pytest.mark.parametrize("preset", ["default", "simonyan", "yosinski", "olah", "maco"])
def test_every_preset_ascends_and_repeats_bit_for_bit(preset):
    model = make()
    with torch.no_grad():
        model[-1].weight.mul_(10)
    rate = {"maco": 0.5}.get(preset, 0.1)
    a, b = (seewhy.visualize(model, 2, preset=preset, steps=60, size=48, learning_rate=rate, seed=3, **CLEAR)
            for _ in range(2))  # fmt: skip
    assert torch.equal(a.images, b.images)
    assert a.history[-15:].mean() > a.history[:3].mean()
    assert a.params["preset"] == preset


def _objectives():
    from seewhy.synthesis import objectives as o

    reference = torch.rand(1, 12, 9, 9)
    return {
        "logit": o.logit(1), "probability": o.probability(1), "channel": o.channel("2", 4), "neuron": o.neuron("2", 4),
        "neuron at": o.neuron("2", 4, 1, 2), "position": o.position("2", 3, 3),
        "direction": o.direction("2", torch.randn(12)), "layer": o.layer("2"), "diversity": o.diversity("2"),
        "caricature": o.match("3", reference), "inversion": o.match("3", reference, kind="inversion"),
        "less norm": -o.l2(), "less variation": -o.total_variation(), "less blur": -o.blur(2),
        "sum": o.logit(1) - 1e-3 * o.l2() + 0.5 * o.channel("2", 3) - 1, "mean": o.mean(o.logit(1)),
    }  # fmt: skip


@pytest.mark.parametrize("name", _objectives())
def test_ascent_ascends_for_every_objective(name):
    torch.manual_seed(1)
    objective = _objectives()[name]
    v = seewhy.visualize(
        make(), objective=objective, preset="simonyan", l2=0.0, steps=25, learning_rate=0.005, batch=2, size=24,
        start="noise", **CLEAR,
    )  # fmt: skip
    assert v.history[-1].mean() > v.history[0].mean(), name
    assert v.score is None
    assert v.params["objective"] == str(objective)


def test_objectives_compose_as_numbers_do():
    from seewhy.synthesis import objectives as o
    from seewhy.synthesis.objectives import Scene

    scene = Scene(torch.randn(2, 3, 8, 8), torch.randn(2, 4), {})
    a, b = o.logit(1), o.l2()
    got = (2 * a - 0.1 * b + 3)(scene)
    assert torch.allclose(got, 2 * a(scene) - 0.1 * b(scene) + 3)
    assert (a + o.layer("x")).layers == {"x"}


def test_transforms_keep_the_shape_and_do_what_they_say():
    from seewhy.synthesis import transforms as t

    x = _seen(32)
    draw = lambda: torch.Generator().manual_seed(0)  # noqa: E731
    for transform in (t.Warp(20, 0.2, 0.1), t.RandomCrop(), t.Noise(0.1), t.Colour(), t.Mirror(), t.jitter(4, 32)):
        y = transform(x, draw())
        assert y.shape == x.shape
        assert torch.equal(y, transform(x, draw()))
        assert not torch.equal(y, x)
    assert torch.allclose(t.Warp()(x, draw()), x, atol=1e-5)
    assert torch.equal(t.Framed(0.1)(x, draw()), x)
    assert t.Framed(0.1, (lambda x, generator: x.roll(3, -1),))(x, draw())[..., :3].abs().max() == 0
    square = _seen(32)[..., :32]
    quarter = t.Warp(rotate=90)
    draws = [quarter(square, torch.Generator().manual_seed(s)) for s in range(3)]
    assert all(abs(d.mean() - square.mean()) < 0.1 for d in draws)


def test_dead_relus_do_not_leave_a_grey_image():
    class Dead(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            with torch.no_grad():
                self.conv.bias.fill_(-0.3)

        def forward(self, x):
            self.maps = None
            return torch.relu(self.conv(x)).mean((2, 3))

    model = nn.Sequential(Dead(), nn.Identity())
    v = seewhy.visualize(model, objective=_first(1), preset="simonyan", steps=16, l2=0.0, learning_rate=0.1, size=12,
                         **CLEAR)  # fmt: skip
    assert v.history[0] == 0
    assert v.history[-1] > 0


def _first(index):
    from seewhy.synthesis.objectives import Objective

    return Objective("first", lambda s: s.activations["0"][:, index], frozenset({"0"}))


def test_checkpoints_patience_and_resuming():
    v = seewhy.visualize(make(), 1, preset="default", steps=12, size=24, checkpoints=(4, 8), **CLEAR)
    assert sorted(v.frames) == [4, 8]
    again = seewhy.visualize(make(), 1, preset="default", steps=1, size=24, start=v.images, learning_rate=1e-6,
                             transforms=(), **CLEAR)  # fmt: skip
    assert torch.allclose(again.images, v.images, atol=0.01)
    flat = seewhy.visualize(
        make(), 1, preset="simonyan", steps=200, size=16, l2=10.0, learning_rate=0.5, patience=5, **CLEAR
    )
    assert len(flat.history) < 200
    with pytest.raises(seewhy.SeewhyError, match="did you mean yosinski"):
        seewhy.visualize(make(), 1, preset="yosinsky")
