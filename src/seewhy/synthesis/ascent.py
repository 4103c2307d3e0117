"""Class visualization: the image that a class is, to the network (Simonyan 2013, eq. 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ..core.guest import guest, original
from ..core.target import Score, Target, check_finite, logits_of
from ..errors import InputError, ModelError
from .pixels import Scale, starting_image

Callback: TypeAlias = Callable[[int, Tensor, Tensor], "bool | None"]
"""Called after each step with the step, the scores (B,) and the image (B, C, H, W) as the network reads it;
returning True stops the ascent."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, eq=False)
class Visualization:
    """What gradient ascent made.

    Attributes:
        images: (B, C, H, W) float32, pixels in [0, 1]; what left that range is cut off.
        score: (B,) float32, the network's score of ``images`` as shown, cut off and all.
        probability: (B,) float32, the softmax probability of the target for ``images``; None without classes.
        history: (steps, B) float32, the score before each step.
        objective: (steps, B) float32, the score minus the penalty before each step: what is ascended.
        target: (B,) int64, or None under a target function.
        params: everything needed to make the images again.
        interrupted: whether Ctrl-C ended the ascent early; the image so far is kept.
    """

    images: Tensor
    score: Tensor
    probability: Tensor | None
    history: Tensor
    objective: Tensor
    target: Tensor | None
    params: dict[str, Any]
    interrupted: bool = False


def visualize(
    model: object,
    target: Target,
    *,
    steps: int = 256,
    l2: float = 1e-4,
    learning_rate: float = 0.02,
    parameterization: str = "pixels",
    start: Any = "grey",
    size: int | tuple[int, int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    seed: int = 0,
    callback: Callback | None = None,
) -> Visualization:
    """I* = argmax f(I) - l2 ||I||^2, by gradient ascent on the pixels: backpropagate, update the image, repeat.

    I is the image as the network reads it, so that zero is the mean colour, and f the score before the softmax.
    A step is the gradient divided by its root mean square, times ``learning_rate``: one setting moves any network.

    Args:
        model: a ``torch.nn.Module``, or a ``Classifier`` (which knows its size, mean and std).
        target: an int, a list of them (one image each), or a function of the model's output.
        steps: how many updates.
        learning_rate: how far a step moves a pixel, root mean square, in the network's unit.
        l2: the penalty's weight, lambda.
        parameterization: what is ascended: "pixels".
        start: "grey", "noise", a PIL image, or pixels (C, H, W) or (B, C, H, W) in [0, 1].
        size: height and width; default: the classifier's, or 224.
        mean, std: per channel, for a bare module; default: ImageNet's.
        seed: of the noise.
        callback: progress; may stop the ascent by returning True.

    Raises:
        SeewhyError: something of the above does not fit.
    """
    if parameterization != "pixels":
        raise InputError(f"there is no parameterization {parameterization!r}", expected="pixels")
    if steps < 1 or l2 < 0 or learning_rate <= 0:
        raise InputError("steps and the learning rate are above zero, l2 is not below", got=(steps, learning_rate, l2))
    if target is None:
        raise InputError("class visualization needs a target", expected="a class, a list of classes or a function")
    module = original(model)
    height, width = _size(size, model)
    mean = tuple(mean or getattr(model, "mean", None) or IMAGENET_MEAN)
    std = tuple(std or getattr(model, "std", None) or IMAGENET_STD)
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    scale = Scale(mean, std, like)
    batch = 1 if isinstance(target, int) or callable(target) else len(target)
    params = {
        "steps": steps, "l2": l2, "learning_rate": learning_rate, "parameterization": parameterization,
        "start": start if isinstance(start, str) else "an image", "size": (height, width), "mean": mean, "std": std,
        "seed": seed,
    }  # fmt: skip

    with torch.inference_mode(False), torch.enable_grad(), guest(module):
        I = starting_image(start, scale, batch, (height, width), seed).requires_grad_()  # noqa: E741
        score_of = Score.resolve(target, module(I.detach().clone()), batch)
        history, objective = [], []
        interrupted = False
        try:
            for step in range(steps):
                score = score_of(module(I.clone()))
                check_finite(score)
                J = score - l2 * I.square().sum((1, 2, 3))
                (gradient,) = torch.autograd.grad(J.sum(), I)
                length = gradient.square().mean((1, 2, 3), keepdim=True).sqrt()
                if not length.all():
                    raise ModelError("the score does not change with the image: there is nothing to ascend from here")
                with torch.no_grad():
                    I += learning_rate * gradient / length  # noqa: E741
                history.append(score.detach().float())
                objective.append(J.detach().float())
                if callback is not None and callback(step, history[-1], I.detach()):
                    break
        except KeyboardInterrupt:
            if not history:
                raise
            interrupted = True
        images = scale.to_pixels(I.detach())
        with torch.no_grad():
            outputs = module(scale.to_network(images.to(like)))
        shown = score_of(outputs).float()
        probability = None if score_of.classes is None else _probability(outputs, score_of.classes)
    return Visualization(
        images, shown, probability, torch.stack(history), torch.stack(objective), score_of.classes, params, interrupted
    )


def _probability(outputs: Any, classes: Tensor) -> Tensor:
    return logits_of(outputs).float().softmax(1).gather(1, classes[:, None])[:, 0]


def _size(size: int | tuple[int, int] | None, model: object) -> tuple[int, int]:
    if size is None:
        size = getattr(model, "input_size", None) or 224
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise InputError("the size is in pixels", expected="positive", got=size)
    return height, width
