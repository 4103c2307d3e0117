"""Colours are called what people call them."""

import pytest

from seewhy.auditing.edits.colour_names import colour_name


@pytest.mark.parametrize(
    ("colour", "name"),
    [((240, 130, 30), "orange"), ((255, 255, 255), "white"), ((0, 0, 0), "black"), ((128, 128, 128), "grey"),
     ((220, 20, 20), "red"), ((230, 20, 60), "red"), ((20, 200, 40), "green"), ((30, 60, 220), "blue"),
     ((250, 240, 20), "yellow"), ((110, 60, 20), "brown"), ((250, 60, 180), "pink"), ((140, 40, 220), "violet"),
     ((20, 220, 230), "cyan"), ((300, -5, -5), "red")],
)  # fmt: skip
def test_a_colour_in_words(colour, name):
    assert colour_name(colour) == name
