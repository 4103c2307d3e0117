"""The last layer restricted to the wanted classes: in SqueezeNet, the others are a tenth of the work."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from .activations import ACTIVATIONS
from .kernels import Filter
from .program import Node, Program, Ref

_CHANNELS_KEPT = frozenset({"flatten", "mean", "adaptive_avg_pool2d", "avg_pool2d", "dropout"}) | ACTIVATIONS


@dataclass(frozen=True, eq=False)
class Cut:
    """A simplified program that gives some classes only.

    Attributes:
        program: its output is (B, n).
        first: the number of the first node that is another than in the whole program: the last layer's.
    """

    program: Program
    first: int


def cut(program: Program, classes: Tensor) -> Cut | None:
    """The program for ``classes`` (n,) int64 alone; None where its last layer cannot be cut.

    The last layer's weights are indexed; all other tensors are shared.
    """
    maker = {node.result: place for place, node in enumerate(program.nodes) if isinstance(node.result, Ref)}
    passed: list[Ref] = []
    ref = program.output
    while ref in maker:
        place, passed = maker[ref], [*passed, ref]
        node = program.nodes[place]
        if program.users[ref] > 1:
            return None
        if node.name in ("linear", "conv2d") and len(program.shapes[ref]) in (2, 4):
            if (last := _of_classes(node, classes)) is None:
                return None
            nodes = [*program.nodes[:place], last, *program.nodes[place + 1 :]]
            shapes = dict(program.shapes)
            for changed in passed:
                shapes[changed] = (shapes[changed][0], len(classes), *shapes[changed][2:])
            return Cut(Program(nodes, program.output, shapes, program.varying), place)
        if node.name not in _CHANNELS_KEPT or not isinstance(node.args[0], Ref):
            return None
        ref = node.args[0]
    return None


def _of_classes(node: Node, classes: Tensor) -> Node | None:
    if isinstance(node.function, Filter):
        # One that adds something to its result would need that for the same classes.
        few = node.function.narrowed(classes) if len(node.args) == 1 else None
        return None if few is None else replace(node, function=few)
    return _linear(node, classes, *node.args, **node.kwargs) if node.name == "linear" else None


def _linear(node: Node, classes: Tensor, input: Ref, weight: object, bias: object = None) -> Node | None:
    if not isinstance(weight, Tensor) or not isinstance(bias, Tensor | None):
        return None  # made from the pixels
    return replace(node, args=(input, weight[classes], None if bias is None else bias[classes]), kwargs={})
