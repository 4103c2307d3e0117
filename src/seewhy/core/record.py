"""One forward of one batch, and everything that any method may ask of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError, LayerError, ModelError
from ..interrupts import interruptible, shielded
from .class_map import ClassMap, watcher
from .company import CoupledError, coupling, why_alone
from .functional import split
from .guest import guest, original
from .inputs import at_least_float32, fitted
from .layers import find_layer
from .layout import Maps, maps_of, transformer_layer
from .needs import Needs
from .notes import Notes, notes_on
from .places import Finder, Place
from .relu_rules import HIDING, UNSEEN, Rule, kind, nodes_of, rectified
from .taps import Taps
from .target import Score, Target, check_finite, logits_of
from .torch_state import active
from .watched import watched
from .without_nan import others_are_nan

INPUT = "input"
"""What ``Record.gradient`` calls the model's input."""


class Record:
    """One forward. Made by ``record``; alive inside its ``with`` block.

    Attributes:
        inputs: (B, C, H, W), a copy of what the caller gave, on the model's device and in its dtype.
        outputs: what the model returned, detached where it is a tensor.
        logits: (B, classes), or None where a target function reads another kind of output.
        target: (B,) int64 class of each image, or None under a target function.
        score: (B,) the explained score, before the softmax.
        default_layer: the last spatial layer before pooling, where it was asked for and there is one.
        forwards, backwards: how many were spent so far.
        progress: called with steps done and steps in all, where a method takes many.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Tensor,
        target: Target,
        needs: Needs,
        notes: Notes,
        batch_size: int | None = None,
    ):
        self._model, self._needs, self._notes = model, needs, notes
        self.inputs, self.batch_size = inputs, batch_size or (256 if inputs.is_cuda else 32)
        self.forwards = self.backwards = 0
        self._closed = self._without_nan = False
        self.progress: Callable[[int, int], None] | None = None
        self._gradients: dict[tuple[Rule, bool], dict[str, Tensor | None]] = {}
        self._overridden: dict[tuple[Rule, bool], int] = {}
        self._resolve: Callable[[Any], Score] = lambda outputs: Score.resolve(target, outputs, len(inputs))
        self._score_of: Score
        self._score: Tensor
        self.outputs: Any
        named = frozenset(name for name in needs.layers if name is not None)
        for self._without_nan in (False, True):
            finder = Finder(self._listened, model, inputs, needs.input_gradient, notes)
            finder.find(named, None in needs.layers, graph=needs.input_gradient or bool(needs.layers))
            if not others_are_nan(self.outputs, self._score_of, self._score):
                break
        self.default_layer, self._places = finder.default, finder.places
        self.outputs = self.outputs.detach() if isinstance(self.outputs, Tensor) else self.outputs
        self.score = at_least_float32(self._score.detach())
        if not self.score.is_cuda:  # there the attribution asks, once for the score and its values
            check_finite(self.score)
        self.target: Tensor | None = self._score_of.classes
        self.logits: Tensor | None = None
        if self.target is not None:
            self.logits = at_least_float32(logits_of(self.outputs).detach())

    @property
    def sign(self) -> Tensor:
        """(B,) 1, or -1 where the decision against the only class is explained: its score is minus the logit."""
        sign = self._score_of.sign
        return torch.ones_like(self.score) if sign is None else sign.to(self.score)

    def activation(self, layer: str | None = None) -> Tensor:
        """The output of ``layer`` (None: the default layer), (B, C, h, w) or as the layer gives it.

        As it left the layer, the last time that it ran on what descends from the inputs: what the network did to it in
        place afterwards does not show.
        """
        value = self._place(layer).value()
        assert value is not None
        return at_least_float32(value)

    def maps(self, layer: str | None = None, layout: str = "auto") -> Maps:
        """How to see the output of ``layer`` (None: the default layer), and its gradient, as maps (B, C, h, w).

        ``layout``: "channels_first", "channels_last", "tokens", or "auto", which reads it off the shape and the layer.

        Raises:
            LayerError: there are no maps in what the layer gives.
        """
        name = self.layer_name(layer)
        shape = tuple(self._place(name).tap.output.shape)
        if shape[:1] != (len(self.inputs),):
            raise LayerError(f"layer {name!r} gives other than one map per image", expected=len(self.inputs), got=shape)
        module = find_layer(self._model, split(name)[0])
        return maps_of(shape, (self.inputs.shape[2], self.inputs.shape[3]), module, name, layout)

    def said_of(self, layer: str | None) -> dict[str, Any]:
        """What should be said of how a layer ran, for ``Attribution.notes``; nothing where it ran once."""
        place = self._places.get(layer or "")
        return {} if place is None or place.ran + place.others == 1 else {"runs": f"{layer} ran {place.said}"}

    def gradient(self, wrt: str | None = None, rule: Rule = "plain", smooth: bool = False) -> Tensor:
        """The gradient of each image's score at the pixels (``"input"``) or at a layer (None: the default).

        One backward per rule gives the gradients at all places that the record was made for.

        Args:
            wrt: "input", a layer's name, or None.
            rule: how a ReLU passes the gradient back: "plain", "deconvnet" or "guided".
            smooth: whether SiLU, GELU and their like count as ReLUs.

        Returns:
            Float32 (float64 for a float64 model), shaped like the input or the layer's output.
        """
        name = wrt if wrt == INPUT else self.layer_name(wrt)
        if name != INPUT and self._needs.layer_gradients:
            self._place(name)  # says, before a backward is spent, that there is none or that it was not recorded
        if (rule, smooth) not in self._gradients:
            self._gradients[rule, smooth] = self._backward(rule, smooth)
        if name not in self._gradients[rule, smooth]:
            expected = "input_gradient=True" if name == INPUT else "layer_gradients=True"
            raise InputError(f"the record was made without the gradient at {name!r}", expected=expected)
        gradient = self._gradients[rule, smooth][name]
        if gradient is None:
            raise ModelError(UNSEEN.format(repr(name)))
        return at_least_float32(gradient)

    def overridden(self, rule: Rule, smooth: bool = False) -> int:
        """How many autograd nodes ``rule`` was put on; 0 before its gradient was asked for."""
        return self._overridden.get((rule, smooth), 0)

    def class_map(self) -> ClassMap:
        """The features and weights that CAM needs.

        Raises:
            MethodError: the network is not of CAM's kind.
        """
        if self._watch is None:
            raise InputError("the record was made without what CAM needs", expected="class_map=True")
        if self.logits is None:
            raise InputError("CAM explains a class", expected="a class as target", got="a target function")
        found = self._watch.find(logits_of(self.outputs))
        if found is None:
            # The network took another way than last time: look again, and run once more for that.
            self._notes.class_map = None
            self._forward(Taps(self._model, frozenset(), False, self.inputs, graph=False, keep=False, descent=False))
            return self.class_map()
        if isinstance(found, tuple):
            found, self._notes.class_map = found
        weight = None if found.weight is None else at_least_float32(found.weight.detach())
        return ClassMap(at_least_float32(found.features.detach()), weight, found.layer)

    def rescore(self, variants: Tensor) -> Tensor:
        """The scores of other inputs, without gradients, ``batch_size`` images a forward.

        Args:
            variants: (M, B, C, H, W), M variants of the whole batch.

        Returns:
            (M, B) float32 or float64, each image's score for its own target.
        """
        batch = variants.shape[1]
        if variants.shape[1:] != self.inputs.shape:
            what, expected = "variants of another shape than the batch", f"(M, *{tuple(self.inputs.shape)})"
            raise InputError(what, expected=expected, got=tuple(variants.shape))
        scores = [score_of(self.run(part)) for part, score_of in self._forwards(variants.to(self.inputs))]
        if not scores:
            return self.score.new_zeros(0, batch)
        return at_least_float32(torch.cat(scores).view(-1, batch))

    def run(self, inputs: Tensor) -> Any:
        """The model's raw output for other inputs, (N, C, H, W) of the record's device and dtype; one forward more."""
        self._check_open()
        self.forwards += 1
        with torch.no_grad():
            return self._model(inputs)

    @property
    def coupled_by_layers(self) -> str | None:
        """Why the network's own layers make the images of a batch see each other; None if none does."""
        return coupling(self._model.modules())

    @cached_property
    def alone(self) -> str | None:
        """Why an image must have a forward of its own to be scored; None where its company makes no difference."""
        self._check_open()
        assert self.logits is not None
        return self.coupled_by_layers or why_alone(self.run, self.inputs, self.logits, self.batch_size)

    def _forwards(self, variants: Tensor) -> Iterator[tuple[Tensor, Score]]:
        """Images for one forward each, and what scores them."""
        batch = len(self.inputs)
        alone = self.alone if self.target is not None and self.batch_size > batch else None
        if alone is not None and batch > 1:
            raise CoupledError(alone)
        if self.target is None or self.batch_size <= batch or alone is not None:
            # A target function may look at the rows together, so it always gets the batch as it was.
            yield from ((variant, self._score_of) for variant in variants)
            return
        images, signs = variants.flatten(0, 1), self.sign.repeat(len(variants))
        targets = self.target.repeat(len(variants))
        for start in range(0, len(images), self.batch_size):
            some = slice(start, start + self.batch_size)
            yield images[some], Score(targets[some], sign=signs[some])

    def _check_open(self) -> None:
        if self._closed:
            raise InputError("the record is closed", expected="to be asked inside the with block")

    def close(self) -> None:
        """Let the graph go. What was read before can still be read; nothing new can be asked."""
        self._closed = True
        self._score = self._score.detach()

    def layer_name(self, layer: str | None) -> str:
        """The dotted name behind None, or the name itself."""
        if layer is not None:
            return layer
        if self.default_layer is None:
            if None not in self._needs.layers:
                raise LayerError("the record was made without the default layer")
            raise LayerError(
                "no default layer: none gives maps (B, C, h, w) of more than one position, or the network goes on for "
                "long after its last maps, as transformers do; name a layer (`seewhy layers` lists them)",
                expected=transformer_layer(self._model),
            )
        return self.default_layer

    def _listened(self, taps: Taps) -> tuple[Tensor, Any]:
        """A forward that is explained; the last one counts."""
        requires = taps.graph and self._needs.input_gradient
        self._graph_inputs = self.inputs.clone().requires_grad_(True) if requires else self.inputs
        self.outputs = self._forward(taps)
        with nullcontext() if taps.descent is None else active(taps.descent):
            if not hasattr(self, "_score_of"):
                self._score_of = self._resolve(self.outputs)
            self._score = self._score_of(self.outputs)
        if self._score.shape != (len(self.inputs),):
            raise ModelError("one score per image", expected=(len(self.inputs),), got=tuple(self._score.shape))
        return self._score, self.outputs

    def _forward(self, taps: Taps) -> Any:
        self._watch = watcher(self._model, self._notes.class_map) if self._needs.class_map else None
        with watched(taps, self._watch, self._needs.input_gradient, self._without_nan):
            self.forwards += 1
            # A copy, since a leaf may not be changed in place and a network's first layer may do so.
            inputs = self._graph_inputs.clone()
            if taps.descent is not None:
                taps.descent.add(inputs)
            return self._model(inputs)

    def _place(self, layer: str | None) -> Place:
        name = self.layer_name(layer)
        if name not in self._places:
            find_layer(self._model, split(name)[0])
            raise LayerError(f"layer {name!r} was not recorded", expected=f"layers=[{name!r}] when the record is made")
        return self._places[name]

    def _backward(self, rule: Rule, smooth: bool) -> dict[str, Tensor | None]:
        places: dict[str, Any] = {INPUT: self._graph_inputs} if self._needs.input_gradient else {}
        if self._needs.layer_gradients:
            places |= {name: place.edge for name, place in self._places.items() if place.edge is not None}
        nowhere: dict[str, Tensor | None] = dict.fromkeys(self._places) if self._needs.layer_gradients else {}
        if not places:
            return nowhere
        self._check_open()
        root = self._score.grad_fn
        if root is None:
            raise ModelError(UNSEEN.format("the input"))
        with rectified(root, rule, smooth, visible=self._needs.input_gradient) as count:
            self._overridden[rule, smooth] = count
            self.backwards += 1
            try:
                of = self._score.sum()
                gradients = torch.autograd.grad(of, list(places.values()), retain_graph=True, allow_unused=True)
            except RuntimeError as error:
                hidden = {HIDING[name] for node in nodes_of(root) if (name := kind(node)) in HIDING}
                raise ModelError("; ".join(hidden) or f"autograd failed: {error}") from error
        return nowhere | dict(zip(places, gradients, strict=True))


