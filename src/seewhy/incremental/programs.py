"""A cache of traced networks, from photo to photo, for as long as they are unchanged."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..core.layers import version
from ..core.record import Record
from ..errors import InputError
from .followed import Followed, check_followable
from .program import leaves

MOST_NESTED = 4
"""Lists in lists, in a module's plain attributes, that are looked into."""


class Programs:
    """A bounded cache of networks that were traced for occlusion, so that the next photo of the same size, type and
    device needs no new trace. It belongs to whoever explains many photos; threads may share it.

    A program holds copies of weights. So before each use the modules, their plain attributes, and their tensors
    (identity, memory, version and a checksum of their bits) are compared with what they were; and, photo by photo, the
    logits that the program gives with those that the model gave.

    Args:
        most: how many are kept; the least recently used is dropped first.

    Raises:
        InputError: ``most`` is not a positive whole number.
    """

    def __init__(self, most: int = 4):
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            raise InputError("so many programs cannot be kept", expected="1 or more", got=repr(most))
        self.most = most
        self._lock = threading.RLock()  # a model may be collected, and forgotten, at any time
        self._kept: OrderedDict[Any, _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, record: Record) -> Followed | None:
        """The cached trace for the record's model and photos; None if there is none, or the model has changed.

        Raises:
            Untraceable: the record is of a kind that cannot be traced.
        """
        check_followable(record)
        key, model = _key(record), record.model
        with self._lock:
            kept = self._kept.get(key)
        if kept is None or kept.model() is not model or kept.facts != _Facts.of(model, kept.constants):
            return None
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
        return kept.followed

    def follow(self, record: Record) -> Followed:
        """Trace the record's model, and cache it.

        Raises:
            Untraceable: it cannot be traced.
        """
        key = _key(record)
        with self._lock:
            self._kept.pop(key, None)
        followed = Followed(record)
        constants = [leaf for node in followed.program.nodes for leaf in leaves((node.args, node.kwargs))]
        constants = [leaf for leaf in constants if isinstance(leaf, Tensor)]
        model = weakref.ref(record.model, lambda _: self._forget(key))
        with self._lock:
            self._kept[key] = _Kept(model, followed, constants, _Facts.of(record.model, constants))
            while len(self._kept) > self.most:
                self._kept.popitem(last=False)
        return followed

    def _forget(self, key: Any) -> None:
        with self._lock:
            self._kept.pop(key, None)


@dataclass(frozen=True, eq=False)
class _Kept:
    """Attributes:
    model: whose program it is; it may go.
    followed: the program.
    constants: the tensors that it reads.
    facts: its fingerprint when it was traced.
    """

    model: weakref.ref[nn.Module]
    followed: Followed
    constants: list[Tensor]
    facts: _Facts


def _key(record: Record) -> tuple[Any, ...]:
    x = record.inputs
    return id(record.model), tuple(x.shape[1:]), x[:1].stride(), x.dtype, x.device


@dataclass(frozen=True)
class _Facts:
    """A fingerprint of a model: equal as long as its outputs are, as far as can be told without running it.

    Attributes:
        modules: each module's identity, and its plain attributes.
        tensors: each tensor's identity, place in memory, version and layout.
        bits: a checksum of each.
    """

    modules: tuple[Any, ...]
    tensors: tuple[Any, ...]
    bits: tuple[int, ...]

    @classmethod
    def of(cls, model: nn.Module, constants: list[Tensor]) -> _Facts:
        tensors = {id(tensor): tensor for tensor in constants}
        modules = []
        for name, module in model.named_modules():
            modules.append((name, id(module), type(module), _plain(vars(module), tensors)))
        about = tuple(
            (number, tensor.data_ptr(), version(tensor), tensor.shape, tensor.stride(), tensor.dtype)
            for number, tensor in tensors.items()
            if _dense(tensor)
        )
        return cls(tuple(modules), about, tuple(_checksums(tensors.values())))


def _plain(value: Any, tensors: dict[int, Tensor], depth: int = 0) -> Any:
    """A module's attribute as something to compare; the tensors in it are added to ``tensors``."""
    if isinstance(value, Tensor):
        tensors[id(value)] = value
        return id(value)
    if isinstance(value, str | None):
        return value
    if isinstance(value, bool | int | float | bytes):
        return repr(value)  # NaN is the same as itself, and 1 another thing than True
    if depth < MOST_NESTED and isinstance(value, dict):
        return (*value, *(_plain(item, tensors, depth + 1) for item in value.values()))
    if depth < MOST_NESTED and isinstance(value, list | tuple):
        return tuple(_plain(item, tensors, depth + 1) for item in value)
    return id(value)


def _dense(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_meta and not tensor.is_quantized


def _checksums(tensors: Any) -> Iterator[int]:
    """The sum of the bits of each tensor, read as whole numbers: a change of any one shows, also an unseen one."""
    sums = [_checksum(tensor.detach()) for tensor in tensors if _dense(tensor) and tensor.numel()]
    for device in {each.device for each in sums}:
        yield from torch.stack([each for each in sums if each.device == device]).tolist()


def _checksum(tensor: Tensor) -> Tensor:
    flat = tensor.resolve_conj().resolve_neg().contiguous().view(-1)
    if tensor.nbytes % 8 == 0 and flat.storage_offset() * flat.element_size() % 8 == 0:
        return flat.view(torch.int64).sum()
    octets = flat.view(torch.uint8)
    whole = len(octets) // 8 * 8
    rest = octets[whole:].sum(dtype=torch.int64)
    return rest + octets[:whole].clone().view(torch.int64).sum() if whole else rest
