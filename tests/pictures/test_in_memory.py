"""A photo in memory is read as one in a file."""

import numpy as np
import pytest
from PIL import Image

from seewhy.errors import PhotoError
from seewhy.pictures import read_photo
from seewhy.pictures.in_memory import as_photo

PIXELS = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)


def same(photo, image):
    return np.array_equal(np.asarray(photo.image), np.asarray(image))


def test_a_path_a_picture_and_an_array_are_the_same_photo(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    read = read_photo(tmp_path / "a.png")
    for given in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.open(tmp_path / "a.png"), PIXELS, PIXELS / 255,
                  (PIXELS / 255).astype(np.float32), PIXELS.astype(np.int64), PIXELS.tolist(), read):  # fmt: skip
        assert same(as_photo(given), read.image)
    assert as_photo(PIXELS).sha256 == as_photo(PIXELS.copy()).sha256 != as_photo(PIXELS[::-1]).sha256
    assert as_photo(Image.open(tmp_path / "a.png")).path.name == "a.png"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_opened_picture_is_turned_upright_as_a_file_is(tmp_path, orientation):
    image, exif = Image.fromarray(PIXELS), Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    read, opened = read_photo(tmp_path / "a.jpg"), as_photo(Image.open(tmp_path / "a.jpg"))
    assert same(opened, read.image)
    assert opened.notes == read.notes


def test_transparent_grey_and_bilevel_pictures(tmp_path):
    clear = np.dstack([PIXELS, np.zeros((20, 30), np.uint8)])
    assert np.asarray(as_photo(clear, background=(1, 2, 3)).image)[0, 0].tolist() == [1, 2, 3]
    assert "transparent" in as_photo(clear).notes[0]
    grey = as_photo(PIXELS[..., 0])
    assert same(grey, as_photo(PIXELS[..., :1]).image)
    assert same(grey, Image.fromarray(PIXELS[..., 0]).convert("RGB"))
    assert np.asarray(as_photo(PIXELS[..., 0] > 127).image).max() == 1  # true is one, as numpy has it


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (np.moveaxis(PIXELS, -1, 0), "channels come last"),
        (PIXELS[..., :2], r"\(H, W, 3\)"),
        (PIXELS.astype(float), r"floats in \[0, 1\]"),
        (PIXELS / 128 - 1, "before any normalisation"),
        (np.full((4, 4, 3), np.nan), "floats"),
        (PIXELS.astype(int) + 200, "0..255"),
        (PIXELS.astype(int) - 1000, "0..255"),
        (np.zeros((0, 4, 3), np.uint8), "wrong size"),
        (np.zeros(3), "no photo"),
        (np.array(["a"]), "no photo"),
        (None, "no photo"),
        (3, "no photo"),
        ({}, "no photo"),
        ("missing.png", "missing.png"),
    ],
)
def test_what_is_no_photo_says_what_would_be(given, match):
    with pytest.raises(PhotoError, match=match):
        as_photo(given)


def test_a_picture_whose_file_is_broken(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PhotoError, match="cannot be decoded"):
        as_photo(Image.open(tmp_path / "a.png"))
