"""Where an ascent's random numbers come from: each image has streams of its own, whoever else is asked with it.

An image's streams are seeded with the ascent's seed, with what the image is of, and with how many of the same come
before it in the batch. What all images of a look share, a blur's width or a ghost, comes from streams that know none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from hashlib import blake2b
from typing import Any

import torch
from torch import Generator, Tensor

BLOCK = 512
"""So many small numbers are drawn at once for each image, and moved to its device together."""

Key = tuple[Hashable, ...]
"""What an image is of, and its number among those of the same."""


def keys_of(of: Sequence[Any], count: int) -> list[Key]:
    """One key per image of a batch.

    Args:
        of: what they are of: numbers, for all of them, or lists with one number per image.
        count: how many images there are.
    """
    seen: Counter[Hashable] = Counter()
    keys: list[Key] = []
    for row in range(count):
        units = tuple(part if isinstance(part, int) else part[row] for part in of)
        keys.append((units, seen[units]))
        seen[units] += 1
    return keys


def stream(*seed: object, device: torch.device | str = "cpu") -> Generator:
    """A generator that is seeded with all of ``seed``."""
    digest = blake2b(repr(seed).encode(), digest_size=8).digest()
    return Generator(device).manual_seed(int.from_bytes(digest, "big"))


def starting_streams(seed: int, keys: Sequence[Key]) -> list[Generator]:
    """For each image's start; on the CPU, so a seed starts alike on every device."""
    return [stream(seed, "start", key) for key in keys]


def normal(streams: Sequence[Generator], like: Tensor) -> Tensor:
    """Of the shape, the type and the place of ``like``: each image's from its own stream."""
    made = [torch.randn(x.shape, generator=own, device=own.device) for x, own in zip(like, streams, strict=True)]
    return torch.stack(made).to(like)


class Streams(Generator):
    """The streams of an ascent. As a generator itself, it is the one that the images of a look share, on the CPU.

    Args:
        seed: of the ascent.
        keys: one per image, see ``keys_of``.
        device: where the images are.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Streams:
        return super().__new__(cls)

    def __init__(self, seed: int, keys: Sequence[Key], device: torch.device | str = "cpu"):
        self.manual_seed(stream(seed, "look").initial_seed())
        self.images = [stream(seed, "changes", key) for key in keys]
        self._large = [stream(seed, "noise", key, device=device) for key in keys]
        self._ghosts = stream(seed, "ghosts", device=device)
        self._block = torch.empty(len(keys), 0, device=device)

    def uniform(self, count: int) -> Tensor:
        """(B, count), each row from its image's own stream."""
        if self._block.shape[1] < count:
            drawn = torch.stack([torch.rand(max(BLOCK, count), generator=own) for own in self.images])
            self._block = drawn.to(self._block.device)
        taken, self._block = self._block[:, :count], self._block[:, count:]
        return taken

    def normal(self, like: Tensor) -> Tensor:
        """As many as ``like`` (B, ...) has, each image's from its own stream; drawn where the images are."""
        return normal(self._large, like)

    def ghost(self, count: int) -> Tensor:
        """(count,) normal numbers that all images of a look share; drawn where the images are."""
        return torch.randn(count, generator=self._ghosts, device=self._ghosts.device)
