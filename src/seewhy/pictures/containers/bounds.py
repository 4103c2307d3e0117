"""Bounds on the work of decoding a photo, beside its pixels."""

from __future__ import annotations

MAX_BYTES = 512 * 2**20
"""Of a file. The largest picture that is read, 89 megapixels, takes 509 MiB with three channels of 16 bit."""

MAX_PARTS = 100_000
"""Segments, chunks, strips and pages that are walked. A 500 MB PNG in libpng's chunks of 8 kB has 64,000 of them; each
takes a microsecond here, and several in a decoder."""

MAX_BLOCKS = 2_000_000
"""A GIF's blocks of 1 to 255 bytes that are walked, 0.05 microseconds each. 89 megapixels that do not compress at all
fill half a million."""

MAX_SCANS = 100
"""A JPEG's. Cameras write one and programs about ten; each goes over the whole picture, however few bytes it has."""

MAX_SCANNED = 1_000_000_000
"""Scans times pixels of a JPEG: 11 scans of 89 megapixels, 40 of 25. A scan takes some nanoseconds a pixel."""

MAX_MARKERS = 16_000_000
"""Bytes FF of a JPEG, 0.05 microseconds each. One in 256 of its data is, which makes 2 million in the largest file."""

MAX_METADATA = 2**20
"""Bytes of EXIF or XMP that are searched for the orientation. JPEG allows 64 kB at a time."""

MAX_SLOW_PIXELS = 4_000_000
"""Of run-length BMP and of PPM in plain text, which Pillow decodes in Python, a microsecond a pixel."""

MAX_SLOW_BYTES = 32 * 2**20
"""Of their files: 8 bytes for each of those pixels; three numbers of a pixel in plain text take 6 to 12."""


class Laborious(Exception):
    """Decoding would take too long, or too much memory.

    Args:
        what: what there is too much of, one sentence without a subject: "has too many scans".
        expected: the bound, in words.
        got: what was found.
    """

    def __init__(self, what: str, expected: str, got: str):
        super().__init__(what)
        self.what, self.expected, self.got = what, expected, got


class Parts:
    """Counts the parts of a file while it is walked.

    Args:
        name: of the parts, plural.
        most: so many are allowed.
    """

    def __init__(self, name: str, most: int = MAX_PARTS):
        self.name, self.most, self.count = name, most, 0

    def one_more(self) -> None:
        """Count one.

        Raises:
            Laborious: there are too many.
        """
        self.count += 1
        if self.count > self.most:
            raise Laborious(f"has too many {self.name}", f"at most {self.most:,}", "more")
