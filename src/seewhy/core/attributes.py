"""What a module holds beside its parameters and buffers: tensors as plain attributes, and hooks."""

from __future__ import annotations

from operator import is_
from typing import Any

from torch import Tensor, nn

_MACHINERY = frozenset(vars(nn.Module()))
"""Attributes that every module has."""

_REGISTRIES = sorted(name for name, value in vars(nn.Module()).items() if "hooks" in name and value == {})
"""Those of them that list its hooks."""

DEEPEST = 4
"""Levels of lists, dicts and tuples in which tensors are looked for."""


class Held:
    """The tensors that a module holds as plain attributes, directly or in lists, dicts and tuples.

    Other attributes, such as counters, are the network's own affair.

    Attributes:
        tensors: all of them.
    """

    def __init__(self, module: nn.Module):
        self._place = vars(module)
        self._before = {name: value for name, value in self._place.items() if name not in _MACHINERY}
        self._nests: list[tuple[Any, Any]] = []
        self.tensors: list[Tensor] = []
        for value in self._before.values():
            self._look(value, 0)

    def _look(self, value: Any, depth: int) -> None:
        if isinstance(value, Tensor):
            self.tensors.append(value)
        elif type(value) in (list, dict, tuple) and depth < DEEPEST:
            if type(value) is not tuple:
                self._nests.append((value, value.copy()))
            for part in _values(value):
                self._look(part, depth + 1)

    def without_inference(self) -> None:
        """Copies in the place of tensors that were made in inference mode."""
        nests: list[Any] = [self._place, *(nest for nest, _ in self._nests)]
        for nest in nests:
            for key, value in list(nest.items() if isinstance(nest, dict) else enumerate(nest)):
                if isinstance(value, Tensor) and value.is_inference():
                    nest[key] = value.clone()

    def restore(self) -> bool:
        """The same tensors in the same places, and no others; gives whether that was not so."""
        changed = False
        for name in [*self._before, *(name for name in self._place if name not in self._before)]:
            before, now = self._before.get(name), self._place.get(name)
            if before is not now and name not in _MACHINERY and (_holds(before) or _holds(now)):
                changed = True
                if name in self._before:
                    self._place[name] = before
                else:
                    del self._place[name]
        for nest, before in self._nests:
            if _ids(nest) != _ids(before) and (_holds(nest) or _holds(before)):
                changed = True
                if isinstance(nest, dict):
                    put_back(nest, before)
                else:
                    nest[:] = before
        return changed


class Registries:
    """The hooks of a module."""

    def __init__(self, module: nn.Module):
        registries = [vars(module)[name] for name in _REGISTRIES]
        self._before = [(registry, registry.copy()) for registry in registries]

    def restore(self) -> bool:
        """The same as before; gives whether they were others."""
        changed = [(now, before) for now, before in self._before if now != before or list(now) != list(before)]
        for now, before in changed:
            now.clear()
            now.update(before)
        return bool(changed)


def _holds(value: Any, depth: int = 0) -> bool:
    if isinstance(value, Tensor):
        return True
    nest = type(value) in (list, dict, tuple) and depth < DEEPEST
    return nest and any(_holds(part, depth + 1) for part in _values(value))


def _ids(nest: Any) -> list[Any]:
    """What tells whether the same values are in the same places."""
    return [(key, id(value)) for key, value in nest.items()] if isinstance(nest, dict) else [*map(id, nest)]


def _values(nest: Any) -> list[Any]:
    return list(nest.values()) if isinstance(nest, dict) else list(nest)


def put_back(place: dict[Any, Any], before: dict[Any, Any]) -> None:
    """The entries of ``before`` in ``place``, and no others; never without one that was there all along."""
    if place.keys() == before.keys() and all(map(is_, place.values(), before.values())):
        return
    for name in [name for name in place if name not in before]:
        del place[name]
    place.update(before)
