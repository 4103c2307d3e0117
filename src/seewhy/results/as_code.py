"""The Python and the command that make an explanation again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ..legible import in_one_line
from ..methods import METHODS
from ..models.prediction import Ranked
from ..models.source import IN_MEMORY
from ..own_methods import installed_methods
from ..pictures.in_memory import UNNAMED
from ..synthesis.presets import PRESETS
from .explanation import Explained, Explanation
from .view import CLASS_VISUALIZATION, View


def as_code(explanation: Explanation) -> dict[str, Any]:
    """What the viewer copies.

    Returns:
        ``python``: the lines that give ``e``, the explanation. ``command``: up to the photo and the model; ``views``
        and ``targets``: by id and key, the options that ask for each of them. What was in memory, a photo, a network or
        labels, is left to be filled in.
    """
    views = {id: view for found in explanation.targets for id, view in found.views.items()}
    all_of_them = [*(repr(kind.id) for kind in METHODS), repr(CLASS_VISUALIZATION)]
    own = {id: f"own_{number}" for number, id in enumerate((id for id in views if _is_own(views[id])), 1)}
    methods = [own.get(id) or _method(view) for id, view in views.items()]
    compared = any(found.against is not None for found in explanation.targets)
    asked = {
        "methods": "" if methods == all_of_them else f"[{', '.join(methods)}]",
        **_targets(explanation),
        "truth": "" if explanation.truth is None else repr(explanation.truth),
        "shared_scale": "" if explanation.shared_scale == compared else repr(explanation.shared_scale),
        **{name: repr(value) for view in views.values() for name, value in _ascent(view).items()},
    }
    given = [f"    {name}={text}," for name, text in asked.items() if text]
    classes = sorted({kind for view in views.values() if (kind := _class(view)) is not None})
    imports = [f"from seewhy.methods import {', '.join(classes)}"] if classes else []
    path = explanation.photo.path
    photo = "photo" if path == UNNAMED else repr(path)
    yours = ["photo = ...  # yours, which was in memory"] if path == UNNAMED else []
    yours += [f"{name} = ...  # a method of your own: {in_one_line(id)}" for id, name in own.items()]
    call = [f"e = seewhy.explain({photo}, model{',' if given else ''}", *given, ")"]
    named = f"./{path}" if path.startswith("-") else path
    layered = any(view.params.get("layer") is not None for view in views.values())
    return {
        "python": [
            "import seewhy", *imports, "", *yours, f"model = {_model(explanation)}",
            *(call if given else [call[0] + ")"]),
        ],
        "command": shlex.join(["seewhy", "explain", named, *_model_flags(explanation)]),
        "views": {id: shlex.join(_flags(view, layered)) for id, view in views.items()},
        "targets": {found.key: shlex.join(_target_flags(explanation, found)) for found in explanation.targets},
    }  # fmt: skip


def _model(explanation: Explanation) -> str:
    about = explanation.model
    if about.provenance.get("weights") == IN_MEMORY:
        of = in_one_line(f"{about.spec}: weights sha256 {about.weights_sha256[:12]}")
        return f"seewhy.classifier(...)  # yours, {of}"
    given = "".join(f", {name}={_literal(value)}" for name, value in _arguments(explanation).items())
    yours = "  # with your labels, which were in memory" if about.provenance.get("labels") == IN_MEMORY else ""
    return f"seewhy.load({about.spec!r}{given}){yours}"


OF_LOAD = ("weights", "labels", "input_size", "mean", "std", "device", "trust")


def _arguments(explanation: Explanation) -> dict[str, Any]:
    """What ``seewhy.load`` was given beside the SPEC; a file from elsewhere may name anything, and these are code."""
    given = explanation.model.provenance.get("arguments", {})
    return {name: given[name] for name in OF_LOAD if name in given} if isinstance(given, Mapping) else {}


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


def _targets(explanation: Explanation) -> dict[str, str]:
    """The arguments that ask for the targets: none of them where a yes or no was a no, which no number means."""
    targets = explanation.targets
    if any(found.target.sign < 0 for found in targets):
        return {}
    alone = [found for found in targets if found.against is None]
    pairs = [found for found in targets if found.against is not None]
    usual = list(targets) == [*alone, *pairs] and alone and {each.target.index for each in [alone[0], *pairs]}
    if usual and len(usual) == 1:
        others = [_meant(explanation, found.against) for found in pairs if found.against is not None]
        return {
            "targets": repr([_meant(explanation, each.target) for each in alone]),
            "versus": repr(others) if others else "",
        }
    each = [
        repr(_meant(explanation, found.target)) if found.against is None
        else f"seewhy.Versus({_meant(explanation, found.target)!r}, {_meant(explanation, found.against)!r})"
        for found in targets
    ]  # fmt: skip
    return {"targets": f"[{', '.join(each)}]"}


def _meant(explanation: Explanation, entry: Ranked) -> str | int:
    """A class by its name, where the model that is loaded again knows it, and it alone has it."""
    provenance = explanation.model.provenance
    in_memory = provenance.get("labels") == IN_MEMORY or provenance.get("weights") == IN_MEMORY
    namesakes = provenance.get("namesakes")
    shared = isinstance(namesakes, list) and entry.index in namesakes
    return entry.index if in_memory or shared or entry.name == f"class {entry.index}" else entry.name


def _target_flags(explanation: Explanation, found: Explained) -> list[str]:
    if found.target.sign < 0:
        return []
    first = ["--target", str(_meant(explanation, found.target))]
    return first if found.against is None else [*first, "--versus", str(_meant(explanation, found.against))]


def _known(view: View) -> Any:
    method = view.id.partition("(")[0] if view.attribution is None else view.attribution.method
    return next((kind for kind in METHODS if kind.id == method), None)


def _is_own(view: View) -> bool:
    """Whether its method is known to nobody by a name: an object of a class that no package installs."""
    if _known(view) is not None or view.id == CLASS_VISUALIZATION or view.visualization is not None:
        return False
    return view.id not in installed_methods()


def _ascent(view: View) -> dict[str, Any]:
    """How the image of a class was asked for, where that is not the usual way."""
    preset, steps = view.params.get("preset"), view.params.get("steps")
    if view.visualization is None or not isinstance(preset, str) or preset not in PRESETS:
        return {}
    usual = PRESETS[preset]().steps
    return {**({} if preset == "default" else {"preset": preset}), **({} if steps == usual else {"steps": steps})}


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
    given = ", ".join(f"{name}={_literal(value)}" for name, value in changed.items())
    return f"{kind.__name__}({given})"


def _literal(value: Any) -> str:
    return repr(tuple(value) if isinstance(value, list) else value)


def _flags(view: View, layered: bool) -> list[str]:
    """``layered``: whether a layer is named for any view, and so would be taken for all."""
    kind = _known(view)
    id = view.id.partition("(")[0] if kind is None else kind.id
    flags = ["--method", id]
    for name, value in _ascent(view).items():
        flags += [f"--{name}", str(value)]
    changed = _changed(view)
    if layered and view.attribution is not None and "layer" in view.params:
        changed = {**changed, "layer": view.params["layer"] or view.attribution.layer}
    for name, value in changed.items():
        if name == "layer":
            flags += ["--layer", str(value)]
        elif isinstance(value, bool):
            flags.append(f"--{'' if value else 'no-'}{id}-{name}".replace("_", "-"))
        else:
            written = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            flags += [f"--{id}-{name}".replace("_", "-"), written]
    return flags
