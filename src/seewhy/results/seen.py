"""The photo of an explanation: what the model saw of it, and where that lies on the original."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePath

from PIL import Image

from ..errors import InputError

Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class SeenPhoto:
    """A photo as the model saw it; the original's pixels are not kept.

    Attributes:
        path: as it was given.
        sha256: of the file's bytes, or of the pixels of a photo that was in memory; hexadecimal.
        size: (width, height) of the upright original.
        crop: exactly what the model saw, before normalisation: RGB.
        box: where the crop lies on the original: left, top, right, bottom in the original's pixels, which may lie
            outside of it; None where it is not known.
        notes: one sentence for each thing that is not as in the file.
    """

    path: str
    sha256: str
    size: tuple[int, int]
    crop: Image.Image = field(repr=False)
    box: Box | None = None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePath(self.path).name or self.path

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
