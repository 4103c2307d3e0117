"""An ascent: everything about how an image is made, but what it is made for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from torch import Tensor

from ..errors import InputError, close_matches
from .checked import check_number, is_count
from .filters import Filter
from .network import Network
from .objectives import Objective
from .optimizer import Optimizer
from .parameterization import Fourier, Parameterization, Pixels
from .penalties import Penalties
from .schedule import Schedule, check_schedule, named
from .transforms import Graded, Transform


@dataclass(frozen=True)
class Ascent:
    """A value composed of parts, each of which knows its own checks and tells its own parameters.

    ``seewhy.synthesis.presets`` has those of the literature; ``but`` changes one. In each step the network looks at the
    image, through ``transforms``, and ``optimizer`` moves the variables that ``image`` writes it in.

    Attributes:
        name: what it is called.
        source: where it comes from, and what of it is ours.
        steps: how many.
        image: how it is written in variables.
        start: what it starts from: "grey", "noise", a PIL image, or pixels (C, H, W) or (B, C, H, W) in [0, 1].
        penalties: what is weighed beside what is to be raised.
        transforms: before each look.
        strength: of transforms and ghosts, along the way. "hill" grows, so that the class is found before it is made
            to hold, and eases at the end.
        optimizer: how a gradient becomes a step.
        filters: what is done to the pixels after a step, in this order.
        network: how the network is run.

    Raises:
        InputError: a number is out of range, or a part would change nothing.
    """

    name: str = "own"
    source: str = ""
    steps: int = 256
    image: Parameterization = Fourier()
    start: Any = "grey"
    penalties: Penalties = Penalties()
    transforms: tuple[Transform, ...] = ()
    strength: Schedule = "constant"
    optimizer: Optimizer = Optimizer()
    filters: tuple[Filter, ...] = ()
    network: Network = Network()

    def __post_init__(self) -> None:
        check_number("the number of steps", self.steps, above_zero=True)
        if not is_count(self.steps):
            raise InputError("steps are whole numbers", got=f"steps={self.steps!r}")
        if not isinstance(self.transforms, Sequence) or not all(map(callable, self.transforms)):
            raise InputError("transforms is a list of functions of a batch of images", got=repr(self.transforms)[:80])
        object.__setattr__(self, "transforms", tuple(self.transforms))
        check_schedule(self.strength)
        for part, kind in _KINDS.items():
            if not isinstance(value := getattr(self, part), kind):
                raise InputError(f"this is no {part} of an ascent", expected=kind.__name__, got=repr(value)[:80])
        if not all(isinstance(each, Filter) for each in self.filters):
            raise InputError("filters are what is done to the pixels after a step", expected="a tuple of Filter",
                             got=repr(self.filters)[:80])  # fmt: skip
        if self.filters and not isinstance(self.image, Pixels):
            raise InputError(
                f"{next(iter(self.filters[0].params))} of preset {self.name!r} would change nothing with "
                f"parameterization {self.image.kind!r}",
                expected="parameterization='pixels'",
            )

    def but(self, **given: Any) -> Ascent:
        """The same with other parameters: ``ascent.but(steps=64, l2=1e-3, ghosts=0.0)``.

        Args:
            given: its own attributes, or those of its parts, by name; ``parameterization`` by its name. What is None
                stays as it is.

        Raises:
            InputError: there is no such parameter, it does not fit, or it would change nothing.
        """
        given = {name: value for name, value in given.items() if value is not None}
        own = {name: given.pop(name) for name in list(given) if name in _OWN}
        changed = replace(self, **own) if own else self
        parts: dict[str, Any] = {}
        for part, names in _PARTS.items():
            if of_part := {name: given.pop(name) for name in list(given) if name in names}:
                before = getattr(changed, part)
                parts[part] = before.changed(**of_part) if part == "image" else replace(before, **of_part)
        if given:
            known = [*_OWN, *(name for names in _PARTS.values() for name in names)]
            name = next(iter(given))
            raise InputError(f"an ascent has no parameter {name!r}", close=close_matches(name, known))
        return replace(changed, **parts) if parts else changed

    def penalty(self, target: Any) -> list[Objective]:
        """What is taken off what is raised for ``target``."""
        on_opacity = self.image.penalty()
        return [*self.penalties.of(target), *([] if on_opacity is None else [on_opacity])]

    @property
    def is_random(self) -> bool:
        """Whether another seed gives another image."""
        noise = isinstance(self.start, str) and self.start == "noise"
        return bool(self.transforms or self.network.ghosts or self.image.alpha is not None or noise)

    @property
    def acting_filters(self) -> tuple[Filter, ...]:
        """Those that have a part: behind an alpha channel none is applied."""
        return () if self.image.alpha is not None else self.filters

    def params(self, of_classes: bool = True) -> dict[str, Any]:
        """The parameters that have a part in the result, and no others, ready for JSON.

        Args:
            of_classes: whether the image is made for classes.
        """
        told: dict[str, Any] = {"preset": self.name, **self.image.params, "steps": self.steps, **self.optimizer.params}
        told |= self.penalties.params(of_classes)
        if self.transforms:
            told["transforms"] = [str(transform) for transform in self.transforms]
        graded = self.network.ghosts or any(isinstance(each, Graded) for each in self.transforms)
        if self.strength != "constant" and graded:
            told["strength"] = named(self.strength)
        for each in self.acting_filters:
            told |= each.params
        return told | self.network.params | {"start": self.start if isinstance(self.start, str) else "an image"}

    def start_of(self, rows: Sequence[int]) -> Any:
        """The start of these rows of a batch."""
        many = isinstance(self.start, Tensor) and self.start.dim() == 4 and len(self.start) > 1
        return self.start[list(rows)] if many else self.start


_KINDS = {"image": Parameterization, "penalties": Penalties, "optimizer": Optimizer, "network": Network}
_OWN = frozenset(field.name for field in fields(Ascent))
_PARTS = {part: frozenset(field.name for field in fields(kind)) for part, kind in _KINDS.items()}
_PARTS["image"] |= {"parameterization"}
"""The parameters of each part; no two of them share a name."""
