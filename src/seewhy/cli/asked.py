"""What the command line of ``seewhy explain`` asks for, checked before any work is done."""

from __future__ import annotations

from typing import Any

import click
import torch

from ..core.layers import find_layer
from ..errors import InputError, MethodError, close_matches, plain
from ..layer_table import layers
from ..methods import METHODS, Method
from ..models import Classifier
from ..own_methods import find_kind, installed_methods
from ..request import Request
from ..results import CLASS_VISUALIZATION
from ..synthesis.presets import find_preset
from .drawn import asked_for, drawn
from .options import build_method, colour, with_parameters


class Asked:
    """The methods that are wanted, with their parameters.

    Attributes:
        wanted: ids, of the class visualization too.
        by_name: of these, those that were named, or given a parameter of their own: they must apply.
        pictures_by_name: whether the class visualization was named.
        preset: of the class visualization.
        background: 0..255, the colour behind transparent pixels.
        drawn: how the figures are.

    Raises:
        SeewhyError: there is no such method, preset, scale or colour map, or an option applies to nothing that is
            asked for.
    """

    def __init__(self, given: dict[str, Any], context: click.Context):
        self.given = given
        self._given_options = {
            name for name in given if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        }
        self._kinds = _kinds(given["methods"])
        self.wanted = {kind.id for kind in self._kinds}
        self.pictures_by_name = any(plain(name) == plain(CLASS_VISUALIZATION) for name in given["methods"])
        if self.pictures_by_name or not given["methods"]:
            self.wanted.add(CLASS_VISUALIZATION)
        self.by_name = (self.wanted if given["methods"] else set()) | with_parameters(given)
        self.preset = find_preset(given["preset"]).name
        self.background = colour(given["background"])
        self.drawn = drawn(given)
        self._check_all_apply()

    def request(self, classifier: Classifier) -> Request:
        """The same, for a model.

        Raises:
            SeewhyError: it has no such layer or class.
        """
        names = self._by_depth(classifier)
        methods: list[Any] = []
        for kind in self._kinds:
            of = names if _has_layer(kind) and names else [None]
            methods += [build_method(kind, self.given, layer) for layer in of]
        if CLASS_VISUALIZATION in self.wanted:
            methods.append(CLASS_VISUALIZATION)
        targets = list(dict.fromkeys(classifier.index(target) for target in self.given["targets"]))
        versus = list(dict.fromkeys(classifier.index(other) for other in self.given["versus"]))
        shared = True if self.given["shared_scale"] else None
        compared = "--shared-scale" if shared else f"--scale {self.drawn['scale']}"
        if (shared or self.drawn["scale"] in ("shared", "share")) and len(targets) < 2 and not versus:
            raise InputError(f"{compared} applies to several targets", expected="--target twice, or --versus")
        return Request.of(
            classifier, methods, targets, versus, batch_size=self.given["batch_size"], shared_scale=shared
        )

    def _by_depth(self, classifier: Classifier) -> list[str]:
        """The layers that were named, in the order in which they run."""
        names = list(dict.fromkeys(self.given["layers"]))
        for name in names:  # it may be what a function made of a layer's output: "conv2 + relu"
            find_layer(classifier.model, name.split(" + ")[0])
        if len(names) < 2:
            return names
        order = [
            layer.name for layer in layers(classifier, torch.zeros(1, len(classifier.mean), *classifier.input_size))
        ]
        return sorted(names, key=lambda name: order.index(found) if (found := name.split(" + ")[0]) in order else -1)

    def _check_all_apply(self) -> None:
        """An option that changes nothing is a mistake that nobody would notice."""
        given, asked = self.given, ", ".join(sorted(self.wanted))
        if CLASS_VISUALIZATION not in self.wanted:
            for name in ("steps", "preset"):
                if name in self._given_options:
                    self._refuse(f"--{name}", "the class visualization", asked)
        if (options := asked_for(given)) and not (self._kinds and given["figure"]):
            nothing = f"--method {asked}" if given["figure"] else "--no-figure"
            raise InputError(f"{options} applies to the maps of figures, which are not asked for", got=nothing)
        if given["layers"] and not any(map(_has_layer, self._kinds)):
            self._refuse("--layer", "Grad-CAM and guided Grad-CAM", asked)
        known = {method.id for method in METHODS}
        if "batch_size" in self._given_options and not self.wanted - (known - {"occlusion"}) - {CLASS_VISUALIZATION}:
            self._refuse("--batch-size", "occlusion", asked)
        for name in ("versus", "shared_scale"):
            if given[name] and not self._kinds:
                self._refuse(f"--{name}".replace("_", "-"), "maps", asked)
        for id in with_parameters(given) - self.wanted:
            flags = [f"--{id}-{name[len(id) + 1:]}".replace("_", "-") for name in given
                     if name.startswith(f"{id}_") and given[name] is not None]  # fmt: skip
            self._refuse(" and ".join(flags), id, asked)

    def _refuse(self, option: str, applies_to: str, asked: str) -> None:
        raise InputError(f"{option} applies to {applies_to}, which is not asked for", got=f"--method {asked}")


def _has_layer(kind: type[Method]) -> bool:
    return "layer" in getattr(kind, "__dataclass_fields__", {})


def _kinds(names: tuple[str, ...]) -> list[type[Method]]:
    """The methods by name, in the order of the views: seewhy's own, then installed ones, then others."""
    if not names:
        return list(METHODS)
    wanted = {plain(name) for name in names}
    known = {plain(kind.id): kind for kind in METHODS}
    found = [kind for name, kind in known.items() if name in wanted]
    installed = installed_methods()
    for name in dict.fromkeys(names):
        if plain(name) in known or plain(name) == plain(CLASS_VISUALIZATION):
            continue
        if ":" not in name and plain(name) not in {plain(other) for other in installed}:
            ids = [*(kind.id for kind in METHODS), CLASS_VISUALIZATION, *installed]
            close = close_matches(name, ids)
            expected = None if close else f"{', '.join(ids)}, or module:Class"
            raise MethodError(f"there is no method {name!r}", expected=expected, close=close)
        found.append(find_kind(name))
    ids = [kind.id for kind in found]
    if twice := next((id for id in ids if ids.count(id) > 1), None):
        raise MethodError(f"two methods are called {twice!r}", expected="ids that differ")
    return found
