"""The whole photo, small: it is the photo, it is there where the crop shows less, and nothing else passes for it."""

import io
import json

import numpy as np
import pytest
from PIL import Image

import seewhy
from seewhy.errors import InputError
from seewhy.models.preprocessing import Preprocessing
from seewhy.pictures.in_memory import as_photo
from seewhy.results import SeenPhoto


def waves(width, height):
    y, x = np.mgrid[0:height, 0:width] / (max(width, height) / 8)
    return Image.fromarray(np.uint8(127 + 60 * np.stack([np.sin(x + y), np.cos(x) * np.sin(y), np.sin(x)], -1)))


def seen(image, **how):
    transform, photo = Preprocessing((32, 32), **how), as_photo(image)
    return SeenPhoto.of(photo, transform.crop(photo.image), transform.box(photo.image), photo.notes)


def encoded(image, kind, **how):
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((1000, 600), (448, 269)), ((600, 1000), (269, 448)), ((60, 48), (60, 48)), ((5000, 2), (448, 1))],
)
def test_it_is_the_photo_at_most_448_pixels_long(size, wanted):
    found = seen(waves(*size)).whole
    assert (found.size, found.mode) == (wanted, "RGB")
    off = np.asarray(found).astype(int) - np.asarray(waves(*size).resize(wanted, Image.Resampling.BOX))
    assert np.abs(off).mean() < 4


def test_it_is_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    waves(90, 40).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    found = seen(tmp_path / "turned.jpg")
    assert found.size == found.whole.size == (40, 90)
    off = np.asarray(found.whole).astype(int) - np.asarray(waves(90, 40).transpose(Image.Transpose.ROTATE_270))
    assert np.abs(off).mean() < 6


@pytest.mark.parametrize(
    ("size", "how", "there"),
    [
        ((60, 60), {}, False),
        ((60, 60), {"resize": (40, 40)}, True),
        ((60, 48), {}, True),
        ((60, 48), {"fit": "stretch"}, True),
        ((60, 60), {"fit": "stretch"}, False),
        ((60, 48), {"fit": "contain"}, False),
    ],
)
def test_it_is_there_where_the_crop_shows_less_of_the_photo_or_a_distorted_one(size, how, there):
    assert (seen(waves(*size), **how).whole is not None) == there


def test_it_is_not_kept_where_nobody_knows_where_the_crop_lies():
    image = waves(60, 48)
    assert SeenPhoto.of(as_photo(image), image.crop((0, 0, 32, 32)), None, ()).whole is None


@pytest.fixture
def saved(tmp_path):
    classifier = seewhy.load("nets.tiny:make", input_size=32)
    return seewhy.explain(waves(90, 48), classifier, "cam").save(tmp_path / "saved", figure=False)


def test_a_folder_of_an_earlier_version_has_none(saved):
    about = json.loads((saved / "explanation.json").read_text())
    del about["photo"]["whole"]
    (saved / "explanation.json").write_text(json.dumps(about))
    (saved / "whole.webp").unlink()
    assert seewhy.Explanation.load(saved).photo.whole is None


def test_none_is_left_of_a_result_that_is_replaced(saved):
    classifier = seewhy.load("nets.tiny:make", input_size=32)
    found = seewhy.explain(waves(48, 48), classifier, "cam")
    found.save(saved, figure=False, overwrite=True)
    assert not (saved / "whole.webp").exists()
    assert json.loads((saved / "explanation.json").read_text())["photo"]["whole"] is None


FORGED = {
    "another photo's": encoded(waves(90, 60), "WEBP"),
    "of another format": encoded(waves(90, 48), "PNG"),
    "animated": encoded(waves(90, 48), "WEBP", save_all=True, append_images=[waves(90, 48).rotate(180)]),
    "huge": encoded(waves(3000, 1600), "WEBP"),
    "half of one": encoded(waves(90, 48), "WEBP")[:-300],
    "empty": b"",
    "more than a megabyte": encoded(waves(90, 48), "WEBP") + bytes(1 << 20),
}


@pytest.mark.parametrize("content", FORGED.values(), ids=FORGED)
def test_nothing_else_passes_for_it(saved, content):
    (saved / "whole.webp").write_bytes(content)
    with pytest.raises(InputError, match="not a saved explanation"):
        seewhy.Explanation.load(saved)


def test_a_jpeg_passes_where_pillow_writes_no_webp(saved, monkeypatch, tmp_path):
    from seewhy.pictures import notebook

    monkeypatch.setattr(notebook.features, "check", lambda name: False)
    found = seewhy.explain(waves(90, 48), seewhy.load("nets.tiny:make", input_size=32), "cam")
    found.save(tmp_path / "again", figure=False)
    loaded = seewhy.Explanation.load(tmp_path / "again")
    assert loaded.photo.whole_name == "whole.jpg"
    assert loaded.photo.whole.tobytes() == found.photo.whole.tobytes()
