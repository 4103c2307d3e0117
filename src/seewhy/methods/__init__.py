"""The methods, and how to find one by name."""

from __future__ import annotations

from ..core.method import Method, Values, param
from ..core.needs import Needs
from ..core.record import INPUT
from ..errors import MethodError, close_matches, plain
from .cam import CAM
from .grad_cam import GradCAM, GuidedGradCAM
from .occlusion import Occlusion
from .rectified import Deconvnet, GuidedBackprop
from .saliency import Saliency

METHODS: tuple[type[Method], ...] = (
    Saliency,
    Deconvnet,
    GuidedBackprop,
    CAM,
    GradCAM,
    GuidedGradCAM,
    Occlusion,
)

__all__ = [
    "CAM", "INPUT", "METHODS", "Deconvnet", "GradCAM", "GuidedBackprop", "GuidedGradCAM", "Method", "Needs",
    "Occlusion", "Saliency", "Values", "find_method", "param",
]  # fmt: skip


def find_method(method: str | Method | type[Method]) -> Method:
    """The method called so, ignoring case, hyphens and underscores; a Method itself is given back.

    Raises:
        MethodError: there is none; says which are close.
    """
    if isinstance(method, Method):
        return method
    if isinstance(method, type) and issubclass(method, Method):
        return method()
    ids = {plain(known.id): known for known in METHODS}
    if isinstance(method, str):
        if found := ids.get(plain(method)):
            return found()
        close = close_matches(method, (known.id for known in METHODS))
        expected = None if close else f"one of {', '.join(known.id for known in METHODS)}"
        raise MethodError(f"there is no method {method!r}", expected=expected, close=close)
    raise MethodError("this is not a method", expected="an id or a Method", got=type(method).__name__)
