"""Operator rules: how a family of operators propagates windows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..activations import followed
from ..patches import Patches, Place
from ..program import Node, Ref
from ..scratch import Scratch
from ..windows import Layout, Windows, laid_out

FLOPS, BYTES, CALL = 1e11, 1e10, 3e-5
"""The cost model: operations and bytes per second, seconds per call. Only their ratios matter."""


@dataclass(frozen=True, eq=False)
class Call:
    """One node, with what is known about its tensors.

    Attributes:
        node: the node.
        places: where each tensor's rows and columns are; only tensors that windows can reach have one.
        shapes: for one image.
        scratch: memory that all rules use, one after the other.
    """

    node: Node
    places: dict[Ref, Place]
    shapes: dict[Ref, tuple[int, ...]]
    scratch: Scratch

    def size(self, ref: Ref) -> tuple[int, int]:
        """Height and width of the maps of ``ref``."""
        return self.places[ref].size(self.shapes[ref])

    def channels(self, ref: Ref) -> int:
        """Numbers per position."""
        height, width = self.size(ref)
        return int(torch.Size(self.shapes[ref]).numel() // (height * width))


class OperatorRule(ABC):
    """How one operator propagates windows.

    Attributes:
        place: where the result's rows and columns are.
        position: estimated seconds for one position of the result.
        block: estimated seconds for one more block.
        mostly: windows that cover more than this share of their maps cost more than the whole maps, which need no
            copies and one call.
        looks: whether it reads the base map around its inputs' windows.
        tabled: whether it gathers rows of both from one table.
    """

    place: Place
    position: float = 0.0
    block: float = CALL
    mostly: float = 0.85
    looks: ClassVar[bool] = True
    tabled: ClassVar[bool] = False

    @abstractmethod
    def spread(self, windows: list[Windows]) -> Windows:
        """Where the result differs, from where its inputs (those that depend on the photo) do."""


class WindowRule(OperatorRule):
    """An operator that looks around each position: its result has windows of its own."""

    def arrange(self, windows: Windows, inputs: list[Patches]) -> Layout:
        """How the result's windows are laid out."""
        return laid_out(windows, self.position, self.block)

    @abstractmethod
    def compute(self, inputs: list[Patches], layout: Layout, out: Tensor) -> None:
        """Write the result's rows (R, *channels) into ``out``."""


class RowRule(OperatorRule):
    """An operator that treats each position by itself: the windows stay, and one call serves all blocks."""

    looks = False

    def spread(self, windows: list[Windows]) -> Windows:
        return windows[0]

    @abstractmethod
    def rows(self, inputs: list[Patches]) -> Tensor:
        """The result's rows; memory of the input's may be used where that is ``owned``."""

    shares: ClassVar[bool] = False
    """Whether the result is a view of the input."""


class FillingRule(RowRule):
    """One that can write its rows directly into the table that later rules gather from."""

    @abstractmethod
    def fill(self, inputs: list[Patches], out: Tensor) -> None:
        """The result's rows, into ``out``."""


def written(node: Node, y: Tensor, out: Tensor) -> None:
    """``y`` after the functions that follow ``node``, into ``out``; one pass over memory where torch has one."""
    if len(node.then) == 1 and y.dtype == out.dtype:
        then = node.then[0]
        if then.name == "relu":
            torch.clamp_min(y, 0, out=out)
            return
        if bounds := _bounds(then):
            torch.clamp(y, *bounds, out=out)
            return
    out.copy_(followed(node, y) if node.then else y)


def _bounds(node: Node) -> tuple[float, float] | None:
    if node.name == "relu6":
        return 0.0, 6.0
    if node.name == "hardtanh":
        numbers: list[Any] = [-1.0, 1.0]
        numbers[: len(node.args) - 1] = node.args[1:3]
        return node.kwargs.get("min_val", numbers[0]), node.kwargs.get("max_val", numbers[1])
    return None
