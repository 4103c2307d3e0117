"""What an ascent made, and how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Visualization:
    """What gradient ascent made.

    Attributes:
        images: (B, C, H, W) float32, pixels in [0, 1]; what left that range is cut off.
        score: (B,) float32, the network's score of ``images`` as shown, without transforms; None without a target.
        probability: (B,) float32, of the target for ``images``: the softmax, of one output the sigmoid; None without
            classes.
        alpha: (B, 1, H, W) float32 in [0, 1], the opacity; None for an image without an alpha channel.
        history: (steps, B) float32, the score (or objective) before each step, under that step's transforms.
        objective: (steps, B) float32, the same with everything else that the preset weighs: what is ascended.
        target: (B,) int64, or None.
        params: what had a part in the result, and nothing else; with the target, everything needed to make the images
            again. Where classes were tried more than once, ``seeds`` says which seed each image came from, and
            ``attempts`` how often it was tried.
        frames: step -> images at the checkpoints.
        interrupted: whether Ctrl-C ended the ascent early; the image so far is kept.
    """

    images: Tensor
    score: Tensor | None
    probability: Tensor | None
    history: Tensor
    objective: Tensor
    target: Tensor | None
    params: dict[str, Any]
    frames: dict[int, Tensor]
    interrupted: bool = False
    alpha: Tensor | None = None

    def to_image(self, index: int = 0) -> Image.Image:
        """One of the images as a picture, RGB; of one channel grey."""
        pixels = (self.images[index].detach().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
