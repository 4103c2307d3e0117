"""3 x 3 convolutions with fewer products, in tiles.

Winograd's minimal filtering, after Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (CVPR 2016): for
4 x 4 results it takes 36 products per channel instead of 144. What it loses to rounding is a share of what it is given;
here that is what changed, not the map.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from .patches import Ints32, to_device
from .scratch import Scratch

TAPS = 3


class Winograd:
    """A 3 x 3 convolution with stride 1, without bias.

    Args:
        weight: (O, C, 3, 3).
        side: a tile gives ``side`` x ``side`` results; more take fewer products, and lose more to rounding.
        scratch: for what is computed on the way.
    """

    def __init__(self, weight: Tensor, side: int, scratch: Scratch):
        self.side, self.seen, self.scratch = side, side + TAPS - 1, scratch
        into, taps, back = transforms(side)
        self.into, self.back = into.to(weight), back.to(weight)
        spectrum = torch.kron(taps, taps).to(weight) @ weight.permute(3, 2, 1, 0).reshape(TAPS * TAPS, -1)
        self.weight = spectrum.view(-1, weight.shape[1], weight.shape[0])  # of column and row of a spectrum

    def __call__(self, rows: Tensor, tiles: Ints32) -> Tensor:
        """A' [(G g G') * (B' d B)] A of every tile (eq. 8).

        Args:
            rows: (R, C).
            tiles: (p p n,) with p = side + 2: which row is at each place of n tiles, place after place.

        Returns:
            (side side n, O), place after place; overwritten by the next call.
        """
        p, side, take = self.seen, self.side, self.scratch.take
        channels, given = self.weight.shape[1:]
        count = len(tiles) // (p * p)
        wide, narrow = count * channels, count * given
        x = self.scratch.gather("tiles", rows, to_device(tiles, rows)).view(p, p, wide)
        # Along rows, then along columns, which come first from there on: so in most products a core finds what it
        # made itself. Where cores share no cache, that is worth a third of the whole.
        x = torch.matmul(self.into, x, out=take("spectrum", (p, p, wide), rows))
        x = torch.matmul(self.into, x.transpose(0, 1), out=take("tiles", (p, p, wide), rows))
        y = torch.bmm(x.view(p * p, count, channels), self.weight, out=take("spectrum", (p * p, count, given), rows))
        y = torch.matmul(self.back, y.view(p, p, narrow), out=take("tiles", (p, side, narrow), rows))
        y = torch.matmul(self.back, y.transpose(0, 1), out=take("spectrum", (side, side, narrow), rows))
        return y.view(-1, given)

    def places(self, index: Ints32) -> Ints32:
        """The rows that tiles see, from those that rectangles see.

        Args:
            index: (m, H, W), two more than a whole number of sides each way.
        """
        p, side = self.seen, self.side
        down, across = ((length - TAPS + 1) // side for length in index.shape[1:])
        y = np.arange(p)[:, None] + side * np.arange(down)
        x = np.arange(p)[:, None] + side * np.arange(across)
        at = y[:, None, :, None] * index.shape[2] + x[None, :, None, :]
        flat = np.ascontiguousarray(index.reshape(len(index), -1).T)
        found: Ints32 = flat.take(at.reshape(-1), 0).reshape(-1)
        return found

    def results(self, rectangles: int, height: int, width: int) -> Ints32:
        """Where the rectangles' positions are among the tiles' results, rectangle after rectangle."""
        down, across = tiling(self.side, height, width)
        y, x = np.arange(height)[:, None], np.arange(width)
        place = y % self.side * self.side + x % self.side
        tile = y // self.side * across + x // self.side
        first = (place * (down * across) + tile).astype(np.int32).reshape(-1) * rectangles
        found: Ints32 = (first + np.arange(rectangles, dtype=np.int32)[:, None]).reshape(-1)
        return found


def tiling(side: int, height: int, width: int) -> tuple[int, int]:
    """How many tiles cover a rectangle, down and across."""
    return -(-height // side), -(-width // side)


@cache
def transforms(side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of a line: B' (p, p) of what is seen, G (p, 3) of the taps, A' (side, p) of the products; p = side + 2, float64.

    A' [(G g) * (B' d)] is the correlation of d with g: transposed, it is the product of two polynomials by their values
    at p points (Toom and Cook). The points are the tangents of equally spaced angles, infinity among them: as
    homogeneous polynomials on a half circle these lose as little to rounding as the best known fractions
    (Barabasz and others, Error Analysis and Improving the Accuracy of Winograd Convolution for DNNs, 2020).
    """
    p = side + TAPS - 1
    angle = torch.arange(p, dtype=torch.float64)[:, None] * torch.pi / p

    def values(powers: int) -> Tensor:
        power = torch.arange(powers)
        return angle.cos() ** power.flip(0) * angle.sin() ** power

    return torch.linalg.inv(values(p)).T.contiguous(), values(TAPS), values(side).T.contiguous()
