"""A broken file shows what is left of it, or is one clear error, and disturbs no other."""

import io
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from seewhy.errors import PhotoError
from seewhy.pictures import read_photo


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("photos")


def saved(image, path, **options):
    image.save(path, **options)
    return path


def ramp(height=20, width=30):
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 8, y * 12, (x + y) * 5], axis=2).astype(np.uint8))


@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_jpeg_shows_its_readable_part(folder, progressive):
    noise = np.random.default_rng(0).integers(0, 255, (160, 160, 3), np.uint8)
    whole = saved(Image.fromarray(noise), folder / "whole.jpg", progressive=progressive)
    data = whole.read_bytes()
    (folder / "half.jpg").write_bytes(data[: len(data) * 2 // 3])
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    photo = read_photo(folder / "half.jpg")
    assert ImageFile.LOAD_TRUNCATED_IMAGES is before
    assert photo.notes == ("truncated file: the readable part is shown",)
    top = np.asarray(photo.image)[:64].astype(int)
    wanted = np.asarray(read_photo(whole).image)[:64].astype(int)
    assert np.abs(top - wanted).mean() < (1 if not progressive else 60)


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp", "tif"])
def test_other_truncated_files_show_their_readable_part(folder, suffix):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (160, 160, 3), np.uint8))
    whole = saved(noise, folder / f"whole.{suffix}")
    data = whole.read_bytes()
    (folder / f"half.{suffix}").write_bytes(data[: len(data) * 2 // 3])
    photo = read_photo(folder / f"half.{suffix}")
    assert "truncated" in photo.notes[0]
    first_rows = slice(-40, None) if suffix == "bmp" else slice(40)  # BMP is stored from the bottom up
    wanted = np.asarray(read_photo(whole).image)[first_rows]
    np.testing.assert_array_equal(np.asarray(photo.image)[first_rows], wanted)


def test_threads_do_not_disturb_each_other(folder):
    whole = saved(ramp(), folder / "t.png")
    data = whole.read_bytes()
    (folder / "t_half.png").write_bytes(data[: len(data) * 2 // 3])
    seen = []

    def read(path):
        seen.extend((path.stem, bool(read_photo(path).notes)) for _ in range(20))

    threads = [threading.Thread(target=read, args=[p]) for p in (whole, folder / "t_half.png") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 80
    assert all(noted == (stem == "t_half") for stem, noted in seen)


def encoded(kind):
    buffer = io.BytesIO()
    ramp().save(buffer, kind)
    return buffer.getvalue()


SEEDS = {kind: encoded(kind) for kind in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "PPM")}


@pytest.mark.filterwarnings("ignore")  # Pillow's own, on broken metadata
@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(sorted(SEEDS)),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    kept=st.floats(0.01, 1),
)
def test_broken_bytes_give_a_photo_or_a_one_line_error(folder, kind, changes, kept):
    data = bytearray(SEEDS[kind])
    for where, value in changes:
        data[int(where * (len(data) - 1))] = value
    path = folder / "fuzzed"
    path.write_bytes(data[: max(1, int(kept * len(data)))])
    try:
        photo = read_photo(path, max_pixels=1_000_000)
    except PhotoError as error:
        message = str(error)
    else:
        message = ""
        assert photo.image.mode == "RGB"
    assert "\n" not in message
