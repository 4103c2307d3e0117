"""One forward of one batch, shared by all its scores: activations, autograd graph, CAM's maps, further forwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from .. import events
from ..errors import InputError, LayerError, ModelError
from ..interrupts import Shield
from .class_map import ClassMap, watcher
from .company import CoupledError, coupling, why_alone
from .functional import split
from .inputs import at_least_float32
from .layers import find_layer
from .layout import transformer_layer
from .needs import Needs
from .notes import Notes
from .places import Finder, Place
from .taps import Taps
from .target import Score, Target, check_finite, class_scores, logits_of
from .torch_state import active
from .watched import watched
from .without_nan import holds_nan


class Forward:
    """One forward, and the scores that are computed from its output.

    Scores of classes share one: what is found on the autograd graph is found from all logits on, so it does not depend
    on which class is explained. A target function may read another head, with maps of its own; so it has a forward of
    its own.

    Args:
        model: the original module, a guest.
        inputs: (B, C, H, W), as the model takes them.
        needs: what is kept.
        notes: what earlier runs found out.
        batch_size: images per forward, for further ones.
        function: the target function whose score is followed; None: the logits are.

    Attributes:
        outputs: what the model returned, detached where it is a tensor.
        logits: (B, classes), at least float32; None under a target function.
        default_layer: the last spatial layer before pooling, where it was asked for and there is one.
        places: what was found of the layers asked for, by name.
        forwards: how many were spent so far.
        kept: what methods work out that holds for every target, let go with the graph.
    """

    def __init__(
        self, model: nn.Module, inputs: Tensor, needs: Needs, notes: Notes, batch_size: int,
        function: Callable[[Any], Tensor] | None = None,
    ):  # fmt: skip
        self.model, self.inputs, self.needs, self.batch_size = model, inputs, needs, batch_size
        self.function = function
        self.forwards = 0
        self.kept: dict[str, Any] = {}
        self.logits: Tensor | None = None
        self.outputs: Any
        self.root: Tensor
        """On the graph until the record is closed: the logits, or what the target function gave."""
        self._notes, self._closed, self._without_nan = notes, False, False
        self._scores: list[Score] = []
        self._class_map: ClassMap | None = None

    def run_for(self, targets: Sequence[Target]) -> list[Score]:
        """The forward itself, and its scores for these targets.

        Raises:
            TargetError: one of them does not fit.
            ModelError: the score of one is no number.
        """
        self._find()
        # Which class was predicted, and whether a score is a number, is told by what the network gave as it is.
        self._first = self.root.detach()
        scores = [self.score_of(target) for target in targets]
        if self.function is None and holds_nan(self._first):
            self._without_nan = True
            self._find()
        if self.function is None:
            self.logits = at_least_float32(self.root.detach())
        self.outputs = self.outputs.detach() if isinstance(self.outputs, Tensor) else self.outputs
        return scores

    def score_of(self, target: Target) -> Score:
        """A target, resolved.

        Raises:
            TargetError: it does not fit.
            ModelError: its score is no number.
        """
        score = Score(None, self.function) if self.function is not None else self._resolved(target)
        self._scores.append(score)
        return score

    def _resolved(self, target: Target) -> Score:
        score = Score.resolve(target, self._first, len(self.inputs))
        if not self.inputs.is_cuda:  # there the attribution asks, once for the score and its values
            check_finite(score(self._first))
        return score

    @property
    def classes(self) -> Tensor:
        """(K,) int64, sorted: the classes that the scores of this forward are functions of."""
        classes: Tensor = torch.unique(torch.cat([score.wanted for score in self._scores]))
        return classes

    def on_graph(self, score: Score) -> Tensor:
        """(B,) the score, as autograd sees it."""
        if self.function is not None:
            return self.root
        with Shield(torch.inference_mode(False)), torch.set_grad_enabled(self.root.requires_grad):
            return score(self.root)

    def class_map(self) -> ClassMap:
        """The features and weights that CAM needs.

        Raises:
            MethodError: the network is not of CAM's kind.
        """
        if self._watch is None:
            raise InputError("the record was made without what CAM needs", expected="class_map=True")
        if self.function is not None:
            raise InputError("CAM explains a class", expected="a class as target", got="a target function")
        if self._class_map is None:
            self._class_map = self._found_class_map()
        return self._class_map

    def _found_class_map(self) -> ClassMap:
        assert self._watch is not None
        found = self._watch.find(logits_of(self.outputs))
        if found is None:
            # The network took another path than last time: search again, which needs another forward.
            self._notes.class_map = None
            self._run(Taps(self.model, frozenset(), False, self.inputs, graph=False, keep=False, descent=False))
            return self._found_class_map()
        if isinstance(found, tuple):
            found, self._notes.class_map = found
        weight = None if found.weight is None else at_least_float32(found.weight.detach())
        return ClassMap(at_least_float32(found.features.detach()), weight, found.layer)

    def place(self, layer: str | None) -> Place:
        """Where a layer's output is on the graph; None: the default layer's."""
        name = self.layer_name(layer)
        if name not in self.places:
            find_layer(self.model, split(name)[0])
            raise LayerError(f"layer {name!r} was not recorded", expected=f"layers=[{name!r}] when the record is made")
        return self.places[name]

    def layer_name(self, layer: str | None) -> str:
        """The dotted name behind None, or the name itself."""
        if layer is not None:
            return layer
        if self.default_layer is None:
            if None not in self.needs.layers:
                raise LayerError("the record was made without the default layer")
            raise LayerError(
                "no default layer: none gives maps (B, C, h, w) of more than one position, or the network goes on for "
                "long after its last maps, as transformers do; name a layer (`seewhy layers` lists them)",
                expected=transformer_layer(self.model),
            )
        return self.default_layer

    def run(self, inputs: Tensor) -> Any:
        """The model's raw output for other inputs, (N, C, H, W) of the same device and dtype; one forward more.

        Raises:
            Cancelled: before it, where the job was cancelled.
        """
        self.check_open()
        events.checkpoint()
        self.forwards += 1
        with torch.no_grad():
            return self.model(inputs)

    @property
    def coupled_by_layers(self) -> str | None:
        """Why the network's layers couple the images of a batch; None if none does."""
        return coupling(self.model.modules())

    @cached_property
    def alone(self) -> str | None:
        """Why each image needs a forward of its own to be scored; None where batching makes no difference."""
        self.check_open()
        assert self.logits is not None
        return self.coupled_by_layers or why_alone(self.run, self.inputs, self.logits, self.batch_size)

    def scores_of_classes(self, variants: Tensor, classes: Tensor) -> Tensor:
        """(M, B, K), at least float32, of M variants of the whole batch, (M, B, C, H, W); ``classes`` (K,) int64."""
        batch, images = len(self.inputs), variants.flatten(0, 1)
        alone = self.alone if self.batch_size > batch else None
        if alone is not None and batch > 1:
            raise CoupledError(alone)
        at_once = batch if alone is not None else max(batch, self.batch_size)
        parts = [logits_of(self.run(part))[:, classes] for part in torch.split(images, at_once) if len(part)]
        if not parts:
            return at_least_float32(self.root.detach()).new_zeros(0, batch, len(classes))
        return at_least_float32(torch.cat(parts)).view(-1, batch, len(classes))

    def check_open(self) -> None:
        """Raises InputError after the block."""
        if self._closed:
            raise InputError("the record is closed", expected="to be asked inside the with block")

    def close(self) -> None:
        """Free the graph, and what was kept for other targets."""
        self._closed = True
        self.root = self.root.detach()
        self.kept.clear()

    def _find(self) -> None:
        needs = self.needs
        named = frozenset(name for name in needs.layers if name is not None)
        finder = Finder(self._listened, self.model, self.inputs, needs.input_gradient, self._notes)
        finder.find(named, None in needs.layers, graph=needs.input_gradient or bool(needs.layers))
        self.default_layer, self.places = finder.default, finder.places

    def _listened(self, taps: Taps) -> tuple[Tensor, Any]:
        """A forward that is explained; the last one counts."""
        requires = taps.graph and self.needs.input_gradient
        self.graph_inputs = self.inputs.clone().requires_grad_(True) if requires else self.inputs
        self.outputs = self._run(taps)
        batch = len(self.inputs)
        with nullcontext() if taps.descent is None else active(taps.descent):
            self.root = class_scores(self.outputs, batch) if self.function is None else self._of_function()
        return self.root, self.outputs

    def _of_function(self) -> Tensor:
        score = Score(None, self.function)(self.outputs)
        if score.shape != (len(self.inputs),):
            raise ModelError("one score per image", expected=(len(self.inputs),), got=tuple(score.shape))
        return score

    def _run(self, taps: Taps) -> Any:
        events.checkpoint()
        self._watch = watcher(self.model, self._notes.class_map) if self.needs.class_map else None
        with watched(taps, self._watch, self.needs.input_gradient, self._without_nan):
            self.forwards += 1
            # A copy, since a leaf may not be changed in place and a network's first layer may do so.
            inputs = self.graph_inputs.clone()
            if taps.descent is not None:
                taps.descent.add(inputs)
            return self.model(inputs)


