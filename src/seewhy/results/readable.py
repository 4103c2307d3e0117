"""Parameters for people."""

from __future__ import annotations

from collections.abc import Mapping


def readable(params: Mapping[str, object]) -> dict[str, str]:
    """Short numbers, and "default" for what was left open."""
    return {name.replace("_", " "): _short(value) for name, value in params.items()}


def _short(value: object) -> str:
    if value is None:
        return "default"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        if not value:
            return "none"
        each = [_short(item) for item in value]
        if len(set(each)) == 1 and len(each) == 3:
            return each[0]
        return " × ".join(each) if len(each) == 2 else ", ".join(each)
    return f"{value:.3g}" if isinstance(value, float) else str(value)
