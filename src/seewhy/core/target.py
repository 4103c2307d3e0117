"""What is explained: one score per image, before the softmax."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ..errors import ModelError, TargetError
from .inputs import at_least_float32

Classes: TypeAlias = "int | str | Sequence[int] | Sequence[str] | Tensor"
"""An int or a name: one class for all. A list or (B,) tensor: one class per image. Names are for a Classifier's."""


@dataclass(frozen=True)
class Versus:
    """Why one class rather than another: the score is logit[target] - logit[other].

    Attributes:
        target: None (the predicted class), an int, or one per image; or names, where the model knows them.
        other: an int, or one per image; or names. Another class than ``target`` for every image.
    """

    target: Classes | None
    other: Classes


Target: TypeAlias = "Classes | Versus | Callable[[Any], Tensor] | None"
"""None: the predicted class. ``Classes``: this one. A ``Versus``: why one class rather than another.
A callable: takes the model's raw output, for any number of images, and returns their scores, (B,)."""

MOST_NESTED = 16
"""Lists in lists, of which the first element is taken; one that contains itself has no end."""


def logits_of(outputs: Any) -> Tensor:
    """The (B, classes) scores in a model's output, by this rule.

    A tensor is taken as it is. Of anything with a ``logits`` attribute or key (a Hugging Face ``ModelOutput``,
    GoogLeNet's named tuple), the logits. Of a tuple or list, the first element. Of a dict with a single
    tensor, that tensor.

    Raises:
        ModelError: nothing of that kind is there, it is not shaped (B, classes) or, for one class, (B,), or it holds
            other things than real numbers.
    """
    logits = _find_logits(outputs)
    if logits.is_nested or logits.layout != torch.strided or logits.is_meta or logits.is_quantized:
        kind = "nested" if logits.is_nested else "on the meta device" if logits.is_meta else _storage(logits)
        raise ModelError("the model's output is no ordinary tensor", expected="a dense one, (B, classes)", got=kind)
    if logits.is_complex() or logits.dtype == torch.bool:
        raise ModelError("the model's output is no class scores", expected="real numbers", got=logits.dtype)
    if logits.dim() == 1 and logits.is_floating_point():
        return logits[:, None]  # one score per image, squeezed
    if logits.dim() != 2:
        raise ModelError(
            "the model's output is not one row of class scores per image", expected="(B, classes), or target= a "
            "function that takes the output and returns (B,) scores", got=_shape(logits),
        )  # fmt: skip
    if logits.shape[1] == 0:
        raise ModelError("the model gives scores of no class at all", expected="(B, classes)", got=_shape(logits))
    return logits


def _find_logits(outputs: Any, depth: int = 0) -> Tensor:
    if isinstance(outputs, Tensor):
        return outputs
    if isinstance(outputs, Mapping):
        tensors = [value for value in outputs.values() if isinstance(value, Tensor)]
        if isinstance(logits := outputs.get("logits"), Tensor):
            return logits
        if len(tensors) == 1:
            return tensors[0]
        raise ModelError(
            "the model's output holds several things and none is named 'logits'",
            expected="target= a function that takes the output and returns (B,) scores",
            got=f"keys {', '.join(map(str, outputs))}",
        )
    if isinstance(logits := getattr(outputs, "logits", None), Tensor):
        return logits
    if isinstance(outputs, tuple | list) and outputs and depth < MOST_NESTED:
        return _find_logits(outputs[0], depth + 1)
    raise ModelError("the model's output holds no tensor", got=type(outputs).__name__)


def class_scores(outputs: Any, batch: int) -> Tensor:
    """``logits_of`` the outputs for ``batch`` images.

    Raises:
        ModelError: also where these are of another number of images.
    """
    logits = logits_of(outputs)
    if logits.shape[0] != batch:
        raise ModelError("the model gives another number of rows than images", expected=batch, got=_shape(logits))
    return logits


