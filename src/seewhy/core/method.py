"""What a method is: a frozen dataclass whose fields are its parameters; calling it with a Record gives values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from dataclasses import field as dataclass_field
from typing import Any, ClassVar, Literal

from torch import Tensor

from ..errors import InputError
from .needs import Needs
from .record import Record
from .relu_rules import Rule


@dataclass(frozen=True, eq=False)
class Values:
    """What a method gives.

    Attributes:
        values: (B, 1 or C, h, w).
        layer: the layer explained, where there is one.
        details: further arrays, (B, ...).
        notes: what should be said of how it was done.
        shared: the names of those details that are the same for all images, and have no batch.
    """

    values: Tensor
    layer: str | None = None
    details: Mapping[str, Tensor] = dataclass_field(default_factory=dict)
    notes: Mapping[str, Any] = dataclass_field(default_factory=dict)
    shared: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Method(ABC):
    """A way to attribute a score to places in a photo.

    A subclass is a frozen dataclass. Its fields, made by ``param``, are its parameters: command-line flags and
    report tables come from them.
    """

    id: ClassVar[str]
    """snake_case name."""
    title: ClassVar[str]
    """The name in a figure."""
    source: ClassVar[str]
    """Key in ``seewhy.bibliography.BIBLIOGRAPHY``."""
    formula: ClassVar[str]
    """The definition in one line."""
    misleads: ClassVar[str]
    """How a picture of it misleads, in one or two plain sentences."""
    rule: ClassVar[Rule] = "plain"
    """Which ReLU rule it uses; the result says how many nodes it was put on."""
    unit: ClassVar[Literal["", "drop", "part", "mean", "gradient"]] = ""
    """What a value is beside the score: by how much hiding the place lowers it; the place's part, so that all of them
    add up to it; values whose mean it is; its change per unit of the input; or, "", nothing of the kind."""

    @abstractmethod
    def needs(self) -> Needs:
        """What the Record must keep for this method, and no more."""

    @abstractmethod
    def __call__(self, record: Record) -> Tensor | Values:
        """The values, (B, 1 or C, h, w), raw and signed."""

    @property
    def signed(self) -> bool:
        """Whether values below zero mean something: evidence against."""
        return True

    @property
    def params(self) -> dict[str, Any]:
        """The parameters by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def __str__(self) -> str:
        changed = [
            f"{name}={value!r}" for name, value in self.params.items() if repr(value) != repr(_default(self, name))
        ]
        return f"{self.id}({', '.join(changed)})" if changed else self.id


def _default(method: Method, name: str) -> Any:
    return next(f.default for f in fields(method) if f.name == name)


def param(default: Any, help: str, *, choices: tuple[str, ...] = ()) -> Any:
    """A method's parameter: its default, what it means, and what it may be."""
    return dataclass_field(default=default, metadata={"help": help, "choices": choices})


def check_choices(method: Method) -> None:
    """Refuse a parameter that is not one of its choices; for ``__post_init__``."""
    for f in fields(method):
        choices, value = f.metadata.get("choices"), getattr(method, f.name)
        if choices and value not in choices:
            raise InputError(f"{method.id} has no {f.name} {value!r}", expected=", ".join(choices))
