"""Photos that were removed or changed while an audit ran."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ... import events
from ...errors import InputError, PhotoError
from ...pictures import read_photo
from .rows import Rows


def still_there(rows: Rows, root: Path) -> tuple[Rows, list[tuple[str, str]]]:
    """The rows of photos whose files are as they were looked at, and the paths of the others, with the reason.

    Raises:
        InputError: there are none any more.
    """
    gone: dict[str, str] = {}
    for path, digest in zip(rows.paths, rows.digests, strict=True):
        try:
            if read_photo(root / path).sha256 != digest:
                gone[path] = "it was changed while the audit ran"
        except PhotoError as error:
            there = os.path.lexists(root / path)
            gone[path] = (
                f"it was changed while the audit ran: {error}" if there else "it was removed while the audit ran"
            )
        events.checkpoint()
    if len(gone) == len(rows):
        raise InputError("all photos were removed or changed while the audit ran", got=next(iter(gone.values())))
    return rows.only(np.array([path not in gone for path in rows.paths])), list(gone.items())
