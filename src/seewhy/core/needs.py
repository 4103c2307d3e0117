"""What a method asks of a Record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any


@dataclass(frozen=True)
class Needs:
    """What a method asks of a Record, so that nothing else is kept.

    Attributes:
        input_gradient: the gradient at the pixels.
        layers: layers whose activation is read; None stands for the default layer.
        layer_gradients: whether gradients are read at those layers.
        class_map: what CAM needs.
    """

    input_gradient: bool = False
    layers: frozenset[str | None] = frozenset()
    layer_gradients: bool = False
    class_map: bool = False

    @classmethod
    def of(cls, methods: Iterable[Any]) -> Needs:
        """What all of ``methods`` together ask."""
        return reduce(or_, (method.needs() for method in methods), cls())

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            self.input_gradient or other.input_gradient,
            self.layers | other.layers,
            self.layer_gradients or other.layer_gradients,
            self.class_map or other.class_map,
        )