@shielded
def recorded(
    model: object, inputs: Tensor, target: Target, needs: Needs, batch_size: int | None = None
) -> Iterator[Record]:
    """A Record that keeps exactly what ``needs`` says; the model is a guest for the time of the block."""
    module = original(model)
    if batch_size is not None and (not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1):
        raise InputError("the batch size counts images", expected="1 or more", got=batch_size)
    with guest(module, grad=True) as modules:
        inputs = fitted(inputs, module)
        if len(inputs) > 1 and (why := coupling(modules)):
            raise CoupledError(why)
        # A function may score another head, whose last maps are others: what it finds is not noted.
        notes = Notes() if callable(target) else notes_on(module, modules, inputs)
        made = interruptible(Record, module, inputs, target, needs, notes, batch_size)
        try:
            yield made
        finally:
            made.close()


@shielded
def record(
    model: object,
    inputs: Tensor,
    target: Target = None,
    *,
    layers: Iterable[str | None] = (None,),
    input_gradient: bool = True,
    layer_gradients: bool = True,
    class_map: bool = True,
    batch_size: int | None = None,
) -> Iterator[Record]:
    """Run one forward and keep what methods may ask of it.

    Args:
        model: a ``torch.nn.Module`` or a seewhy ``Classifier``; in evaluation mode inside the block, as it was after.
        inputs: (B, C, H, W) floating point, preprocessed as the model wants it.
        target: None (the predicted class), an int, one int per image, or a function of the model's output.
        layers: dotted names of layers to keep; None stands for the default layer.
        input_gradient, layer_gradients, class_map: what else to keep; less is faster.
        batch_size: images per forward in ``Record.rescore``; None: 32, and 256 on a GPU.

    Raises:
        SeewhyError: something of the above does not fit.
    """
    needs = Needs(input_gradient, frozenset(layers), layer_gradients, class_map)
    with recorded(model, inputs, target, needs, batch_size) as made:
        yield made
