"""What is explained: one score per image, before the softmax."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ..errors import ModelError, TargetError

Target: TypeAlias = "int | Sequence[int] | Tensor | Callable[[Any], Tensor] | None"
"""None: the predicted class. An int: one class for all. A list or (B,) tensor: one class per image.
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


@dataclass(frozen=True, eq=False)
class Score:
    """A target, resolved for one batch.

    Attributes:
        classes: (B,) int64, or None where a callable gives the score.
        function: the callable, or None.
        sign: (B,) 1, or -1 where a network of one output decided against its class, and that decision is explained;
            None: 1 for all.
    """

    classes: Tensor | None
    function: Callable[[Any], Tensor] | None = None
    sign: Tensor | None = None

    @classmethod
    def resolve(cls, target: Target, outputs: Any, batch: int) -> Score:
        """Check ``target`` against the model's ``outputs`` for ``batch`` images."""
        if callable(target):
            return cls(None, target)
        logits = logits_of(outputs).detach()
        count = logits.shape[1]
        if logits.shape[0] != batch:
            raise ModelError("the model gives another number of rows than images", expected=batch, got=_shape(logits))
        if target is None:
            return cls(logits.argmax(1), sign=torch.where(logits[:, 0] < 0, -1, 1) if count == 1 else None)
        classes = _as_classes(target, batch)
        for value in classes.tolist():
            if not 0 <= value < count:
                raise TargetError("there is no such class", expected=f"0 to {count - 1}", got=value)
        return cls(classes.to(logits.device))

    def __call__(self, outputs: Any) -> Tensor:
        """The scores, (B,)."""
        if self.classes is not None:
            scores = logits_of(outputs).gather(1, self.classes[:, None])[:, 0]
            return scores if self.sign is None else scores * self.sign
        assert self.function is not None
        score = self.function(outputs)
        if not isinstance(score, Tensor) or score.dim() != 1:
            raise TargetError("the target function must return one score per image", expected="(B,)", got=_shape(score))
        return score


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
            expected="None, an int, one int per image or a function (a Classifier's index(name) gives a name's int)",
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
