"""One family of errors: what was wrong, what was expected, what was got, and what is close."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from .legible import in_one_line, message

MOST_OF_A_PART = 360
"""Characters of each part of an error. Names in files can have a million."""


class SeewhyError(Exception):
    """Everything that seewhy raises on purpose. Its text is one legible line, whatever names are in it.

    Args:
        what: what was wrong, one sentence without a full stop.
        expected: what would have been right.
        got: what came instead.
        close: names near the one that was given; offered as "did you mean".
    """

    def __init__(self, what: str, *, expected: object = None, got: object = None, close: Iterable[str] = ()):
        parts = [what]
        if expected is not None:
            parts.append(f"expected {expected}")
        if got is not None:
            parts.append(f"got {got}")
        if close := tuple(close):
            parts.append(f"did you mean {' or '.join(close)}?")
        super().__init__(message("; ".join(in_one_line(" ".join(part.split()), MOST_OF_A_PART) for part in parts)))


class InputError(SeewhyError, ValueError):
    """The inputs or a parameter do not fit."""


class TargetError(SeewhyError, ValueError):
    """The target is not one of the model's outputs."""


class LayerError(SeewhyError, LookupError):
    """The layer does not exist, did not run, or is not spatial."""


class MethodError(SeewhyError, LookupError):
    """The method does not exist, or does not apply to this network."""


class ModelError(SeewhyError, ValueError):
    """The model cannot be loaded, or gave something that cannot be explained."""


class NoGradientError(ModelError):
    """Nothing that autograd can see leads from the inputs to the score."""


class PhotoError(SeewhyError, ValueError):
    """A picture cannot be read."""


class OutputError(SeewhyError, OSError):
    """A result cannot be written."""


class MissingExtraError(SeewhyError, ImportError):
    """An optional package is missing, or does not fit the installed torch."""


def close_matches(name: str, names: Iterable[str], most: int = 3) -> tuple[str, ...]:
    """Up to ``most`` of ``names`` that look like ``name``, ignoring case, hyphens and underscores."""
    by_key: dict[str, str] = {}
    for known in names:
        by_key.setdefault(plain(known), known)
    found = difflib.get_close_matches(plain(name), by_key, n=most, cutoff=0.6)
    return tuple(by_key[key] for key in found)


def plain(name: str) -> str:
    """A name as it is compared: lower case, without spaces, hyphens and underscores."""
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")
