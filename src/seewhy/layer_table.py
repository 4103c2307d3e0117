"""A model's layers: names, kinds, output shapes, and which one is explained by default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .core.guest import original
from .core.hooks import hooked
from .core.needs import Needs
from .core.record import recorded
from .errors import ModelError


@dataclass(frozen=True)
class Layer:
    """One layer that ran.

    Attributes:
        name: dotted, as methods take it.
        kind: the module's class; where the default is what follows the layer, this too, as in "Conv2d + relu".
        shape: of its last output without the batch, or None where that is no tensor.
        default: whether Grad-CAM uses it when no layer is named.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    default: bool


def layers(model: object, inputs: Tensor) -> list[Layer]:
    """The layers of ``model`` in the order in which they ran on ``inputs`` (B, C, H, W).

    Raises:
        SeewhyError: the inputs do not fit.
    """
    module = original(model)
    ran: dict[str, tuple[str, tuple[int, ...] | None]] = {}
    hooks = {child: _shape_into(ran, name) for name, child in module.named_modules() if name}
    with hooked(hooks):
        default = _default(module, inputs)
    # The default may be what a function made of a layer's output, "conv2 + relu"; the table lists modules.
    place, plus, then = (default or "").partition(" + ")
    return [
        Layer(name, kind + plus + then if name == place else kind, shape, name == place)
        for name, (kind, shape) in ran.items()
    ]


def _default(module: nn.Module, inputs: Tensor) -> str | None:
    needs = Needs(layers=frozenset({None}))
    try:
        with recorded(module, inputs, None, needs) as record:
            return record.default_layer
    except ModelError:  # it gives no classes, and its layers can be listed all the same
        with recorded(module, inputs, lambda outputs: inputs.new_zeros(len(inputs)), needs) as record:
            return record.default_layer


def _shape_into(ran: dict[str, Any], name: str) -> Any:
    def hook(module: Any, args: Any, output: Any) -> None:
        shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else None
        ran[name] = (type(module).__name__, shape)

    return hook
