"""Class and feature visualization: the image that a class, or a unit, is to the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ..core.channels import channels_read, complaint, first_guess
from ..core.guest import original
from ..core.target import Target
from ..core.torch_state import outside_inference
from ..errors import InputError
from .ascent import Callback
from .attempts import ATTEMPTS, best_of
from .objectives import Objective
from .pixels import Scale
from .presets import Preset
from .recipe import check_course, classes_of, counted, is_count, is_random, planned, told
from .task import Task, aim_of
from .transforms import Transform
from .visualization import Visualization

LARGEST_SIDE = 4096
"""Pixels: an image of more on a side, and what a network makes of it, fills the memory of most machines."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@outside_inference
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
    attempts: int = ATTEMPTS,
) -> Visualization:
    """I* = argmax f(I) - l2 ||I||^2, by gradient ascent on the image.

    I is the image as the network reads it, so that zero is the mean colour, and f the score before the softmax.
    Whatever is not given comes from the preset: ``"simonyan"``, the plain ascent of 2013, with
    ``parameterization="pixels"``; else ``"default"``. Each image is made as it would be alone: in a batch, it has the
    noise and the changes that are its own, by its class or channel.

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
        batch: how many images, where no list of targets or channels and no start tells; images of the same class differ
            by their noise.
        size: height and width; default: the classifier's, or 224.
        mean, std: per channel, for a bare module; default: ImageNet's where the network reads three channels, else a
            half each.
        seed: of the noise and the transforms; the same seed gives the same image, bit for bit on a CPU.
        callback: progress; may stop the ascent by returning True.
        checkpoints: steps after which the images are kept in ``frames``.
        patience: stop when the objective has not risen for so many steps.
        autocast: run the network in bfloat16.
        attempts: how often, at most, a picture that was made for a class alone is made, while the network does not give
            it the first place as it is shown; only where chance has a part. The best is kept, by its place and then
            its probability; ``params`` tell its seed, and how often it was tried.

    Raises:
        InputError, TargetError, LayerError: something of the above does not fit, or would change nothing.
        ModelError: the network cannot be ascended, and why.
    """
    given = {"steps": steps, "l2": l2, "learning_rate": learning_rate, "decay": decay,
             "transforms": _listed(transforms)}  # fmt: skip
    plan, base = planned(preset, parameterization, alpha, given)
    check_course(plan, seed, callback, checkpoints, patience, attempts)
    if target is None and objective is None:
        raise InputError(
            "visualization needs a target", expected="a class, a list of classes, a function or objective="
        )
    target, start = classes_of(target), plan.start if start is None else start
    module, shape = original(model), _size(size, model)
    count = counted(aim_of(target, objective).of, start, batch)
    scale = _scale(mean, std, model, module, shape)
    task = Task(
        module, target, objective, plan, scale, shape, start, alpha, count,
        {"checkpoints": checkpoints, "patience": patience, "autocast": autocast},
    )  # fmt: skip
    chance = is_random(plan, start, alpha)
    made, seeds, tries = best_of(task.make, count, seed, attempts if chance and objective is None else 1, callback)
    params = told(
        plan, base, made.classes is not None, start, size=shape, mean=scale.numbers[0], std=scale.numbers[1],
        alpha=alpha, objective=None if objective is None else str(objective), patience=patience,
        autocast=autocast or None,
        **({"seed": seed, "device": scale.mean.device.type} if chance else {}),
        **({"seeds": seeds, "attempts": tries} if chance and made.classes is not None else {}),
    )  # fmt: skip
    return Visualization(
        scale.to_pixels(made.x), made.score, made.probability, made.course.history, made.course.objective,
        made.classes, params, {step: scale.to_pixels(x) for step, x in made.course.frames.items()},
        made.course.interrupted, made.alpha,
    )  # fmt: skip


def _listed(transforms: Any) -> tuple[Transform, ...] | None:
    if transforms is None:
        return None
    if not isinstance(transforms, Sequence):
        raise InputError("transforms is a list of functions of a batch of images", got=repr(transforms)[:80])
    return tuple(transforms)


def _scale(mean: Any, std: Any, model: object, module: nn.Module, size: tuple[int, int]) -> Scale:
    """Mean and deviation per channel: as given, the classifier's, or ImageNet's, a half if not 3.

    Raises:
        InputError: the network answers no such image; with what it says itself.
    """
    weights = (tensor for group in (module.parameters(), module.buffers()) for tensor in group)
    first = next((tensor for tensor in weights if tensor.is_floating_point()), torch.zeros(()))
    like = torch.zeros((), dtype=torch.promote_types(first.dtype, torch.float32), device=first.device)
    if not isinstance(model, nn.Module):  # a module may have a mean of its own
        mean = getattr(model, "mean", None) if mean is None else mean
        std = getattr(model, "std", None) if std is None else std
    stated = [_numbers(values, name) for values, name in ((mean, "mean"), (std, "std")) if values is not None]
    channels = len(stated[0]) if stated else channels_read(module, size, first)
    tried = first_guess(module) if channels is None else channels
    usual = (IMAGENET_MEAN, IMAGENET_STD) if tried == 3 else ((0.5,) * tried, (0.5,) * tried)
    scale = Scale(usual[0] if mean is None else stated[0], usual[1] if std is None else stated[-1], like)
    if (stated or channels is None) and (said := complaint(module, tried, size, first)) is not None:
        raise InputError(
            f"the model failed on an image of {tried} channels, {size[0]} x {size[1]} pixels",
            expected="mean= and std= (--mean, --std), one number per channel that it reads, or another size= (--size)",
            got=said,
        )
    return scale


def _numbers(values: Any, name: str) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} is one number per channel", got=repr(values)) from error


def _size(size: int | tuple[int, int] | None, model: object) -> tuple[int, int]:
    if size is None:
        size = getattr(model, "input_size", None) or 224
    pair = tuple(size) if isinstance(size, Sequence) and not isinstance(size, str) else (size, size)
    if len(pair) != 2 or not all(map(is_count, pair)) or max(pair) > LARGEST_SIDE:
        expected = f"height and width, or one number for both, from 1 to {LARGEST_SIDE}"
        raise InputError("the size is in pixels", expected=expected, got=repr(size)[:80])
    height, width = pair
    return height, width
