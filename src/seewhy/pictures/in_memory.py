"""A photo that is in memory already, as it would have been read from a file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from seewhy.errors import PhotoError
from seewhy.pictures.photo import MAX_PIXELS, Photo, read_photo
from seewhy.pictures.pixels import Colour, to_rgb

UNNAMED = "photo"
"""What a photo is called that was read from no file."""

WHITE: Colour = (255, 255, 255)


def as_photo(photo: Any, *, background: Colour = WHITE) -> Photo:
    """A photo from whatever a person has.

    Args:
        photo: the path of a file; or a PIL image, which is turned upright as one that is read from a file; or an array
            (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8, or floating point in [0, 1].
        background: the colour, 0..255, that shows through transparent pixels.

    Raises:
        PhotoError: it is none of these, is too large, or the file cannot be read.
    """
    if isinstance(photo, Photo):
        return photo
    if isinstance(photo, str | os.PathLike):
        return read_photo(photo, background=background)
    image = photo if isinstance(photo, Image.Image) else _from_array(photo)
    if 0 in image.size or image.width * image.height > MAX_PIXELS:
        expected = f"1 pixel to {MAX_PIXELS / 1e6:g} megapixels"
        raise PhotoError("the photo has a wrong size", expected=expected, got=f"{image.width} × {image.height} pixels")
    name = Path(os.fspath(getattr(image, "filename", "") or UNNAMED))
    try:
        upright = ImageOps.exif_transpose(image)
        rgb, notes = to_rgb(upright, "", background)
    except (OSError, ValueError, SyntaxError) as error:  # a file that is decoded only now
        raise PhotoError(f"the photo cannot be decoded: {error}") from error
    turned = ["turned by its EXIF orientation"] if upright.size != image.size or _turns(image) else []
    digest = hashlib.sha256(repr(rgb.size).encode() + rgb.tobytes()).hexdigest()
    return Photo(rgb, name, (*turned, *notes), digest)


def _turns(image: Image.Image) -> bool:
    return bool(image.getexif().get(0x0112, 1) in range(2, 9))


def _from_array(photo: Any) -> Image.Image:
    expected = "a path, a PIL image, or an array (H, W, 3) of uint8 0..255 or floats 0..1"
    try:
        array = np.asarray(photo)
    except Exception as error:  # a foreign object's own conversion may raise anything
        raise PhotoError("this is no photo", expected=expected, got=type(photo).__name__) from error
    if array.dtype.kind not in "uifb" or array.ndim not in (2, 3):
        raise PhotoError("this is no photo", expected=expected, got=type(photo).__name__)
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4):
        close = " (channels come last: numpy.moveaxis(array, 0, -1))" if array.shape[0] in (1, 3, 4) else ""
        raise PhotoError("the array is no photo", expected=f"(H, W, 3){close}", got=array.shape)
    if array.dtype.kind == "f":
        if not np.isfinite(array).all() or (array.size and (array.min() < 0 or array.max() > 1)):
            finite = np.isfinite(array).all()
            got = f"{array.min():.3g} to {array.max():.3g}" if finite else "NaN or infinity among them"
            raise PhotoError("the array is no photo", expected="floats in [0, 1], before any normalisation", got=got)
        array = np.rint(array * 255)
    elif array.size and (array.min() < 0 or array.max() > 255):
        raise PhotoError(
            "the array is no photo", expected="whole numbers 0..255", got=f"{array.min()} to {array.max()}"
        )
    array = array.astype(np.uint8)
    return Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array)
