"""How the maps of figures are drawn, as the command line says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from ..errors import InputError
from ..pictures.colormaps import OWN
from ..results.drawing import Ink

F = TypeVar("F", bound=Callable[..., Any])

NAMES = ("scale", "colormap", "opacity")


def drawing_options(function: F) -> F:
    """--scale, --colormap and --opacity."""
    for option in reversed([
        click.option("--scale", metavar="NAME", help="Of the figures, where colours end: own (each map its own), "
                     "shared (over all targets) or share (one share of the score). Default: shared with --versus or "
                     "--shared-scale, else own."),
        click.option("--colormap", metavar="NAME", help="Of the figures: seewhy (the default), viridis, magma or jet."),
        click.option("--opacity", type=float, metavar="0..1", help="Of the figures' maps; default 1."),
    ]):  # fmt: skip
        function = option(function)
    return function


def asked_for(given: Mapping[str, Any]) -> str:
    """Which of these options were given: "--scale and --opacity"; else empty."""
    return " and ".join(f"--{name}" for name in NAMES if given[name] is not None)


def drawn(given: Mapping[str, Any]) -> dict[str, Any]:
    """What ``Explanation.figure`` and ``save`` take, checked.

    Raises:
        InputError: there is no such scale or colour map, ``--opacity`` is not in 0..1, or another scale was asked for
            than ``--shared-scale`` asks for.
    """
    opacity = 1.0 if given["opacity"] is None else given["opacity"]
    found = vars(Ink.of(given["scale"], given["colormap"] or OWN, opacity))
    if given.get("shared_scale") and found["scale"] not in (None, "shared"):
        raise InputError("--shared-scale and --scale ask for two scales", expected="one of them", got=found["scale"])
    return dict(found)
