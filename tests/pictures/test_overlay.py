"""A map lies where it belongs, and says what it is."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from seewhy.errors import InputError
from seewhy.pictures import MapPanel, Scale, overlay
from seewhy.pictures.colormaps import COLORMAPS, table
from seewhy.pictures.overlay import REMEMBERED, _blended, _packed, blended, is_fine, one_channel, stretched, upsample

cells = st.integers(1, 7)
native = st.tuples(cells, cells).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-100, 100, width=32))
)


@settings(deadline=None)
@given(native, st.integers(1, 9), st.integers(1, 9))
def test_upsampling_has_half_pixel_centres(values, times_h, times_w):
    height, width = values.shape[0] * times_h + times_h // 2, values.shape[1] * times_w + times_w // 3
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None], (height, width), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(upsample(values, (width, height)), wanted[0, 0].numpy(), atol=1e-3)


@pytest.mark.parametrize("view", [np.asfortranarray, lambda v: v[::-1, ::-1], lambda v: v.astype(np.float64)])
def test_upsampling_reads_any_memory_layout(view):
    values = view(np.arange(12, dtype=np.float32).reshape(3, 4))
    np.testing.assert_array_equal(upsample(values, (4, 3)), values)


@given(arrays(np.float32, (3, 4, 5), elements=st.floats(-9, 9, width=32)))
def test_one_channel_keeps_the_largest_magnitude_with_its_sign(values):
    reduced = one_channel(values)
    np.testing.assert_array_equal(np.abs(reduced), np.abs(values).max(axis=0))
    assert (reduced[None] == values).any(axis=0).all()


@pytest.mark.parametrize("shape", [(5,), (1, 1, 4, 4), (0, 4, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(InputError, match="shape"):
        one_channel(np.zeros(shape))


@pytest.mark.parametrize("size", [(320, 160), (160, 320), (224, 224)])
def test_the_overlay_has_the_size_of_the_photo(size):
    assert overlay(Image.new("RGB", size), np.ones((1, 5, 10))).size == size


def saturation(picture):
    pixels = np.asarray(picture).astype(int)
    return pixels.max(axis=2) - pixels.min(axis=2)


def test_colour_is_where_the_value_is():
    values = np.zeros((8, 4), np.float32)
    values[1, 3] = 1
    colour = saturation(overlay(Image.new("RGB", (64, 128), (90, 140, 60)), values))
    assert np.unravel_index(colour.argmax(), colour.shape)[0] in range(16, 32)
    assert np.unravel_index(colour.argmax(), colour.shape)[1] in range(48, 64)
    assert colour[64:].max() == 0  # the photo itself is grey where nothing is


def test_the_photo_is_seen_through_the_strongest_colour():
    photo = Image.fromarray(np.repeat(np.tile([[0, 255]], (64, 32))[..., None], 3, axis=2).astype(np.uint8))
    drawn = np.asarray(overlay(photo, np.ones((4, 4)))).astype(int).sum(axis=2)
    assert drawn[:, 1::2].min() > drawn[:, ::2].max() + 60


def test_for_and_against_have_different_colours():
    drawn = np.asarray(overlay(Image.new("RGB", (64, 64), "grey"), np.array([[-1.0, 1.0]]))).astype(int)
    assert drawn[32, 4, 2] > drawn[32, 4, 0] + 40
    assert drawn[32, 60, 0] > drawn[32, 60, 2] + 40


def test_noise_is_fine_and_blobs_are_coarse():
    noise = np.random.default_rng(0).standard_normal((224, 224))
    blob = upsample(np.random.default_rng(0).standard_normal((7, 7)), (224, 224))
    assert is_fine(noise, (224, 224))
    assert not is_fine(blob, (224, 224))
    assert not is_fine(noise[:7, :7], (224, 224))
    assert not is_fine(np.zeros((224, 224)), (224, 224))


def test_a_given_scale_is_kept():
    photo = Image.new("RGB", (32, 32), "white")
    weak, strong = (
        saturation(overlay(photo, np.full((2, 2), v), scale=Scale(0.0, 1.0, "sequential"))) for v in (0.1, 0.6)
    )
    assert 0 < weak.max() < strong.max()


@pytest.mark.parametrize("brightness", [0.15, 1.0])
@pytest.mark.parametrize("kind", ["coarse", "fine"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("colormap", COLORMAPS)
@pytest.mark.parametrize("opacity", [1.0, 0.45, 0.0])
def test_every_colour_on_the_photo_stands_on_the_colour_bar_at_its_value(brightness, kind, sign, colormap, opacity):
    draws = np.random.default_rng(3)
    photo = Image.fromarray(np.uint8(draws.integers(0, 255, (64, 64, 3)) * brightness))
    size = (4, 4) if kind == "coarse" else (64, 64)
    values = draws.random(size) * np.where(draws.random(size) > 0.5, 1, sign)
    panel = MapPanel("x", values, photo, colormap=colormap, opacity=opacity)
    drawn = np.asarray(panel.picture((64, 64)))
    steps = 511 if panel.scale.kind == "diverging" else 256
    bar = np.asarray(panel.bar((steps, 256))).astype(int)
    low, high = panel.scale.low, panel.scale.high
    column = np.rint((upsample(values, (64, 64)).clip(low, high) - low) / (high - low) * (steps - 1)).astype(int)
    for y, x in draws.integers(0, 64, (200, 2)):
        assert np.abs(bar[:, column[y, x]] - drawn[y, x]).sum(1).min() == 0


def test_a_dark_photo_is_as_plain_to_see_below_a_map_as_a_light_one():
    scene = np.random.default_rng(5).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    spread = [
        np.asarray(overlay(Image.fromarray((scene * factor).astype(np.uint8)), np.zeros((2, 2)))).std()
        for factor in (1.0, 0.3)
    ]
    assert spread[1] == pytest.approx(spread[0], rel=0.1)


@pytest.mark.parametrize("grey", [0, 90, 255])
def test_a_photo_of_one_grey_stays_one_grey(grey):
    assert np.unique(stretched(Image.new("RGB", (8, 8), (grey,) * 3))).tolist() == [grey]


def test_faint_noise_is_not_blown_up_to_a_picture():
    noise = np.uint8(100 + np.random.default_rng(0).integers(0, 3, (32, 32, 3)))
    assert np.ptp(stretched(Image.fromarray(noise)).astype(int)) <= 12


SHARES = {"sequential": np.linspace(0, 1, 256), "diverging": np.linspace(-1, 1, 511)}
LIGHT = np.linspace(0, 1, 256)[:, None, None]


@pytest.mark.parametrize("kind", SHARES)
def test_usually_the_pixels_are_those_of_the_definition(kind):
    """Bit for bit, so that a figure of today is the figure of yesterday."""
    colours = table(kind)[None] / 255.0
    opaque = 0.85 * np.abs(SHARES[kind])[None, :, None] ** 0.5
    ink = colours * (1 - 0.35 + (1.35 - (1 - 0.35)) * LIGHT)
    coarse = ink * opaque + (0.56 + (1 - 0.56) * LIGHT) * (1 - opaque)
    fine = colours * (0.86 + (1 - 0.86) * LIGHT)
    for wanted, is_of_pixels in ((coarse, False), (fine, True)):
        np.testing.assert_array_equal(blended(kind, is_of_pixels), np.rint(wanted * 255).clip(0, 255))


@pytest.mark.parametrize("kind", SHARES)
@pytest.mark.parametrize("fine", [True, False])
@pytest.mark.parametrize("colormap", COLORMAPS)
def test_opacity_leads_evenly_from_the_ground_to_the_usual_colours(kind, fine, colormap):
    ground, half, whole = (blended(kind, fine, colormap, share).astype(int) for share in (0.0, 0.5, 1.0))
    assert (ground == ground[:, :1]).all(), "only what lies below is seen"
    assert np.diff(ground[:, 0], axis=0).min() >= 0, "and it grows lighter with the photo"
    np.testing.assert_array_equal(whole, blended(kind, fine, colormap))
    zero = 255 if kind == "diverging" else 0
    wanted = whole[:, zero] if colormap == "seewhy" else np.repeat(np.arange(256)[:, None], 3, 1)
    np.testing.assert_array_equal(ground[:, 0], wanted)
    if colormap != "seewhy" or fine:  # ink on a light photo is lighter than white, and cut there
        assert np.abs(half - (ground + whole) / 2).max() <= 1.01


@pytest.mark.parametrize("kind", SHARES)
@pytest.mark.parametrize("colormap", ["viridis", "magma", "jet"])
def test_a_foreign_colour_map_is_laid_evenly_over_the_grey_photo(kind, colormap):
    colours = table(kind, colormap)[None]
    coarse = 0.6 * colours + 0.4 * 255 * LIGHT
    assert np.abs(blended(kind, False, colormap) - coarse).max() <= 0.5 + 1e-9
    np.testing.assert_array_equal(blended(kind, True, colormap), np.broadcast_to(colours, coarse.shape))


@pytest.mark.parametrize("opacity", [-0.01, 1.01, float("nan"), "thick", None])
def test_an_opacity_that_is_no_share_is_refused(opacity):
    with pytest.raises(InputError, match="from 0 to 1"):
        blended("sequential", True, opacity=opacity)


def test_what_is_remembered_of_opacities_is_bounded():
    photo = Image.new("RGB", (8, 8))
    for step in range(5 * REMEMBERED):
        overlay(photo, np.ones((2, 2)), opacity=step / 100, colormap="jet")
    assert _blended.cache_info().currsize <= REMEMBERED
    assert _packed.cache_info().currsize <= REMEMBERED
