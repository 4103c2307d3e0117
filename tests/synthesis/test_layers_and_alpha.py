"""Layers by close match, the alpha channel, the colours, and what resumes."""

import pytest
import torch
from PIL import Image
from torch import nn

import seewhy
from nets.cifar_resnet import resnet20
from nets.tiny import make
from seewhy.synthesis import objectives as o
from seewhy.synthesis.images import FourierImage, colour_mixing
from seewhy.synthesis.listening import layer_name, listening
from seewhy.synthesis.pixels import Normalization
from seewhy.synthesis.spectrum import natural

UNITS = {"mean": (0.5,) * 3, "std": (0.25,) * 3}


@pytest.mark.parametrize(
    ("given", "found"),
    [("layer2.0.conv1", "layer2.0.conv1"), ("Layer-2.0.Conv_1", "layer2.0.conv1"), ("LINEAR", "linear"),
     ("2.1.bn2", None), ("layer1.2.bn2", "layer1.2.bn2"), ("conv1", "conv1")],
)  # fmt: skip
def test_layers_by_dotted_name_or_close_match(given, found):
    if found is None:
        with pytest.raises(seewhy.SeewhyError, match="did you mean"):
            layer_name(resnet20(), given)
    else:
        assert layer_name(resnet20(), given) == found


def test_a_close_match_works_in_an_objective_and_an_ambiguous_one_is_refused():
    x = {"preset": "simonyan", "steps": 3, "size": 32, **UNITS}
    exact, close = (
        seewhy.visualize(resnet20(), objective=o.channel(name, 3), **x) for name in ("layer2.1", "Layer_2.1")
    )
    assert exact.images.shape == close.images.shape
    with pytest.raises(seewhy.SeewhyError, match="several layers"):
        seewhy.visualize(resnet20(), objective=o.channel("bn2", 3), **x)


class Siamese(nn.Module):
    """The embedding runs on the image, and on a stored reference, in either order."""

    def __init__(self, reference_first):
        super().__init__()
        self.body, self.reference_first = make()[:-1], reference_first
        self.register_buffer("reference", torch.rand(1, 3, 20, 20))

    def forward(self, x):
        asked = [self.reference.expand_as(x), x] if self.reference_first else [x, self.reference.expand_as(x)]
        a, b = (self.body(images) for images in asked)
        return torch.stack([torch.cosine_similarity(a, b), (a - b).square().sum(1)], 1)


@pytest.mark.parametrize("steps", [3, 20])
@pytest.mark.parametrize("layer", ["body.0", "body.2"])
def test_of_a_layer_that_runs_twice_the_images_own_run_is_meant(layer, steps):
    found = []
    for reference_first in (False, True):
        torch.manual_seed(0)
        model = Siamese(reference_first)
        found.append(
            seewhy.visualize(model, objective=o.channel(layer, 3), preset="olah", steps=steps, size=20, **UNITS)
        )
        with torch.no_grad():
            maps = model.body[: int(layer[-1]) + 1]((found[-1].images - 0.5) / 0.25)
        assert found[-1].history[-1] == pytest.approx(float(maps[:, 3].mean()), abs=0.3)
    assert torch.allclose(found[0].images, found[1].images, atol=1e-3)
    assert found[0].history[-1] > found[0].history[0]


def test_of_several_runs_on_the_image_the_last_is_meant_and_none_is_left_from_before():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu, self.skip = nn.ReLU(), False

        def forward(self, x):
            return self.relu(self.relu(x) - 1) if not self.skip else x

    model = Twice()
    with listening(model, frozenset({"relu"})) as activations:
        x = torch.full((1, 3, 4, 4), 3.0, requires_grad=True)
        model(x)
        assert torch.equal(activations["relu"], torch.full_like(x, 2))
        model(x.detach())  # a run that hangs on no image does not take its place
        assert activations["relu"].requires_grad
        activations.clear()
        model.skip = True
        model(x)
        with pytest.raises(seewhy.SeewhyError, match="did not run"):
            activations["relu"]


class Corner(nn.Module):
    """Only the upper left quarter of the image counts."""

    def forward(self, x):
        return torch.stack([x[:, 0, :12, :12].mean((1, 2)), x[:, 1, :12, :12].mean((1, 2))], 1)


