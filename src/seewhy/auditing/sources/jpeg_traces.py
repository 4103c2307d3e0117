"""The quality at which JPEG last cut a photo, read from its pixels, whatever file they were saved to afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..edits.changes import LUMINANCE
from ..eye import Pixels

Doubles = npt.NDArray[np.float64]

NONE = 100.0
"""The quality of a photo without traces of JPEG."""
QUALITIES = (5, 8, 10, 12, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90)
"""Those that are tried; above, the steps are as fine as what rounding to whole grey levels leaves."""
BLUR = 1.0
"""The deviation of a coefficient from its grid, in grey levels: rounding, and being saved again at a high quality."""
OUTLIERS = 0.02
"""The share of coefficients that lie anywhere: of pixels that were drawn over, or cut at black or white."""
EVIDENCE = 8.0
"""How much more probable a grid must make the coefficients than no grid, as a logarithm."""
_TOGETHER = 64

_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float64,
)  # fmt: skip
"""The usual steps of luminance at quality 50 (ITU-T T.81, table K.1)."""


def quality(pixels: Pixels) -> Doubles:
    """(N,), the quality of ``QUALITIES`` whose grid the photos lie on; ``NONE`` where they lie on none.

    JPEG rounds each coefficient of the cosine transform of 8 x 8 pixels to a multiple of a step. After Fan and
    de Queiroz, "Identification of bitmap compression history" (IEEE Transactions on Image Processing 2003), each
    quality is given the log-likelihood of the coefficients of luminance under its steps, beside an even spread.
    Coefficients that were rounded to 0 say nothing for a quality: a smooth photo has them too. Blocks with a pixel at
    black or white say nothing at all, for it may have been cut there.

    Args:
        pixels: (N, H, W, 3) uint8, whose first pixel is the first of a block, as in a photo that was not cropped.
    """
    parts = [_quality(pixels[start : start + _TOGETHER]) for start in range(0, len(pixels), _TOGETHER)]
    return np.concatenate(parts) if parts else np.zeros(0)


def steps(quality: float) -> Doubles:
    """(8, 8), the steps of luminance that libjpeg takes at a quality from 1 to 100."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    table: Doubles = np.clip(np.floor((_LUMINANCE * scale + 50) / 100), 1, 255)
    return table


def _quality(pixels: Pixels) -> Doubles:
    best, found = np.full(len(pixels), EVIDENCE), np.full(len(pixels), NONE)
    down, across = (side // 8 for side in pixels.shape[1:3])
    if not down or not across:
        return found
    whole = _blocks(np.asarray(((pixels > 0) & (pixels < 255)).all(3))).all((2, 3))
    luminance = _blocks(pixels.astype(np.float64) @ LUMINANCE - 128)
    coefficients = (_COSINE @ luminance @ _COSINE.T)[..., _VARYING].astype(np.float32)
    for tried in QUALITIES:
        step = steps(tried)[_VARYING].astype(np.float32)
        wide = step > 2.5 * BLUR  # a finer grid cannot be seen
        step, values = step[wide], coefficients[..., wide]
        multiple = np.round(values / step)
        near = np.exp(-0.5 * ((values - step * multiple) / BLUR) ** 2) * (step / np.float32((2 * np.pi) ** 0.5 * BLUR))
        said = np.log(OUTLIERS + (1 - OUTLIERS) * near)
        said = np.where(multiple == 0, np.minimum(said, 0), said).sum(2)
        evidence = (said * whole).sum(1, dtype=np.float64)
        found[evidence > best] = tried
        best = np.maximum(best, evidence)
    return found


def _blocks(planes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(N, B, 8, 8), the whole blocks of planes (N, H, W)."""
    count, (down, across) = len(planes), (side // 8 for side in planes.shape[1:])
    cut = planes[:, : 8 * down, : 8 * across].reshape(count, down, 8, across, 8)
    blocks: npt.NDArray[Any] = cut.transpose(0, 1, 3, 2, 4).reshape(count, down * across, 8, 8)
    return blocks


def _cosine() -> Doubles:
    k = np.arange(8)
    matrix = np.cos(np.pi * (2 * k[None] + 1) * k[:, None] / 16) / 2
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix)


_COSINE = _cosine()
_VARYING = np.add.outer(np.arange(8), np.arange(8)) > 0
