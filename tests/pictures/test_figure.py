"""The figure holds whatever it is given."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from seewhy.errors import InputError
from seewhy.pictures import ErrorPanel, MapPanel, PicturePanel, TopPanel, figure
from seewhy.pictures.cells import CELL, percentage
from seewhy.pictures.figure import GUTTER, MARGIN, columns_for
from seewhy.pictures.overlay import blended
from seewhy.pictures.text import Typesetter, clean

CROP = Image.new("RGB", (32, 32), (0, 90, 200))


def ink_in_margins(picture, margin):
    pixels = np.asarray(picture)
    edges = (pixels[:margin], pixels[-margin:], pixels[:, :margin], pixels[:, -margin:])
    return sum(int((edge != 255).sum()) for edge in edges)


@pytest.mark.parametrize("count", range(1, 14))
def test_any_number_of_panels(count):
    drawn = figure([PicturePanel("crop", CROP)] * count, title="t", scale=1)
    blue = np.asarray(drawn)[..., 2] == 200
    assert (blue & (np.asarray(drawn)[..., 0] == 0)).sum() == pytest.approx(count * (CELL - 2) ** 2, rel=0.001)


def test_columns_leave_few_places_empty():
    assert [columns_for(n) for n in (1, 2, 5, 6, 7, 8, 9, 10, 12)] == [1, 2, 5, 3, 4, 4, 3, 5, 4]


def test_no_panel_is_refused():
    with pytest.raises(InputError):
        figure([], title="t")


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=200), st.floats(0, 1))
@example("W" * 200, 1.0)
@example("long word " * 40, 0.0)
def test_no_text_breaks_the_layout(text, probability):
    panels = [
        PicturePanel(text, CROP, text),
        TopPanel(text, ((text, probability),) * 5, text, marked=(text,)),
        MapPanel(text, np.ones((1, 2, 2)), CROP, text),
        ErrorPanel(text, text),
    ]
    drawn = figure(panels, title=text, subtitle=text, footer=text, scale=1)
    assert drawn.width == 2 * MARGIN + 4 * CELL + 3 * GUTTER
    assert ink_in_margins(drawn, 16) == 0


@pytest.mark.parametrize("size", [(320, 160), (160, 320), (64, 64)])
def test_pictures_keep_their_shape(size):
    y, x = np.mgrid[: size[1], : size[0]]
    round_thing = ((x - size[0] / 2) ** 2 + (y - size[1] / 2) ** 2) < 24**2
    crop = Image.fromarray(np.where(round_thing[..., None], (0, 90, 200), (255, 220, 0)).astype(np.uint8))
    pixels = np.asarray(figure([PicturePanel("", crop)], title="")).astype(int)
    rows, columns = np.nonzero((pixels[..., 2] - pixels[..., 0]) > 150)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=4)


def test_the_colour_bar_is_there_only_for_maps():
    half = {tuple(colour) for colour in blended("sequential", False)[:, 128].tolist()}

    def drawn(panel):
        return not half.isdisjoint(map(tuple, np.asarray(figure([panel], title="t")).reshape(-1, 3).tolist()))

    assert drawn(MapPanel("x", np.array([[1.0, 1.0]]), CROP))  # the map itself is all of the largest value
    assert not drawn(MapPanel("x", np.zeros((1, 2)), CROP))
    assert not drawn(PicturePanel("x", CROP))


def test_failed_methods_keep_their_place_and_say_why():
    silent = figure([ErrorPanel("CAM", "")], title="t")
    spoken = figure([ErrorPanel("CAM", "needs global average pooling")], title="t")
    assert silent.size == spoken.size
    assert np.abs(np.asarray(silent).astype(int) - np.asarray(spoken)).sum() > 10_000


@pytest.mark.parametrize("system_fonts", [(), ("no such font.ttf",)])
def test_missing_glyphs_are_written_plainly(system_fonts):
    text = Typesetter(system_fonts)
    for fancy, plain in (("café ‖x‖² − 7×7 ≥ λ", "cafe ||x||^2 - 7x7 >= lambda"), ("Łódź…", "Łodz…")):
        assert "".join(run for _, run in text._runs(fancy, 24)) == plain


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=120), st.integers(20, 400))
def test_a_cut_text_fits_and_is_as_long_as_can_be(text, width):
    setter = Typesetter(())
    cut = setter.cut(text, 20, width)
    if cut == clean(text):
        return
    assert cut.endswith("…")
    assert setter.width(cut, 20) <= max(width, setter.width("…", 20))


@given(st.text(st.sampled_from("ab\n\t\x00\x1b\u202e\u200b\u2028 "), max_size=30))
def test_clean_text_is_one_line_without_invisible_characters(text):
    assert set(clean(text)) <= {"a", "b", " "}


def test_wrapping_loses_no_word_that_fits():
    setter = Typesetter(())
    words = "one two three four five six"
    lines = setter.wrap(words, 20, 120, 9)
    assert " ".join(lines) == words
    assert len(lines) > 1
    assert len(setter.wrap(words, 20, 120, 2)) == 2


def test_anchors():
    for anchor, left in (("l", 100), ("m", 80), ("r", 60)):
        sheet = Image.new("RGB", (200, 40), "white")
        setter = Typesetter(())
        setter.line(ImageDraw.Draw(sheet), (100, 30), "H" * 3, 20, (0, 0, 0), anchor)
        inked = np.nonzero((np.asarray(sheet) < 128).any(axis=(0, 2)))[0]
        expected = {"l": 100, "m": 100 - setter.width("HHH", 20) / 2, "r": 100 - setter.width("HHH", 20)}[anchor]
        assert inked[0] == pytest.approx(expected, abs=4), left


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (0, "0.0 %"),
        (4e-4, "< 0.1 %"),
        (0.0314, "3.1 %"),
        (0.623, "62.3 %"),
        (0.99999, "> 99.9 %"),
        (1, "100 %"),
    ],
)
def test_percentages_are_never_rounded_up_to_certainty(probability, text):
    assert percentage(probability) == text
