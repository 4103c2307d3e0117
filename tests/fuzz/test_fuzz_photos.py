"""Broken photos, however they are broken, are a photo or one PhotoError, in bounded time.

``SEEWHY_FUZZ_EXAMPLES`` says how many are tried; without it there are few, always the same.
"""

import io
import os
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, features

from seewhy.errors import PhotoError
from seewhy.pictures import read_photo

EXAMPLES = int(os.environ.get("SEEWHY_FUZZ_EXAMPLES", "60"))
MOST_PIXELS = 1_000_000
MOST_SECONDS = 5
fuzzed = settings(
    max_examples=EXAMPLES, deadline=None, derandomize="SEEWHY_FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)  # fmt: skip


def made(kind, mode="RGB", frames=1, **options):
    random = np.random.default_rng(1)
    noise = [Image.fromarray(random.integers(0, 255, (23, 31, 3), np.uint8)) for _ in range(frames)]
    noise = [each.convert("L").convert(mode) if mode == "I;16" else each.convert(mode) for each in noise]
    exif = Image.Exif()
    exif[0x0112] = 6
    more = {"save_all": True, "append_images": noise[1:]} if frames > 1 else {}
    more |= {"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}
    buffer = io.BytesIO()
    noise[0].save(buffer, kind, **more, **options)
    return buffer.getvalue()


def bmp_in_runs():
    """Written by hand: Pillow writes none."""
    whole = made("BMP", "P")
    at = int.from_bytes(whole[10:14], "little")
    runs = b"".join(b"\x1f" + bytes([row]) + b"\0\0" for row in range(23)) + b"\0\1"
    return whole[:30] + (1).to_bytes(4, "little") + whole[34:at] + runs


SEEDS = {
    "JPEG": [made("JPEG"), made("JPEG", "L"), made("JPEG", "CMYK"), made("JPEG", progressive=True)],
    "PNG": [made("PNG"), made("PNG", "RGBA"), made("PNG", "P", transparency=0), made("PNG", "I;16"),
            made("PNG", frames=3)],
    "GIF": [made("GIF", "P"), made("GIF", "P", frames=3), made("GIF", "L", interlace=1)],
    "WEBP": [made("WEBP"), made("WEBP", "RGBA", lossless=True), made("WEBP", frames=3)],
    "TIFF": [made("TIFF"), made("TIFF", "F"), made("TIFF", "RGB", 3), made("TIFF", compression="tiff_lzw"),
             made("TIFF", "1", compression="group4"), made("TIFF", compression="jpeg")],
    "BMP": [made("BMP"), made("BMP", "P"), bmp_in_runs()],
    "PPM": [made("PPM"), made("PPM", "L"), b"P3 # words\n2 2\n255\n" + b"1 2 3 " * 4, b"P1\n3 1\n1 0 1"],
}  # fmt: skip
if features.check("avif"):
    SEEDS["AVIF"] = [made("AVIF"), made("AVIF", "RGBA")]

INTERESTING = [b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff",
               b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\x80", b"\xff\xda", b"\xff\xd9", b"IDAT", b"#"]  # fmt: skip
PLACE = st.floats(0, 1, exclude_max=True)
CHANGE = st.one_of(
    st.tuples(st.just("set"), PLACE, st.binary(min_size=1, max_size=4) | st.sampled_from(INTERESTING)),
    st.tuples(st.just("flip"), PLACE, st.integers(0, 7)),
    st.tuples(st.just("insert"), PLACE, st.binary(max_size=40) | st.sampled_from(INTERESTING)),
    st.tuples(st.just("repeat"), PLACE, st.integers(1, 200), st.integers(1, 400)),
    st.tuples(st.just("delete"), PLACE, st.integers(1, 200)),
    st.tuples(st.just("cut"), PLACE),
    st.tuples(st.just("splice"), PLACE, PLACE, st.integers(0, 5)),
)


def changed(data, changes, others):
    for how, place, *more in changes:
        at = int(place * len(data))
        if how == "set":
            data = data[:at] + more[0] + data[at + len(more[0]) :]
        elif how == "flip" and data:
            data = data[:at] + bytes([data[at] ^ 1 << more[0]]) + data[at + 1 :]
        elif how == "insert":
            data = data[:at] + more[0] + data[at:]
        elif how == "repeat":
            data = data[:at] + data[at : at + more[0]] * more[1] + data[at + more[0] :]
        elif how == "delete":
            data = data[:at] + data[at + more[0] :]
        elif how == "cut":
            data = data[:at]
        elif how == "splice":
            other = others[more[1] % len(others)]
            data = data[:at] + other[int(more[0] * len(other)) :]
    return data


@pytest.mark.filterwarnings("ignore")  # Pillow's own, on broken metadata
@pytest.mark.parametrize("kind", SEEDS)
def test_a_photo_or_one_photo_error(tmp_path, kind):
    path = tmp_path / "fuzzed"

    @fuzzed
    @given(st.sampled_from(SEEDS[kind]), st.lists(CHANGE, max_size=5), st.sampled_from(sorted(SEEDS)))
    def check(data, changes, other):
        path.write_bytes(changed(data, changes, SEEDS[other]))
        start = time.process_time()
        try:
            photo = read_photo(path, max_pixels=MOST_PIXELS)
        except PhotoError as error:
            message = str(error)
        else:
            message = ""
            assert photo.image.mode == "RGB"
            assert 0 < photo.image.width * photo.image.height <= MOST_PIXELS
            assert photo.image.info == {}
            np.asarray(photo.image)
        assert time.process_time() - start < MOST_SECONDS
        assert message.isprintable()
        assert len(message) < 3000

    check()


@pytest.mark.parametrize("kind", SEEDS)
def test_whole_files_are_read(tmp_path, kind):
    for number, data in enumerate(SEEDS[kind]):
        (tmp_path / f"{number}").write_bytes(data)
        photo = read_photo(tmp_path / f"{number}")
        assert not any("truncated" in note for note in photo.notes)
