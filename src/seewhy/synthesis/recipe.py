"""What is asked of an ascent: checked before any work is done, and told afterwards, so that it can be made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from torch import Tensor

from ..core.target import Target
from ..errors import InputError, TargetError
from .presets import Preset, find_preset
from .transforms import Graded

PARAMETERIZATIONS = ("pixels", "fourier", "phase")

ON_PIXELS = ("blur_every", "small_norm", "small_contribution")
"""Parts of a preset that act on the pixels as variables."""

PARTS = ("l2", "transforms", "normalize", "gradient_blur", "gradient_clip", "blur_every", "small_norm",
         "small_contribution", "shrink", "probability", "ghosts")  # fmt: skip
"""Parts of a preset that change nothing where they are zero, or empty."""


def planned(
    preset: str | Preset | None, parameterization: str | None, alpha: float | None, given: dict[str, Any]
) -> tuple[Preset, Preset]:
    """The preset with what is given instead of its own, and as it was.

    Raises:
        InputError: there is no such preset or parameterization, a number is out of range, or something is given that
            would change nothing.
    """
    if parameterization is not None and parameterization not in PARAMETERIZATIONS:
        raise InputError(f"there is no parameterization {parameterization!r}", expected=", ".join(PARAMETERIZATIONS))
    if preset is None:
        preset = "simonyan" if parameterization == "pixels" else "default"
    base = find_preset(preset) if isinstance(preset, str) else preset
    if not isinstance(base, Preset):
        raise InputError("this is no preset", expected="its name, or a Preset", got=type(preset).__name__)
    given = given | {"parameterization": parameterization}
    plan = replace(base, **{name: value for name, value in given.items() if value is not None})
    numbers = (plan.steps, plan.learning_rate, plan.l2, plan.decay, alpha or 0.0)
    if not all(map(isfinite, numbers)) or plan.steps < 1 or plan.l2 < 0 or plan.learning_rate <= 0:
        got = f"{plan.steps}, {plan.learning_rate:g}, {plan.l2:g}"
        raise InputError("steps and the learning rate are above zero, l2 is not below, and all are finite", got=got)
    if not is_count(plan.steps):
        raise InputError("steps and the seed are whole numbers", got=f"steps={plan.steps!r}")
    if alpha is not None and alpha < 0:
        raise InputError("alpha weighs the penalty on opacity", expected="a number not below zero", got=alpha)
    if not isinstance(plan.transforms, Sequence) or not all(map(callable, plan.transforms)):
        raise InputError("transforms are a list of functions of a batch of images", got=repr(plan.transforms)[:80])
    if given.get("decay") is not None and not uses_decay(plan, alpha):
        raise InputError(
            f"decay would change nothing with parameterization {plan.parameterization!r}",
            expected="parameterization='fourier', or alpha=", got=f"decay={given['decay']:g}",
        )  # fmt: skip
    for name in ON_PIXELS:
        if getattr(plan, name) and plan.parameterization != "pixels":
            raise InputError(
                f"{name} of preset {plan.name!r} would change nothing with parameterization {plan.parameterization!r}",
                expected="parameterization='pixels'",
            )
    return plan, base


def check_course(
    plan: Preset, seed: Any, callback: Any, checkpoints: Sequence[int], patience: int | None, attempts: int
) -> None:
    """That the ascent can be made so.

    Raises:
        InputError: it cannot.
    """
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise InputError("steps and the seed are whole numbers", got=f"seed={seed!r}")
    if callback is not None and not callable(callback):
        raise InputError("a callback is called after each step", expected="a function of (step, score, images)",
                         got=repr(callback))  # fmt: skip
    if not isinstance(checkpoints, Sequence) or isinstance(checkpoints, str):
        raise InputError("checkpoints is a list of numbers of steps", got=repr(checkpoints)[:80])
    if outside := [step for step in checkpoints if not (is_count(step) and step <= plan.steps)]:
        raise InputError("a checkpoint is the number of steps done", expected=f"1 to {plan.steps}", got=outside[0])
    if not (patience is None or is_count(patience)) or not is_count(attempts):
        raise InputError("patience and attempts are whole numbers, one or more", got=f"{patience!r}, {attempts!r}")


def is_count(value: object) -> bool:
    """Whether it is a whole number above zero; True, which Python counts among them, is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def uses_decay(plan: Preset, alpha: float | None) -> bool:
    """Whether anything that is drawn or moved has a spectrum that falls off."""
    return plan.parameterization == "fourier" or alpha is not None


def is_random(plan: Preset, start: Any, alpha: float | None) -> bool:
    """Whether another seed would give another image."""
    return bool(plan.transforms or plan.ghosts or alpha is not None or (isinstance(start, str) and start == "noise"))


def classes_of(target: Target) -> Any:
    """A target in plain numbers, which no device and no inference mode holds; a function as it is.

    Raises:
        TargetError: it is an empty list.
    """
    if target is None or callable(target):
        return target
    classes: Any = target.tolist() if hasattr(target, "tolist") else target
    if isinstance(classes, Sequence) and not isinstance(classes, str):
        if not classes:
            raise TargetError("an empty list names no class", expected="a class, or one class per image")
        return list(classes)
    return classes


def counted(of: Sequence[Any], start: Any, batch: int | None) -> int:
    """How many images: what the classes and channels, or else the start, tell; or else ``batch``, or one.

    Args:
        of: what the images are of, see ``Objective``.

    Raises:
        InputError: ``batch`` is no number of images, or they do not agree.
    """
    if batch is not None and not is_count(batch):
        raise InputError("a batch holds at least one image", expected="batch=1 or more", got=batch)
    told = [len(part) for part in of if isinstance(part, tuple)]
    if isinstance(start, Tensor) and start.dim() == 4 and len(start) > 1:
        told.append(len(start))
    told += [] if batch is None else [batch]
    if len(set(told)) > 1:
        raise InputError(
            "targets, channels, start and batch tell different numbers of images", got=" and ".join(map(str, told))
        )
    return told[0] if told else 1


def told(plan: Preset, base: Preset, classes: bool, start: Any, *, alpha: float | None, **more: Any) -> dict[str, Any]:
    """The parameters that had a part in the result, and no others.

    Args:
        plan: what was done.
        base: the preset that it was made from: a part that was switched off is told as well.
        classes: whether the images were made for classes.
        more: told as they are, where they are not None.
    """
    parts = {
        name: value for name in PARTS if (value := getattr(plan, name)) or value != getattr(base, name)
        if name != "probability" or classes
    }  # fmt: skip
    if "transforms" in parts:
        parts["transforms"] = [str(transform) for transform in plan.transforms]
    if plan.blur_every:
        parts["blur"] = plan.blur
    if plan.schedule != "constant":
        parts["schedule"] = _named(plan.schedule)
    if plan.strength != "constant" and (plan.ghosts or any(isinstance(each, Graded) for each in plan.transforms)):
        parts["strength"] = _named(plan.strength)
    if uses_decay(plan, alpha):
        parts["decay"] = plan.decay
    return {
        "preset": plan.name, "parameterization": plan.parameterization, "steps": plan.steps,
        "learning_rate": plan.learning_rate, "optimizer": _named(plan.optimizer), **parts,
        "start": start if isinstance(start, str) else "an image",
        **{name: value for name, value in (more | {"alpha": alpha}).items() if value is not None},
    }  # fmt: skip


def _named(part: Any) -> str:
    return part if isinstance(part, str) else getattr(part, "__name__", str(part))