@dataclass(frozen=True, eq=False)
class Score:
    """A target, resolved for one batch.

    Attributes:
        classes: (B,) int64, or None where a callable gives the score.
        function: the callable, or None.
        sign: (B,) 1, or -1 where a network of one output decided against its class, and that decision is explained;
            None: 1 for all.
        others: (B,) int64, the classes whose logits are subtracted; or None.
    """

    classes: Tensor | None
    function: Callable[[Any], Tensor] | None = None
    sign: Tensor | None = None
    others: Tensor | None = None

    @classmethod
    def resolve(cls, target: Target, outputs: Any, batch: int) -> Score:
        """Check ``target`` against the model's ``outputs`` for ``batch`` images.

        Raises:
            TargetError: it does not fit; or the two classes of a ``Versus`` are one, for any image.
        """
        if callable(target):
            return cls(None, target)
        logits = class_scores(outputs, batch).detach()
        if isinstance(target, Versus):
            if logits.shape[1] == 1:
                raise TargetError(
                    "a network of one output has no other class", expected="None or 0 as target", got=target
                )
            first, others = (_resolved(part, logits) for part in (target.target, target.other))
            if target.other is None:
                raise TargetError("the other class must be told", expected="an int, or one per image", got=None)
            _check_different(first, others)
            return cls(first, others=others)
        one = target is None and logits.shape[1] == 1
        return cls(_resolved(target, logits), sign=torch.where(logits[:, 0] < 0, -1, 1) if one else None)

    def __call__(self, outputs: Any) -> Tensor:
        """The scores, (B,)."""
        if self.classes is not None:
            logits = logits_of(outputs)
            return self.of(lambda classes: logits.gather(1, classes[:, None])[:, 0])
        assert self.function is not None
        score = self.function(outputs)
        if not isinstance(score, Tensor) or score.dim() != 1:
            raise TargetError("the target function must return one score per image", expected="(B,)", got=_shape(score))
        return score

    def of(self, each: Callable[[Tensor], Tensor]) -> Tensor:
        """What belongs to the score, of what belongs to a class: sign * (each(target) - each(other)).

        Args:
            each: takes one class per image, (B,), and gives something that is linear in their logits, (B, ...).
        """
        assert self.classes is not None
        value: Tensor = each(self.classes)
        if self.others is not None:
            return at_least_float32(value) - at_least_float32(each(self.others))
        if self.sign is None:
            return value
        signed: Tensor = value * self.sign.view(-1, *[1] * (value.dim() - 1))
        return signed

    @cached_property
    def wanted(self) -> Tensor:
        """(K,) int64, the classes that the score is made of, sorted."""
        assert self.classes is not None
        classes: Tensor = torch.unique(self.classes if self.others is None else torch.cat([self.classes, self.others]))
        return classes

    def among(self, classes: Tensor, logits: Tensor) -> Tensor:
        """The scores, (M, B), in the ``logits`` (M, B, K) of some ``classes`` (K,), sorted."""
        columns = classes.to(logits.device)
        by_image = logits.transpose(0, 1)

        def each(wanted: Tensor) -> Tensor:
            at = torch.searchsorted(columns, wanted.to(columns.device).contiguous())
            return by_image.gather(2, at[:, None, None].expand(-1, len(logits), 1))[:, :, 0]

        return self.of(each).transpose(0, 1)


def _resolved(target: Any, logits: Tensor) -> Tensor:
    """(B,) int64, on the device of the ``logits`` (B, classes); None: the predicted classes."""
    if target is None:
        return logits.argmax(1)
    batch, count = logits.shape
    classes = _as_classes(target, batch)
    for value in classes.tolist():
        if not 0 <= value < count:
            raise TargetError("there is no such class", expected=f"0 to {count - 1}", got=value)
    return classes.to(logits.device)


def _check_different(classes: Tensor, others: Tensor) -> None:
    for image, (one, other) in enumerate(zip(classes.tolist(), others.tolist(), strict=True)):
        if one == other:
            raise TargetError(
                "a class cannot be held against itself", expected="two classes",
                got=f"{one} rather than {other} for image {image}",
            )  # fmt: skip


