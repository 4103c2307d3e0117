"""Scores of whole images, at the fastest batch size."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

WORTH_MEASURING = 1.0
"""Seconds of work left, below which batch sizes are not tuned; so short runs are reproducible too."""


class Batches:
    """Sizes of batches: doubled while that is faster an image, halved where memory runs out.

    Args:
        most: no batch is larger.
        at_once: begin with the largest: on a GPU calls return before their work is done, and larger is faster.
    """

    def __init__(self, most: int, at_once: bool = False):
        self.most = most
        self.size = most if at_once else 1
        self._growing = not at_once
        self._best = (float("inf"), 1)

    def run(self, count: int, scores: Callable[[slice], Tensor], told: Callable[[int], None] = lambda done: None
            ) -> Tensor:  # fmt: skip
        """``scores`` of all ``count`` images, slice by slice, put together.

        Raises:
            RuntimeError: there is no memory even for one image.
        """
        found, done = [], 0
        while done < count:
            some = slice(done, min(done + self.size, count))
            start = time.perf_counter()
            try:
                found.append(scores(some))
            except RuntimeError as error:
                if not out_of_memory(error) or self.size == 1:
                    raise
                self.most = self.size = self.size // 2
                self._growing = False
                continue
            done = some.stop
            self._learn(some.stop - some.start, time.perf_counter() - start, count - done)
            told(done)
        return torch.cat(found)

    def _learn(self, images: int, seconds: float, left: int) -> None:
        if not self._growing or images < self.size:
            return
        each = seconds / images
        if each * left < WORTH_MEASURING:
            self.size, self._growing = self.most, False
            return
        faster = each < self._best[0]
        if faster:
            self._best = (each, self.size)
        # One size that is no faster may be chance; one that is a third slower is not.
        self._growing = 2 * self.size <= self.most and each < 1.3 * self._best[0]
        self.size = 2 * self.size if self._growing else self._best[1]


def out_of_memory(error: RuntimeError) -> bool:
    """Whether it is torch's word for too little memory, on a GPU or a CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)
