"""Measures the spectrum of natural photos anew: python scripts/make_natural_spectrum.py

From four photographs of scikit-image's samples, all in the public domain or CC0: astronaut (NASA), rocket (SpaceX),
chelsea (Stéfan van der Walt) and coffee (Rachel Michetti). Each is looked at whole and in its four quarters, at 256
pixels and cropped to 224, as a network would see it; a photo's crops count together as one.

Written are, for 24 rings of frequency, evenly spaced in the logarithm, the root mean square of the waves' magnitudes
in decorrelated colours: of L^-1 logit(pixels), with L L^T the correlation of the colours; that is where
``seewhy.synthesis.images`` has its waves. And the slope and the share of high frequencies, as ``seewhy`` measures them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import skimage
import torch
from PIL import Image
from torch import Tensor

from seewhy.synthesis.spectrum import TABLE, frequencies, high_share, slope

PHOTOS = ("astronaut.png", "rocket.jpg", "chelsea.png", "coffee.png")
SIDE, CROP, RINGS = 256, 224, 24
EDGE = 0.5 / 255


def crops(photo: Image.Image) -> Iterator[Tensor]:
    """(3, 224, 224) in [0, 1]: the middle of the photo, and of each of its quarters."""
    width, height = photo.width // 2, photo.height // 2
    quarters = [photo.crop((x, y, x + width, y + height)) for x in (0, width) for y in (0, height)]
    for part in (photo, *quarters):
        scale = SIDE / min(part.size)
        part = part.resize((round(part.width * scale), round(part.height * scale)), Image.Resampling.BICUBIC)
        left, top = (part.width - CROP) // 2, (part.height - CROP) // 2
        yield torch.from_numpy(np.array(part.crop((left, top, left + CROP, top + CROP)))).permute(2, 0, 1) / 255


def main() -> None:
    folder = Path(skimage.__file__).parent / "data"
    photos = [torch.stack(list(crops(Image.open(folder / name).convert("RGB")))) for name in PHOTOS]
    logits = [photo.clamp(EDGE, 1 - EDGE).logit() for photo in photos]
    flat = torch.cat([(each - each.mean((2, 3), keepdim=True)).transpose(0, 1).flatten(1) for each in logits], 1)
    correlation = torch.corrcoef(flat)
    unmix = torch.linalg.inv(torch.linalg.cholesky(correlation))
    window = torch.hann_window(CROP, periodic=False)
    window = window[:, None] * window
    window = window / window.square().mean().sqrt()  # keeps the energy, and the borders out

    frequency = frequencies(CROP, CROP)
    edges = torch.logspace(math.log10(0.75 / CROP), math.log10(0.5), RINGS + 1)
    ring = torch.bucketize(frequency, edges) - 1
    powers = []
    for photo in logits:
        plane = torch.einsum("ij,bjhw->bihw", unmix, photo - photo.mean((2, 3), keepdim=True)) * window
        powers.append(torch.fft.rfft2(plane).abs().square().mean(0) / CROP**2)
    power = torch.stack(powers).mean(0)

    lines = ["# Natural photos' spectrum, made by scripts/make_natural_spectrum.py: do not edit."]
    lines.append("# wave: cycles per pixel, magnitude in three decorrelated colours over the square root of the pixels")
    for index in range(RINGS):
        if (inside := ring == index).any():
            lines.append(_row("wave", frequency[inside].mean(), *power[:, inside].mean(1).sqrt()))
    lines.append("# correlation of red, green and blue")
    lines += [_row("correlation", *row) for row in correlation]
    lines.append("# mean over photos, and deviation")
    for name, measure in (("slope", slope), ("high", high_share)):
        each = torch.cat([measure(photo) for photo in photos])
        lines.append(_row(name, torch.stack([measure(photo).mean() for photo in photos]).mean(), each.std()))
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _row(name: str, *numbers: float | Tensor) -> str:
    return "\t".join([name, *(f"{float(number):.5g}" for number in numbers)])


if __name__ == "__main__":
    main()
