"""Class and feature visualization: the image that a class, or a unit, is to the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

from torch import Tensor

from .. import events
from ..core.guest import original
from ..core.torch_state import outside_inference
from ..errors import InputError
from .ascending import Step
from .ascent import Ascent
from .asked import Run, classes_of, counted, names_of, scaled, sized
from .attempts import ATTEMPTS, best_of
from .objectives import Objective
from .presets import find_preset
from .task import Task, aim_of
from .transforms import Transform
from .visualization import Visualization

Callback: TypeAlias = Callable[[int, Tensor, Tensor], "bool | None"]
"""Called after each step with its number, what was raised (B,), and the images that were looked at, (B, C, H, W) as
the network reads them; returning True stops the ascent. Where pictures are tried again with another seed, the numbers
start from 0 again, and the other pictures stay as they are."""

Named: TypeAlias = "int | str | Sequence[int | str] | Tensor | Callable[[Any], Tensor] | None"
"""A class, by its index, or by its name where the model is a ``Classifier``; one per image; or a function of the
model's output that returns (B,)."""


@outside_inference
def visualize(
    model: object,
    target: Named = None,
    *,
    objective: Objective | None = None,
    ascent: Ascent | None = None,
    preset: str | None = None,
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
        target: a class, a list of them (one image each), or a function of the model's output. A ``Classifier`` knows
            its classes by name.
        objective: instead of a target, or beside it (then both are raised): see ``synthesis.objectives``.
        ascent: how, see ``synthesis.Ascent``; or:
        preset: the name of one in ``synthesis.presets``. What follows takes the place of what is its own.
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
        callback: called after each step; may stop the ascent by returning True. Whoever listens to ``seewhy.events``
            hears the same.
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
    base = _chosen(ascent, preset, parameterization)
    plan = base.but(
        parameterization=parameterization, steps=steps, l2=l2, learning_rate=learning_rate, transforms=transforms,
        decay=decay, start=start, alpha=alpha, autocast=autocast or None,
    )  # fmt: skip
    run = Run(seed, checkpoints, patience, attempts)
    run.check(plan.steps)
    told = _told_to(callback)
    if target is None and objective is None:
        raise InputError(
            "visualization needs a target", expected="a class, a list of classes, a function or objective="
        )
    target, module, shape = classes_of(target, model), original(model), sized(size, model)
    count = counted(aim_of(target, objective).of, plan.start, batch)
    task = Task(module, target, objective, plan, scaled(mean, std, model, module, shape), shape, count, run)
    with told:
        again = plan.is_random and objective is None
        made, seeds, tries = best_of(task.make, count, seed, attempts if again else 1)
    to_pixels = task.scale.to_pixels
    return Visualization(
        to_pixels(made.x), made.score, made.probability, made.course.history, made.course.objective, made.classes,
        _params(task, base, made.classes is not None, seeds, tries),
        {step: to_pixels(x) for step, x in made.course.frames.items()}, made.course.interrupted, made.alpha,
        names_of(made.classes, model),
    )  # fmt: skip


def _chosen(ascent: Ascent | None, preset: str | None, parameterization: str | None) -> Ascent:
    if ascent is None:
        return find_preset(preset or ("simonyan" if parameterization == "pixels" else "default"))
    if preset is not None:
        raise InputError("an ascent and a preset say the same", expected="one of them", got=f"preset={preset!r}")
    if not isinstance(ascent, Ascent):
        raise InputError("this is no ascent", expected="a seewhy.synthesis.Ascent", got=type(ascent).__name__)
    return ascent


def _told_to(callback: Callback | None) -> AbstractContextManager[None]:
    """The steps of an ascent told to a callback, for the time of a block."""
    if callback is None:
        return nullcontext()
    if not callable(callback):
        raise InputError("a callback is called after each step", expected="a function of (step, score, images)",
                         got=repr(callback))  # fmt: skip

    def listener(event: events.Event) -> bool:
        step = event.value
        return isinstance(step, Step) and bool(callback(step.number, step.score, step.images))

    return events.also(listener)


_OFF: dict[str, Any] = {"l2": 0.0, "transforms": []}
"""What is told of parts that the preset has and that were switched off."""


def _params(task: Task, base: Ascent, of_classes: bool, seeds: list[int], tries: list[int]) -> dict[str, Any]:
    """What had a part in the result."""
    told = {name: off for name, off in _OFF.items() if name in base.params()} | task.ascent.params(of_classes)
    mean, std = task.scale.numbers
    told |= {"size": task.size, "mean": mean, "std": std}
    if task.objective is not None:
        told["objective"] = str(task.objective)
    if task.run.patience is not None:
        told["patience"] = task.run.patience
    if task.ascent.is_random:
        told |= {"seed": task.run.seed, "device": task.scale.mean.device.type}
        told |= {"seeds": seeds, "attempts": tries} if of_classes else {}
    return told
