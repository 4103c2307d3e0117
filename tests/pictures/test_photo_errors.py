"""What cannot be read as a photo is one clear line."""

import os
import re
import struct
import zlib

import pytest
from PIL import Image

from seewhy.errors import PhotoError
from seewhy.pictures import in_one_line, read_photo

JPEG = "photo.jpg"


def refused(path, **options):
    with pytest.raises(PhotoError) as caught:
        read_photo(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def png_claiming(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def test_missing_file_offers_its_neighbours(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "chelsea.png")
    assert re.search("does not exist; did you mean .*chelsea.png", refused(tmp_path / "chelsae.png"))


def test_directory(tmp_path):
    assert "is a directory" in refused(tmp_path)


def test_empty_file(tmp_path):
    (tmp_path / JPEG).write_bytes(b"")
    assert "is empty" in refused(tmp_path / JPEG)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("naïve text ".encode() * 90, "text"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 20, "HEIC"),
        (b"\xff\xfe\xfd\xfc" * 40, "an unknown format"),
        (b"II*\0\xff\xff\xff\x0f", "truncated TIFF"),
    ],
)
def test_no_photo_says_what_it_seems_to_be(tmp_path, content, kind):
    (tmp_path / JPEG).write_bytes(content)
    message = refused(tmp_path / JPEG)
    assert "cannot be read as a photo" in message
    assert kind in message


def test_no_permission(tmp_path, monkeypatch):
    Image.new("RGB", (2, 2)).save(tmp_path / JPEG)

    def forbidden(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", forbidden)
    assert "cannot be opened: permission denied" in refused(tmp_path / JPEG)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / JPEG)
    assert "not a regular file" in refused(tmp_path / JPEG)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_that_takes_the_photos_place_is_not_waited_for(tmp_path, monkeypatch):
    """It was a photo when it was looked at, and is a pipe when it is opened."""
    path, opened = tmp_path / JPEG, os.open
    Image.new("RGB", (2, 2)).save(path)

    def swapped(*given):
        path.unlink()
        os.mkfifo(path)
        return opened(*given)

    monkeypatch.setattr(os, "open", swapped)
    assert "not a regular file" in refused(path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_700, 60_000])
def test_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch, side):
    (tmp_path / JPEG).write_bytes(png_claiming(side, side))
    monkeypatch.setattr("seewhy.pictures.photo._load", lambda *_: pytest.fail("decoded"))
    assert re.search("too large; expected at most 89 megapixels", refused(tmp_path / JPEG))


def test_the_limit_is_a_parameter(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / JPEG)
    assert "got 30 × 20 pixels" in refused(tmp_path / JPEG, max_pixels=599)
    assert read_photo(tmp_path / JPEG, max_pixels=600).image.size == (30, 20)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_truncated_with_nothing_readable(tmp_path, suffix):
    path = tmp_path / f"photo.{suffix}"
    Image.effect_noise((200, 200), 90).save(path)
    data = path.read_bytes()
    start = data.index(b"\xff\xda") + 10 if suffix == "jpg" else data.index(b"IDAT") + 6
    path.write_bytes(data[:start])
    assert "nothing in it can be read" in refused(path)


@pytest.mark.parametrize("path", ["a\nb.jpg", "a\0b.jpg", "x" * 5000 + ".jpg", "\udcff.jpg"])
def test_hostile_names_stay_on_one_short_line(path):
    message = refused(path)
    assert len(message) < 400
    message.encode("utf-8")


def test_a_path_in_one_line_keeps_what_can_be_read():
    assert in_one_line("Fotos/Katze 猫.jpg") == "Fotos/Katze 猫.jpg"
    assert in_one_line("a\x1b[31m\nb") == "a\\x1b[31m\\nb"
