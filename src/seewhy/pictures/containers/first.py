"""The first picture of a file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class First:
    """The first picture of a file, still encoded.

    Attributes:
        data: a file that holds this picture and nothing that its pixels do not need.
        pictures: how many the whole file holds; None where the decoder knows.
        counted: False where ``pictures`` were not counted to the end: there are so many, or more.
        orientation: EXIF's, 1..8; None where the decoder knows.
    """

    data: bytes
    pictures: int | None = None
    counted: bool = True
    orientation: int | None = None
