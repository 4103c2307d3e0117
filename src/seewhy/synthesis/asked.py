"""What is asked of a visualization beside its ascent, checked before any work is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..core.channels import channels_read, complaint, first_guess
from ..core.target import Score, Versus, logits_of, resolve_names
from ..errors import InputError, TargetError
from .checked import is_count
from .pixels import Normalization

LARGEST_SIDE = 4096
"""Pixels: an image of more on a side, and what a network makes of it, fills the memory of most machines."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Run:
    """How an ascent is run.

    Attributes:
        seed: of everything random.
        checkpoints: numbers of steps after which the images are kept.
        patience: stop when the objective has not risen for so many steps; None: never.
        attempts: how often, at most, a picture is made that is not its class.

    Raises:
        InputError: one of them is no such number.
    """

    seed: int = 0
    checkpoints: Sequence[int] = ()
    patience: int | None = None
    attempts: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.seed, int) or isinstance(self.seed, bool):
            raise InputError("steps and the seed are whole numbers", got=f"seed={self.seed!r}")
        if not isinstance(self.checkpoints, Sequence) or isinstance(self.checkpoints, str):
            raise InputError("checkpoints is a list of numbers of steps", got=repr(self.checkpoints)[:80])
        if not (self.patience is None or is_count(self.patience)) or not is_count(self.attempts):
            got = f"{self.patience!r}, {self.attempts!r}"
            raise InputError("patience and attempts are whole numbers, one or more", got=got)

    def check(self, steps: int) -> None:
        """Raises InputError where a checkpoint is none of an ascent of so many steps."""
        if outside := [step for step in self.checkpoints if not (is_count(step) and step <= steps)]:
            raise InputError("a checkpoint is the number of steps done", expected=f"1 to {steps}", got=outside[0])


def classes_of(target: Any, model: object) -> Any:
    """A target in plain numbers, which no device and no inference mode holds; a function as it is.

    Names are looked up where the model is a ``Classifier``.

    Raises:
        TargetError: it is an empty list, or a name that means no class.
    """
    target = resolve_names(model, target)
    if isinstance(target, Versus):
        if target.target is None:
            raise TargetError("an image has no predicted class before it is made", expected="Versus of two classes")
        return _rather_than(target)
    if target is None or callable(target):
        return target
    classes: Any = target.tolist() if hasattr(target, "tolist") else target
    if isinstance(classes, Sequence):
        if not classes:
            raise TargetError("an empty list names no class", expected="a class, or one class per image")
        return list(classes)
    return classes


def _rather_than(versus: Versus) -> Callable[[Any], Tensor]:
    """The difference of the scores of two classes, as a function of the output."""

    def difference(outputs: Any) -> Tensor:
        return Score.resolve(versus, outputs, len(logits_of(outputs)))(outputs)

    return difference


def names_of(classes: Tensor | None, model: object) -> tuple[str, ...] | None:
    """What a ``Classifier`` calls its classes; None where nobody knows."""
    if classes is None or isinstance(model, nn.Module) or getattr(model, "labels", None) is None:
        return None
    label: Any = getattr(model, "label")  # noqa: B009 - of whatever stands for a Classifier
    return tuple(str(label(index)) for index in classes.tolist())


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


def sized(size: int | tuple[int, int] | None, model: object) -> tuple[int, int]:
    """Height and width: as given, the classifier's, or 224.

    Raises:
        InputError: it is no size, or too large.
    """
    if size is None:
        size = getattr(model, "input_size", None) or 224
    pair = tuple(size) if isinstance(size, Sequence) and not isinstance(size, str) else (size, size)
    if len(pair) != 2 or not all(map(is_count, pair)) or max(pair) > LARGEST_SIDE:
        expected = f"height and width, or one number for both, from 1 to {LARGEST_SIDE}"
        raise InputError("the size is in pixels", expected=expected, got=repr(size)[:80])
    height, width = pair
    return height, width


def scaled(mean: Any, std: Any, model: object, module: nn.Module, size: tuple[int, int]) -> Normalization:
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
    scale = Normalization(usual[0] if mean is None else stated[0], usual[1] if std is None else stated[-1], like)
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
