"""One rule per family of operators, and the table of which function has which.

To teach seewhy another operator, write an ``OperatorRule`` and put a function that builds it, or gives None where it
does not fit, into ``RULES`` under the operator's name (``program.name_of``).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from ..activations import ACTIVATIONS
from ..program import Ref, refs
from . import combining, convolution, moving, rowwise, separable, sliding
from .changing import Changing
from .rule import Call, FillingRule, OperatorRule, RowRule, WindowRule, written
from .separable import Mean

__all__ = [
    "RULES",
    "Call",
    "Changing",
    "FillingRule",
    "Mean",
    "OperatorRule",
    "RowRule",
    "WindowRule",
    "find_rule",
    "written",
]

Builder = Callable[..., "OperatorRule | None"]


RULES: dict[str, Builder] = {
    "conv2d": convolution.conv2d,
    "max_pool2d": sliding.max_pool2d,
    "avg_pool2d": sliding.avg_pool2d,
    "adaptive_avg_pool2d": separable.separable,
    "interpolate": separable.separable,
    "upsample": separable.separable,
    "upsample_nearest": separable.separable,
    "upsample_bilinear": separable.separable,
    "mean": separable.mean,
    **dict.fromkeys(("add", "sub", "mul", "div", "maximum", "minimum"), combining.binary),
    **dict.fromkeys(("cat", "concat", "concatenate"), combining.cat),
    **dict.fromkeys(ACTIVATIONS, rowwise.activation),
    **dict.fromkeys(("affine", "pow", "square", "sqrt", "rsqrt", "exp", "abs", "neg", "sign"), rowwise.elementwise),
    **dict.fromkeys(("contiguous", "clone", "detach", "dropout"), rowwise.same),
    **dict.fromkeys(("view", "reshape", "flatten", "unflatten"), rowwise.view),
    "linear": rowwise.linear,
    "layer_norm": rowwise.layer_norm,
    "permute": rowwise.permute,
    "transpose": rowwise.transpose,
    "swapaxes": rowwise.transpose,
    "narrow": rowwise.narrow,
    "pad": moving.pad,
    "getitem": moving.getitem,
}
"""Function's name -> what builds its rule."""


def find_rule(call: Call) -> OperatorRule | None:
    """The rule of a node all of whose varying inputs are maps; None if there is none that fits."""
    build, node = RULES.get(call.node.name), call.node
    if build is None or not isinstance(node.result, Ref) or not all(ref in call.places for ref in refs(node.args)):
        return None
    if any(refs(node.kwargs)):
        return None
    rule = None
    with suppress(TypeError):  # arguments that the builder does not know: another use of the function
        rule = build(call, *node.args, **node.kwargs)
    return rule
