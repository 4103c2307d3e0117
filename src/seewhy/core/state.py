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
from .attributes import Held, Registries, put_back


@dataclass
class _Habits:
    """What the forward of one model writes to, found out the first time.

    Attributes:
        structure: the ids of its modules then; others make another model.
        weights: (module, name) of the parameters that it wrote or replaced.
        holders: the modules that hold tensors as plain attributes, also in lists, dicts or tuples.
        registries: the modules whose hooks it changed.
        written: the ids of the tensors that it wrote, which may have been given other memory.
    """

    structure: tuple[int, ...]
    weights: list[tuple[nn.Module, str]]
    holders: list[nn.Module]
    registries: list[nn.Module]
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
        self._held = {holder: Held(holder) for holder in (self._known.holders if self._known else modules)}
        parameters = [parameter for _, before in self._parameters for parameter in before.values()]
        self._trainable = [p for p in parameters if p is not None and p.requires_grad and p.is_leaf]
        self._frozen = [p for p in parameters if p is not None and not p.requires_grad and p.is_leaf]
        self._gradients = [(p, p.grad) for p in parameters if p is not None and p.is_leaf]
        self._registries = {
            module: Registries(module) for module in (self._known.registries if self._known else modules)
        }
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
            ModelError: something could not be put back; or a weight was written that was not written the first time,
                and is not kept (only if ``finished``).
        """
        # What cannot fail comes first.
        self._restore_flags()
        registries = [module for module, registry in self._registries.items() if registry.restore()]
        if not _same_entries(_entries(self._places), self._entries):
            places: list[tuple[Any, Any]] = [*self._parameters, *self._buffers]
            for place, before in places:
                put_back(place, before)
        for added in self._empty:
            if added:
                added.clear()
        changed = [holder for holder, held in self._held.items() if held.restore()]
        written = self._contents.restore()
        if self._known is None and finished:
            holders = [holder for holder, held in self._held.items() if held.tensors or holder in changed]
            weights = [(module, name) for module in self._modules for name, p in module._parameters.items()
                       if p is not None and id(p) in written]  # fmt: skip
            _habits[self._model] = _Habits(self._structure, weights, holders, registries, written)
        elif finished:
            self._check_versions(written)

    def _restore_flags(self) -> None:
        for module in self._training:
            module.training = True
        for module in self._evaluating:
            if module.training:
                module.training = False
        for parameter in self._trainable:
            parameter.requires_grad_(True)
        for parameter in self._frozen:
            if parameter.requires_grad:
                parameter.requires_grad_(False)
        for parameter, gradient in self._gradients:
            if parameter.grad is not gradient:
                parameter.grad = gradient

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
        written, failed = set[int](), list[Exception]()
        with torch.no_grad():
            for group in self._groups:
                try:
                    written |= {id(tensor) for tensor in group.restore()}
                except Exception as error:  # noqa: BLE001 - the other groups are put back all the same
                    failed.append(error)
        if failed:
            first, what = failed[0], "the model's forward changed a tensor so that it could not be put back"
            raise ModelError(what, expected="a forward that leaves its tensors as they are", got=first) from first
        return written


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
                tensor.data = _with_room(self._memory.get(number, torch.empty_like(part)))
            if torch._debug_has_internal_overlap(tensor) == 1:  # expanded: several places are one
                tensor.data = part.clone()
            else:
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


def _with_room(tensor: Tensor) -> Tensor:
    """The tensor, whose memory somebody may have freed, with memory."""
    storage, item = tensor.untyped_storage(), tensor.element_size()
    steps = ((side - 1) * stride for side, stride in zip(tensor.shape, tensor.stride(), strict=True))
    needed = (int(tensor.storage_offset()) + sum(steps) + 1) * item
    if tensor.numel() and storage.nbytes() < needed:
        storage.resize_(needed)
    return tensor


def _equal(a: Tensor, b: Tensor) -> bool:
    """Bit for bit, so that NaN equals itself; as bytes, since waking threads would cost more than comparing."""
    a, b = (part.detach().resolve_conj().resolve_neg().reshape(-1).contiguous() for part in (a, b))
    a, b = (part.view(torch.uint8).cpu() for part in (a, b))
    return a.numpy().tobytes() == b.numpy().tobytes()


def _is_inference(value: Tensor | None) -> bool:
    return value is not None and value.is_inference()


def _entries(places: Sequence[dict[str, Any]]) -> tuple[list[str], list[Any]]:
    """The names and the values of all of them: compared together, which is five times faster than one by one."""
    return list(chain.from_iterable(places)), list(chain.from_iterable(map(dict.values, places)))


def _same_entries(now: tuple[list[str], list[Any]], before: tuple[list[str], list[Any]]) -> bool:
    return now[0] == before[0] and all(map(is_, now[1], before[1]))
