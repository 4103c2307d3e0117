"""A network's preprocessing: from its source, overridden by the caller, completed by running it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import nn

from seewhy.core.channels import channels_read
from seewhy.errors import InputError

from .limits import MOST_CHANNELS, shown
from .preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    BorrowedPreprocessing,
    Order,
    Preprocessing,
    check_normalisation,
    check_size,
)
from .source import Loaded

ORDERS: dict[int, Order] = {1: "L", 3: "RGB"}
USUAL = {1: ((0.5,), (0.5,)), 3: (IMAGENET_MEAN, IMAGENET_STD)}
"""Default mean and standard deviation of a user's own network."""


class Told(NamedTuple):
    """What the caller specifies of a network's preprocessing; None where nothing.

    Attributes:
        size: (H, W).
        mean, std: one value for all channels, or one each.
        channels: how many, if mean or std was given once per channel.
    """

    size: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    channels: int | None = None

    @classmethod
    def checked(cls, input_size: Any, mean: Any, std: Any) -> Told:
        """The same, from whatever was given.

        Raises:
            InputError: it makes no sense.
        """
        means, stds = _values("mean", mean), _values("std", std)
        counts = [len(values or ()) for given, values in ((mean, means), (std, stds)) if isinstance(given, Iterable)]
        check_normalisation(means or (), stds or ())
        return cls(_size(input_size), means, stds, max(counts, default=None))


def preprocessing_of(loaded: Loaded, spec: str, told: Told) -> Preprocessing | BorrowedPreprocessing:
    """The source's preprocessing, overridden by the caller; the default one where the source has none.

    A network of one's own is run to see how many channels it reads: one is grey, three are red, green and blue.

    Raises:
        InputError: what is given makes no sense, or the network reads other channels and is given no mean and std.
    """
    size, means, stds = told.size, told.mean, told.std
    if loaded.transform is not None:
        return _adjusted(loaded.transform, size, means, stds)
    size = size or loaded.input_size or (224, 224)
    check_size(size, told.channels or 1)
    channels = loaded.channels or _channels_read(loaded.model, size) or told.channels or 3
    if channels not in USUAL and (means is None or stds is None):
        what = f"{spec} reads {channels} channels, and how they are normalised is not known"
        raise InputError(what, expected=f"mean= and std= (--mean, --std), {channels} values each, or one for all")
    for given in (means, stds):
        if given is not None and len(given) not in (1, channels):
            expected = f"mean and std of {channels} values each, or one for all"
            what = f"mean and std do not fit the model's channels: {spec} reads {channels}"
            raise InputError(what, expected=expected, got=len(given))
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
    """``transform`` overridden by the caller; the resize keeps its ratio to the crop."""
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
    """Per channel; a single value is repeated for all."""
    values = known if given is None else given
    return values * channels if len(values) == 1 else values


def _values(name: str, given: Any) -> tuple[float, ...] | None:
    if given is None:
        return None
    what = f"{name} is a number, or one per channel"
    try:
        several = isinstance(given, Iterable) and not isinstance(given, str | bytes)
        numbers = list(islice(given, MOST_CHANNELS + 1)) if several else [given]
        values = tuple(map(float, numbers))
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise InputError(what, got=shown(given)) from error
    if len(values) > MOST_CHANNELS:
        raise InputError(what, expected=f"at most {MOST_CHANNELS:,} of them", got="more")
    if not values or any(isinstance(number, bool | bytes) for number in numbers):
        raise InputError(what, got=shown(given) if values else "none")
    return values


def _size(given: Any) -> tuple[int, int] | None:
    if given is None:
        return None
    what = "the size of a picture is a number of pixels, or (height, width)"
    try:
        sides = tuple(islice(given, 3)) if isinstance(given, Iterable) else (given, given)
    except (TypeError, RuntimeError) as error:
        raise InputError(what, got=shown(given)) from error
    if len(sides) != 2 or any(isinstance(side, bool) or not isinstance(side, int) for side in sides):
        raise InputError(what, got=shown(given))
    check_size(sides)  # before a network is run on it
    return sides[0], sides[1]