class Forwards:
    """The forwards of one block: one that all classes share, and one for each target function.

    Args: as for ``Forward``.
        notes_on: gives the notes on the model, which are for classes: what a target function reads may differ.
        programs: what a caller keeps from photo to photo, for those who know what it is.
    """

    def __init__(
        self, model: nn.Module, inputs: Tensor, needs: Needs, notes_on: Callable[[], Notes], batch_size: int | None,
        programs: object = None,
    ):  # fmt: skip
        self._model, self._inputs, self._needs, self._notes_on = model, inputs, needs, notes_on
        self._batch_size = batch_size or (256 if inputs.is_cuda else 32)
        self.programs = programs
        self._of_classes: Forward | None = None
        self._all: list[Forward] = []

    def scores(self, targets: Sequence[Target]) -> list[tuple[Forward, Score]]:
        """Each target's score, and the forward that it is of."""
        classes = [target for target in targets if not callable(target)]
        of_classes = iter(self._scores_of_classes(classes))
        return [self._of_function(target) if callable(target) else next(of_classes) for target in targets]

    def _scores_of_classes(self, targets: Sequence[Target]) -> Iterable[tuple[Forward, Score]]:
        if not targets:
            return []
        if self._of_classes is None:
            forward = self._new(self._notes_on(), None)
            scores = forward.run_for(targets)
            self._of_classes = forward
            self._all.append(forward)
        else:
            forward = self._of_classes
            forward.check_open()
            scores = [forward.score_of(target) for target in targets]
        return [(forward, score) for score in scores]

    def _of_function(self, function: Callable[[Any], Tensor]) -> tuple[Forward, Score]:
        forward = self._new(Notes(), function)
        (score,) = forward.run_for([None])
        self._all.append(forward)
        return forward, score

    def _new(self, notes: Notes, function: Callable[[Any], Tensor] | None) -> Forward:
        if self._all:
            self._all[0].check_open()
        return Forward(self._model, self._inputs, self._needs, notes, self._batch_size, function)

    def close(self) -> None:
        """Free all of them."""
        for forward in self._all:
            forward.close()
