"""Class and feature visualization: the image that a class, or a unit, is to the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Generator, Tensor

from ..core.guest import guest, original
from ..core.target import Score, Target, logits_of
from ..errors import InputError
from .ascent import Callback, ascend
from .images import Fourier, Image, Phase, Pixels, Transparent
from .objectives import Objective, log_probabilities, logit, opacity
from .objectives import l2 as squared_norm
from .objectives import probability as log_probability
from .pixels import Scale, starting_image
from .presets import Preset, find_preset
from .transforms import Transform
from .visualization import Visualization

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PARAMETERIZATIONS = ("pixels", "fourier", "phase")
HALF_PAINTED = 0.5
"""The opacity that an image with an alpha channel starts with."""


def visualize(
    model: object,
    target: Target = None,
    *,
    objective: Objective | None = None,
    preset: str | Preset | None = None,
    parameterization: str | None = None,
    steps: int | None = None,
    l2: float | None = None,
    learning_rate: float | None = None,
    transforms: Sequence[Transform] | None = None,
    decay: float | None = None,
    start: Any = None,
    alpha: float | None = None,
    batch: int | None = None,
    size: int | tuple[int, int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    checkpoints: Sequence[int] = (),
    patience: int | None = None,
    autocast: bool = False,
) -> Visualization:
    """I* = argmax f(I) - l2 ||I||^2, by gradient ascent on the image.

    I is the image as the network reads it, so that zero is the mean colour, and f the score before the softmax.
    Whatever is not given comes from the preset: ``"simonyan"``, the plain ascent of 2013, with
    ``parameterization="pixels"``; else ``"default"``.

    Args:
        model: a ``torch.nn.Module``, or a ``Classifier`` (which knows its size, mean and std).
        target: a class, a list of them (one image each), or a function of the model's output.
        objective: instead of a target, or beside it (then both are raised): see ``synthesis.objectives``.
        preset: a name in ``synthesis.presets``, or a ``Preset``.
        parameterization: what is ascended: "pixels", "fourier" or "phase".
        steps: how many updates.
        l2: the penalty's weight, lambda.
        learning_rate: the optimizer's; for "simonyan" how far a step moves a pixel, root mean square.
        transforms: before each look, see ``synthesis.transforms``.
        decay: of the spectrum.
        start: "grey", "noise", a PIL image, or pixels (C, H, W) or (B, C, H, W) in [0, 1]: also an earlier result.
        alpha: give the image an alpha channel, and this weight to the penalty on its opacity.
        batch: how many images, where neither the target nor the start tells.
        size: height and width; default: the classifier's, or 224.
        mean, std: per channel, for a bare module; default: ImageNet's.
        seed: of the noise and the transforms; the same seed gives the same image, bit for bit on a CPU.
        callback: progress; may stop the ascent by returning True.
        checkpoints: steps after which the images are kept in ``frames``.
        patience: stop when the objective has not risen for so many steps.
        autocast: run the network in bfloat16.

    Raises:
        SeewhyError: something of the above does not fit.
    """
    if parameterization is not None and parameterization not in PARAMETERIZATIONS:
        raise InputError(f"there is no parameterization {parameterization!r}", expected=", ".join(PARAMETERIZATIONS))
    if preset is None:
        preset = "simonyan" if parameterization == "pixels" else "default"
    base = find_preset(preset) if isinstance(preset, str) else preset
    given: dict[str, Any] = {"parameterization": parameterization, "steps": steps, "l2": l2,
             "learning_rate": learning_rate,
             "transforms": None if transforms is None else tuple(transforms), "decay": decay}  # fmt: skip
    plan = replace(base, **{name: value for name, value in given.items() if value is not None})
    if plan.steps < 1 or plan.l2 < 0 or plan.learning_rate <= 0:
        got = f"{plan.steps}, {plan.learning_rate:g}, {plan.l2:g}"
        raise InputError("steps and the learning rate are above zero, l2 is not below", got=got)
    if target is None and objective is None:
        raise InputError(
            "visualization needs a target", expected="a class, a list of classes, a function or objective="
        )
    module = original(model)
    height, width = _size(size, model)
    mean, std = _units(mean, std, model, module)
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    scale = Scale(mean, std, like.float())
    start = plan.start if start is None else start
    count = _count(target, start, batch)
    first = starting_image(start, scale, count, (height, width), seed)
    image = _image(plan, first, scale, start, seed)
    weighed = [plan.l2 * squared_norm()] if plan.l2 else []
    if plan.probability and target is not None and not callable(target):
        weighed.append(-plan.probability * log_probability(target))  # type: ignore[arg-type]
    if alpha is not None:
        image = Transparent(image, torch.full_like(first[:, :1], HALF_PAINTED), plan.decay)
        weighed.append(alpha * opacity())
    penalty = reduce(add, weighed) if weighed else None
    course = ascend(
        module, image, _aim(target, objective), penalty, plan, seed=seed,
        callback=callback, checkpoints=checkpoints, patience=patience, autocast=autocast,
    )  # fmt: skip
    images, opaque = scale.to_pixels(image.x().detach()), image.opacity()
    score, probability, classes = _account(module, scale.to_network(images).to(like), target)
    params = {
        "preset": plan.name, "parameterization": plan.parameterization, "steps": plan.steps, "l2": plan.l2,
        "learning_rate": plan.learning_rate, "optimizer": _named(plan.optimizer), "schedule": _named(plan.schedule),
        "strength": _named(plan.strength), "decay": plan.decay,
        "transforms": [str(transform) for transform in plan.transforms],
        "start": start if isinstance(start, str) else "an image", "alpha": alpha, "size": (height, width),
        "mean": mean, "std": std, "seed": seed, "objective": str(objective) if objective else None,
        "autocast": autocast,
        **{name: value for name in OPTIONS if (value := getattr(plan, name))},
    }  # fmt: skip
    return Visualization(
        images, score, probability, course.history, course.objective, classes, params,
        {step: scale.to_pixels(x) for step, x in course.frames.items()}, course.interrupted,
        None if opaque is None else opaque.detach().float(),
    )  # fmt: skip


OPTIONS = ("normalize", "gradient_blur", "gradient_clip", "blur_every", "blur", "small_norm", "small_contribution",
           "shrink", "probability", "ghosts")  # fmt: skip
"""Parts of a preset that are only told where they are used."""


def _named(part: Any) -> str:
    return part if isinstance(part, str) else getattr(part, "__name__", str(part))


def _aim(target: Target, objective: Objective | None) -> Objective:
    if target is None:
        assert objective is not None
        return objective
    return logit(target) if objective is None else logit(target) + objective


def _image(plan: Preset, x: Tensor, scale: Scale, start: Any, seed: int) -> Image:
    if plan.parameterization == "pixels":
        return Pixels(x)
    noise = Generator().manual_seed(seed) if isinstance(start, str) and start == "noise" else None
    if plan.parameterization == "phase":
        return Phase(x, scale, noise)
    return Fourier(x, scale, plan.decay, noise=noise)


def _count(target: Target, start: Any, batch: int | None) -> int:
    if isinstance(target, Sequence) or (isinstance(target, Tensor) and target.dim() == 1):
        return len(target)
    if isinstance(start, Tensor) and start.dim() == 4:
        return len(start)
    return batch or 1


def _account(module: Any, x: Tensor, target: Target) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Score and probability of the images as shown, without transforms."""
    if target is None:
        return None, None, None
    with torch.no_grad(), guest(module):
        outputs = module(x)
    score_of = Score.resolve(target, outputs, len(x))
    probability = None
    if score_of.classes is not None:
        probability = log_probabilities(logits_of(outputs).float()).exp().gather(1, score_of.classes[:, None])[:, 0]
    return score_of(outputs).float(), probability, score_of.classes


def _units(mean: Any, std: Any, model: object, module: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation per channel: as given, the classifier's, or ImageNet's, a half if not 3."""
    first = next((p for p in module.parameters() if p.dim() == 4), None)
    channels = 3 if first is None or first.shape[1] == 3 else first.shape[1]
    usual = (IMAGENET_MEAN, IMAGENET_STD) if channels == 3 else ((0.5,) * channels, (0.5,) * channels)
    found = []
    for given, known, name in ((mean, usual[0], "mean"), (std, usual[1], "std")):
        values = given if given is not None else getattr(model, name, None)
        found.append(tuple(float(value) for value in (known if values is None else values)))
    return found[0], found[1]


def _size(size: int | tuple[int, int] | None, model: object) -> tuple[int, int]:
    if size is None:
        size = getattr(model, "input_size", None) or 224
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2:
        raise InputError("the size is height and width", got=size)
    height, width = pair
    if height < 1 or width < 1:
        raise InputError("the size is in pixels", expected="positive", got=size)
    return height, width
