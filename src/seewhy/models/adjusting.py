"""How a network wants its photos: what its source knows, what the caller knows better, and what running it shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from seewhy.core.channels import channels_read
from seewhy.errors import InputError

from .preprocessing import IMAGENET_MEAN, IMAGENET_STD, BorrowedPreprocessing, Order, Preprocessing
from .source import Loaded

Channels = float | Iterable[float] | None
ORDERS: dict[int, Order] = {1: "L", 3: "RGB"}
USUAL = {1: ((0.5,), (0.5,)), 3: (IMAGENET_MEAN, IMAGENET_STD)}
"""Mean and deviation for a network of one's own, of which nothing is known."""


def preprocessing_of(
    loaded: Loaded, spec: str, input_size: Any, mean: Channels, std: Channels
) -> Preprocessing | BorrowedPreprocessing:
    """The source's preprocessing with what the caller knows better; the usual one where the source knows none.

    A network of one's own is run to see how many channels it reads: one is grey, three are red, green and blue.

    Raises:
        InputError: what is given makes no sense, or the network reads other channels and is given no mean and std.
    """
    size, means, stds = _size(input_size), _values("mean", mean), _values("std", std)
    if loaded.transform is not None:
        return _adjusted(loaded.transform, size, means, stds)
    size = size or loaded.input_size or (224, 224)
    told = ((mean, means), (std, stds))
    counted = max((len(values or ()) for given, values in told if isinstance(given, Iterable)), default=3)
    channels = loaded.channels or _channels_read(loaded.model, size) or counted
    if channels not in USUAL and (means is None or stds is None):
        what = f"{spec} reads {channels} channels, and how they are normalised is not known"
        raise InputError(what, expected=f"mean= and std= (--mean, --std), {channels} values each, or one for all")
    usual = USUAL.get(channels, ((), ()))
    return Preprocessing(
        size, _spread(means, usual[0], channels), _spread(stds, usual[1], channels), order=ORDERS.get(channels)
    )


def _channels_read(model: nn.Module, size: tuple[int, int]) -> int | None:
    like = next((parameter for parameter in model.parameters() if parameter.is_floating_point()), torch.empty(0))
    return channels_read(model, size, like)


def _adjusted(
    transform: Preprocessing | BorrowedPreprocessing,
    size: tuple[int, int] | None,
    means: tuple[float, ...] | None,
    stds: tuple[float, ...] | None,
) -> Preprocessing | BorrowedPreprocessing:
    """``transform`` with what the caller knows better; the resize keeps its ratio to the crop."""
    if size is None and means is None and stds is None:
        return transform
    if isinstance(transform, BorrowedPreprocessing):
        raise InputError("this model's own transform is used as it is", expected="no input_size, mean or std")
    if size is not None:
        before, resize = transform.input_size, transform.resize or transform.input_size
        resize = (round(resize[0] * size[0] / before[0]), round(resize[1] * size[1] / before[1]))
        transform = replace(transform, input_size=size, resize=resize)
    channels = len(transform.mean)
    return replace(transform, mean=_spread(means, transform.mean, channels), std=_spread(stds, transform.std, channels))


def _spread(given: tuple[float, ...] | None, known: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """One value is for all channels."""
    values = known if given is None else given
    return values * channels if len(values) == 1 else values


def _values(name: str, given: Any) -> tuple[float, ...] | None:
    if given is None:
        return None
    try:
        several = isinstance(given, Iterable) and not isinstance(given, str)
        values = tuple(map(float, given)) if several else (float(given),)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is a number, or one per channel", got=repr(given)) from error
    if not values:
        raise InputError(f"{name} is a number, or one per channel", got="none")
    return values


def _size(given: Any) -> tuple[int, int] | None:
    if given is None:
        return None
    sides = tuple(given) if isinstance(given, Iterable) else (given, given)
    if len(sides) != 2 or any(isinstance(side, bool) or not isinstance(side, int) for side in sides):
        raise InputError("the size of a picture is a number of pixels, or (height, width)", got=repr(given))
    if min(sides) < 1:  # before a network is run on it
        raise InputError("a size must be at least 1 x 1", got=repr(given))
    return sides[0], sides[1]
