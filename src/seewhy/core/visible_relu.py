"""Keeps every ReLU visible on the autograd graph, also one that works in place on a view.

Autograd wraps an in-place operation on a view (``y[:, :8].relu_()``) in a node that hides it. While this mode is
on, such an activation works on a copy, which then overwrites the view: the same numbers, and a graph that shows it.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

_FAMILY = ("relu", "relu6", "hardtanh", "leaky_relu", "threshold", "rrelu", "clamp", "clamp_min", "clip", "elu", "celu",
           "selu", "silu", "mish", "hardswish")  # fmt: skip
_ACTIVATIONS = frozenset(_FAMILY) | {f"{name}_" for name in _FAMILY}


class VisibleReLU(TorchFunctionMode):
    """For the time of a forward whose ReLU nodes will be looked for."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        view = args[0] if args else kwargs.get("input")
        if not (isinstance(view, Tensor) and view._is_view() and getattr(func, "__name__", "") in _ACTIVATIONS):
            return func(*args, **kwargs)
        copy = view.clone()
        result = func(copy, *args[1:], **{name: value for name, value in kwargs.items() if name != "input"})
        return view.copy_(result) if result is copy else result
