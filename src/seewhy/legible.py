"""Text from outside, such as a file's name, on one line of a terminal: nothing in it acts, all of it can be read."""

from __future__ import annotations

import os
import unicodedata

LONGEST = 240
"""Characters of a name in a message; the middle of a longer one is cut. Two of them fit on a screen."""

LONGEST_MESSAGE = 2000
"""Characters of a whole message: an exception of foreign code may quote a tensor."""

_JOINERS = "\u200c\u200d"
"""Of letters in Persian and of emoji: they have the class of the characters that act, and only shape what they join."""


def legible(text: object) -> str:
    r"""``str(text)`` with every character escaped that acts on a terminal or hides: ``"a\nb"`` becomes ``"a\\nb"``.

    These are the control characters (C0, DEL, C1, so also line ends and escape codes), the separators of lines and
    paragraphs, format characters (those that turn the direction of writing), and lone surrogates.
    """
    plain = str(text)
    if plain.isascii() and plain.isprintable():
        return plain
    return "".join(ascii(c)[1:-1] if _acts(c) else c for c in plain)


def in_one_line(path: str | os.PathLike[str], most: int = LONGEST) -> str:
    """A path or another name for a one-line message: legible, and the middle of a long one is cut."""
    name = os.fspath(path)
    # Cut before it is looked at, character by character: a name may be a megabyte long.
    name = legible(name if len(name) <= most else f"{name[: most // 2]}…{name[-most // 2 :]}")
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-most // 2 :]}"


def message(text: object) -> str:
    """A message for one line: white space of any kind becomes a space, the rest legible, a very long one cut."""
    return in_one_line(" ".join(str(text)[: 4 * LONGEST_MESSAGE].split()), LONGEST_MESSAGE)


def _acts(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS
