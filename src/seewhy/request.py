"""What is asked of an explanation, from whatever a person writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from .api import AnyMethod, keyed
from .core.method import Method
from .core.target import Versus
from .errors import InputError, MethodError, TargetError, plain
from .methods import METHODS
from .models import Classifier
from .own_methods import find_any
from .results import CLASS_VISUALIZATION

AnyTarget: TypeAlias = "int | str | Versus"


@dataclass(frozen=True)
class Request:
    """What is asked of every photo.

    Attributes:
        methods: the attributions wanted, by the id of their view, in the order in which they are shown.
        targets: class indices, or one class rather than another; empty for the predicted class.
        visualized: whether the image of each class is wanted too.
        batch_size: images per forward; None: what the hardware takes.
        shared_scale: whether the maps of one method have one colour scale over all targets.
    """

    methods: tuple[tuple[str, Method], ...]
    targets: tuple[int | Versus | None, ...] = (None,)
    visualized: bool = True
    batch_size: int | None = None
    shared_scale: bool = False

    @classmethod
    def of(
        cls,
        classifier: Classifier,
        methods: AnyMethod | Sequence[AnyMethod] | None = None,
        targets: AnyTarget | Sequence[AnyTarget] | None = None,
        versus: int | str | Sequence[int | str] | None = None,
        *,
        batch_size: int | None = None,
        shared_scale: bool | None = None,
    ) -> Request:
        """The same, from what a person writes.

        Args:
            classifier: knows the names of the classes.
            methods: ids, methods, or one of them; "class_visualization" is one too. None: all.
            targets: classes by name or number, ``Versus``, or one of them. None: the predicted class.
            versus: other classes; for each, why the first target rather than it is explained too.
            batch_size: images per forward.
            shared_scale: None: where there is a ``Versus``.

        Raises:
            MethodError, TargetError, InputError: there is no such method or class, or something is asked for twice.
        """
        given: list[Any] = [*METHODS, CLASS_VISUALIZATION] if methods is None else _listed(methods)
        if not given:
            raise MethodError("no method was asked for", expected="at least one")
        own = [method for method in given if not _is_visualization(method)]
        asked: list[int | Versus | None] = [_target(classifier, target) for target in _listed(targets)]
        asked = asked or [None]
        others = [classifier.index(other) for other in _listed(versus)]
        if asked[0] is not None and not isinstance(asked[0], int) and others:
            raise TargetError("versus goes with a class as the first target", got=asked[0])
        asked += [Versus(asked[0], other) for other in others]  # type: ignore[arg-type]
        if same := next((each for each in asked if isinstance(each, Versus) and each.target == each.other), None):
            what = "a class cannot be held against itself"
            raise TargetError(what, expected="two classes", got=classifier.label(same.other))  # type: ignore[arg-type]
        if any(asked.count(target) > 1 for target in asked):
            given_targets = [*_listed(targets), *(f"rather than {other}" for other in _listed(versus))]
            raise InputError("a target was asked for twice", got=", ".join(map(str, given_targets)))
        shared = any(isinstance(target, Versus) for target in asked) if shared_scale is None else shared_scale
        return cls(
            tuple(keyed([find_any(method) for method in own]).items()),
            tuple(asked),
            len(own) < len(given),
            batch_size,
            shared,
        )


def _target(classifier: Classifier, target: Any) -> int | Versus:
    if isinstance(target, Versus):
        first = None if target.target is None else classifier.index(target.target)  # type: ignore[arg-type]
        return Versus(first, classifier.index(target.other))  # type: ignore[arg-type]
    if isinstance(target, bool):
        raise TargetError("a class is meant by its name or its index", got=target)
    if callable(target):
        what = "an explanation explains classes"
        raise TargetError(what, expected="names or numbers; seewhy.attribute takes functions of the output")
    return classifier.index(target)


def _is_visualization(method: Any) -> bool:
    return isinstance(method, str) and plain(method) == plain(CLASS_VISUALIZATION)


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    if isinstance(given, torch.Tensor):
        given = given.tolist()
    several = isinstance(given, Iterable) and not isinstance(given, str | bytes | Method | type)
    return list(given) if several else [given]
