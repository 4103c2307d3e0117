"""What runs only if it is trusted: everything in a file but tensors, which torch reads by running what it says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn

from seewhy.errors import ModelError
from seewhy.interrupts import shielded

IF_TRUSTED = "trust=True (--trust on the command line), if you trust where the file came from"
FORCED, UNFORCED = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


def refuse_untrusted(path: str, is_what: str, expected: str = IF_TRUSTED) -> NoReturn:
    """Raises the ModelError for a file that can run code and is not trusted, before anything of torch opens it.

    Args:
        is_what: what the file is, or may be.
    """
    what = f"{path} {is_what}, and reading one can run any code that is in it"
    raise ModelError(what, expected=expected)


@shielded
def tensors_alone() -> Iterator[None]:
    """Whatever a library reads by ``torch.load`` meanwhile, it is given tensors or an error."""
    before = {name: os.environ.pop(name, None) for name in (FORCED, UNFORCED)}
    os.environ[FORCED] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
