"""Finds what CAM needs: the maps whose spatial mean is the input of the last linear layer.

Found by watching what the forward really did, so it does not matter how the pooling is written; and checked
with numbers in every run, so it is never guessed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..errors import MethodError
from ..interrupts import shielded
from .hooks import hooked
from .layers import version
from .torch_state import active


@dataclass(frozen=True, eq=False)
class ClassMap:
    """Features and weights whose product, averaged over space, is the logit without its bias.

    Attributes:
        features: (B, K, h, w).
        weight: (classes, K); None where the K features are the class maps themselves (a 1x1-convolution head).
        layer: which layer gave the features.
    """

    features: Tensor
    weight: Tensor | None
    layer: str

    def of(self, classes: Tensor) -> Tensor:
        """The map of each image's class, (B, h, w): sum over k of w_k^c f_k(x, y)."""
        if self.weight is None:
            return self.features[torch.arange(len(classes)), classes]
        return torch.einsum("bk,bkhw->bhw", self.weight[classes], self.features)


@dataclass(eq=False)
class _Maps:
    """Maps (B, K, h, w) that a function returned; the last layer that did so before; the one that passes them on."""

    tensor: Tensor
    function: str
    after: str = ""
    layer: str | None = None
    version: int = -1


@dataclass(eq=False)
class _Linear:
    """Input, output and weights of one call of a linear layer."""

    input: Tensor
    weight: Tensor
    output: Tensor
    layer: str | None = None

    def explains(self, logits: Tensor) -> bool:
        return self.input.dim() == 2 and _close(self.output, logits)


_PASSED_ON = frozenset({"detach", "clone"})
"""Identities; seewhy's own taps call them."""


