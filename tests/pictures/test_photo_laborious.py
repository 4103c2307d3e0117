"""A small file that asks for hours or gigabytes is one error, or is read without what asks for them."""

import io
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from seewhy.errors import PhotoError
from seewhy.pictures import read_photo
from seewhy.pictures.pixels import to_rgb

MOST_SECONDS = 5  # many times what each takes here; without bounds they take 10 to 70


def saved(kind, size=(64, 64), **options):
    buffer = io.BytesIO()
    Image.effect_noise(size, 90).convert("P" if kind == "GIF" else "RGB").save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind, data=b""):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks, pixels=None):
    rows = zlib.compress(b"".join(b"\0" + bytes(range(192)) for _ in range(64))) if pixels is None else pixels
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND")


def segment(marker, content=b""):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def entry(tag, kind, count, value, order="<"):
    return struct.pack(f"{order}HHII", tag, kind, count, value)


def tiff(*more, size=(8, 8), strips=(1, 8), tail=b""):
    """Grey and uncompressed, its pixels right behind the header."""
    entries = [
        entry(256, 4, 1, size[0]), entry(257, 4, 1, size[1]), entry(258, 3, 1, 8), entry(259, 3, 1, 1),
        entry(262, 3, 1, 1), entry(273, 4, *strips), entry(278, 4, 1, 8), entry(279, 4, 1, 64), *more,
    ]  # fmt: skip
    pixels = bytes(range(64))
    directory = struct.pack("<H", len(entries)) + b"".join(entries)
    return b"II*\0" + struct.pack("<I", 72) + pixels + directory + (tail or bytes(4))


def bmp(width, height, data):
    palette = b"".join(bytes([k, k, k, 0]) for k in range(256))
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 0, 0, 256, 0) + palette
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(data), 0, 0, 14 + len(head)) + head + data


JPEG, GIF = saved("JPEG"), saved("GIF")
SCREEN, FRAME = GIF[: 13 + 768], GIF[13 + 768 : -1]
PROGRESSIVE = saved("JPEG", progressive=True)
LAST_SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
LARGE = saved("JPEG", (4000, 4000), progressive=True, quality=1)
EMPTY_SCAN = segment(0xDA, b"\1\1\0\1\x3f\0")
SMALL_FRAME = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"

LABORIOUS = {
    "scans": (PROGRESSIVE[:-2] + LAST_SCAN * 3000, "too many scans"),
    "scans behind a comment that looks like an end": (
        PROGRESSIVE[:-2] + segment(0xFE, b"\xff\xd9") + LAST_SCAN * 3000, "too many scans"),
    "scans of a large picture": (LARGE[:-2] + EMPTY_SCAN * 90, "too many scans"),
    "scans that are not progressive": (JPEG[:-2] + JPEG[JPEG.rindex(b"\xff\xda") : -2] * 300, "too many scans"),
    "segments": (JPEG[:2] + segment(0xE3) * 2_000_000 + JPEG[2:], "too many segments"),
    "fill bytes": (JPEG[:2] + b"\xff" * 20_000_000 + JPEG[2:], "could be markers"),
    "stuffed bytes": (JPEG[:-2] + b"\xff\0" * 17_000_000 + JPEG[-2:], "could be markers"),
    "chunks": (png(chunk(b"teXt") * 1_000_000), "too many chunks"),
    "data in chunks of nothing": (png(chunk(b"IDAT") * 1_000_000), "too many chunks"),
    "blocks of one byte in a comment": (SCREEN + b"!\xfe" + b"\1a" * 4_000_000 + b"\0" + FRAME + b";", "blocks"),
    "blocks of one byte in the picture": (SCREEN + FRAME[:-1] + b"\1a" * 4_000_000 + b"\0;", "too many blocks"),
    "extensions": (SCREEN + b"!\xfe\0" * 1_000_000 + FRAME + b";", "too many blocks"),
    "strips": (tiff(strips=(500_000, 8), tail=bytes(2_000_100)), "too many strips"),
    "tiles": (tiff(entry(322, 4, 1, 40_000), entry(323, 4, 1, 40_000)), "too large tiles"),
    "a huge palette": (tiff(entry(320, 3, 50_000_000, 8)), "too large tags"),
    "ends of long lines": (bmp(80_000_000, 1, b"\1\1\0\0\0\1"), "run-length"),
    "steps over long lines": (bmp(4_000_000, 20, b"\0\2\xff\xff" * 200 + b"\0\1"), "run-length"),
    "a PPM in words": (b"P3\n3000 3000 255\n" + b"1 " * 100, "plain text"),
    "a PPM in comments": (b"P3\n64 64 255\n" + b"#a\n" * 3_000_000, "too many comments"),
    "space behind a few words": (b"P3\n4 4 255\n" + b" " * 40_000_000, "plain text"),
    "EXIF in an AVIF": (
        b"\0\0\0\x18ftypavif" + b"II*\0\x08\0\0\0" + struct.pack("<H", 2000)
        + b"".join(entry(k, 7, 900_000, 0) for k in range(2000)) + bytes(900_000), "EXIF that asks for too much"),
}  # fmt: skip