def test_with_an_alpha_channel_only_what_matters_is_painted():
    options = {"preset": "olah", "transforms": (), "steps": 80, "size": 24, **UNITS}
    v = seewhy.visualize(Corner(), 0, alpha=0.5, **options)
    assert v.alpha.shape == (1, 1, 24, 24)
    assert 0 <= v.alpha.min() <= v.alpha.max() <= 1
    assert v.alpha[..., :12, :12].mean() > v.alpha[..., 14:, 14:].mean() + 0.2
    assert v.params["alpha"] == 0.5
    assert seewhy.visualize(Corner(), 0, **options).alpha is None
    with pytest.raises(seewhy.SeewhyError, match="alpha"):
        seewhy.visualize(Corner(), objective=o.logit(0) - o.opacity(), **options)


def test_opacity_is_what_its_weight_makes_it():
    found = [
        seewhy.visualize(make(), 1, preset="olah", alpha=alpha, steps=30, size=24, **UNITS).alpha.mean()
        for alpha in (0.0, 5.0)
    ]
    assert found[1] < found[0] - 0.1


def test_blur_counts_what_is_finer_than_it():
    scene = lambda x: o.Scene(x, None, {})  # noqa: E731
    fine = (torch.arange(32) % 2).float().expand(1, 3, 32, 32)
    coarse = torch.linspace(0, 1, 32).expand(1, 3, 32, 32)
    assert o.blur(1.5)(scene(fine)) == pytest.approx(0.25, abs=0.02)
    assert o.blur(1.5)(scene(coarse)) < 1e-3
    assert o.blur(0.4)(scene(fine)) < o.blur(1.5)(scene(fine))
    with pytest.raises(seewhy.SeewhyError, match="above zero"):
        o.blur(0)


def test_zero_is_the_networks_mean_and_colours_move_by_its_deviations():
    scale = Normalization((0.2, 0.5, 0.7), (0.1, 0.2, 0.3), torch.zeros(()))
    image = FourierImage(torch.zeros(1, 3, 16, 16), scale, 1.3)
    (variables,) = image.variables
    with torch.no_grad():
        variables.zero_()
        assert torch.allclose(scale.to_pixels(image.x()).mean((0, 2, 3)), torch.tensor([0.2, 0.5, 0.7]), atol=1e-4)
        variables[:, 0, 0, 0, 0] = 1e-3  # the first plane alone, a little brighter
        logits = scale.to_pixels(image.x()).logit()[0, :, 0, 0] - torch.tensor([0.2, 0.5, 0.7]).logit()
    mixed = colour_mixing(3, logits)[:, 0] * torch.tensor([0.1, 0.2, 0.3])
    assert torch.allclose(logits / logits.sum(), mixed / mixed.sum(), atol=0.02)


def test_uncorrelated_planes_come_out_as_colourful_as_photos():
    planes = torch.randn(3, 200_000)
    assert torch.allclose(torch.corrcoef(colour_mixing(3, planes) @ planes), natural().correlation, atol=0.01)


@pytest.mark.parametrize("preset", ["default", "olah", "maco", "yosinski"])
def test_every_preset_goes_on_from_a_saved_image(preset, tmp_path):
    first = seewhy.visualize(make(), 1, preset=preset, steps=6, size=32, **UNITS)
    array = (first.images[0] * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(array).save(tmp_path / "image.png")
    again = seewhy.visualize(make(), 1, preset=preset, steps=1, size=32, learning_rate=1e-7,
                             start=Image.open(tmp_path / "image.png"), **UNITS)  # fmt: skip
    assert (again.images - first.images).abs().max() < 0.02


def test_an_ascent_in_bfloat16_finds_about_the_same():
    model = make()
    with torch.no_grad():
        model[-1].weight.mul_(10)
    full, half = (
        seewhy.visualize(model, 2, preset="simonyan", steps=20, size=24, autocast=autocast, **UNITS)
        for autocast in (False, True)
    )
    assert half.history[-1] > half.history[0]
    assert half.score == pytest.approx(float(full.score), rel=0.1, abs=0.1)
    assert half.images.dtype == torch.float32
