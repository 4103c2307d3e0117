"""Perceptual hashes: near duplicates have nearly the same bits."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image

Hashes = npt.NDArray[np.uint64]

BANDS = 5
"""Two hashes that differ in less bits than there are bands agree in one band at least."""
MOST_OF_A_BAND = 256
"""More hashes that agree in a band than these are flat pictures, which all look alike."""


def hash_of(photo: Image.Image) -> int:
    """64 bits: of an 8 x 9 picture of a photo's light, whether each pixel is brighter than its left neighbour."""
    small = np.asarray(photo.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    bits = np.packbits((small[:, 1:] > small[:, :-1]).ravel())
    return int.from_bytes(bits.tobytes(), "big")


def distance(a: Hashes, b: Hashes) -> npt.NDArray[np.int64]:
    """In how many bits they differ."""
    bits = np.unpackbits((a ^ b).reshape(-1, 1).view(np.uint8), axis=1)
    counts: npt.NDArray[np.int64] = bits.sum(1, dtype=np.int64)
    return counts


def near_pairs(hashes: Hashes, most: int = BANDS - 1) -> list[tuple[int, int]]:
    """All pairs (i, j), i < j, that differ in at most ``most`` < ``BANDS`` bits, sorted; flat pictures are left out."""
    edges = np.linspace(0, 64, BANDS + 1).round().astype(int)
    found: set[tuple[int, int]] = set()
    for start, end in pairwise(edges.tolist()):
        bands = (hashes >> np.uint64(start)) & np.uint64((1 << end - start) - 1)
        same: dict[int, list[int]] = defaultdict(list)
        for number, band in enumerate(bands.tolist()):
            same[band].append(number)
        for members in same.values():
            if not 1 < len(members) <= MOST_OF_A_BAND:
                continue
            first, second = np.triu_indices(len(members), 1)
            rows = np.array(members)
            close = distance(hashes[rows[first]], hashes[rows[second]]) <= most
            found.update(zip(rows[first][close].tolist(), rows[second][close].tolist(), strict=True))
    return sorted(found)
