"""The photos of one call of the command: which folder holds which, and which could not be explained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_text
from ..legible import in_one_line
from ..models.regular import read_bounded

FORMAT = 1
RUN = "run.json"
LONGEST = 64 << 20
"""Bytes of run.json: a path and a folder for each of some hundred thousand photos."""


@dataclass(frozen=True)
class RunPhoto:
    """One photo: where its explanation is, or why there is none.

    Attributes:
        path: as it was given.
        folder: its explanation's, relative to the run's; None where there is none.
        error: one line; None where it was explained.
    """

    path: str
    folder: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Run:
    """One call of the command.

    Attributes:
        model, weights: SPEC and hash.
        seewhy: the version.
        created: for people.
        command: what was typed.
        photos: in the order in which they were given.
        facts: anything else, name -> text.
    """

    model: str
    weights: str
    seewhy: str
    created: str
    command: str
    photos: Sequence[RunPhoto]
    facts: Mapping[str, str] = field(default_factory=dict)

    def save(self, folder: Path, *, overwrite: bool) -> None:
        """Write run.json.

        Raises:
            OutputError: it is there already and ``overwrite`` is False, or cannot be written.
        """
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False)
        write_text(folder / RUN, text + "\n", overwrite=overwrite)

    @classmethod
    def load(cls, folder: Path) -> Run:
        """Read run.json.

        Raises:
            InputError: it is missing, of another version, or damaged.
        """
        name = in_one_line(folder / RUN)
        content = read_bounded(folder / RUN, LONGEST, InputError, name)
        try:
            about = json.loads(content)
            if about.pop("format") != FORMAT:
                raise ValueError("its format is not known here")
            photos = tuple(_photo(each) for each in about.pop("photos"))
            facts = {str(key): str(value) for key, value in about.pop("facts").items()}
            texts = ("model", "weights", "seewhy", "created", "command")
            return cls(**{name: _text(about[name]) or "" for name in texts}, photos=photos, facts=facts)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise InputError(f"{name} is not what `seewhy explain` wrote: {error}") from error


def _photo(about: Any) -> RunPhoto:
    path = _text(about["path"])
    if path is None:
        raise ValueError("a photo has no path")
    return RunPhoto(path, _text(about.get("folder")), _text(about.get("error")))


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"text was expected, not {type(value).__name__}")
    return value
