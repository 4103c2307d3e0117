"""What a model says of photos and of variants of them: where these differ in small parts, only those are computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from ..errors import MethodError
from ..incremental import Programs, Rescorer
from .passing.outputs import as_logits

if TYPE_CHECKING:
    from .eye import Eye, Pixels

LEAST_SIDE = 128
"""Smaller photos go through the network whole: many of them at once are quicker than windows of each."""
MOST_OF_A_PHOTO = 1 / 8
"""A larger part is computed whole as well."""
FEWEST = 4
"""Variants of a photo that pay for following it."""

Variants = tuple["Pixels", "Sequence[Pixels]"]
"""A photo (H, W, 3) uint8, and variants of it."""


class Beside:
    """Photos beside their variants, by the incremental engine where it is quicker and the network can be followed.

    Args:
        eye: the model.
    """

    def __init__(self, eye: Eye):
        self._eye = eye
        self._programs = Programs()
        self._followed = True

    def said(self, groups: Sequence[Variants]) -> list[npt.NDArray[np.float32]]:
        """For each group (1 + M, K) float32, the probabilities of the photo and of its M variants. Those that were
        computed in windows are within 1e-5 of the network's own.
        """
        found: dict[int, npt.NDArray[np.float32]] = {}
        for number, (photo, variants) in enumerate(groups):
            boxes = [changed(photo, each) for each in variants]
            if self._pays(photo, boxes) and (answer := self._in_windows(photo, variants, boxes)) is not None:
                found[number] = answer
        whole = [number for number in range(len(groups)) if number not in found]
        if whole:
            pixels = np.stack([each for number in whole for each in (groups[number][0], *groups[number][1])])
            said = self._eye.probabilities(pixels)
            ends = np.cumsum([1 + len(groups[number][1]) for number in whole])
            found |= dict(zip(whole, np.split(said, ends[:-1]), strict=True))
        return [found[number] for number in range(len(groups))]

    def _pays(self, photo: Pixels, boxes: list[tuple[int, int, int, int]]) -> bool:
        height, width = photo.shape[:2]
        if not self._followed or min(height, width) < LEAST_SIDE or len(boxes) < FEWEST:
            return False
        tall, wide = (max(box[side] for box in boxes) for side in (2, 3))
        return bool(tall * wide <= MOST_OF_A_PHOTO * height * width)

    def _in_windows(
        self, photo: Pixels, variants: Sequence[Pixels], boxes: list[tuple[int, int, int, int]]
    ) -> npt.NDArray[np.float32] | None:
        eye, size = self._eye, photo.shape[:2]
        tall, wide = (max(max(box[side] for box in boxes), 1) for side in (2, 3))
        corners = [(min(box[0], size[0] - tall), min(box[1], size[1] - wide)) for box in boxes]
        try:
            rescorer = Rescorer(eye.classifier, eye.inputs(photo[None]), classes="all", programs=self._programs)
        except MethodError:
            self._followed = False  # this network never can be
            return None
        shown = eye.inputs(np.stack(variants))
        patches = torch.stack([
            one[:, top : top + tall, left : left + wide] for one, (top, left) in zip(shown, corners, strict=True)
        ])  # fmt: skip
        logits = torch.cat([rescorer.logits_before, rescorer.logits(patches, corners)[:, 0]])
        eye.forwards += 1
        eye.saved += len(variants)
        said: npt.NDArray[np.float32] = as_logits(logits).softmax(1).float().cpu().numpy()
        return said


def changed(photo: Pixels, other: Pixels) -> tuple[int, int, int, int]:
    """Top, left, height and width of the smallest box outside of which two photos are the same; none: (0, 0, 0, 0)."""
    apart: npt.NDArray[Any] = (photo != other).any(2)
    down, across = np.flatnonzero(apart.any(1)), np.flatnonzero(apart.any(0))
    if not len(down):
        return 0, 0, 0, 0
    return int(down[0]), int(across[0]), int(down[-1] - down[0] + 1), int(across[-1] - across[0] + 1)
