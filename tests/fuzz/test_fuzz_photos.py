"""Broken photos, however they are broken, are a photo or one PhotoError, in bounded time.

``SEEWHY_FUZZ_EXAMPLES`` says how many are tried; without it there are few, always the same.
"""

import io
import time

import numpy as np
import pytest
from hypothesis import given
from PIL import Image, features

from fuzz.mutations import damaged, fuzzed
from seewhy.errors import PhotoError
from seewhy.pictures import read_photo

MOST_PIXELS = 1_000_000
MOST_SECONDS = 5


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


@pytest.mark.filterwarnings("ignore")  # Pillow's own, on broken metadata
@pytest.mark.parametrize("kind", SEEDS)
def test_a_photo_or_one_photo_error(tmp_path, kind):
    path = tmp_path / "fuzzed"

    @fuzzed
    @given(damaged(SEEDS[kind], [seed for seeds in SEEDS.values() for seed in seeds]))
    def check(content):
        path.write_bytes(content)
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
