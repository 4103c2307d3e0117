"""The colours mean what they seem to mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seewhy.errors import InputError
from seewhy.pictures import Scale, colourise
from seewhy.pictures.colormaps import (
    COLORMAPS,
    NEGATIVE,
    POSITIVE,
    SEQUENTIAL,
    curve,
    find_colormap,
    linear_rgb,
    number,
    position,
    srgb,
    table,
)

FOREIGN = [name for name in COLORMAPS if name != "seewhy"]

ARMS = {"sequential": SEQUENTIAL, "positive": POSITIVE, "negative": NEGATIVE}
# Deuteranopia in linear RGB (Viénot, Brettel and Mollon 1999): red and green cones see the same.
DEUTERANOPIA = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])

maps = arrays(
    np.float32,
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    elements=st.floats(-(2.0**90), 2.0**90, width=32, allow_subnormal=False),
)


def luminance(colours):
    """Relative luminance, from 8-bit sRGB."""
    unit = colours / 255
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("anchors", ARMS.values(), ids=ARMS)
def test_every_colour_is_one_that_a_screen_can_show(anchors):
    light = linear_rgb(curve(anchors))
    assert light.min() >= 0
    assert light.max() <= 1


@pytest.mark.parametrize("anchors", ARMS.values(), ids=ARMS)
def test_equal_steps_look_equal_and_always_darken(anchors):
    lab = curve(anchors)
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.max() < 1.02 * steps.min()
    assert np.diff(lab[:, 0]).max() < -0.001


@pytest.mark.parametrize("kind", ["sequential", "diverging"])
def test_luminance_falls_with_the_magnitude(kind):
    shade = luminance(table(kind))
    if kind == "diverging":
        np.testing.assert_allclose(shade, shade[::-1], atol=0.06)
        assert np.diff(shade[:256]).min() > -1e-3
        shade = shade[255:]
    assert np.diff(shade).max() < 1e-3
    assert shade[0] > 0.85
    assert shade[-1] < 0.12


def test_both_signs_weigh_the_same():
    np.testing.assert_allclose(curve(POSITIVE)[:, 0], curve(NEGATIVE)[:, 0], atol=0.005)


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_a_colour_blind_person_tells_for_from_against(share):
    at = round(share * 255)
    ends = np.stack([curve(POSITIVE)[at], curve(NEGATIVE)[at]])
    seen = np.clip(linear_rgb(ends) @ DEUTERANOPIA.T, 0, 1)
    # Yellowish against bluish: the blue channel lies on the other side of red and green.
    assert seen[0, 0] > seen[0, 2]
    assert seen[1, 0] < seen[1, 2]
    assert np.abs(seen[0] - seen[1]).max() > 0.15


def test_white_and_known_primaries():
    np.testing.assert_allclose(srgb(np.array([1.0, 0.0, 0.0])), 1, atol=1e-4)
    np.testing.assert_allclose(srgb(np.array([0.62796, 0.22486, 0.12585])), [1, 0, 0], atol=2e-3)


@given(maps)
def test_zero_is_exactly_paper(values):
    scale = Scale.of(values)
    values[0, 0] = 0
    paper = table("sequential")[0]
    np.testing.assert_array_equal(colourise(values, scale)[0, 0], paper)
    np.testing.assert_array_equal(table("diverging")[255], paper)


@given(maps)
def test_colours_depend_on_magnitude_alone_and_swap_with_the_sign(values):
    scale = Scale.of(values, "diverging")
    np.testing.assert_array_equal(position(-values, scale), 510 - position(values, scale))
    np.testing.assert_array_equal(position(values, scale), position(values * 2, Scale.of(values * 2, "diverging")))


@given(maps)
def test_the_sign_decides_the_kind_and_zero_is_always_on_the_scale(values):
    scale = Scale.of(values)
    assert scale.kind == ("diverging" if (values < 0).any() else "sequential")
    assert scale.low == (-scale.high if scale.kind == "diverging" else 0)
    assert scale.high == np.abs(values).max()
    assert not scale.clipped


def test_uniformly_positive_map_is_not_all_zero():
    values = np.full((7, 7), 3.2)
    scale = Scale.of(values)
    assert scale.label == "0 … 3.2"
    assert (colourise(values, scale) == table("sequential")[-1]).all()


@pytest.mark.parametrize("kind", [None, "diverging"])
def test_all_zero_map_is_flat_and_says_so(kind):
    values = np.zeros((7, 7))
    scale = Scale.of(values, kind)
    assert scale.label == "all zero"
    assert (colourise(values, scale) == table("sequential")[0]).all()


def test_spikes_of_a_pixel_level_map_are_clipped_and_the_scale_says_so():
    values = np.ones((100, 100))
    values[0, 0] = 50
    percentile = "ends at the 99.5th percentile"
    assert Scale.of(values) == Scale(0.0, 1.0, "sequential", True, "0 … ≥ 1 (99.5th percentile)", percentile)
    values[0, 1] = -1
    assert Scale.of(values).label == "≤ −1 … 0 … ≥ 1 (99.5th percentile)"
    assert Scale.of(values).ends == ("≤ −1", "≥ 1")
    assert "percentile" in Scale.of(values).remark


def test_a_coarse_or_a_sparse_map_is_never_clipped():
    coarse = np.zeros((14, 14))
    coarse[3, 4] = 9.0
    assert not Scale.of(coarse).clipped
    sparse = np.zeros((100, 100))
    sparse[5, 5] = 1e-9  # the percentile is zero: clipping there would colour everything
    assert Scale.of(sparse).high == 1e-9


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad):
    with pytest.raises(InputError, match="finite"):
        Scale.of(np.array([[1.0, bad]]))


def test_a_sequential_scale_refuses_a_negative_value():
    with pytest.raises(InputError, match="starts at zero"):
        Scale.of(np.array([[1.0, -1.0]]), "sequential")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (3.14159, "3.1"),
        (-0.25, "−0.25"),
        (3.1e-4, "3.1e-4"),
        (-1e-30, "−1.0e-30"),
        (123.4, "123"),
        (0.0012, "0.0012"),
    ],
)
def test_numbers_for_people(value, text):
    assert number(value) == text


def test_a_given_limit_is_the_end_and_says_what_lies_beyond():
    values = np.array([[0.5, 2.0]])
    shared = Scale.of(values, limit=1.0)
    assert (shared.high, shared.clipped) == (1.0, True)
    assert shared.ends[1] == "≥ 1"
    wide = Scale.of(values, limit=4.0)
    assert (wide.high, wide.clipped) == (4.0, False)
    assert position(values, wide).tolist() == [[32, 128]]


def test_a_faint_map_is_painted_faint_and_says_so():
    values = np.array([[0.0, 0.1]])
    faint = Scale.of(values, at_least=1.0)
    assert position(values, faint).max() == 26
    assert "faint" in faint.remark
    assert "0.1" in faint.label
    assert Scale.of(values, at_least=0.01) == Scale.of(values)


@pytest.mark.parametrize("name", ["viridis", "magma"])
def test_the_tables_are_matplotlibs(name):
    matplotlib = pytest.importorskip("matplotlib")
    wanted = np.rint(matplotlib.colormaps[name](np.arange(256))[:, :3] * 255)
    np.testing.assert_array_equal(table("sequential", name), wanted)


def test_jet_is_its_closed_form():
    jet = table("sequential", "jet")
    assert jet[[0, 255]].tolist() == [[0, 0, 128], [128, 0, 0]]
    assert table("diverging", "jet")[255].tolist() == [128, 255, 128]
    at = np.arange(256) / 255
    for part, (rise, fall) in enumerate([(-1.5, 4.5), (-0.5, 3.5), (0.5, 2.5)]):
        wanted = 255 * np.minimum(4 * at + rise, fall - 4 * at).clip(0, 1)
        assert np.abs(jet[:, part] - wanted).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("name", FOREIGN)
def test_a_signed_map_runs_over_the_whole_colour_map_with_zero_in_its_middle(name):
    one_way, both = table("sequential", name), table("diverging", name).astype(int)
    assert both.shape == (511, 3)
    np.testing.assert_array_equal(both[::2], one_way)
    scale = Scale.of(np.array([[-2.0, 1.0]]))
    found = colourise(np.array([[-2.0, 0.0, 2.0]]), scale, name)[0]
    np.testing.assert_array_equal(found, both[[0, 255, 510]])
    assert np.abs(both[255] - (one_way[127].astype(int) + one_way[128]) / 2).max() <= 0.5


@pytest.mark.parametrize(("written", "name"), [("Viridis", "viridis"), ("SEEWHY", "seewhy"), ("j-et", "jet")])
def test_a_name_is_found_however_it_is_written(written, name):
    assert find_colormap(written) == name
    assert table("diverging", written) is table("diverging", name)


@pytest.mark.parametrize(("name", "said"), [("virids", "viridis"), ("inferno", "magma"), (3, "viridis"), (None, "jet")])
def test_there_is_no_such_colour_map(name, said):
    with pytest.raises(InputError, match=f"no colour map.*{said}"):
        table("sequential", name)