def timed(path, content):
    path.write_bytes(content)
    start = time.process_time()
    try:
        return read_photo(path), ""
    except PhotoError as error:
        return None, str(error)
    finally:
        assert time.process_time() - start < MOST_SECONDS


@pytest.mark.parametrize("name", LABORIOUS)
def test_what_would_take_too_long_is_one_error(tmp_path, name):
    content, match = LABORIOUS[name]
    photo, error = timed(tmp_path / "photo.jpg", content)
    assert photo is None
    assert match in error
    assert "expected at most" in error
    assert "\n" not in error


IGNORED = {
    "EXIF over EXIF": (JPEG, JPEG[:2] + segment(0xE1, b"Exif\0\0" + b"x" * 60_000) * 700 + JPEG[2:], ()),
    "EXIF whose tags share their bytes": (
        JPEG, JPEG[:2] + segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 5000) + b"".join(
            entry(30_000 + k, 7, 60_000, 0) for k in range(5000))) + JPEG[2:], ()),
    "a profile of nonsense": (JPEG, JPEG[:2] + segment(0xE2, b"ICC_PROFILE\0\1\1" + b"\xff" * 60_000) + JPEG[2:], ()),
    "a megabyte of text in a kilobyte": (
        png(), png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**6))) * 2000), ()),
    "a gigabyte of profile": (png(), png(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2 * 10**8)))), ()),
    "a gigabyte of pixels behind the last row": (
        png(pixels=zlib.compress(bytes(64 * 193))), png(pixels=zlib.compress(bytes(2 * 10**8))), ()),
    "bytes behind the end": (GIF, GIF[:-1] + bytes(30_000_000), ()),
    "a comment in a header": (
        b"P6 2 2 255\n" + bytes(range(12)), b"P6\n#" + b"a" * 20_000_000 + b"\n2 2 255\n" + bytes(range(12)), ()),
    "tags that share their bytes": (
        tiff(), tiff(*(entry(1000 + k, 7, 900_000, 0) for k in range(2000)), tail=bytes(900_000)), ()),
    "a circle of pages": (tiff(), tiff(tail=struct.pack("<I", 72)), ()),
    "a million frames": (GIF, SCREEN + FRAME + SMALL_FRAME * 1_000_000, ("animated: first frame of more than 99999",)),
}  # fmt: skip


@pytest.mark.parametrize("name", IGNORED)
def test_what_the_first_picture_does_not_need_is_not_decoded(tmp_path, name):
    plain, padded, notes = IGNORED[name]
    (tmp_path / "plain").write_bytes(plain)
    photo, error = timed(tmp_path / "padded", padded)
    assert error == ""
    assert photo.notes == notes
    np.testing.assert_array_equal(np.asarray(photo.image), np.asarray(read_photo(tmp_path / "plain").image))


def test_pages_are_counted_so_far(tmp_path):
    pages, step = bytearray(b"II*\0\x08\0\0\0"), 2 + 8 * 12 + 4
    body = tiff()[74:-4]
    for number in range(120_000):
        pages += struct.pack("<H", 8) + body + struct.pack("<I", 8 + (number + 1) * step)
    photo, error = timed(tmp_path / "pages.tif", bytes(pages) + bytes(100))
    assert error == ""
    assert photo.notes == ("first picture of more than 99999",)


@pytest.mark.parametrize("mode", ["F", "I", "RGBA", "LA"])
def test_pixels_are_converted_without_copies_of_the_whole_photo(mode):
    """What NumPy takes for it is a few megabytes, whatever the photo's size; it was 40 bytes per pixel."""
    image = Image.new(mode, (3000, 2000))
    tracemalloc.start()
    try:
        to_rgb(image, "", (255, 255, 255))
        assert tracemalloc.get_traced_memory()[1] < 16e6
    finally:
        tracemalloc.stop()


def test_a_file_too_large_for_any_photo_is_not_read(tmp_path):
    with (tmp_path / "photo.jpg").open("wb") as file:
        file.write(JPEG)
        file.truncate(600 * 2**20)  # sparse
    with pytest.raises(PhotoError, match=r"too large; expected a file of at most 512 MiB"):
        read_photo(tmp_path / "photo.jpg")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("what", ["exif", "xmp"])
def test_the_orientation_is_found_without_a_decoder(tmp_path, order, what):
    mark = b"II*\0" if order == "<" else b"MM\0*"
    value = 6 if order == "<" else 6 << 16
    exif = mark + struct.pack(f"{order}IH", 8, 1) + entry(0x0112, 3, 1, value, order) + bytes(4)
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    inside = {"exif": b"Exif\0\0" + exif, "xmp": b"http://ns.adobe.com/xap/1.0/\0" + xmp}[what]
    wide = saved("JPEG", (32, 16))
    (tmp_path / "a.jpg").write_bytes(wide[:2] + segment(0xE1, inside) + wide[2:])
    text = chunk(b"eXIf", exif) if what == "exif" else chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    (tmp_path / "a.png").write_bytes(png(text))
    assert read_photo(tmp_path / "a.jpg").image.size == (16, 32)
    for name in ("a.jpg", "a.png"):
        assert read_photo(tmp_path / name).notes == ("turned by its EXIF orientation",)
