"""Every kind of file a person may have is read as the same picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from seewhy.pictures import read_photo

sides = st.integers(1, 24)
greys = sides.flatmap(lambda h: sides.flatmap(lambda w: arrays(np.uint8, (h, w))))
colours = sides.flatmap(lambda h: sides.flatmap(lambda w: arrays(np.uint8, (h, w, 3))))
LOSSLESS = ["PNG", "TIFF", "BMP", "PPM"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("photos")


def saved(image, path, **options):
    image.save(path, **options)
    return path


def ramp(height=20, width=30):
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 8, y * 12, (x + y) * 5], axis=2).astype(np.uint8))


@settings(max_examples=40, deadline=None)
@given(pixels=colours, kind=st.sampled_from([*LOSSLESS, "WEBP"]))
def test_colour_of_any_size_comes_back_exactly(folder, pixels, kind):
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    photo = read_photo(saved(Image.fromarray(pixels), folder / "p", format=kind, **options))
    assert photo.image.mode == "RGB"
    assert photo.notes == ()
    np.testing.assert_array_equal(np.asarray(photo.image), pixels)


@settings(max_examples=40, deadline=None)
@given(pixels=greys, kind=st.sampled_from(LOSSLESS))
def test_grey_is_three_equal_channels(folder, pixels, kind):
    photo = read_photo(saved(Image.fromarray(pixels), folder / "p", format=kind))
    np.testing.assert_array_equal(np.asarray(photo.image), np.stack([pixels] * 3, axis=2))


@settings(max_examples=30, deadline=None)
@given(pixels=greys, kind=st.sampled_from(["PNG", "TIFF"]))
def test_16_bit_is_scaled_and_not_clipped(folder, pixels, kind):
    deep = Image.fromarray(pixels.astype(np.uint16) * 257)
    photo = read_photo(saved(deep, folder / "p", format=kind))
    np.testing.assert_array_equal(np.asarray(photo.image)[..., 0], pixels)
    assert photo.notes == ("16 bit per channel, scaled to 8",)


@settings(max_examples=30, deadline=None)
@given(pixels=colours, alpha=st.integers(0, 255), ground=st.tuples(*[st.integers(0, 255)] * 3))
def test_transparency_is_blended_over_the_stated_colour(folder, pixels, alpha, ground):
    image = Image.fromarray(pixels)
    image.putalpha(alpha)
    photo = read_photo(saved(image, folder / "p", format="PNG"), background=ground)
    expected = pixels * (alpha / 255) + np.array(ground) * (1 - alpha / 255)
    np.testing.assert_allclose(np.asarray(photo.image), expected, atol=1.01)
    assert any("transparent" in note for note in photo.notes) == (alpha < 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F", "I;16", "YCbCr"])
def test_every_mode_shows_the_same_picture(folder, mode):
    grey = ramp().convert("L").point(lambda v: 255 * (v > 90)).convert("RGB")  # black and white: every mode has it
    truth = np.asarray(grey)
    scale = {"I": 257, "I;16": 257}.get(mode, 1)
    if mode in ("I", "F", "I;16"):
        kind = {"I": np.int32, "F": np.float32, "I;16": np.uint16}[mode]
        image = Image.fromarray(truth[..., 0].astype(kind) * kind(scale))
    else:
        image = grey.convert(mode)
    suffix = "jpg" if mode == "YCbCr" else "tif"
    photo = read_photo(saved(image, folder / f"mode.{suffix}", **({"quality": 100} if suffix == "jpg" else {})))
    assert np.abs(np.asarray(photo.image).astype(int) - truth).max() <= (40 if suffix == "jpg" else 1)


@pytest.mark.parametrize(("low", "high", "taken"), [(0, 1, "0 … 1"), (0, 255, "0 … 255"), (-3, 9, "−3|-3 … 9")])
def test_floats_are_taken_by_their_range(folder, low, high, taken):
    values = np.linspace(low, high, 256, dtype=np.float32).reshape(16, 16)
    photo = read_photo(saved(Image.fromarray(values), folder / "f.tif"))
    np.testing.assert_allclose(np.asarray(photo.image)[..., 0].ravel(), np.arange(256), atol=1)
    assert taken.split("|")[-1] in photo.notes[0]


@pytest.mark.parametrize(("high", "shown"), [(0.5, 128), (1.0, 255), (200.0, 200)])
def test_a_dark_float_picture_stays_dark(folder, high, shown):
    values = np.linspace(0, high, 64, dtype=np.float32).reshape(8, 8)
    photo = read_photo(saved(Image.fromarray(values), folder / "dark.tif"))
    assert np.asarray(photo.image).max() == shown


def test_cmyk_jpeg_has_the_colours_of_the_rgb_one(folder):
    photo = read_photo(saved(ramp().convert("CMYK"), folder / "c.jpg", quality=95))
    assert np.abs(np.asarray(photo.image).astype(int) - np.asarray(ramp())).mean() < 6


def test_transparent_palette_entry(folder):
    image = Image.new("P", (4, 2), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((0, 0), 1)
    for name in ("t.png", "t.gif"):
        photo = read_photo(saved(image, folder / name, transparency=1), background=(1, 2, 3))
        assert photo.image.getpixel((0, 0)) == (1, 2, 3)
        assert photo.image.getpixel((1, 0)) == (255, 0, 0)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_first_frame(folder, suffix):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(frames[0], folder / f"a.{suffix}", save_all=True, append_images=frames[1:], **options)
    photo = read_photo(path)
    assert photo.image.getpixel((3, 3)) == (255, 0, 0)
    assert photo.notes == ("first picture of 3" if suffix == "tif" else "animated: first frame of 3",)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_every_exif_orientation_ends_upright(folder, orientation, suffix):
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = 250, 20, 20  # red at the top left, green at the top right, blue at the bottom left
    upright[:8, 16:] = 20, 250, 20
    upright[8:, :16] = 20, 20, 250
    # What a camera stores, from the standard's table of where the first row and column lie.
    t = upright.transpose(1, 0, 2)
    stored = {1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
              5: t, 6: t[::-1], 7: t[::-1, ::-1], 8: t[:, ::-1]}[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "camera"
    options = {"jpg": {"quality": 95, "subsampling": 0}, "webp": {"lossless": True}}.get(suffix, {})
    path = saved(Image.fromarray(np.ascontiguousarray(stored)), folder / f"o.{suffix}", exif=exif, **options)
    photo = read_photo(path)
    assert np.abs(np.asarray(photo.image).astype(int) - upright).max() < 40
    assert photo.notes == (() if orientation == 1 else ("turned by its EXIF orientation",))
    assert photo.image.info == {}
    assert not photo.image.getexif()


@pytest.mark.parametrize("name", ["a photo.png", "Katze äöü 猫.png", "<img src=x onerror=alert(1)>.png", "#%20?.png"])
def test_any_name(tmp_path, name):
    try:
        path = saved(ramp(), tmp_path / name)
    except OSError:
        pytest.skip("this file system has no such names")
    assert read_photo(str(path)).image.size == (30, 20)


@pytest.mark.parametrize("size", [(300, 1), (1, 300), (1, 1)])
@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp"])
def test_one_pixel_high_or_wide(folder, size, suffix):
    assert read_photo(saved(Image.new("RGB", size, "red"), folder / f"thin.{suffix}")).image.size == size


def test_16_bit_colour_says_so(folder):
    header = b"P6 2 1 65535\n"
    (folder / "deep.ppm").write_bytes(header + np.array([65535, 0, 32896] * 2, ">u2").tobytes())
    assert read_photo(folder / "deep.ppm").image.getpixel((0, 0)) == (255, 0, 128)
