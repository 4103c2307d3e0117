"""The photo of an explanation: what the model saw of it, where that lies on the original, and the original, small."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePath

from PIL import Image

from ..errors import InputError, PhotoError
from ..pictures.photo import Photo, photo_of_bytes
from ..pictures.small import SMALL, small_size

Box = tuple[float, float, float, float]

WHOLE = {b"RIFF": "whole.webp", b"\xff\xd8\xff": "whole.jpg"}
"""How a file begins -> its name among the files of an explanation."""

ALIKE = 0.02
"""The share by which the proportions of two pictures may differ that show the same."""


@dataclass(frozen=True, eq=False)
class SeenPhoto:
    """A photo as the model saw it; of the original only a small picture is kept.

    Attributes:
        path: as it was given.
        sha256: of the file's bytes, or of the pixels of a photo that was in memory; hexadecimal.
        size: (width, height) of the upright original.
        crop: exactly what the model saw, before normalisation: RGB.
        box: where the crop lies on the original: left, top, right, bottom in the original's pixels, which may lie
            outside of it; None where it is not known.
        notes: one sentence for each thing that is not as in the file.
        whole_file: the upright original as a file, WebP or JPEG, with a longer side of at most 448 pixels: as it is
            saved, so that what is loaded is what was made. None where the crop shows all of it, or where the crop lies
            is not known.

    Raises:
        InputError: ``whole_file`` is no such picture.
    """

    path: str
    sha256: str
    size: tuple[int, int]
    crop: Image.Image = field(repr=False)
    box: Box | None = None
    notes: tuple[str, ...] = ()
    whole_file: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, photo: Photo, crop: Image.Image, box: Box | None, notes: tuple[str, ...]) -> SeenPhoto:
        """A photo that was read, with what the model saw of it."""
        seen = cls(str(photo.path), photo.sha256, photo.image.size, crop, box, notes)
        return seen if box is None or seen.crop_is_whole else replace(seen, whole_file=photo.small)

    def __post_init__(self) -> None:
        if self.whole is not None and (self.whole_name is None or self.whole.size != small_size(self.size)):
            expected = "WebP or JPEG, {} × {} pixels".format(*small_size(self.size))
            raise InputError("the whole photo is another than the one that was explained", expected=expected)

    @cached_property
    def whole(self) -> Image.Image | None:
        """The upright original, small, RGB; None where there is no ``whole_file``."""
        if self.whole_file is None:
            return None
        try:
            photo = photo_of_bytes(self.whole_file, "the whole photo", max_pixels=SMALL**2)
        except PhotoError as error:
            raise InputError(str(error)) from error
        if photo.notes:  # truncated, turned or moving: not as it was written
            raise InputError("the whole photo is not as it was saved", got=photo.notes[0])
        return photo.image

    @property
    def whole_name(self) -> str | None:
        """The name of ``whole_file`` among the files of an explanation."""
        return next((name for begin, name in WHOLE.items() if (self.whole_file or b"").startswith(begin)), None)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePath(self.path).name or self.path

    @property
    def crop_is_whole(self) -> bool:
        """Whether the crop shows all of the original, undistorted."""
        if self.box is None:
            return False
        (left, top, right, bottom), (width, height) = self.box, self.size
        covers = left < 0.5 and top < 0.5 and right > width - 0.5 and bottom > height - 0.5
        stretched = (right - left) * self.crop.height / ((bottom - top) * self.crop.width)
        return covers and abs(stretched - 1) < ALIKE

    def place(self, drawn: Image.Image, original: Image.Image) -> Image.Image:
        """The original with what was drawn on the crop laid where the crop lies.

        Args:
            drawn: any size; the crop's proportions.
            original: the upright photo in full.

        Raises:
            InputError: this is another photo, or it is not known where the crop lies.
        """
        if original.size == self.crop.size != self.size:
            return drawn.resize(original.size, Image.Resampling.BILINEAR)
        if original.size != self.size:
            sizes = [f"{width} × {height}" for width, height in (self.size, self.crop.size, original.size)]
            expected = f"the original, {sizes[0]} pixels, or the crop, {sizes[1]}"
            raise InputError("this is not the photo", expected=expected, got=sizes[2])
        if self.box is None:
            what = "where the model's crop lies on the photo is not known: its preprocessing is another library's"
            raise InputError(what, expected="the crop itself: explanation.photo.crop")
        left, top, right, bottom = (round(edge) for edge in self.box)
        laid = drawn.resize((max(1, right - left), max(1, bottom - top)), Image.Resampling.BILINEAR)
        sheet = original.convert("RGB")
        sheet.paste(laid, (left, top))
        return sheet
