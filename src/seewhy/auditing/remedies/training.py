"""For those who train: a loss on gradients where a model should not look, and a batch without what is there.

Ross, Hughes and Doshi-Velez, "Right for the right reasons: training differentiable models by constraining their
explanations", IJCAI 2017. Both take batches as the network gets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from ...errors import InputError

Fill: TypeAlias = str | float | Sequence[float] | Tensor

FILLS = ("other", "noise", "mean")


def right_reasons_loss(logits: Tensor, inputs: Tensor, masks: Tensor) -> Tensor:
    """The squared input gradient of the summed log-probabilities, inside of the masks: to be added to the usual loss,
    times a number that brings both to the same order of magnitude (Ross 2017, eq. 1, second term; there the sum over
    the batch, here the mean, so that the number does not hang on the batch's size).

    Photos are taken not to act on each other: batch normalisation that is training lets them, a little.

    Args:
        logits: (B, K), made of ``inputs``.
        inputs: (B, C, H, W), with ``requires_grad`` set before the forward.
        masks: (B, H, W), (B, 1, H, W) or (B, C, H, W), bool or in [0, 1]: where the model should not look; a photo
            without such a place has zeros.

    Returns:
        A number (), with a graph, to be trained with. Where the network's operations have no second derivative, its
        ``backward`` says so.

    Raises:
        InputError: shapes do not fit, or the logits were not made of inputs that require a gradient.
    """
    if logits.ndim != 2 or inputs.ndim != 4 or len(logits) != len(inputs):
        shapes = tuple(logits.shape), tuple(inputs.shape)
        raise InputError("logits and inputs do not fit", expected="(B, K) and (B, C, H, W)", got=shapes)
    masks = _masks(masks, inputs).to(inputs)
    if not inputs.requires_grad:
        raise InputError("inputs have no gradient", expected="inputs.requires_grad_() before the forward")
    gradient = None
    if logits.requires_grad:
        summed = logits.log_softmax(1).sum()
        (gradient,) = torch.autograd.grad(summed, inputs, create_graph=True, allow_unused=True)
    if gradient is None:
        raise InputError("the logits were not made of these inputs", expected="logits = model(inputs)")
    return (masks * gradient).square().flatten(1).sum(1).mean()


def masked_augmentation(
    batch: Tensor, where: Tensor, fill: Fill = "other", *, share: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """A new batch in which places hold something else, so that nothing can be learned from what was there.

    Args:
        batch: (B, C, H, W), floating point; stays as it is.
        where: boxes (B, 4) of integers (top, left, height, width), a photo without one having a height of 0; or masks
            (B, H, W) or (B, 1, H, W), bool or in [0, 1], which may fade.
        fill: "other": what another photo of the batch has there; "noise": normal, with the mean and deviation of each
            channel of the batch; "mean": the photo's own mean colour; or a colour: a number, or C of them.
        share: the probability of each photo to be changed.
        generator: draws, on the CPU; None: torch's own.

    Raises:
        InputError: shapes do not fit, a box reaches beyond its photo, or there is no such fill.
    """
    if batch.ndim != 4 or not batch.is_floating_point() or not batch.numel():
        raise InputError("a batch of photos has floating point", expected="(B, C, H, W)", got=tuple(batch.shape))
    if not 0 <= share <= 1:
        raise InputError("a share is in [0, 1]", got=share)
    masks = (_boxed(where, batch) if where.ndim == 2 else _masks(where, batch)).to(batch)
    chosen = torch.rand(len(batch), generator=generator) < share
    masks = masks * chosen.to(batch)[:, None, None, None]
    return batch + masks * (_filling(batch, fill, generator) - batch)


def _masks(masks: Tensor, photos: Tensor) -> Tensor:
    """(B, 1, H, W) or (B, C, H, W)."""
    given = masks[:, None] if masks.ndim == 3 else masks
    count, channels, *size = photos.shape
    if given.ndim != 4 or given.shape[1] not in (1, channels) or (len(given), *given.shape[2:]) != (count, *size):
        expected = f"({count}, {size[0]}, {size[1]}), with 1 or {channels} channels"
        raise InputError("masks do not fit the photos", expected=expected, got=tuple(masks.shape))
    if given.dtype != torch.bool and not bool(((given >= 0) & (given <= 1)).all()):
        raise InputError("a mask is in [0, 1]")
    return given


def _boxed(boxes: Tensor, batch: Tensor) -> Tensor:
    """(B, 1, H, W) bool of boxes (B, 4)."""
    count, _, height, width = batch.shape
    if boxes.shape != (count, 4) or boxes.is_floating_point() or boxes.dtype == torch.bool:
        expected, got = f"({count}, 4) integers", (tuple(boxes.shape), boxes.dtype)
        raise InputError("there is a box for each photo", expected=expected, got=got)
    top, left, tall, wide = (each[:, None, None] for each in boxes.to(batch.device).unbind(1))
    if bool(((boxes < 0).any()) | (top + tall > height).any() | (left + wide > width).any()):
        raise InputError("a box reaches beyond its photo", expected=f"top, left, height, width in {height} x {width}")
    down = torch.arange(height, device=batch.device)[None, :, None]
    across = torch.arange(width, device=batch.device)[None, None, :]
    return ((down >= top) & (down < top + tall) & (across >= left) & (across < left + wide))[:, None]


def _filling(batch: Tensor, fill: Fill, generator: torch.Generator | None) -> Tensor:
    """What masked places hold, as large as the batch or broadcast to it."""
    if isinstance(fill, str):
        if fill not in FILLS:
            raise InputError("there is no such fill", expected=f"{', '.join(FILLS)} or a colour", got=fill)
        if fill == "mean":
            return batch.mean((2, 3), keepdim=True)
        if fill == "noise":
            deviation, mean = torch.std_mean(batch, (0, 2, 3), correction=0, keepdim=True)
            drawn: Tensor = torch.randn(batch.shape, generator=generator).to(batch)
            return mean + deviation * drawn
        if len(batch) < 2:
            raise InputError("there is no other photo in the batch", expected="at least 2, or another fill")
        return batch.roll(int(torch.randint(1, len(batch), (), generator=generator)), 0)
    colour = torch.as_tensor(fill).to(batch).flatten()
    if len(colour) not in (1, batch.shape[1]):
        raise InputError("a colour has one number, or one for each channel", got=len(colour))
    return colour[None, :, None, None]
