"""The functions people call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias, overload

from torch import Tensor

from . import events
from .core.attribution import Attribution, joined
from .core.company import CoupledError
from .core.method import Method, Values
from .core.needs import Needs
from .core.record import Record, recorded
from .core.target import Target, of_each, resolve_names
from .errors import InputError, MethodError
from .own_methods import find_any

AnyMethod: TypeAlias = "str | Method | type[Method]"
Progress: TypeAlias = Callable[[str, int, int], None]


@overload
def attribute(  # type: ignore[overload-overlap]  # a str is a Sequence[str] too; the first signature wins
    model: object, inputs: Tensor, methods: AnyMethod = ..., target: Target = ..., *,
    batch_size: int | None = ..., progress: Progress | None = ...,
) -> Attribution: ...  # fmt: skip


@overload
def attribute(
    model: object, inputs: Tensor, methods: Sequence[AnyMethod], target: Target = ..., *,
    batch_size: int | None = ..., progress: Progress | None = ...,
) -> dict[str, Attribution]: ...  # fmt: skip


def attribute(
    model: object,
    inputs: Tensor,
    methods: AnyMethod | Sequence[AnyMethod] = "grad_cam",
    target: Target = None,
    *,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> Attribution | dict[str, Attribution]:
    """Why ``model`` gave each image of ``inputs`` its score.

    All methods share one forward, and one backward per ReLU rule.

    Args:
        model: a ``torch.nn.Module``, or a ``Classifier`` from ``seewhy.load``; handed back as it came.
        inputs: (B, C, H, W) floating point, preprocessed as the model wants it.
        methods: an id, ``"module:Class"``, or a ``Method``; or a list of them. See ``seewhy.own_methods``.
        target: None explains the predicted class; or an int, one int per image, a ``Versus`` (why one class rather
            than another), or a function that takes the model's raw output and returns (B,) scores. Of a ``Classifier``
            classes can be given by name.
        batch_size: images per forward where a method needs many; None: 32, and 256 on a GPU, where memory allows it.
        progress: called with a method's id, steps done, steps in all. What it raises ends the work and is raised
            here. The same is told through ``seewhy.events``, to whoever listens.

    Returns:
        One ``Attribution``; or, for a list, a dict by method id (by the method with its parameters where an id
        comes twice).

    Raises:
        SeewhyError: InputError, TargetError, LayerError, MethodError or ModelError, each saying what did not fit.
        Cancelled: the job that this is a part of (``seewhy.events``) was cancelled; within one forward of the model.
    """
    if isinstance(methods, str | Method | type):
        return next(
            iter(attribute(model, inputs, [methods], target, batch_size=batch_size, progress=progress).values())
        )
    found = [find_any(method) for method in methods]
    if not found:
        raise MethodError("no method was asked for", expected="at least one")
    by_key = keyed(found)
    needs = Needs.of(found)
    target = resolve_names(model, target)
    try:
        with recorded(model, inputs, target, needs, batch_size) as record:
            results = {}
            for number, (key, method) in enumerate(by_key.items()):
                events.checkpoint()
                with _told(progress, method.id), events.part(method.id, number / len(found), 1 / len(found)):
                    results[key] = run(method, record)
        return results
    except CoupledError as error:
        count = len(inputs)
        if count == 1 or callable(target):
            raise
        parts = []
        for i, each in enumerate(of_each(target, count)):
            with events.part(f"image {i}", i / count, 1 / count):
                one = inputs[i : i + 1]
                parts.append(attribute(model, one, found, each, batch_size=batch_size, progress=progress))
        return {key: joined([part[key] for part in parts], {"one_by_one": str(error)}) for key in parts[0]}


def _told(progress: Progress | None, method: str) -> AbstractContextManager[None]:
    """The caller hears of the steps of a method for the time of the block."""
    if progress is None:
        return nullcontext()

    def listener(event: events.Event) -> None:
        if event.kind == "progress":
            progress(method, event.done, event.total)

    return events.also(listener)


def run(method: Method, record: Record) -> Attribution:
    """One method on a record that was made for it."""
    given = method(record)
    values = given if isinstance(given, Values) else Values(given)
    return Attribution(
        values=values.values,
        method=method.id,
        params=method.params,
        target=record.target,
        against=record.against,
        score=record.score,
        input_size=(record.inputs.shape[2], record.inputs.shape[3]),
        layer=values.layer,
        overridden=record.overridden(method.rule, getattr(method, "smooth", False)),
        details=values.details,
        shared=values.shared,
        notes={**record.said_of(values.layer), **values.notes},
    )


def keyed(methods: Sequence[Method]) -> dict[str, Method]:
    """Methods by their ids; by the method with its parameters where an id comes twice.

    Raises:
        InputError: a method comes twice with the same parameters.
    """
    ids = [method.id for method in methods]
    keys = [method.id if ids.count(method.id) == 1 else str(method) for method in methods]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise InputError(f"{twice} was asked for twice")
    return dict(zip(keys, methods, strict=True))