class Watch(TorchFunctionMode):
    """Follows a forward's functions and keeps the last maps and the last linear layer that it saw."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self._model = model
        # No more than these: what is kept alive cannot be reused, and would slow the forward down.
        self._maps: deque[_Maps] = deque(maxlen=2)
        # Reduced maps as well: a later head may go on from the maps themselves.
        self._reduced: deque[_Maps] = deque(maxlen=4)
        self._linears: deque[_Linear] = deque(maxlen=8)
        self._last_layer = "inputs"

    @shielded
    def watching(self) -> Iterator[None]:
        """Watch functions, and the layers they run in, for the time of the block only."""
        hooks = {module: self._namer(name) for name, module in self._model.named_modules() if name}
        with hooked(hooks), active(self):
            yield

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is F.linear:
            self._linears.append(_Linear(*_input_and_weight(*args, **(kwargs or {})), result))
        elif func is torch.conv2d and not is_map(result) and tuple(args[1].shape[2:]) == (1, 1):
            # A 1x1 convolution of one position is a linear layer.
            self._linears.append(_Linear(args[0].flatten(1), args[1].flatten(1), result.flatten(1)))
        elif args and is_map(args[0]) and isinstance(result, Tensor) and not is_map(result):
            self._reduced.extend(maps for maps in self._maps if maps.tensor is args[0])
        elif is_map(result) and getattr(func, "__name__", "") not in _PASSED_ON:
            self._maps.append(_Maps(result, getattr(func, "__name__", "function"), self._last_layer))
        return result

    def _namer(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if is_map(output):
                self._last_layer = name
                for maps in self._maps:
                    if maps.tensor.data_ptr() == output.data_ptr() and maps.tensor.shape == output.shape:
                        maps.layer, maps.version = name, version(output)
            elif isinstance(module, nn.Linear):
                for linear in self._linears:
                    if linear.weight is module.weight:
                        linear.layer = name

        return hook

    def find(self, logits: Tensor) -> tuple[ClassMap, tuple[str, str | None] | None]:
        """What CAM needs for these ``logits`` (B, classes), and under which layers it is found next time.

        Raises:
            MethodError: the network is not of CAM's kind; says why, and names Grad-CAM.
        """
        if not logits.is_floating_point():
            raise MethodError("CAM does not apply: the model gives whole numbers; occlusion works on any CNN")
        candidates = [*self._reduced, *self._maps]
        for maps in reversed(candidates):
            if _is_mean(maps.tensor, logits):
                return ClassMap(maps.tensor, None, self._name(maps)), self._known(maps, None)
        if not self._linears:
            raise MethodError("CAM does not apply: no linear layer was seen to run; Grad-CAM works on any CNN")
        heads = [linear for linear in self._linears if linear.explains(logits)]
        if not heads:
            raise MethodError(
                "CAM does not apply: the class scores are not what the last linear layer gives; "
                "Grad-CAM works on any CNN"
            )
        head = heads[-1]
        for maps in reversed(candidates):
            if _is_mean(maps.tensor, head.input):
                known = self._known(maps, head.layer) if head.layer else None
                return ClassMap(maps.tensor, head.weight, self._name(maps)), known
        raise MethodError(
            "CAM does not apply: what the last linear layer reads is not the spatial mean of maps of more than one "
            "position (it needs global average pooling straight into one linear layer); Grad-CAM works on any CNN"
        )

    def _name(self, maps: _Maps) -> str:
        if maps.layer is not None and maps.version == version(maps.tensor):
            return maps.layer
        return f"{maps.layer or maps.after} + {maps.function.strip('_')}"

    def _known(self, maps: _Maps, head: str | None) -> tuple[str, str | None] | None:
        return (self._name(maps), head) if maps.layer == self._name(maps) else None


class Known:
    """The same as ``Watch``, where an earlier run has told the layers: two hooks instead of many.

    The numbers are checked all the same; ``find`` gives None if they do not hold any more.
    """

    def __init__(self, model: nn.Module, layers: tuple[str, str | None]):
        self.layers = layers
        self._features = model.get_submodule(layers[0])
        self._head = None if layers[1] is None else model.get_submodule(layers[1])
        self._maps: _Maps | None = None
        self._linear: _Linear | None = None

    def watching(self) -> AbstractContextManager[None]:
        """Hooks on the two layers, for the time of the block only."""
        head = {} if self._head is None else {self._head: self._keep_linear}
        return hooked({self._features: self._keep_maps, **head})

    def _keep_maps(self, module: nn.Module, args: Any, output: Tensor) -> None:
        self._maps = _Maps(output, "", layer=self.layers[0], version=version(output))

    def _keep_linear(self, module: Any, args: Any, output: Tensor) -> None:
        self._linear = _Linear(args[0], module.weight, output)

    def find(self, logits: Tensor) -> ClassMap | None:
        """What CAM needs for these ``logits`` (B, classes), or None."""
        maps, linear = self._maps, self._linear
        if maps is None or not is_map(maps.tensor) or version(maps.tensor) != maps.version:
            return None
        if self._head is None:
            return ClassMap(maps.tensor, None, self.layers[0]) if _is_mean(maps.tensor, logits) else None
        if linear is None or not linear.explains(logits) or not _is_mean(maps.tensor, linear.input):
            return None
        return ClassMap(maps.tensor, linear.weight, self.layers[0])


def watcher(model: nn.Module, layers: tuple[str, str | None] | None) -> Watch | Known:
    """What finds CAM's maps: by two hooks where an earlier run has told the layers, else by watching everything."""
    return Watch(model) if layers is None else Known(model, layers)


def _input_and_weight(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
    return input, weight


def is_map(result: Any) -> bool:
    """(B, K, h, w) of more than one position: the mean of a single one is itself, and would prove nothing."""
    return isinstance(result, Tensor) and result.dim() == 4 and result.shape[2] * result.shape[3] > 1


def _is_mean(features: Tensor, pooled: Tensor) -> bool:
    if features.shape[:2] != pooled.shape:
        return False
    return _close(features.mean((2, 3), dtype=torch.float64), pooled)


def _close(a: Tensor, b: Tensor) -> bool:
    """Equal up to rounding: some thousand additions in float32, one in half precision, which adds in float32."""
    eps = torch.finfo(b.dtype).eps
    tolerance = (2 * eps if b.dtype.itemsize == 2 else 64 * eps) * float(b.detach().abs().max())
    return a.shape == b.shape and float((a.detach().double() - b.detach().double()).abs().max()) <= tolerance
