"""What a forward may change in a model: kept before it, compared by value after it, and put back.

Version counters tell too little: ``x.data.add_(1)`` does not raise them, and neither does a batch norm that is told to
train. So buffers are compared by value every time. Copying every weight every time would cost more than the forward;
so all weights are copied and compared the first time that a model is seen, and from then on those that were written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import is_
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch._utils import _unflatten_dense_tensors

from ..errors import ModelError

_MACHINERY = frozenset(vars(nn.Module()))
"""Attributes that every module has."""


@dataclass
class _Habits:
    """What the forward of one model writes to, found out the first time.

    Attributes:
        structure: the ids of its modules then; others make another model.
        weights: (module, name) of the parameters that it wrote or replaced.
        holders: the modules that hold tensors, or lists or dicts of tensors, as plain attributes.
        written: the ids of the tensors that it wrote, which may have been given other memory.
    """

    structure: tuple[int, ...]
    weights: list[tuple[nn.Module, str]]
    holders: list[nn.Module]
    written: set[int]


_habits: WeakKeyDictionary[nn.Module, _Habits] = WeakKeyDictionary()


class State:
    """A model as it was when this was made.

    Args:
        model: the root.
        modules: all of its modules, each once.
    """

    def __init__(self, model: nn.Module, modules: Sequence[nn.Module]):
        self._model, self._modules = model, modules
        self._structure = tuple(map(id, modules))
        known = _habits.get(model)
        self._known = known if known is not None and known.structure == self._structure else None
        self._training = [module for module in modules if module.training]
        self._evaluating = [module for module in modules if not module.training]
        self._parameters = [(module._parameters, module._parameters.copy()) for module in modules if module._parameters]
        self._buffers = [(module._buffers, module._buffers.copy()) for module in modules if module._buffers]
        self._empty = [place for module in modules for place in (module._parameters, module._buffers) if not place]
        self._places: list[dict[str, Any]] = [place for place, _ in self._parameters]
        self._places += [place for place, _ in self._buffers]
        self._entries = _entries(self._places)
        self._held = {holder: _Held(holder) for holder in (self._known.holders if self._known else modules)}
        parameters = [parameter for _, before in self._parameters for parameter in before.values()]
        self._trainable = [p for p in parameters if p is not None and p.requires_grad and p.is_leaf]
        self._versions = [(p, p._version) for p in parameters if p is not None]
        buffers = [buffer for _, before in self._buffers for buffer in before.values()]
        if self._known is None:
            kept = parameters
        else:
            kept = [module._parameters.get(name) for module, name in self._known.weights]
        held = [tensor for part in self._held.values() for tensor in part.tensors]
        movable = None if self._known is None else self._known.written
        self._contents = _Contents([t for t in (*buffers, *kept, *held) if t is not None], movable)

    def prepare(self) -> None:
        """Evaluation mode and frozen parameters; tensors made in inference mode, which autograd refuses, as copies."""
        # The flag, not .eval(): a module may override train() to rewrite its weights.
        for module in self._training:
            module.training = False
        for parameter in self._trainable:
            parameter.requires_grad_(False)
        for place, before in self._buffers:
            if any(map(_is_inference, before.values())):
                place.update({name: b.clone() for name, b in before.items() if b is not None and b.is_inference()})
        for held in self._held.values():
            held.without_inference()

    def restore(self, finished: bool) -> None:
        """Everything as it was; ``finished``: no error came between, so that what the forward did was all it does.

        Raises:
            ModelError: a weight was written that was not written the first time, and is not kept; only if ``finished``.
        """
        if not _same_entries(_entries(self._places), self._entries):
            places: list[tuple[Any, Any]] = [*self._parameters, *self._buffers]
            for place, before in places:
                _put_back(place, before)
        for added in self._empty:
            if added:
                added.clear()
        written = self._contents.restore()
        changed = [holder for holder, held in self._held.items() if held.restore()]
        for module in self._training:
            module.training = True
        for module in self._evaluating:
            if module.training:
                module.training = False
        for parameter in self._trainable:
            parameter.requires_grad_(True)
        if self._known is None and finished:
            holders = [holder for holder, held in self._held.items() if held.tensors or holder in changed]
            weights = [(module, name) for module in self._modules for name, p in module._parameters.items()
                       if p is not None and id(p) in written]  # fmt: skip
            _habits[self._model] = _Habits(self._structure, weights, holders, written)
        elif finished:
            self._check_versions(written)

    def _check_versions(self, kept: set[int]) -> None:
        for parameter, version in self._versions:
            if parameter._version != version and id(parameter) not in kept and not self._contents.keeps(parameter):
                del _habits[self._model]
                name = next(name for name, p in self._model.named_parameters() if p is parameter)
                raise ModelError(
                    f"the model's forward wrote to its parameter {name!r}, which it did not do before: its values "
                    "are not as they were", expected="a forward that does not change its weights",
                )  # fmt: skip


class _Contents:
    """The values of some tensors, and the memory that they lie in.

    Copied together, not one by one: a network has hundreds of tiny buffers, and this runs before every forward.
    """

    def __init__(self, tensors: Sequence[Tensor], movable: set[int] | None):
        """``movable``: the ids of those that may be given other memory; None: any may."""
        groups: dict[tuple[torch.dtype, torch.device, bool], dict[int, Tensor]] = {}
        for tensor in tensors:
            if tensor.layout == torch.strided and not tensor.is_meta and not tensor.is_inference():
                groups.setdefault((tensor.dtype, tensor.device, tensor.dim() == 0), {})[id(tensor)] = tensor
        with torch.no_grad():
            self._groups = [_Group(list(group.values()), movable) for group in groups.values()]
        self._ids = {id(tensor) for group in self._groups for tensor in group.tensors}

    def keeps(self, tensor: Tensor) -> bool:
        """Whether the values of ``tensor`` are here."""
        return id(tensor) in self._ids

    def restore(self) -> set[int]:
        """Put back what differs; gives the ids of the tensors that did."""
        with torch.no_grad():
            return {id(tensor) for group in self._groups for tensor in group.restore()}


class _Group:
    """Tensors of one type on one device."""

    def __init__(self, tensors: list[Tensor], movable: set[int] | None):
        self.tensors = tensors
        self._shapes = [tensor.shape for tensor in tensors]
        self._at = [tensor.data_ptr() for tensor in tensors]
        self._memory = {
            number: tensor.detach() for number, tensor in enumerate(tensors) if movable is None or id(tensor) in movable
        }
        self._content = _together(tensors)

    def restore(self) -> Iterator[Tensor]:
        moved = [tensor.data_ptr() for tensor in self.tensors] != self._at
        same = not moved and [tensor.shape for tensor in self.tensors] == self._shapes
        if self._content.is_cuda and same:
            # Writing what is there already costs less than asking the device whether it is.
            torch._foreach_copy_(self.tensors, _unflattened(self._content, self.tensors))
            return
        if same and _equal(_together(self.tensors), self._content):
            return
        for number, (tensor, part) in enumerate(zip(self.tensors, self._parts(), strict=True)):
            if tensor.data_ptr() == self._at[number] and tensor.shape == part.shape and _equal(tensor, part):
                continue
            if tensor.data_ptr() != self._at[number] or tensor.shape != part.shape:
                tensor.data = self._memory.get(number, torch.empty_like(part))
            tensor.data.copy_(part)  # .data: what was written unseen is put back unseen
            yield tensor

    def _parts(self) -> list[Tensor]:
        parts = torch.split(self._content, [shape.numel() for shape in self._shapes])
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]


_unflattened: Callable[[Tensor, list[Tensor]], tuple[Tensor, ...]] = _unflatten_dense_tensors


def _together(tensors: list[Tensor]) -> Tensor:
    if tensors[0].dim() == 0:
        return torch.stack(tensors).detach()
    return torch.cat([tensor if tensor.dim() == 1 else tensor.reshape(-1) for tensor in tensors]).detach()


def _equal(a: Tensor, b: Tensor) -> bool:
    """Bit for bit, so that NaN equals itself; as bytes, since waking threads would cost more than comparing."""
    a, b = (part.detach().reshape(-1).view(torch.uint8).cpu() for part in (a, b))
    return a.numpy().tobytes() == b.numpy().tobytes()


class _Held:
    """The tensors that a module holds as plain attributes, directly or in a list or dict of nothing else.

    Attributes:
        tensors: all of them.
    """

    def __init__(self, module: nn.Module):
        self._place = vars(module)
        self._before = self._place.copy()
        self._nests = [
            (nest, nest.copy()) for name, nest in self._before.items()
            if type(nest) in (list, dict) and name not in _MACHINERY and all(map(_is_tensor, _values(nest)))
        ]  # fmt: skip
        self.tensors = [*filter(_is_tensor, self._before.values())]
        self.tensors += [tensor for _, before in self._nests for tensor in _values(before)]

    def without_inference(self) -> None:
        """Copies in the place of tensors that were made in inference mode."""
        nests: list[Any] = [self._place, *(nest for nest, _ in self._nests)]
        for nest in nests:
            for key, value in list(nest.items() if isinstance(nest, dict) else enumerate(nest)):
                if _is_tensor(value) and value.is_inference():
                    nest[key] = value.clone()

    def restore(self) -> bool:
        """The same tensors in the same places, and no others; gives whether that was not so."""
        changed = False
        for name in {**self._before, **self._place}:
            before, now = self._before.get(name), self._place.get(name)
            if before is not now and (_is_tensor(before) or _is_tensor(now)):
                changed = True
                if name in self._before:
                    self._place[name] = before
                else:
                    del self._place[name]
        for nest, before in self._nests:
            if [*map(id, _values(nest))] != [*map(id, _values(before))] and any(
                map(_is_tensor, (*_values(nest), *_values(before)))
            ):
                changed = True
                if isinstance(nest, dict):
                    _put_back(nest, before)
                else:
                    nest[:] = before
        return changed


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


def _values(nest: Any) -> list[Any]:
    return list(nest.values()) if isinstance(nest, dict) else list(nest)


def _is_inference(value: Tensor | None) -> bool:
    return value is not None and value.is_inference()


def _entries(places: Sequence[dict[str, Any]]) -> tuple[list[str], list[Any]]:
    """The names and the values of all of them: compared together, which is five times faster than one by one."""
    return list(chain.from_iterable(places)), list(chain.from_iterable(map(dict.values, places)))


def _same_entries(now: tuple[list[str], list[Any]], before: tuple[list[str], list[Any]]) -> bool:
    return now[0] == before[0] and all(map(is_, now[1], before[1]))


def _put_back(place: dict[Any, Any], before: dict[Any, Any]) -> None:
    """The entries of ``before`` in ``place``, and no others; never without one that was there all along."""
    if place.keys() == before.keys() and all(map(is_, place.values(), before.values())):
        return
    for name in [name for name in place if name not in before]:
        del place[name]
    place.update(before)
