"""Photos of an audit's page, as the model sees them, small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image

from ...errors import SeewhyError
from ...legible import message
from ..example import small
from ..eye import Eye

COARSE = 112
"""Pixels below which a photo's own pixels are to be seen when it is enlarged."""
MOST_PICTURES = 400
"""Pictures of a page, some 8 KB each; findings after these are told in words."""
KEPT = 1024
"""Pictures that are kept from one page to the next, while an audit goes on."""


@dataclass(frozen=True)
class Picture:
    """A photo: its path and its pixels as the model sees them; ``uri`` is None where it cannot be read.

    Attributes:
        coarse: its pixels are to be seen.
        block: the id of the block that holds what the viewer shows of it; None: it cannot be opened.
    """

    path: str
    uri: str | None = None
    error: str | None = None
    coarse: bool = False
    block: str | None = None

    def opening(self, block: str | None) -> Picture:
        """The same, to be opened with a block of the page."""
        return replace(self, block=block)


class Pictures:
    """Photos as data URIs; each is read once."""

    def __init__(self, eye: Eye):
        self._eye = eye
        self._known: dict[str, Picture] = {}

    def of(self, paths: Sequence[str]) -> list[Picture]:
        """Of paths within the audited folder."""
        if len(self._known) > KEPT:
            self._known.clear()
        return [self._picture(path) for path in paths]

    def _picture(self, path: str) -> Picture:
        if path not in self._known:
            try:
                image = Image.fromarray(self._eye.pixels([path])[0])
            except (SeewhyError, OSError, ValueError) as error:
                self._known[path] = Picture(path, error=message(error))
            else:
                coarse = max(image.size) < COARSE
                self._known[path] = Picture(path, small(image), coarse=coarse)
        return self._known[path]
