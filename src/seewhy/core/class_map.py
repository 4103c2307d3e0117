"""Finds what CAM needs: the maps whose spatial mean is what the last linear layer reads.

Found by watching what the forward really did, so it does not matter how the pooling is written; and checked
with numbers, so it is never guessed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..errors import MethodError

_REMEMBERED = 16
"""How many of the last maps are kept while watching; pooling and the head come at the very end."""


@dataclass(frozen=True, eq=False)
class ClassMap:
    """Features and weights whose product, averaged over space, is the logit without its bias.

    Attributes:
        features: (B, K, h, w).
        weight: (classes, K); None where the K features are the class maps themselves (a 1x1-convolution head).
        bias: (classes,), zero where the head has none.
        layer: which layer gave the features.
    """

    features: Tensor
    weight: Tensor | None
    bias: Tensor
    layer: str

    def of(self, classes: Tensor) -> Tensor:
        """The map of each image's class, (B, h, w): sum over k of w_k^c f_k(x, y)."""
        if self.weight is None:
            return self.features[torch.arange(len(classes)), classes]
        return torch.einsum("bk,bkhw->bhw", self.weight[classes], self.features)


class Watch(TorchFunctionMode):
    """Follows a forward's functions and keeps the last maps and the last linear layer it saw."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self._model = model
        self._maps: deque[tuple[Tensor, str]] = deque(maxlen=_REMEMBERED)
        self._named: deque[tuple[Tensor, int, str]] = deque(maxlen=_REMEMBERED)
        self._linear: tuple[Tensor, Tensor, Tensor | None] | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch functions and the names of the layers they run in, for the time of the block only."""
        handles = []
        try:
            for name, module in self._model.named_modules():
                if name:
                    handles.append(module.register_forward_hook(self._namer(name)))
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            if func is F.linear:
                self._linear = _linear_arguments(*args, **(kwargs or {}))
            elif result.dim() == 4:
                self._maps.append((result, getattr(func, "__name__", "function")))
        return result

    def _namer(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() == 4:
                self._named.append((output, output._version, name))

        return hook

    def find(self, logits: Tensor) -> ClassMap:
        """What CAM needs, for these ``logits`` (B, classes).

        Raises:
            MethodError: the network is not of CAM's kind; says why, and names Grad-CAM.
        """
        logits = logits.detach()
        if found := self._with_mean(logits):
            features, layer = found
            return ClassMap(features, None, logits.new_zeros(logits.shape[1]), layer)
        pooled, weight, bias = self._head(logits)
        if found := self._with_mean(pooled):
            features, layer = found
            return ClassMap(features, weight, bias, layer)
        raise MethodError(
            "CAM does not apply: what the last linear layer reads is not the spatial mean of maps of more than one "
            "position (it needs global average pooling straight into one linear layer); Grad-CAM works on any CNN"
        )

    def _with_mean(self, pooled: Tensor) -> tuple[Tensor, str] | None:
        """The latest maps whose spatial mean is ``pooled`` (B, K), and where they come from."""
        for features, function in reversed(self._maps):
            # The mean of one position is itself: that would prove nothing.
            enough = features.shape[2] * features.shape[3] > 1
            if enough and features.shape[:2] == pooled.shape and _is_mean(features, pooled):
                return features.detach(), self._name(features, function)
        return None

    def _head(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self._linear is None:
            raise MethodError("CAM does not apply: the network has no linear layer; Grad-CAM works on any CNN")
        pooled, weight, bias = (None if part is None else part.detach() for part in self._linear)
        assert pooled is not None
        assert weight is not None
        bias = weight.new_zeros(len(weight)) if bias is None else bias
        if pooled.dim() != 2 or not _close(F.linear(pooled, weight, bias), logits):
            raise MethodError(
                "CAM does not apply: the class scores are not what the last linear layer gives; "
                "Grad-CAM works on any CNN"
            )
        return pooled, weight, bias

    def _name(self, features: Tensor, function: str) -> str:
        for output, version, name in reversed(self._named):
            if output is features:
                return name if version == features._version else f"{name} + {function}"
        last = self._named[-1][2] if self._named else "inputs"
        return f"{last} + {function}"


def _linear_arguments(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    return input, weight, bias


def _is_mean(features: Tensor, pooled: Tensor) -> bool:
    return _close(features.detach().double().mean((2, 3)), pooled)


def _close(a: Tensor, b: Tensor) -> bool:
    """Equal up to the rounding of ``b``'s dtype, over some thousand additions."""
    tolerance = 64 * torch.finfo(b.dtype).eps * float(b.detach().abs().max())
    return a.shape == b.shape and bool(torch.allclose(a.double(), b.double(), rtol=0, atol=tolerance))
