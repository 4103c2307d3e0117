"""Where a command writes: a folder that was named, or the next free one of the usual name."""

from __future__ import annotations

from pathlib import Path

from ..errors import OutputError
from ..files import make_folder

USUAL = "seewhy-out"
MOST = 100_000


def output_folder(given: str | None, *, force: bool) -> Path:
    """The folder to write into, made where it is missing.

    Args:
        given: as it was named; None for ``seewhy-out``, or, where that is in use, ``seewhy-out-2`` and so on.
        force: whether earlier results are replaced: then the usual folder is taken as it is.

    Raises:
        OutputError: the name is empty, or nothing can be written there.
    """
    if given is not None and not given:
        raise OutputError("--output-dir names no folder", expected="a name; . is the current one")
    if given is not None or force:
        return make_folder(USUAL if given is None else given)
    for number in range(1, MOST):
        path = Path(USUAL if number == 1 else f"{USUAL}-{number}")
        try:
            path.mkdir()  # not only looked at: another run may begin at the same moment
        except FileExistsError:
            continue
        except OSError:
            pass  # make_folder says why
        return make_folder(path)
    raise OutputError(f"{USUAL} and the {MOST:,} folders after it are in use", expected="--output-dir")
