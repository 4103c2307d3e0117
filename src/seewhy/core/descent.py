"""Which tensors of a forward depend on the inputs: a network may run the same layers on other data too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

_SHAPE_ONLY = frozenset({
    "zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "randint_like", "new_zeros",
    "new_ones", "new_empty", "new_full", "new_tensor",
})  # fmt: skip
"""Functions that use only the shape of their arguments."""


class Descent(TorchFunctionMode):
    """Propagates dependence on the inputs through a forward's functions: from any argument to the result.

    Unlike the autograd graph it costs no memory, and sees through ``no_grad`` and ``detach``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._descending = WeakIdKeyDictionary()

    def __contains__(self, value: object) -> bool:
        return any(tensor in self._descending for tensor in tensors_in(value))

    def add(self, tensor: Tensor) -> None:
        """Mark ``tensor`` as the inputs, or as dependent on them."""
        self._descending[tensor] = True

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if getattr(func, "__name__", "") not in _SHAPE_ONLY and ((args in self) or (kwargs in self)):
            written = args[:1] if result is None else result  # x[...] = y gives nothing
            for tensor in tensors_in(written):
                self.add(tensor)
                if args and tensor is args[0] and tensor._is_view() and tensor._base is not None:
                    self.add(tensor._base)
        return result


def tensors_in(nest: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and mappings, such as a network's output."""
    if isinstance(nest, Tensor):
        yield nest
    elif isinstance(nest, tuple | list):
        for part in nest:
            yield from tensors_in(part)
    elif isinstance(nest, Mapping):
        for part in nest.values():
            yield from tensors_in(part)
