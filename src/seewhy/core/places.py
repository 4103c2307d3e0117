"""The places that methods ask for: which run of which layer, found in the one forward that is needed anyway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from torch import Tensor, nn

from ..errors import LayerError
from .descent import tensors_in
from .functional import SEPARATOR, After, Ways, above, after, split, ways_up
from .notes import Notes
from .relu_rules import GraphNode, kind
from .taps import Tap, Taps

Forward: TypeAlias = Callable[[Taps], tuple[Tensor, Any]]
"""Runs the model under taps; gives the score, (B,), and what the model returned."""

_RESIZED = frozenset({"UpsampleBilinear2D", "UpsampleNearest2D", "UpsampleBicubic2D", "Slice", "Clone", "Alias"})
"""Nodes between the maps of a network's output, and the same maps at the photo's size."""


@dataclass(frozen=True, eq=False)
class Place:
    """One run of a layer, or what functions made of what it gave.

    Attributes:
        tap: the run.
        made: by functions after it; None for the layer's own output.
        ran: how often the layer ran on something that is made of the photo.
        others: how often it ran on something else.
    """

    tap: Tap
    made: After | None = None
    ran: int = 1
    others: int = 0

    @property
    def edge(self) -> Any:
        """Where the gradient is read; None without a graph."""
        return self.tap.edge if self.made is None else self.made.edge

    @property
    def said(self) -> str:
        """How often the layer ran, and which run this is."""
        of_photo = f"{self.ran} of them on what is made of the photo" if self.others else "each on the photo"
        which = "the last of these" if self.ran > 1 else "that one"
        return f"{self.ran + self.others} times, {of_photo}; shown is {which}"

    def value(self) -> Tensor | None:
        """The activation; None if something overwrote it beyond recovery."""
        return self.tap.value() if self.made is None else self.made.value


@dataclass
class Finder:
    """Finds places in one forward, or in a second one where the first did not keep what turned out to be asked for.

    Attributes:
        forward: runs the model.
        model: the original module.
        inputs: (B, C, H, W).
        keep: whether the graph is kept down to the inputs.
        notes: what earlier runs found out.
        places: what was found, by name.
        default: the name of the default layer, where it was asked for and there is one.
        blind: whether nothing tells what is made of the photo.
    """

    forward: Forward
    model: nn.Module
    inputs: Tensor
    keep: bool
    notes: Notes
    places: dict[str, Place] = field(default_factory=dict)
    default: str | None = None
    blind: bool = False

    def find(self, explicit: frozenset[str], default: bool, graph: bool) -> None:
        """The places of these names and, if asked for, the default one; ``graph``: with their gradients."""
        noted = self.notes.default.get(self.keep) if default else None
        names = explicit if noted is None else explicit | {noted[0]}
        searched = default and noted is None
        descent = not self.blind and (searched or not {split(name)[0] for name in names} <= self.notes.single)
        taps = self._taps(names, searched, graph, descent)
        score, outputs = self.forward(taps)
        if taps.descent is not None and score not in taps.descent:
            # It comes from the photo by a way that torch does not show, or not at all.
            self.blind = True
            taps = self._taps(names, searched, graph, descent=False)
            score, outputs = self.forward(taps)
        root = score.grad_fn
        # A layer that ran more than once: which runs are of the photo was not watched.
        unwatched = [layer for layer, runs in taps.runs.items() if not (taps.descent or self.blind or len(runs) == 1)]
        self.notes.single -= set(unwatched)
        if unwatched:
            self.find(explicit, default, graph)
            return
        for name in explicit:
            self._named(name, taps, root)
        if noted is not None and not self._noted(*noted, taps, root, outputs):
            del self.notes.default[self.keep]
            self.find(explicit, default, graph)
        elif searched:
            self._search(explicit, taps, root, outputs)

    def _taps(self, names: frozenset[str], searched: bool, graph: bool, descent: bool) -> Taps:
        return Taps(self.model, names, searched, self.inputs, graph, self.keep, descent)

    def _named(self, name: str, taps: Taps, root: GraphNode | None) -> None:
        """One that was asked for by name."""
        layer, function = split(name)
        tap = taps.chosen(layer, root)
        if tap is None and taps.others.get(layer):
            raise LayerError(
                f"layer {layer!r} runs on something else than the photo, so its maps are not the photo's",
                expected="a layer that what is made of the photo passes through",
            )
        if tap is None:
            raise LayerError(f"layer {layer!r} did not run in this forward")
        made = None if function is None else _after(tap, _ways(tap, root))
        if function is not None and (made is None or made.function != function):
            raise LayerError(f"no {function} follows layer {layer!r}", close=[layer])
        self._keep(name, Place(tap, made, taps.ran.get(layer, 1), taps.others.get(layer, 0)))

    def _noted(self, name: str, way: tuple[str, ...], taps: Taps, root: GraphNode | None, outputs: Any) -> bool:
        """Whether the default layer of an earlier run still is it: it ran, and the way from it to the score is the
        same.
        """
        layer, _ = split(name)
        tap = taps.chosen(layer, root)
        ways = {} if tap is None else _ways(tap, root)
        if tap is None or (tap.edge is not None and above(ways) != way):
            return False
        self._make_default(layer, tap, ways, outputs, taps)
        return True

    def _search(self, explicit: frozenset[str], taps: Taps, root: GraphNode | None, outputs: Any) -> None:
        assert taps.search is not None
        answer = frozenset() if root is None else _answer(outputs)
        names = [name for name in taps.candidates(root) if not answer or taps.edge_of(name).node not in answer]
        if not names or taps.last is None or taps.search.left_maps_early:
            return
        if names[0] == taps.search.name and taps.last.value() is not None:
            self._make_default(names[0], taps.last, _ways(taps.last, root), outputs, taps)
            return
        # Another head ran after it, or its output and its input were both overwritten: run once more, now knowing
        # which to keep.
        for name in names:
            known = self._taps(explicit | {name}, False, taps.graph, descent=not self.blind)
            score, outputs = self.forward(known)
            root = score.grad_fn
            tap = known.chosen(name, root)
            ways = {} if tap is None else _ways(tap, root)
            if tap is not None and (tap.edge is None or (ways and tap.edge.node not in _answer(outputs))):
                for other in explicit:
                    self._named(other, known, root)
                self._make_default(name, tap, ways, outputs, known)
                return

    def _make_default(self, layer: str, tap: Tap, ways: Ways, outputs: Any, taps: Taps) -> None:
        made = _after(tap, ways, _answer(outputs))
        self.default = layer if made is None else f"{layer}{SEPARATOR}{made.function}"
        self.notes.default[self.keep] = (self.default, above(ways))
        place = Place(tap, made, taps.ran.get(layer, 1), taps.others.get(layer, 0))
        self._keep(self.default, place)
        self.places.setdefault(layer, replace(place, made=None))

    def _keep(self, name: str, place: Place) -> None:
        self.places[name] = place
        if place.ran == 1 and not place.others:
            self.notes.single.add(split(name)[0])


def _ways(tap: Tap, root: GraphNode | None) -> Ways:
    """From a run of a layer up to the score; none without a graph."""
    return {} if tap.edge is None else ways_up(root, tap.edge.node)


def _after(tap: Tap, ways: Ways, answer: frozenset[GraphNode] = frozenset()) -> After | None:
    return None if tap.edge is None else after(tap.output.shape, tap.edge.node, ways, answer)


def _answer(outputs: Any) -> frozenset[GraphNode]:
    """The nodes that gave maps which the network returns, also before these were resized: of a segmenter's answer
    itself nothing is to be learned, so it is no default layer.
    """
    found = set()
    for output in (tensor for tensor in tensors_in(outputs) if tensor.dim() == 4):
        node = output.grad_fn
        while node is not None and node not in found:
            found.add(node)
            following = [below for below, _ in node.next_functions if below is not None]
            node = following[0] if kind(node) in _RESIZED and following else None
    return frozenset(found)
