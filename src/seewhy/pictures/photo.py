"""Reading a photo: any file a person may have, as 8-bit RGB, with a note on everything that was changed.

Photos are untrusted input. Each is read once, from one open file, and hashed as it was read. Its parts are walked and
bounded before a decoder sees them (:mod:`seewhy.pictures.containers`), the size is checked before a pixel is decoded,
only formats with plain decoders are tried, and whatever a decoder throws at a broken file becomes one
:class:`~seewhy.errors.PhotoError`. No global of Pillow is changed, so threads do not disturb each other.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from seewhy.errors import PhotoError, close_matches
from seewhy.legible import in_one_line, message
from seewhy.pictures.containers import First, Laborious, first_picture
from seewhy.pictures.containers.bounds import MAX_BYTES
from seewhy.pictures.containers.metadata import ORIENTATION, orientation_of
from seewhy.pictures.pixels import STRIP, Colour, to_rgb
from seewhy.pictures.signature import looks_like
from seewhy.pictures.small import small

MAX_PIXELS = 89_000_000  # just under the size from which Pillow warns
# Formats that people keep photos in. Left out on purpose: EPS and PDF (they run other programs), TGA
# (no signature: text can pass for it), and everything rare enough to have been attacked more than used.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF")
EXPECTED = "JPEG, PNG, WebP, GIF, TIFF, BMP, PPM or AVIF"
MOVING = ("GIF", "WEBP", "PNG", "AVIF")
END_OF_JPEG = b"\xff\xd9"
LEAST_READABLE = 0.01
# Not to wait for the other end of a pipe that took the photo's place since it was looked at.
_OPENING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class Photo:
    """A photo as it is shown and fed to a model.

    Attributes:
        image: mode RGB, upright, without metadata (no EXIF, no position, no colour profile).
        path: where it was read.
        notes: one plain sentence for each thing that is not as in the file.
        sha256: of the bytes that were decoded, in hexadecimal.
    """

    image: Image.Image
    path: Path
    notes: tuple[str, ...] = ()
    sha256: str = ""

    @cached_property
    def small(self) -> bytes:
        """The photo with a longer side of at most 448 pixels, as a file: WebP, or JPEG where Pillow lacks that."""
        return small(self.image)


def read_photo(
    path: str | os.PathLike[str], *, background: Colour = (255, 255, 255), max_pixels: int = MAX_PIXELS
) -> Photo:
    """Read a photo as upright 8-bit RGB.

    A truncated file gives its readable part and a note; if less than a hundredth is readable, an error.
    Of an animation or a file of several pages the first picture is read. Colour profiles are ignored, as
    the networks' own training pipelines do. How the pixel formats are converted:
    :func:`seewhy.pictures.pixels.to_rgb`.

    It takes seconds, and in memory about 20 bytes per pixel and twice the file, whatever the file holds; what a small
    file may ask for beyond that is bounded by :mod:`seewhy.pictures.containers.bounds`.

    Args:
        path: the file.
        background: the colour, 0..255, that shows through transparent pixels.
        max_pixels: larger pictures are refused before they are decoded (Pillow's own limit, twice
            ``PIL.Image.MAX_IMAGE_PIXELS``, holds as well).

    Raises:
        PhotoError: the file is missing, is no regular file, is empty, cannot be opened, is no picture in
            a supported format, is too large or too laborious, or nothing in it can be decoded.
    """
    path = Path(path)
    return _decoded(partial(_read, path, in_one_line(path)), path, background, max_pixels)


def photo_of_bytes(
    data: bytes, name: str, *, background: Colour = (255, 255, 255), max_pixels: int = MAX_PIXELS
) -> Photo:
    """A photo from the content of a file, as ``read_photo`` reads it.

    Args:
        data: the content.
        name: what it is called, in errors too.
        background, max_pixels: see ``read_photo``.

    Raises:
        PhotoError: as there.
    """
    if not data:
        raise PhotoError(f"{in_one_line(name)} is empty", expected="a photo", got="0 bytes")
    return _decoded(lambda: data, Path(name), background, max_pixels)


def _decoded(read: Callable[[], bytes], path: Path, background: Colour, max_pixels: int) -> Photo:
    """Args: ``read`` gives the file, which is kept no longer than it is needed."""
    name = in_one_line(path)
    notes: list[str] = []
    data = read()
    sha256 = hashlib.sha256(data).hexdigest()
    with _as_photo_error(name):
        first = first_picture(data)
        del data
        image = _open(first.data, name, max_pixels)
        raw_modes = " ".join(str(tile[3]) for tile in image.tile[:1])  # gone once the pixels are loaded
        orientation = _orientation(image) if first.orientation is None else first.orientation
        image = _load(image, first.data, name, notes)
        # Pillow turns some formats (TIFF) while it loads them, and forgets the orientation then.
        left = _orientation(image) if first.orientation is None else orientation
        if orientation != 1:
            notes.append("turned by its EXIF orientation")
        notes.extend(_several(image, first))
        rgb, more = to_rgb(image, raw_modes, background)
        del image
        return Photo(_turned(rgb, left), path, (*notes, *more), sha256)


def _read(path: Path, name: str) -> bytes:
    """All of the file, read once, whatever takes its place meanwhile."""
    try:
        _check_kind(path.stat(), name)  # before it is opened: that alone moves some devices
        with open(os.open(path, _OPENING), "rb") as file:
            status = os.fstat(file.fileno())
            _check_kind(status, name)
            # Of one that grows meanwhile no more is read than was there.
            data = file.read(status.st_size) if status.st_size <= MAX_BYTES else None
    except FileNotFoundError:
        raise PhotoError(f"{name} does not exist", close=_neighbours(path)) from None
    except PhotoError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = getattr(error, "strerror", None) or message(error)
        raise PhotoError(f"{name} cannot be opened: {reason[:1].lower()}{reason[1:]}") from error
    if data is None:
        got = f"{status.st_size / 2**20:,.0f} MiB"
        raise PhotoError(f"{name} is too large", expected=f"a file of at most {MAX_BYTES / 2**20:g} MiB", got=got)
    if not data:
        raise PhotoError(f"{name} is empty", expected="a photo", got="0 bytes")
    return data


def _check_kind(status: os.stat_result, name: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise PhotoError(f"{name} is a directory", expected="a photo, or several, as the shell makes of FOLDER/*")
    if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device could wait for ever
        raise PhotoError(f"{name} is not a regular file", expected="a photo")


def _neighbours(path: Path) -> tuple[str, ...]:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except (OSError, ValueError):
        return ()
    return tuple(in_one_line(path.parent / name) for name in close_matches(path.name, names) if name != path.name)


def _open(data: bytes, name: str, max_pixels: int) -> ImageFile.ImageFile:
    """Read the header only, and check the size."""
    Image.init()
    try:
        image = Image.open(io.BytesIO(data), formats=[known for known in FORMATS if known in Image.OPEN])
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{name} is too large", expected=_limit(max_pixels)) from error
    except UnidentifiedImageError:
        raise PhotoError(f"{name} cannot be read as a photo", expected=EXPECTED, got=looks_like(data[:512])) from None
    width, height = image.size
    if width * height > max_pixels:
        got = f"{width} × {height} pixels"
        raise PhotoError(f"{name} is too large", expected=_limit(max_pixels), got=got)
    return image


def _limit(max_pixels: int) -> str:
    return f"at most {max_pixels / 1e6:g} megapixels"


def _load(image: ImageFile.ImageFile, data: bytes, name: str, notes: list[str]) -> ImageFile.ImageFile:
    """Decode the pixels; of a truncated file, those that are there."""
    try:
        image.load()
        return image
    except (OSError, SyntaxError) as error:  # SyntaxError is how Pillow reports a broken PNG
        failure = error
    if image.format == "JPEG":
        # libjpeg decodes what is there once it meets an end marker, progressive files too.
        image = Image.open(io.BytesIO(data + END_OF_JPEG), formats=["JPEG"])
        image.load()
    else:
        # The rows before the break are decoded already; without tiles Pillow does not try again.
        image.tile = []
        image.load()
    if _readable(image) < LEAST_READABLE:
        raise PhotoError(f"{name} is truncated and nothing in it can be read: {_reason(failure)}")
    notes.append("truncated file: the readable part is shown")
    return image


def _readable(image: Image.Image) -> float:
    """The share of the pixels that differ from the last one: what was never decoded has one colour.

    Of a JPEG without data the decoder still makes a block or two out of nothing.
    """
    last = np.asarray(image.crop((image.width - 1, image.height - 1, *image.size))).reshape(-1)
    rows = max(1, STRIP // image.width)
    differ = 0
    for top in range(0, image.height, rows):
        strip = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height)))).reshape(-1, last.size)
        other = strip[:, 0] != last[0]
        for channel in range(1, last.size):
            other |= strip[:, channel] != last[channel]
        differ += int(other.sum())
    return differ / (image.width * image.height)


def _several(image: Image.Image, first: First) -> list[str]:
    """What to say where there is more than one picture."""
    count = int(getattr(image, "n_frames", 1)) if first.pictures is None else first.pictures
    if count <= 1:
        return []
    many = f"{count}" if first.counted else f"more than {count - 1}"
    return [f"animated: first frame of {many}" if image.format in MOVING else f"first picture of {many}"]


def _orientation(image: Image.Image) -> int:
    """The orientation 1..8 in a format that the decoder tells it of; 1 where it is missing or makes no sense."""
    if image.format != "TIFF":
        return orientation_of(image.info.get("exif"), image.info.get("xmp"))
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - broken metadata says nothing about the pixels
        return 1
    return found if found in range(1, 9) else 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    turn = Image.Transpose
    how = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_270,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_90,
    }.get(orientation)
    return image if how is None else image.transpose(how)


@contextmanager
def _as_photo_error(name: str) -> Iterator[None]:
    try:
        yield
    except PhotoError:
        raise
    except Laborious as error:
        raise PhotoError(f"{name} {error.what}", expected=error.expected, got=error.got) from error
    except Exception as error:  # decoders of untrusted bytes raise anything
        raise PhotoError(f"{name} is a broken photo: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = message(error) or type(error).__name__
    return text[:1].lower() + text[1:]
