"""A network traced to a list of functions: two forwards are recorded and compared.

Watched are torch's public functions as the network called them (a torch function mode), so that a convolution or a
layer norm is one operation, however its module was written. torch.export and torch.fx would do too; but export takes
seconds a model and fixes the batch, and fx cannot follow what depends on a shape. Watching costs the forwards that
are needed anyway. The second forward, of two images instead of one, tells which numbers are the batch's size, and
proves that the network went the same way on other pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..core.layers import version
from ..core.torch_state import active


class Untraceable(Exception):
    """Why a network cannot be traced; never leaves this package."""


@dataclass(frozen=True)
class Ref:
    """A tensor that the network made, by number; 0 is its input."""

    index: int


@dataclass(frozen=True)
class Count:
    """A number that depends on how many images there are: ``each * batch + rest``."""

    each: int
    rest: int

    def of(self, batch: int) -> int:
        return self.each * batch + self.rest


@dataclass(eq=False)
class Node:
    """One call.

    Attributes:
        name: the function's, without underscores: ``relu`` for ``F.relu``, ``Tensor.relu_`` and ``torch.relu``.
        function: what was called.
        args, kwargs: as they were given, with ``Ref`` for tensors that depend on the input or were made on the way,
            and ``Count`` for numbers that depend on the batch.
        result: a ``Ref``, or a nest of them.
        in_place: whether the result is the first argument, changed.
        then: pointwise functions that follow at once, done in the same step.
        made: what it gave while it was watched, where that never changes.
    """

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any
    in_place: bool = False
    then: tuple[Node, ...] = ()
    made: Any = None

    def run(self, args: Any, kwargs: Any) -> Any:
        """The result of the call alone, with tensors in the place of ``Ref``."""
        result = self.function(*args, **kwargs)
        return args[0] if result is None and self.in_place else result


@dataclass(eq=False)
class Program:
    """A traced network: the functions that it applies to a batch.

    Attributes:
        nodes: in the order they ran.
        output: where the logits are.
        shapes: of every tensor, for one image.
        varying: the tensors that depend on the input.
    """

    nodes: list[Node]
    output: Ref
    shapes: dict[Ref, tuple[int, ...]]
    varying: frozenset[Ref]
    users: dict[Ref, int] = field(init=False)

    def __post_init__(self) -> None:
        self.users = {}
        for node in self.nodes:
            for ref in refs(node.args, node.kwargs):
                self.users[ref] = self.users.get(ref, 0) + 1
        self.users[self.output] = self.users.get(self.output, 0) + 1


def mapped(nest: Any, change: Callable[[Any], Any]) -> Any:
    """A nested structure (tuples, lists, dicts, slices) with ``change`` applied to each leaf."""
    if isinstance(nest, tuple):
        parts = [mapped(part, change) for part in nest]
        return type(nest)(*parts) if hasattr(nest, "_fields") else tuple(parts)
    if isinstance(nest, list):
        return [mapped(part, change) for part in nest]
    if isinstance(nest, dict):
        return {name: mapped(part, change) for name, part in nest.items()}
    if isinstance(nest, slice):
        return slice(*(mapped(part, change) for part in (nest.start, nest.stop, nest.step)))
    return change(nest)


def leaves(nest: Any) -> list[Any]:
    """The leaves of a nested structure, in order."""
    found: list[Any] = []
    mapped(nest, found.append)
    return found


def refs(*nests: Any) -> Iterator[Ref]:
    """The references in a nested structure."""
    return (leaf for leaf in leaves(nests) if isinstance(leaf, Ref))


def filled(nest: Any, tensor: Callable[[Ref], Any], batch: int) -> Any:
    """The nest with tensors in the place of ``Ref`` and numbers in the place of ``Count``."""

    def change(leaf: Any) -> Any:
        if isinstance(leaf, Ref):
            return tensor(leaf)
        return leaf.of(batch) if isinstance(leaf, Count) else leaf

    return mapped(nest, change)


_READS = frozenset({
    "item", "tolist", "numpy", "bool", "int", "float", "index", "complex", "array", "is_nonzero", "equal", "allclose",
    "contains",
})  # fmt: skip
"""Functions that read numbers out of tensors: control flow may depend on them."""

_RANDOM = frozenset({
    "rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "bernoulli", "multinomial",
    "normal", "uniform", "exponential", "random", "rrelu", "dropout", "dropout2d", "feature_dropout", "alpha_dropout",
})  # fmt: skip


class Tape(TorchFunctionMode):
    """Records the functions of one forward.

    Args:
        inputs: (B, C, H, W), the very tensor that the network will be given.
    """

    def __init__(self, inputs: Tensor):
        super().__init__()
        self.nodes: list[Node] = []
        self.shapes: dict[Ref, tuple[int, ...]] = {Ref(0): tuple(inputs.shape)}
        self.varying = {Ref(0)}
        self.problem: str | None = None
        self._refs: dict[int, Ref] = {id(inputs): Ref(0)}
        self._versions: dict[int, int] = {id(inputs): version(inputs)}
        self._alive: list[Any] = [inputs]  # keeps them alive, so that no id is reused

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = name_of(func)
        tensors = [leaf for leaf in leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        for tensor in tensors:
            self._look_at(tensor)
        refs_in = {self._refs[id(t)] for t in tensors if id(t) in self._refs}
        varies = bool(refs_in & self.varying)
        recorded_args = mapped((args, kwargs), self._written)
        result = func(*args, **kwargs)
        self._note(name, func, recorded_args, args, tensors, result, varies)
        return result

    def ref(self, tensor: Tensor) -> Ref:
        """Where ``tensor`` is in the program."""
        if id(tensor) not in self._refs or version(tensor) != self._versions[id(tensor)]:
            raise Untraceable("the scores come out of something that torch functions do not show")
        return self._refs[id(tensor)]

    def _look_at(self, tensor: Tensor) -> None:
        if id(tensor) not in self._versions:
            self._versions[id(tensor)] = version(tensor)  # a weight, or something made before
            self._alive.append(tensor)
        elif version(tensor) != self._versions[id(tensor)]:
            self._fail("it changes a tensor in place through a view of it")

    def _written(self, leaf: Any) -> Any:
        return self._refs.get(id(leaf), leaf) if isinstance(leaf, Tensor) else leaf

    def _note(
        self, name: str, func: Any, recorded: Any, args: Any, tensors: list[Tensor], result: Any, varies: bool
    ) -> None:
        changed = [t for t in tensors if version(t) != self._versions[id(t)]]
        made = [leaf for leaf in leaves(result) if isinstance(leaf, Tensor)]
        if any(t.is_inference() for t in made):
            self._fail("it runs itself in inference mode, where a change in place cannot be seen")
        if varies and name == "as_strided":
            self._fail("what it does depends on how a tensor lies in memory: as_strided")
        if any(id(t) not in self._refs for t in changed):
            self._fail(f"{name} writes to a tensor that the model keeps")
        if varies and name in _READS and not made:
            self._fail(f"what it does may depend on the pixels: {name} reads numbers out of a tensor")
        if name in _RANDOM and not all(any(m.data_ptr() == t.data_ptr() for t in tensors) for m in made):
            self._fail(f"{name} rolls dice")
        if not made and not changed:
            return
        if len(changed) > 1 or (changed and not (args and changed[0] is args[0])):
            self._fail(f"{name} changes a tensor in place that is not its first argument")
        if changed and result is None:
            result, made = args[0], [args[0]]
        if not changed and isinstance(result, Tensor) and any(result is t for t in tensors):
            return  # the identity
        self._alive.append((made, args))
        nest = mapped(result, lambda leaf: self._new(leaf, varies) if isinstance(leaf, Tensor) else leaf)
        self.nodes.append(
            Node(name, func, recorded[0], recorded[1], nest, bool(changed), made=None if varies else result)
        )

    def _new(self, tensor: Tensor, varies: bool) -> Ref:
        ref = Ref(len(self.shapes))
        self.shapes[ref] = tuple(tensor.shape)
        self._refs[id(tensor)], self._versions[id(tensor)] = ref, version(tensor)
        if varies:
            self.varying.add(ref)
        return ref

    def _fail(self, problem: str) -> None:
        self.problem = self.problem or problem


def name_of(function: Any) -> str:
    """``relu`` for F.relu, torch.relu, Tensor.relu_, ``Tensor.__relu__`` and torch.ops.aten.relu.default."""
    if schema := getattr(function, "_schema", None):
        return str(schema.name).rsplit("::", 1)[-1].strip("_")
    name = getattr(function, "__name__", type(function).__name__)
    if name == "__get__":
        return str(getattr(getattr(function, "__self__", None), "__name__", "attribute"))
    name = name.strip("_")
    if name in ("iadd", "radd", "isub", "imul", "rmul", "idiv", "itruediv", "truediv"):
        name = name.removeprefix("i").removeprefix("r").removeprefix("true")
    return name


def merged(one: Tape, two: Tape) -> tuple[list[Node], frozenset[Ref]]:
    """The program of one image, with what the batch's size changes marked.

    Raises:
        Untraceable: the two forwards were not the same.
    """
    for tape in (one, two):
        if tape.problem:
            raise Untraceable(tape.problem)
    if [node.name for node in one.nodes] != [node.name for node in two.nodes]:
        raise Untraceable("it does not go the same way for two images as for one")
    nodes = []
    constants: dict[Ref, Tensor] = {}
    for a, b in zip(one.nodes, two.nodes, strict=True):
        given = _both((a.args, a.kwargs), (b.args, b.kwargs), a.name)
        args, kwargs = mapped(given, lambda leaf: _known(leaf, constants))
        varies = not one.varying.isdisjoint(refs(a.result))
        if varies or any(isinstance(leaf, Ref | Count) for leaf in leaves((args, kwargs))):
            function = _viewed if a.name == "view" else a.function
            nodes.append(Node(a.name, function, args, kwargs, a.result, a.in_place))
        else:
            constants.update(zip(refs(a.result), (t for t in leaves(a.made) if isinstance(t, Tensor)), strict=True))
    return nodes, frozenset(one.varying)


def _viewed(x: Tensor, *shape: Any, **kwargs: Any) -> Tensor:
    """``Tensor.view``, also where the program lays a map out in another order than the network did."""
    if kwargs or any(isinstance(part, torch.dtype) for part in shape):
        return x.contiguous().view(*shape, **kwargs)
    return x.reshape(*shape)


def _known(leaf: Any, constants: Mapping[Ref, Tensor]) -> Any:
    return constants.get(leaf, leaf) if isinstance(leaf, Ref) else leaf


def _both(one: Any, two: Any, name: str) -> Any:
    others = iter(leaves(two))

    def change(leaf: Any) -> Any:
        other = next(others, None)
        if isinstance(leaf, Tensor) or isinstance(other, Tensor):
            if leaf is not other:
                raise Untraceable(f"{name} is given a tensor that was made unseen")
            return leaf
        if type(leaf) is int and type(other) is int:
            each = other - leaf
            return Count(each, leaf - each) if each else leaf
        if type(leaf) is not type(other) or (isinstance(leaf, int | float | str | Ref) and leaf != other):
            raise Untraceable(f"what {name} is given differs from one forward to the next")
        return leaf

    merged = mapped(one, change)
    if next(others, None) is not None:
        raise Untraceable(f"what {name} is given depends on the pixels")
    return merged


def trace(forward: Callable[[Tensor], Any], logits_of: Callable[[Any], Tensor], one: Tensor, two: Tensor
          ) -> tuple[Program, Tensor, Tensor]:  # fmt: skip
    """Trace ``forward`` on one image and on two.

    Args:
        forward: the model.
        logits_of: finds the scores in what it returns.
        one: (1, C, H, W).
        two: (2, C, H, W), other images.

    Returns:
        The program; and the logits of both, (1, classes) and (2, classes), as the model itself gave them.

    Raises:
        Untraceable: says why.
    """
    tapes, logits, output = [], [], []
    with torch.no_grad():
        for inputs in (one.clone(), two.clone()):
            tape = Tape(inputs)
            with active(tape):
                outputs = forward(inputs)
            found = logits_of(outputs)
            tapes.append(tape)
            logits.append(found.detach().clone())
            output.append(tape.ref(found))
    nodes, varying = merged(*tapes)
    if output[0] != output[1] or output[0] not in varying:
        raise Untraceable("the scores do not come from the pixels the same way each time")
    return Program(nodes, output[0], tapes[0].shapes, varying), logits[0], logits[1]