def resolve_names(model: object, target: Target) -> Target:
    """The target with classes by number, where it has them by name.

    Args:
        model: a module, or a ``Classifier``, whose ``index(name)`` knows the names of its classes.
        target: any; only a str, a list with one in it, and a ``Versus`` of these are changed.

    Raises:
        TargetError: the model knows no names, or not this one.
    """
    if isinstance(target, Versus):
        first, other = (_numbered(model, part) for part in (target.target, target.other))
        return replace(target, target=first, other=other)
    numbered: Target = _numbered(model, target)
    return numbered


def _numbered(model: object, target: Any) -> Any:
    if isinstance(target, str):
        index = None if isinstance(model, nn.Module) else getattr(model, "index", None)
        if not callable(index):
            raise TargetError(
                "a name is not a target here: this model has no names of classes", got=repr(target)[:80],
                expected="a number; seewhy.classifier(module, labels=...) gives names",
            )  # fmt: skip
        return int(index(target))
    if isinstance(target, list | tuple) and any(isinstance(each, str) for each in target):
        return [_numbered(model, each) for each in target]
    return target


def class_indices(model: object, classes: Any, count: int) -> Tensor:
    """(K,) int64 of some classes, in their order.

    Args:
        model: a module, or a ``Classifier``, which knows names.
        classes: a number or a name, or several of them; "all": every class.
        count: how many classes there are.

    Raises:
        TargetError: there is no such class, or none was asked for.
    """
    if isinstance(classes, str) and classes == "all":
        return torch.arange(count)
    single = isinstance(classes, str) or not hasattr(classes, "__iter__")
    asked = [classes] if single else list(classes)
    if not asked:
        raise TargetError("no class was asked for", expected="at least one")
    found = [int(_as_classes(_numbered(model, each), 1)[0]) for each in asked]
    for value in found:
        if not 0 <= value < count:
            raise TargetError("there is no such class", expected=f"0 to {count - 1}", got=value)
    return torch.tensor(found)


def of_each(target: Target, batch: int) -> list[Target]:
    """The target of each of ``batch`` images alone, names apart.

    Raises:
        TargetError: it is one per image, of another number of images; or no target.
    """
    if callable(target) or target is None:
        return [target] * batch
    if isinstance(target, Versus):
        firsts, others = of_each(target.target, batch), of_each(target.other, batch)
        return [Versus(first, other) for first, other in zip(firsts, others, strict=True)]  # type: ignore[arg-type]
    return [int(each) for each in _as_classes(target, batch).tolist()]


def check_finite(score: Tensor) -> None:
    """Refuse scores that are NaN or infinite: no picture of them means anything."""
    if not (finite := torch.isfinite(score)).all():
        which = ", ".join(str(index) for index in (~finite).nonzero()[:, 0].tolist()[:5])
        raise ModelError(
            f"the model's score is {score[~finite][0].item()} for image {which}: "
            "its weights or the inputs hold NaN or infinite numbers"
        )


def _as_classes(target: object, batch: int) -> Tensor:
    if isinstance(target, bool):
        raise TargetError("a target is a class index", expected="an int", got=target)
    try:
        classes = torch.as_tensor(target)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TargetError(
            "this is not a target",
            expected="None, an int, one int per image, a Versus of these, or a function; or a Classifier's names",
            got=repr(target)[:80],
        ) from error
    if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise TargetError("class indices are integers", got=classes.dtype)
    if classes.dim() == 0:
        classes = classes.expand(batch)
    if classes.shape != (batch,):
        raise TargetError("one target per image", expected=f"({batch},)", got=_shape(classes))
    return classes.long()


def _storage(tensor: Tensor) -> str:
    return str(tensor.dtype if tensor.is_quantized else tensor.layout).removeprefix("torch.")


def _shape(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__
