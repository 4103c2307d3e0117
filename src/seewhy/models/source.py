"""What a loader is asked for and what it gives back, and the one way that it imports a library."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import torch
from torch import nn

from seewhy.errors import MissingExtraError, ModelError

from .limits import first_line
from .preprocessing import BorrowedPreprocessing, Preprocessing

RANDOM = "random"

IN_MEMORY = "in memory"
"""What the provenance says of where weights or labels came from that were in no file."""


class LoadRequest(NamedTuple):
    """``name`` is the SPEC without its prefix; ``weights`` as the user gave it."""

    spec: str
    name: str
    weights: str | None = None
    trust: bool = False


@dataclass(frozen=True)
class Loaded:
    """A network with what its source knows about it.

    Attributes:
        transform: None where nothing is known but what follows.
        weights: where they came from, for the provenance.
        packages: the libraries whose versions matter for what came out.
        notes: what a reader must know about the network, such as that its weights are random.
        input_size, channels: (H, W) and C of its pictures, where it says so itself.
        batch: the number of pictures that it takes at once, where it takes no other.
    """

    model: nn.Module
    transform: Preprocessing | BorrowedPreprocessing | None
    weights: str
    labels: tuple[str, ...] | None = None
    synonyms: tuple[tuple[str, ...], ...] | None = None
    packages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    input_size: tuple[int, int] | None = None
    channels: int | None = None
    batch: int = 1


def need(package: str, extra: str) -> Any:
    """The imported ``package`` of ``pip install "seewhy[extra]"``.

    Raises:
        MissingExtraError: it is not installed, or it does not fit the installed torch.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        missing = (error.name or package).split(".")[0]
        expected = f'pip install "seewhy[{extra}]"'
        if missing == package.split(".")[0] and not isinstance(error, ModuleNotFoundError):
            raise MissingExtraError(
                f"{package} cannot be imported", expected=expected, got=first_line(error)
            ) from error
        raise MissingExtraError(f"the package {missing} is not installed", expected=expected) from error
    except (RuntimeError, AttributeError) as error:
        # torchvision's wheel is built for one build of torch. Beside another its operators do not load, and
        # a second import of the half-imported package fails with an AttributeError.
        if "torchvision" not in str(error):
            raise
        what = f"torchvision {installed('torchvision')} does not fit torch {torch.__version__}"
        expected = "pip install of both from one index, for the same device (CPU or the same CUDA)"
        raise MissingExtraError(what, expected=expected, got=first_line(error)) from error


def installed(package: str) -> str:
    """The version of an installed package, or "unknown"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def cannot_fetch(
    what: str, error: BaseException, instead: str = "the weights as a local file (weights=, --weights FILE)"
) -> ModelError:
    """The error for a model or weights that could not be downloaded, and what to give ``instead``."""
    return ModelError(
        f"{what} could not be fetched", expected=f"a network connection, or {instead}", got=first_line(error)
    )
