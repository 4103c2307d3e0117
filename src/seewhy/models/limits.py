"""Bounds on untrusted files and configurations, which could otherwise ask for any amount of memory."""

from __future__ import annotations

from typing import Any

MOST_SIDE = 4096
"""Pixels along a side of what a network reads. The largest published classifiers read 1,024."""

MOST_CHANNELS = 1024
"""Channels of what a network reads; satellites give some hundred."""

MOST_VALUES = 1 << 28
"""Height x width x channels of one input: 1 GiB of float32."""

MOST_CLASSES = 100_000
"""Outputs of a network, and names in a file. The full ImageNet has 21,841."""

MOST_TENSORS = 20_000
"""Tensors in a file of weights. The deepest published classifiers have some thousand, an optimizer twice as many."""

MOST_OPERATIONS = 2_000_000
"""Of the pickle in a checkpoint, which takes a hundred for a tensor; so many are looked at in some seconds."""

MOST_WRAPPERS = 16
"""How deep a checkpoint may wrap its tensors in dictionaries; one that contains itself has no end."""

MOST_IN_A_TUPLE = 100_000
"""Objects in a tuple of a checkpoint, and in those in it: the shape of a tensor has a few."""

MOST_TUPLES_AS_KEYS = 1000
"""Of dictionaries in a checkpoint, and numbers of more than 8 bytes in it: many of them can have one hash."""

MOST_LABEL_BYTES = 16 << 20
"""Of a file of class names: 160 bytes for each of the most classes."""

MOST_NAME = 1000
"""Characters of a class's name."""

MOST_CONFIG_BYTES = 16 << 20
"""Of a JSON file that configures a model: those with 21,841 classes have 2 MB."""

MOST_CONFIG_DEPTH = 32
"""Levels in such a file; the usual ones have four."""

MOST_IN_A_CONFIG = 1 << 40
"""The largest number in such a file where nothing closer is known of it: times and counts of steps stand there too."""

MOST_LAYERS = 1000
"""What such a file may say of a number of layers."""

MOST_PARAMETERS = 1 << 32
"""Numbers in a network that a configuration describes: 16 GiB of float32."""

MOST_SOURCE_BYTES = 1 << 20
"""Of a module that is read, not run, for the names in it, which help to say what may have been meant."""

MOST_DIRECTORY_BYTES = 32 << 20
"""Of an archive's table of contents: 300 bytes for each of the most tensors."""

MOST_SHOWN = 60
"""Characters that an error shows of a value that it does not know."""


def shown(value: Any) -> str:
    """``repr`` for an error, short, and whatever the value is."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # a number of 5,000 digits has none, and a foreign object may raise anything
        return f"{type(value).__name__} that cannot be shown"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def first_line(error: BaseException) -> str:
    """What a foreign error says, short enough for one line."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
