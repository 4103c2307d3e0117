"""Whether two photos are one picture, saved again, resized or compressed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import PhotoError

SIDE = 32
MOST_APART = 0.15
"""Of two pictures at 32 x 32, without their means: the root of the mean square of what differs, by the deviation of the
one that varies more. Copies at a JPEG quality of 75 are at 0.05 or less, if not tiny; of pairs of different clothes in
Fashion-MNIST whose hashes are near, one of 4,580 is below it."""
KEPT = 20_000

Read = Callable[[], Image.Image]


class Likeness:
    """Compares photos as they are, each read once while it is remembered."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Any, npt.NDArray[np.float64] | None] = OrderedDict()

    def __call__(self, a: tuple[Any, Read], b: tuple[Any, Read]) -> bool:
        """Whether two photos, each a key and what reads it, are one picture; no, where one cannot be read."""
        one, other = self._small(*a), self._small(*b)
        if one is None or other is None:
            return False
        apart = np.sqrt(((one - other) ** 2).mean())
        return bool(apart <= MOST_APART * max(one.std(), other.std(), 1.0))

    def _small(self, key: Any, read: Read) -> npt.NDArray[np.float64] | None:
        """(32, 32, 3), without its mean."""
        if key not in self._kept:
            try:
                photo = read().convert("RGB")
            except PhotoError:
                photo = None
            if photo is not None:
                way = Image.Resampling.BOX if min(photo.size) >= SIDE else Image.Resampling.BILINEAR
                pixels = np.asarray(photo.resize((SIDE, SIDE), way), np.float64)
                self._kept[key] = pixels - pixels.mean()
            else:
                self._kept[key] = None
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]


def linked(count: int, pairs: Iterable[tuple[int, int]], alike: Callable[[int, int], bool]) -> list[list[int]]:
    """Groups of two or more of ``count`` things that are linked by pairs that are alike, sorted by their first."""
    parent = list(range(count))
    root = partial(_root, parent)
    for a, b in pairs:
        if root(a) != root(b) and alike(a, b):
            x, y = sorted((root(a), root(b)))
            parent[y] = x
    groups: dict[int, list[int]] = {}
    for number in range(count):
        groups.setdefault(root(number), []).append(number)
    return [group for group in groups.values() if len(group) > 1]


def _root(parent: list[int], number: int) -> int:
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = parent[number]
    return number
