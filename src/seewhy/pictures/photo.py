"""Reading a photo: any file a person may have, as 8-bit RGB, with a note on everything that was changed.

Photos are untrusted input. The header is read first, the size is checked before a pixel is decoded, only
formats with plain decoders are tried, and whatever a decoder throws at a broken file becomes one
:class:`~seewhy.errors.PhotoError`. No global of Pillow is changed, so threads do not disturb each other.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from seewhy.errors import PhotoError, close_matches
from seewhy.pictures.pixels import Colour, to_rgb
from seewhy.pictures.signature import looks_like

MAX_PIXELS = 89_000_000  # just under the size from which Pillow warns
# Formats that people keep photos in. Left out on purpose: EPS and PDF (they run other programs), TGA
# (no signature: text can pass for it), and everything rare enough to have been attacked more than used.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF")
EXPECTED = "JPEG, PNG, WebP, GIF, TIFF, BMP, PPM or AVIF"
ORIENTATION = 0x0112
END_OF_JPEG = b"\xff\xd9"
LEAST_READABLE = 0.01


@dataclass(frozen=True)
class Photo:
    """A photo as it is shown and fed to a model.

    Attributes:
        image: mode RGB, upright, without metadata (no EXIF, no position, no colour profile).
        path: where it was read.
        notes: one plain sentence for each thing that is not as in the file.
    """

    image: Image.Image
    path: Path
    notes: tuple[str, ...] = ()


def read_photo(
    path: str | os.PathLike[str], *, background: Colour = (255, 255, 255), max_pixels: int = MAX_PIXELS
) -> Photo:
    """Read a photo as upright 8-bit RGB.

    A truncated file gives its readable part and a note; if less than a hundredth is readable, an error.
    Of an animation or a file of several pages the first picture is read. Colour profiles are ignored, as
    the networks' own training pipelines do. How the pixel formats are converted:
    :func:`seewhy.pictures.pixels.to_rgb`.

    Args:
        path: the file.
        background: the colour, 0..255, that shows through transparent pixels.
        max_pixels: larger pictures are refused before they are decoded (Pillow's own limit, twice
            ``PIL.Image.MAX_IMAGE_PIXELS``, holds as well).

    Raises:
        PhotoError: the file is missing, is no regular file, is empty, cannot be opened, is no picture in
            a supported format, is too large, or nothing in it can be decoded.
    """
    path = Path(path)
    name = in_one_line(path)
    notes: list[str] = []
    with _opened(path, name) as file, _as_photo_error(name):
        image = _open(file, name, max_pixels)
        raw_modes = " ".join(str(tile[3]) for tile in image.tile)  # gone once the pixels are loaded
        orientation = _orientation(image)
        image = _load(image, file, name, notes)
        # Pillow turns some formats (TIFF) while it loads them, and forgets the orientation then.
        upright = _turned(image, _orientation(image))
        if orientation != 1:
            notes.append("turned by its EXIF orientation")
        if (frames := _frames(image)) > 1:
            moving = image.format in ("GIF", "WEBP", "PNG", "AVIF")
            notes.append(f"animated: first frame of {frames}" if moving else f"first picture of {frames}")
        rgb, more = to_rgb(upright, raw_modes, background)
    return Photo(rgb, path, (*notes, *more))


def in_one_line(path: str | os.PathLike[str], most: int = 240) -> str:
    """A path for a one-line message: control characters are escaped, the middle of a long one is cut."""
    name = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in os.fspath(path))
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-most // 2 :]}"


def _opened(path: Path, name: str) -> BinaryIO:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise PhotoError(f"{name} is a directory", expected="a photo")
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device could wait for ever
            raise PhotoError(f"{name} is not a regular file", expected="a photo")
        if status.st_size == 0:
            raise PhotoError(f"{name} is empty", expected="a photo", got="0 bytes")
        return path.open("rb")
    except FileNotFoundError:
        raise PhotoError(f"{name} does not exist", close=_neighbours(path)) from None
    except PhotoError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise PhotoError(f"{name} cannot be opened: {reason[:1].lower()}{reason[1:]}") from error


def _neighbours(path: Path) -> tuple[str, ...]:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except (OSError, ValueError):
        return ()
    return tuple(in_one_line(path.parent / name) for name in close_matches(path.name, names))


def _open(file: BinaryIO, name: str, max_pixels: int) -> ImageFile.ImageFile:
    """Read the header only, and check the size."""
    Image.init()
    try:
        image = Image.open(file, formats=[known for known in FORMATS if known in Image.OPEN])
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{name} is too large", expected=_limit(max_pixels)) from error
    except UnidentifiedImageError:
        file.seek(0)
        got = looks_like(file.read(512))
        raise PhotoError(f"{name} cannot be read as a photo", expected=EXPECTED, got=got) from None
    width, height = image.size
    if width * height > max_pixels:
        got = f"{width} × {height} pixels"
        raise PhotoError(f"{name} is too large", expected=_limit(max_pixels), got=got)
    return image


def _limit(max_pixels: int) -> str:
    return f"at most {max_pixels / 1e6:g} megapixels"


def _load(image: ImageFile.ImageFile, file: BinaryIO, name: str, notes: list[str]) -> ImageFile.ImageFile:
    """Decode the pixels; of a truncated file, those that are there."""
    try:
        image.load()
        return image
    except (OSError, SyntaxError) as error:  # SyntaxError is how Pillow reports a broken PNG
        failure = error
    if image.format in ("JPEG", "MPO"):
        # libjpeg decodes what is there once it meets an end marker, progressive files too.
        file.seek(0)
        image = Image.open(io.BytesIO(file.read() + END_OF_JPEG), formats=["JPEG"])
        image.load()
    else:
        # The rows before the break are decoded already; without tiles Pillow does not try again.
        image.tile = []
        image.load()
    # What was never decoded has one colour, that of the last pixel; of a JPEG without data the decoder still
    # makes a block or two out of nothing.
    pixels = np.asarray(image).reshape(image.width * image.height, -1)
    if (pixels != pixels[-1]).any(axis=1).mean() < LEAST_READABLE:
        raise PhotoError(f"{name} is truncated and nothing in it can be read: {_reason(failure)}")
    notes.append("truncated file: the readable part is shown")
    return image


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation 1..8; 1 where it is missing, out of range or unreadable."""
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


def _frames(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # noqa: BLE001 - a later frame is broken; the first is what is shown
        return 1


@contextmanager
def _as_photo_error(name: str) -> Iterator[None]:
    try:
        yield
    except PhotoError:
        raise
    except Exception as error:  # decoders of untrusted bytes raise anything
        raise PhotoError(f"{name} is a broken photo: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:1].lower() + text[1:]
