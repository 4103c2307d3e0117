"""See why your CNN decided, and what to change.

>>> import seewhy
>>> clf = seewhy.load("efficientnet_lite0")                     # doctest: +SKIP
>>> a = seewhy.attribute(clf, clf.preprocess(photo), "grad_cam")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .settings import apply_settings

if TYPE_CHECKING:
    from . import checks, errors, events, incremental, methods, models, results, synthesis
    from .api import attribute
    from .asking import channels, what_if
    from .auditing.circle import audit
    from .auditing.comparing.comparison import Comparison
    from .auditing.comparing.models import compare
    from .auditing.result import Audit
    from .core.attribution import Attribution
    from .core.method import Method
    from .core.record import Record, record
    from .core.target import Versus
    from .errors import SeewhyError
    from .models import Classifier, load
    from .models.from_memory import classifier
    from .patch import Patch
    from .patched import WhatIf
    from .results import Explanation
    from .session import Session, explain
    from .strongest import Channels
    from .synthesis.visualization import Visualization
    from .synthesis.visualize import visualize

__version__ = "0.1.0"

apply_settings()

_HOMES = {
    "Attribution": "core.attribution",
    "Audit": "auditing.result",
    "Channels": "strongest",
    "Classifier": "models",
    "Comparison": "auditing.comparing.comparison",
    "Explanation": "results",
    "Method": "core.method",
    "Patch": "patch",
    "Record": "core.record",
    "SeewhyError": "errors",
    "Session": "session",
    "Versus": "core.target",
    "Visualization": "synthesis",
    "WhatIf": "patched",
    "attribute": "api",
    "audit": "auditing.circle",
    "channels": "asking",
    "checks": "",
    "classifier": "models.from_memory",
    "compare": "auditing.comparing.models",
    "errors": "",
    "events": "",
    "explain": "session",
    "incremental": "",
    "load": "models",
    "methods": "",
    "models": "",
    "record": "core.record",
    "results": "",
    "synthesis": "",
    "visualize": "synthesis",
    "what_if": "asking",
}
"""Public name -> the module it lives in; "" for a module itself. Loaded on first use: torch takes seconds."""

__all__ = [
    "Attribution", "Audit", "Channels", "Classifier", "Comparison", "Explanation", "Method", "Patch", "Record",
    "SeewhyError", "Session", "Versus", "Visualization", "WhatIf", "attribute", "audit", "channels", "checks",
    "classifier", "compare", "errors", "events", "explain", "incremental", "load", "methods", "models", "record",
    "results", "synthesis", "visualize", "what_if",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'seewhy' has no attribute {name!r}")
    home = _HOMES[name]
    value = getattr(import_module(f".{home}", __name__), name) if home else import_module(f".{name}", __name__)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
