"""Spectra are measured as they are."""

import numpy as np
import pytest
import torch
from PIL import Image

from seewhy.synthesis.images import PhaseImage
from seewhy.synthesis.pixels import Normalization
from seewhy.synthesis.spectrum import BAND, HIGH, frequencies, high_share, natural, natural_magnitudes, power_law, slope


def _noise(decay, count=4, side=160):
    white = torch.fft.rfft2(torch.randn(count, 3, side, side))
    plane = torch.fft.irfft2(white * power_law(side, side, decay), s=(side, side))
    return 0.5 + 0.05 * plane / plane.std()


@pytest.mark.parametrize("decay", [0.0, 1.0, 1.5])
def test_the_slope_of_noise_is_the_one_it_was_made_with(decay):
    assert slope(_noise(decay)).mean() == pytest.approx(-decay, abs=0.08)


def test_every_octave_of_a_slope_weighs_alike():
    white = torch.fft.rfft2(torch.randn(4, 3, 224, 224))
    frequency, knee = frequencies(224, 224).clamp(min=1 / 224), (BAND[0] * BAND[1]) ** 0.5
    bent = torch.where(frequency < knee, frequency / knee, (frequency / knee) ** 2) ** -1.0
    plane = torch.fft.irfft2(white * bent, s=(224, 224))
    assert slope(0.5 + 0.05 * plane / plane.std()).mean() == pytest.approx(-1.5, abs=0.1)


def test_white_noise_has_its_energy_where_the_waves_are():
    share = (frequencies(160, 160) > HIGH).float().mean()
    assert high_share(_noise(0.0)).mean() == pytest.approx(float(share), abs=0.02)


@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_photos_are_like_photos(name, request):
    image = (
        Image.open(request.config.rootpath / "examples" / "photos" / f"{name}.png").convert("RGB").resize((340, 224))
    )
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255
    known = natural()
    assert abs(float(slope(pixels)) - known.slope) < 2 * known.slope_deviation
    assert float(high_share(pixels)) < known.high + 2 * known.high_deviation


def test_the_table_is_interpolated_between_its_rows():
    known = natural()
    frequency = frequencies(224, 224)
    row = int((frequency[0] - known.frequency[10]).abs().argmin())
    near = natural_magnitudes(224, 224, 3)[:, 0, row] / 224
    assert torch.allclose(near, known.magnitude[:, 10], rtol=0.15)
    assert natural_magnitudes(31, 20, 1).shape == (1, 31, 11)


def test_maco_moves_phases_only():
    scale = Normalization((0.5,) * 3, (0.25,) * 3, torch.zeros(()))
    image = PhaseImage(torch.zeros(1, 3, 64, 64), scale, [torch.Generator().manual_seed(0)])
    before = image._waves(image.x().detach()).abs()
    with torch.no_grad():
        image.variables[0].add_(torch.randn(image.variables[0].shape))
    after = image._waves(image.x().detach()).abs()
    inner = frequencies(64, 64) > 0
    assert (after - before)[..., inner].abs().mean() < 0.2 * before[..., inner].mean()


def test_maco_turns_phases_less_the_further_its_variables_have_gone():
    scale = Normalization((0.5,) * 3, (0.25,) * 3, torch.zeros(()))
    image = PhaseImage(torch.zeros(2, 3, 32, 32), scale, [torch.Generator().manual_seed(seed) for seed in range(2)])
    (variables,) = image.variables
    with torch.no_grad():
        before, phases = image.x(), variables.clone()
        far = torch.tensor([1.0, 10.0]).view(2, 1, 1, 1)
        variables.copy_(3 + far * phases)
        assert torch.allclose(image.x(), before, atol=1e-3)  # neither mean nor deviation counts
        variables.add_(torch.randn(phases.shape, generator=torch.Generator().manual_seed(9)))
        moved = (image.x() - before).square().mean((1, 2, 3)).sqrt()
    assert moved[0] > 3 * moved[1]
