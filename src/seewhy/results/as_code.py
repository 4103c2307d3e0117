"""The Python and the command that make an explanation again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ..methods import METHODS
from .explanation import Explained, Explanation
from .view import CLASS_VISUALIZATION, View

IN_MEMORY = "in memory"


def as_code(explanation: Explanation) -> dict[str, Any]:
    """What the viewer copies.

    Returns:
        ``python``: the lines that give ``e``, the explanation. ``command``: up to the photo and the model; ``views``
        and ``targets``: by id and key, the options that ask for each of them.
    """
    views = {id: view for found in explanation.targets for id, view in found.views.items()}
    model = _model(explanation)
    targets = [found for found in explanation.targets if found.against is None]
    versus = [found.against.name for found in explanation.targets if found.against is not None]
    all_of_them = [*(repr(kind.id) for kind in METHODS), repr(CLASS_VISUALIZATION)]
    methods = [_method(view) for view in views.values()]
    asked = {
        "methods": "" if methods == all_of_them else f"[{', '.join(methods)}]",
        "targets": _names(targets),
        "versus": repr(versus) if versus else "",
        "truth": "" if explanation.truth is None else repr(explanation.truth),
        "shared_scale": "True" if explanation.shared_scale and not versus else "",
    }
    given = [f"    {name}={text}," for name, text in asked.items() if text]
    classes = sorted({kind for view in views.values() if (kind := _class(view)) is not None})
    imports = [f"from seewhy.methods import {', '.join(classes)}"] if classes else []
    call = [f"e = seewhy.explain({explanation.photo.path!r}, model{',' if given else ''}", *given, ")"]
    return {
        "python": ["import seewhy", *imports, "", f"model = {model}", *(call if given else [call[0] + ")"])],
        "command": shlex.join(["seewhy", "explain", explanation.photo.path, *_model_flags(explanation)]),
        "views": {id: shlex.join(_flags(view)) for id, view in views.items()},
        "targets": {found.key: shlex.join(_target_flags(found)) for found in explanation.targets},
    }


def _model(explanation: Explanation) -> str:
    about = explanation.model
    if about.provenance.get("weights") == IN_MEMORY:
        return f"seewhy.classifier(...)  # yours, {about.spec}: weights sha256 {about.weights_sha256[:12]}"
    given = "".join(f", {name}={value!r}" for name, value in _arguments(explanation).items())
    return f"seewhy.load({about.spec!r}{given})"


def _arguments(explanation: Explanation) -> Mapping[str, Any]:
    """What ``seewhy.load`` was given beside the SPEC."""
    given = explanation.model.provenance.get("arguments", {})
    return given if isinstance(given, Mapping) else {}


def _model_flags(explanation: Explanation) -> list[str]:
    flags = ["--model", explanation.model.spec]
    for name, value in _arguments(explanation).items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            flags.append(flag)
        elif isinstance(value, list | tuple):
            flags += [flag, ("x" if name == "input_size" else ",").join(map(str, value))]
        else:
            flags += [flag, str(value)]
    return flags


def _names(targets: list[Explained]) -> str:
    return repr([found.target.name if found.target.sign > 0 else found.target.index for found in targets])


def _target_flags(found: Explained) -> list[str]:
    first = ["--target", found.target.name if found.target.sign > 0 else str(found.target.index)]
    return first if found.against is None else [*first, "--versus", found.against.name]


def _known(view: View) -> Any:
    method = None if view.attribution is None else view.attribution.method
    return next((kind for kind in METHODS if kind.id == (method or view.id)), None)


def _changed(view: View) -> dict[str, Any]:
    """The parameters that are not the method's defaults."""
    kind = _known(view)
    if kind is None:
        return {}
    usual = kind().params
    return {
        name: value for name, value in view.params.items() if name in usual and _plain(usual[name]) != _plain(value)
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _class(view: View) -> str | None:
    kind = _known(view)
    return kind.__name__ if kind is not None and _changed(view) else None


def _method(view: View) -> str:
    changed, kind = _changed(view), _known(view)
    if view.id == CLASS_VISUALIZATION or kind is None or not changed:
        return repr(view.id if kind is None else kind.id)
    given = ", ".join(
        f"{name}={tuple(value) if isinstance(value, list) else value!r}" for name, value in changed.items()
    )
    return f"{kind.__name__}({given})"


def _flags(view: View) -> list[str]:
    kind = _known(view)
    id = view.id if kind is None else kind.id
    flags = ["--method", id]
    for name, value in _changed(view).items():
        if name == "layer":
            flags += ["--layer", str(value)]
        elif isinstance(value, bool):
            flags.append(f"--{'' if value else 'no-'}{id}-{name}".replace("_", "-"))
        else:
            flags += [
                f"--{id}-{name}".replace("_", "-"),
                ",".join(map(str, value)) if isinstance(value, list) else str(value),
            ]
    return flags
