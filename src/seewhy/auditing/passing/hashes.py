"""Perceptual hashes: near duplicates have nearly the same bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...errors import InputError

Hashes = npt.NDArray[np.uint64]

BANDS = 5
"""Two hashes that differ in less bits than there are bands agree in one band at least."""
MASKS = tuple(np.uint64(sum(1 << bit for bit in range(band, 64, BANDS))) for band in range(BANDS))
"""The bits of each band; neighbouring bits, which go together, lie in different ones."""
CHUNK = 512
"""Hashes of a band that are compared with all others of it at once."""

_SET = np.array([bin(value).count("1") for value in range(1 << 16)], np.uint8)


def hash_of(photo: Image.Image) -> int:
    """64 bits: of an 8 x 9 picture of a photo's light, whether each pixel is brighter than its left neighbour."""
    small = np.asarray(photo.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    bits = np.packbits((small[:, 1:] > small[:, :-1]).ravel())
    return int.from_bytes(bits.tobytes(), "big")


def distance(a: Hashes, b: Hashes) -> npt.NDArray[np.int64]:
    """In how many bits they differ; of the shape that they have together."""
    parts = np.ascontiguousarray(a ^ b)[..., None].view(np.uint16)
    counts: npt.NDArray[np.int64] = _SET[parts].sum(-1, dtype=np.int64)
    return counts


def near_pairs(hashes: Hashes, most: int = BANDS - 1) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, that differ in at most ``most`` < ``BANDS`` bits, sorted.

    Of equal hashes, such as those of flat pictures, all are paired with the first of them, which alone is paired with
    others: the same groups are linked, and the list stays short.

    Args:
        hashes: (N,) uint64.

    Raises:
        InputError: more bits than bands can tell.
    """
    if not 0 <= most < BANDS:
        raise InputError("near hashes differ in few bits", expected=f"0 to {BANDS - 1}", got=most)
    distinct, first, of = np.unique(hashes, return_index=True, return_inverse=True)
    found = {(int(first[kind]), row) for row, kind in enumerate(of.tolist()) if first[kind] != row}
    for mask in MASKS if most else ():
        band = distinct & mask
        order = np.argsort(band, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(band[order])) + 1):
            for start in range(0, len(members) - 1, CHUNK):
                part, later = members[start : start + CHUNK], members[start:]
                differ = distance(distinct[part, None], distinct[None, later])
                one, other = np.nonzero(np.triu(differ <= most, 1))
                pairs = np.sort(np.stack([first[part[one]], first[later[other]]]), axis=0)
                found.update(zip(*pairs.tolist(), strict=True))
    return sorted(found)
