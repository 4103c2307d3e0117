"""Runs a program for many masks at once, each operator only in the windows that its masks reach."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import events
from .activations import followed
from .cut import cut
from .operators import Call, Changing, FillingRule, Mean, OperatorRule, RowRule, WindowRule, find_rule, written
from .patches import IMAGE, Base, Patches, Place, index_of, own_places
from .program import Node, Program, Ref, filled, leaves, refs
from .scratch import Scratch
from .windows import Ints, laid_out, windows_of

SMALL = 0.35
"""Windows that cover less than this share of their maps stay windows, although others have become whole maps."""
LARGEST_MAPS = 18 << 20
"""Bytes of the largest tensor in a batch of whole maps, so that its neighbours fit in cache with it."""


class Engine:
    """A simplified program, with a rule for each operator that has one.

    Attributes:
        program: what is run.
        reach: no window side grows beyond this share of its map; 1 is exact.
        at_once: how many masks' whole maps are computed at a time.
        masks: how many masks are best scored together; both are learned from the masks that were.
    """

    def __init__(self, program: Program, reach: float = 1.0):
        self.program, self.reach = program, reach
        self.places: dict[Ref, Place] = {Ref(0): IMAGE}
        self.looked: set[Ref] = set()
        self.tabled: set[Ref] = set()
        self.scratch = Scratch()
        self.at_once = self.masks = 8
        self.steps = [self._step(node) for node in program.nodes]

    @property
    def ended(self) -> list[str]:
        """The operators without a rule, from which on whole maps are computed, in order."""
        return [step.node.name for step in self.steps if step.ends]

    def cut_to(self, classes: Tensor) -> tuple[Engine, int] | None:
        """An engine for some classes, (n,) int64, that shares all steps before the last layer's, and the number of
        that one; None if the last layer cannot be cut.

        It starts from the batch sizes that this one has learned; this one is not changed.
        """
        few = cut(self.program, classes)
        if few is None:
            return None
        other = copy(self)
        other.program = few.program
        other.places, other.looked, other.tabled = dict(self.places), set(self.looked), set(self.tabled)
        other.steps = self.steps[: few.first] + [other._step(node) for node in few.program.nodes[few.first :]]
        return other, few.first

    def _step(self, node: Node) -> Step:
        read = list(refs(node.args, node.kwargs))
        sources = [ref for ref in read if ref in self.program.varying]
        mapped: list[Ref] = []
        rule = find_rule(Call(node, self.places, self.program.shapes, self.scratch)) if sources else None
        if rule is None:
            mapped = [ref for ref in sources if ref in self.places]
            self.looked.update(mapped)
        else:
            if rule.looks:
                self.looked.update(sources)
            if rule.tabled:
                self.tabled.update(sources)
            if not isinstance(rule, Mean):
                self.places[node.result] = rule.place
        plain = not node.kwargs and all(isinstance(arg, Ref | Tensor | int | float | None) for arg in node.args)
        return Step(node, rule, read, sources, list(refs(node.result)), plain, bool(mapped))

    def photo(self, x: Tensor) -> Photo:
        """The base pass: one photo without a mask, (1, C, H, W)."""
        events.checkpoint()
        env: dict[Ref, Any] = {Ref(0): x}
        kept: dict[Ref, Tensor] = {Ref(0): x}
        self._base(self.steps, env, kept, dict(self.program.users))
        return Photo(self, kept, env[self.program.output])

    def photos(self, x: Tensor, few: Engine, first: int) -> tuple[Photo, Photo]:
        """The same, also by an engine that was cut from this one at a step; what they share is done once."""
        events.checkpoint()
        env: dict[Ref, Any] = {Ref(0): x}
        kept: dict[Ref, Tensor] = {Ref(0): x}
        users, own = dict(self.program.users), dict[Ref, Tensor]()
        self._base(self.steps[:first], env, kept, users)
        env_of_few, users_of_few = dict(env), dict(users)
        self._base(self.steps[first:], env, kept, users)
        few._base(few.steps[first:], env_of_few, own, users_of_few)
        whole = Photo(self, kept, env[self.program.output])
        return whole, Photo(few, own, env_of_few[few.program.output], whole)

    def _base(self, steps: list[Step], env: dict[Ref, Any], kept: dict[Ref, Tensor], users: dict[Ref, int]) -> None:
        for step in steps:
            step.whole(env, users, 1, copies=True)
            kept.update((ref, env[ref]) for ref in step.results if ref in self.places and ref in env)

    def logits(self, photo: Photo, patches: Patches) -> tuple[Tensor, int]:
        """What the program gives for one photo under each of M masks.

        Returns:
            (M, classes); and the bytes of the largest windows on the way.
        """
        events.checkpoint()
        run = _Run(self, photo, patches)
        return run.all(), run.largest

    def whole(self, images: Tensor) -> Tensor:
        """What the program gives for whole images, (M, C, H, W) -> (M, classes)."""
        events.checkpoint()
        env: dict[Ref, Any] = {Ref(0): images}
        users = dict(self.program.users)
        for step in self.steps:
            step.whole(env, users, len(images))
        result: Tensor = env[self.program.output]
        return result


@dataclass(frozen=True, eq=False)
class Step:
    """A node, and what is known of it beforehand.

    Attributes:
        node, rule: the operator, and how it propagates windows; None: it does not.
        read: what it reads.
        sources: of these, what depends on the photo.
        results: what it gives.
        plain: whether its arguments are not nested.
        ends: whether windows become whole maps here, for lack of a rule.
    """

    node: Node
    rule: OperatorRule | None
    read: list[Ref]
    sources: list[Ref]
    results: list[Ref]
    plain: bool
    ends: bool

    def whole(self, env: dict[Ref, Any], users: dict[Ref, int], batch: int, copies: bool = False) -> None:
        """Run on whole tensors, and drop what is not read any more."""
        node = self.node
        if self.plain:
            args, kwargs = tuple(env[arg] if isinstance(arg, Ref) else arg for arg in node.args), {}
        else:
            args, kwargs = filled((node.args, node.kwargs), env.__getitem__, batch)
        if node.in_place and copies:
            args = (args[0].clone(), *args[1:])
        result = node.run(args, kwargs)
        if node.then:
            result = followed(node, result)
        made = [result] if isinstance(result, Tensor) else [t for t in leaves(result) if isinstance(t, Tensor)]
        env.update(zip(self.results, made, strict=True))
        self.let_go(env, users)

    def let_go(self, env: dict[Ref, Any], users: dict[Ref, int]) -> None:
        """Decrement the reader counts of what is read here, and drop what has none left."""
        for ref in self.read:
            users[ref] -= 1
            if not users[ref]:
                env.pop(ref, None)


@dataclass(eq=False)
class Photo:
    """What a program gives for one photo without a mask.

    Attributes:
        engine: whose program it is.
        maps: all of them, (1, ...) as the network sees them.
        logits: (1, classes).
        whole: the same photo by the program of all classes, which has all maps but those here.
    """

    engine: Engine
    maps: dict[Ref, Tensor]
    logits: Tensor
    whole: Photo | None = None

    def __post_init__(self) -> None:
        self._bases: dict[Ref, Base] = {}

    def base(self, ref: Ref) -> Base:
        """The map of ``ref`` as rows."""
        if self.whole is not None and ref not in self.maps and ref not in self._bases:
            return self.whole.base(ref)
        if ref not in self._bases:
            self._bases[ref] = Base.of(self.maps.pop(ref), self.engine.places[ref])
        return self._bases[ref]


def masked(photo: Photo, boxes: np.ndarray, fill: Sequence[Tensor] | Tensor) -> Patches:
    """A photo's own pixels under masks.

    Args:
        photo: the base pass.
        boxes: (M, 4) int64 top, left, bottom, right, inside the photo.
        fill: what shows inside: one image (C, H, W) for all, or (C, h, w) for each.
    """
    base = photo.base(Ref(0))
    size = IMAGE.size(photo.engine.program.shapes[Ref(0)])
    layout = laid_out(windows_of(boxes, size), 1.0, 0.0)  # as many blocks as sizes
    if isinstance(fill, Tensor):
        rows = IMAGE.to_rows(fill[None])[own_places(layout, fill)]
    else:
        rows = torch.cat([IMAGE.to_rows(fill[mask][None]) for block in layout.blocks for mask in block.masks])
    return Patches(layout, rows.to(base.rows), base, layout.windows)


class _Run:
    """One run through the program, for one photo and M masks."""

    def __init__(self, engine: Engine, photo: Photo, patches: Patches):
        self.engine, self.photo = engine, photo
        self.masks, self.centre = len(patches.windows), patches.windows.centre
        self.env: dict[Ref, Patches | Tensor] = {Ref(0): patches}
        self.users = dict(engine.program.users)
        self.largest = 0

    def all(self) -> Tensor:
        """Every step, and what comes of it, (M, classes)."""
        for number, step in enumerate(self.engine.steps):
            inputs = [self.env[ref] for ref in step.sources]
            patches = [value for value in inputs if isinstance(value, Patches)]
            if step.rule and inputs and len(patches) == len(inputs) and self._windowed(step.node, step.rule, patches):
                step.let_go(self.env, self.users)
            elif inputs and self._nothing_small(step):
                return self._rest(self.engine.steps[number:])
            else:
                for ref in step.sources:
                    self.env[ref] = self.whole(ref)
                self._whole(step, self.env, self.users, self.masks)
            self.largest = max([self.largest, *(_bytes(self.env[ref]) for ref in step.results if ref in self.env)])
        return self.whole(self.engine.program.output)

    def _nothing_small(self, step: Step) -> bool:
        """Whether no window is left that is worth keeping, except those that ``step`` needs as whole maps."""
        shares = [
            value.windows.area / (self.masks * value.windows.size[0] * value.windows.size[1])
            for ref, value in self.env.items()
            if isinstance(value, Patches) and ref not in step.sources
        ]
        return min(shares, default=1.0) >= SMALL and self.env.keys() <= self.engine.program.varying

    def _rest(self, steps: list[Step]) -> Tensor:
        """The remaining steps on whole maps, as many masks at a time as fit in cache."""
        engine, logits, done = self.engine, [], 0
        while done < self.masks:
            events.checkpoint()
            some = np.arange(done, min(done + engine.at_once, self.masks))
            env: dict[Ref, Any] = {ref: self.whole(ref, some) for ref in self.env}
            users, largest = dict(self.users), max(map(_bytes, env.values()))
            for step in steps:
                self._whole(step, env, users, len(some))
                largest = max([largest, *(_bytes(env[ref]) for ref in step.results if ref in env)])
            logits.append(env[engine.program.output])
            done += len(some)
            engine.at_once = max(4, min(128, LARGEST_MAPS * len(some) // max(1, largest)))
        return torch.cat(logits)

    def _whole(self, step: Step, env: dict[Ref, Any], users: dict[Ref, int], masks: int) -> None:
        changed = None
        if isinstance(step.rule, Changing):
            (source,) = step.sources
            changed = step.rule.whole(env[source], self.photo.base(source))
        if changed is None:
            step.whole(env, users, masks)
        else:
            env[step.results[0]] = followed(step.node, changed)
            step.let_go(env, users)

    def _windowed(self, node: Node, rule: OperatorRule, inputs: list[Patches]) -> bool:
        """Run a step on windows; False where whole maps are cheaper."""
        if isinstance(rule, Mean):
            shape = self.engine.program.shapes[node.result]
            pooled = rule.pooled(inputs[0]).view(self.masks, *shape[1:])
            self.env[node.result] = followed(node, pooled)
            return True
        base = self.photo.base(node.result) if node.result in self.engine.looked else None
        if isinstance(rule, RowRule):
            self.env[node.result] = self._rowwise(node, rule, inputs[0], base)
            return True
        assert isinstance(rule, WindowRule)
        windows = rule.spread([source.windows for source in inputs])
        if self.engine.reach < 1:
            windows = windows.at_most(self.engine.reach, self.centre)
        most = self.masks * windows.size[0] * windows.size[1]
        if windows.area > rule.mostly * most:
            return False
        layout = rule.arrange(windows, inputs)
        made = Patches.empty(layout, windows, base, self._like(node, inputs), node.result in self.engine.tabled)
        rule.compute(inputs, layout, made.rows)
        self.env[node.result] = made
        return True

    def _rowwise(self, node: Node, rule: RowRule, source: Patches, base: Base | None) -> Patches:
        if isinstance(rule, FillingRule) and node.result in self.engine.tabled:
            made = Patches.empty(source.layout, source.windows, base, self._like(node, [source]), True)
            if made.table is not None:
                rule.fill([source], made.rows)
                written(node, made.rows, made.rows)
                return made
        if node.in_place and not (source.owned and self.users[node.args[0]] == 1):
            source = source.copy()
        rows = rule.rows([source])
        rows = followed(node, rows) if node.then else rows
        return Patches(source.layout, rows, base, source.windows, owned=not rule.shares or source.owned)

    def _like(self, node: Node, inputs: list[Patches]) -> Tensor:
        channels = [self.engine.program.shapes[node.result][dim] for dim in self.engine.places[node.result].channels]
        return inputs[0].rows.new_empty(0, *channels)

    def whole(self, ref: Ref, some: Ints | None = None) -> Tensor:
        """A value as whole maps, (M, ...), or those of some masks in a row."""
        value = self.env[ref]
        if isinstance(value, Tensor):
            return value if some is None else value[some[0] : some[-1] + 1]
        layout, place = value.layout, self.engine.places[ref]
        height, width = layout.windows.size
        masks = np.arange(self.masks) if some is None else some
        if layout.full and len(layout.blocks) == 1:
            rows = value.rows[masks[0] * height * width : (masks[-1] + 1) * height * width]
            return place.from_rows(rows.contiguous(), len(masks), height, width)
        zeros = np.zeros(len(masks), np.int64)
        value.base = value.base or self.photo.base(ref)
        rows = value.look(index_of(layout, masks, zeros, zeros, (height, width)))
        return place.from_rows(rows, len(masks), height, width)


def _bytes(value: Patches | Tensor) -> int:
    tensor = value if isinstance(value, Tensor) else value.rows
    return tensor.numel() * tensor.element_size()
