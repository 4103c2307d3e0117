"""Whether a picture runs through a network as photos of its class do (Geirhos 2023).

A picture that scores like its class can take another way there than photos take, and then it shows how the network
can be reached, not what it looks at. In each layer, activations averaged over space are compared by the correlation of
their ranks, and put on a scale on which 1 is how alike photos of the class are among themselves, and 0 how alike
they are to photos of other classes. The averaging over space is ours: it forgives another place in the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..core.guest import guest, original
from ..core.hooks import hooked
from ..core.layers import is_spatial
from ..core.ranks import centred_ranks
from ..errors import InputError
from .listening import listening

LAYERS = 8
LEAST_APART = 0.03
"""Where photos of the class are no more alike than this beyond photos of others, a layer cannot tell."""


@dataclass(frozen=True)
class Likeness:
    """At one layer: 1 is as alike as photos of the class are, 0 as photos of other classes; None: cannot tell."""

    layer: str
    value: float | None


def likeness(
    model: object, x: Tensor, same: Tensor, others: Tensor, layers: Sequence[str] | None = None
) -> list[tuple[Likeness, ...]]:
    """How near each picture's activations run to those of real photos.

    Args:
        model: a module or a ``Classifier``.
        x: (B, C, H, W) pictures as the network reads them.
        same: (at least 2, C, H, W) photos of the pictures' class.
        others: (at least 1, C, H, W) photos of other classes.
        layers: dotted names; default: eight along the depth.

    Raises:
        InputError: too few photos.
        LayerError: there is no such layer.
    """
    if len(same) < 2 or len(others) < 1:
        got = f"{len(same)} and {len(others)}"
        raise InputError("the path needs photos", expected="two of the class and one of another", got=got)
    module = original(model)
    with guest(module, grad=False):
        layers = list(layers) if layers else along_the_depth(module, same[:1])
        seen = {name: [] for name in layers}  # type: dict[str, list[Tensor]]
        for batch in (*torch.split(x, 8), *torch.split(same, 8), *torch.split(others, 8)):
            with listening(module, frozenset(layers)) as activations:
                module(batch)
            for name in layers:
                seen[name].append(activations[name].float().flatten(2).mean(2))
    found: list[list[Likeness]] = [[] for _ in x]
    for name in layers:
        a, b, c = torch.split(centred_ranks(torch.cat(seen[name])), [len(x), len(same), len(others)])
        among = b @ b.T
        within = (among.sum() - among.diagonal().sum()) / (len(b) * (len(b) - 1))
        between = (b @ c.T).mean()
        for row, value in zip(found, (a @ b.T).mean(1), strict=True):
            apart = float(within - between)
            row.append(Likeness(name, float(value - between) / apart if apart > LEAST_APART else None))
    return [tuple(row) for row in found]


def in_words(path: Sequence[Likeness]) -> list[str]:
    """What the path says, in a sentence; nothing where it was not measured."""
    told = [(step.layer, step.value) for step in path if step.value is not None]
    if not told:
        return ["Its photos tell no layer apart, so the path says nothing."] if path else []
    far = [layer for layer, value in told if value < 0.5]
    if not far:
        return ["In every measured layer it runs as photos of its class do."]
    where = far[0] if len(far) == 1 else f"{far[0]} to {far[-1]}"
    return [
        f"At {len(far)} of {len(told)} measured layers ({where}) it runs nearer to photos of other classes than photos "
        "of its class do: it shows a way to the score, not how the network sees photos (Geirhos 2023)."
    ]


def along_the_depth(model: nn.Module, x: Tensor, count: int = LAYERS) -> list[str]:
    """The names of ``count`` layers with maps, evenly along the forward, the last among them."""
    ran: dict[str, None] = {}

    def remember(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if is_spatial(output, x):
                ran[name] = None

        return hook

    with hooked({module: remember(name) for name, module in model.named_modules() if name and not module._modules}):
        model(x)
    names = list(ran)
    return list(dict.fromkeys(names[max(1, round(i * len(names) / count)) - 1] for i in range(1, count + 1) if names))
