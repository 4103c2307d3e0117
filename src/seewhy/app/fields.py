"""Fields of a message from the page, each checked for its type and range."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..errors import InputError

T = TypeVar("T")

MOST_TEXT = 500
"""Characters of a text; layers have the longest names."""

LARGEST = (1 << 53) - 1
"""The largest whole number that JavaScript holds."""


class Fields:
    """The fields of one message. A field that is missing is null."""

    def __init__(self, given: Mapping[str, Any]):
        self._given = given

    def whole(self, name: str, low: int, high: int = LARGEST, default: int | None = None) -> int:
        """A whole number from ``low`` to ``high``."""
        return whole(self._default(name, default), name, low, high)

    def maybe_whole(self, name: str, low: int, high: int = LARGEST) -> int | None:
        """The same, or null."""
        value = self._given.get(name)
        return None if value is None else whole(value, name, low, high)

    def number(self, name: str, low: float, high: float, default: float | None = None) -> float:
        """A finite number."""
        return number(self._default(name, default), name, low, high)

    def maybe_number(self, name: str, low: float, high: float) -> float | None:
        """The same, or null."""
        value = self._given.get(name)
        return None if value is None else number(value, name, low, high)

    def text(self, name: str, default: str | None = None) -> str:
        """A text that is not too long."""
        return text(self._default(name, default), name)

    def maybe_text(self, name: str) -> str | None:
        """The same, or null."""
        value = self._given.get(name)
        return None if value is None else text(value, name)

    def among(self, name: str, known: tuple[str, ...], default: str) -> str:
        """One of some words."""
        value = self.text(name, default)
        if value not in known:
            raise InputError(f"{name} is not one that there is", expected=", ".join(known), got=value)
        return value

    def listed(
        self, name: str, most: int, item: Callable[[Any, str], T], *, exactly: int | None = None
    ) -> tuple[T, ...]:
        """A list of at most so many things, or exactly so many; null is an empty one."""
        value = self._given.get(name)
        if value is None and exactly is None:
            return ()
        if not isinstance(value, list) or len(value) > most or (exactly is not None and len(value) != exactly):
            expected = f"a list of {f'at most {most}' if exactly is None else exactly}"
            raise InputError(f"{name} does not fit", expected=expected, got=_shown(value))
        return tuple(item(each, name) for each in value)

    def maybe(self, name: str) -> Fields | None:
        """A message in the message, or null."""
        value = self._given.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise InputError(f"{name} does not fit", expected="an object", got=_shown(value))
        return Fields(value)

    def _default(self, name: str, default: Any) -> Any:
        value = self._given.get(name)
        return default if value is None else value

    def is_null(self, name: str) -> bool:
        """Whether there is no such field."""
        return self._given.get(name) is None


def whole(value: Any, name: str, low: int = 0, high: int = LARGEST) -> int:
    """A whole number, as JSON has it."""
    if type(value) is not int or not low <= value <= high:
        raise InputError(f"{name} does not fit", expected=f"a whole number from {low} to {high}", got=_shown(value))
    return value


def number(value: Any, name: str, low: float, high: float) -> float:
    """A finite number."""
    if type(value) not in (int, float) or not (math.isfinite(value) and low <= value <= high):
        raise InputError(f"{name} does not fit", expected=f"a number from {low:g} to {high:g}", got=_shown(value))
    return float(value)


def text(value: Any, name: str) -> str:
    """A text that is not too long."""
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        raise InputError(f"{name} does not fit", expected=f"a text of at most {MOST_TEXT} characters",
                         got=_shown(value))  # fmt: skip
    return value


def index(value: Any, name: str) -> int:
    """The number of a class."""
    return whole(value, name, 0, (1 << 31) - 1)


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)[:40]
