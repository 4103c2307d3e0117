"""Numbers that an ascent is given, checked when its parts are made."""

from __future__ import annotations

from math import isfinite

from ..errors import InputError


def is_count(value: object) -> bool:
    """Whether it is a whole number above zero; True, which Python counts among them, is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def check_number(name: str, value: float, *, above_zero: bool = False) -> None:
    """That it is finite, and not below zero.

    Args:
        above_zero: whether zero is refused as well.

    Raises:
        InputError: it is not.
    """
    number = isinstance(value, int | float)
    if not (number and isfinite(value) and (value > 0 if above_zero else value >= 0)):
        kind = "above zero" if above_zero else "not below zero"
        raise InputError(f"{name} is {kind}", expected=f"a finite number {kind}", got=repr(value)[:80])
