"""One forward of one batch, and everything that any method may ask of it about one score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .. import events
from ..errors import InputError, LayerError, ModelError, NoGradientError
from ..interrupts import interruptible, shielded
from .class_map import ClassMap
from .company import CoupledError, coupling
from .forward import Forward, Forwards
from .functional import split
from .guest import guest, original
from .inputs import at_least_float32, fitted
from .layers import find_layer
from .layout import Maps, maps_of
from .needs import Needs
from .notes import notes_on
from .relu_rules import HIDING, UNSEEN, Rule, kind, nodes_of, rectified
from .target import Score, Target, check_finite, resolve_names

INPUT = "input"
"""What ``Record.gradient`` calls the model's input."""


class Record:
    """One forward, and one score of it. Made by ``record``; alive inside its ``with`` block.

    Attributes:
        inputs: (B, C, H, W), a copy of what the caller gave, on the model's device and in its dtype.
        outputs: what the model returned, detached where it is a tensor.
        logits: (B, classes), or None where a target function reads another kind of output.
        target: (B,) int64 class of each image, or None under a target function.
        against: (B,) int64, the class rather than which it is explained; None where it is explained by itself.
        score: (B,) the explained score, before the softmax.
        score_of: how it is made of what the model gives.
        default_layer: the last spatial layer before pooling, where it was asked for and there is one.
        backwards: how many were spent so far.
        batch_size: images per forward, for further ones.
        programs: what the caller keeps from photo to photo (``incremental.Programs``), or None.
    """

    def __init__(self, forwards: Forwards, forward: Forward, score_of: Score, model: object):
        self._forwards, self._forward, self._given, self.score_of = forwards, forward, model, score_of
        self.inputs, self.outputs, self.logits = forward.inputs, forward.outputs, forward.logits
        self.default_layer, self.batch_size = forward.default_layer, forward.batch_size
        self.programs = forwards.programs
        self.backwards = 0
        self._gradients: dict[tuple[Rule, bool], dict[str, Tensor | None]] = {}
        self._overridden: dict[tuple[Rule, bool], int] = {}
        self.score = at_least_float32(forward.on_graph(score_of).detach())
        if not self.score.is_cuda:  # there the attribution asks, once for the score and its values
            check_finite(self.score)
        self.target, self.against = score_of.classes, score_of.others

    def retarget(self, target: Target) -> Record:
        """The same forward, another target; inside the block only.

        A target function has a forward of its own: it may read another head.

        Raises:
            TargetError: it does not fit.
        """
        self._forward.check_open()
        target = resolve_names(self._given, target)
        ((forward, score_of),) = self._forwards.scores([target])
        return Record(self._forwards, forward, score_of, self._given)

    @property
    def sign(self) -> Tensor:
        """(B,) 1, or -1 where the decision against the only class is explained: its score is minus the logit."""
        sign = self.score_of.sign
        return torch.ones_like(self.score) if sign is None else sign.to(self.score)

    def of_score(self, each: Callable[[Tensor], Tensor]) -> Tensor:
        """What belongs to the score, of what belongs to a class: sign * (each(target) - each(against)).

        Args:
            each: takes one class per image, (B,), and gives something that is linear in their logits, (B, ...).

        Raises:
            InputError: a target function gives the score.
        """
        if self.target is None:
            raise InputError("the score is not made of classes", expected="a class as target", got="a target function")
        return self.score_of.of(each)

    @property
    def classes(self) -> Tensor:
        """(K,) int64, sorted: all that the targets of this forward are made of, this record's among them."""
        return self._forward.classes

    @property
    def kept(self) -> dict[str, Any]:
        """What methods work out that holds for every target of this forward; let go with it."""
        return self._forward.kept

    @property
    def forwards(self) -> int:
        """How many were spent so far, for all targets of this forward together."""
        return self._forward.forwards

    def progress(self, done: int, total: int) -> None:
        """For methods that take many steps: tell that ``done`` of ``total`` are done (``seewhy.events.progress``).

        Raises:
            Cancelled: the job was cancelled.
        """
        events.progress(done, total)

    def activation(self, layer: str | None = None) -> Tensor:
        """The output of ``layer`` (None: the default layer), (B, C, h, w) or as the layer gives it.

        As it left the layer, the last time that it ran on what descends from the inputs: what the network did to it in
        place afterwards does not show.
        """
        value = self._forward.place(layer).value()
        assert value is not None
        return at_least_float32(value)

    def maps(self, layer: str | None = None, layout: str = "auto") -> Maps:
        """How to see the output of ``layer`` (None: the default layer), and its gradient, as maps (B, C, h, w).

        ``layout``: "channels_first", "channels_last", "tokens", or "auto", which reads it off the shape and the layer.

        Raises:
            LayerError: there are no maps in what the layer gives.
        """
        name = self._forward.layer_name(layer)
        shape = tuple(self._forward.place(name).tap.output.shape)
        if shape[:1] != (len(self.inputs),):
            raise LayerError(f"layer {name!r} gives other than one map per image", expected=len(self.inputs), got=shape)
        module = find_layer(self._forward.model, split(name)[0])
        return maps_of(shape, (self.inputs.shape[2], self.inputs.shape[3]), module, name, layout)

    def said_of(self, layer: str | None) -> dict[str, Any]:
        """What should be said of how a layer ran, for ``Attribution.notes``; nothing where it ran once."""
        place = self._forward.places.get(layer or "")
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
        name = wrt if wrt == INPUT else self._forward.layer_name(wrt)
        if name != INPUT and self._forward.needs.layer_gradients:
            # Raises, before a backward is spent, where there is none or it was not recorded.
            self._forward.place(name)
        if (rule, smooth) not in self._gradients:
            self._gradients[rule, smooth] = self._backward(rule, smooth)
        if name not in self._gradients[rule, smooth]:
            expected = "input_gradient=True" if name == INPUT else "layer_gradients=True"
            raise InputError(f"the record was made without the gradient at {name!r}", expected=expected)
        gradient = self._gradients[rule, smooth][name]
        if gradient is None:
            raise NoGradientError(UNSEEN.format(repr(name)))
        return at_least_float32(gradient)

    def overridden(self, rule: Rule, smooth: bool = False) -> int:
        """How many autograd nodes ``rule`` was put on; 0 before its gradient was asked for."""
        return self._overridden.get((rule, smooth), 0)

    def class_map(self) -> ClassMap:
        """The features and weights that CAM needs.

        Raises:
            MethodError: the network is not of CAM's kind.
        """
        return self._forward.class_map()

    def rescore(self, variants: Tensor) -> Tensor:
        """The scores of other inputs, without gradients, ``batch_size`` images a forward.

        Args:
            variants: (M, B, C, H, W), M variants of the whole batch.

        Returns:
            (M, B) float32 or float64, each image's score for its own target.
        """
        if self.target is not None:
            classes = self.score_of.wanted
            return self.score_of.among(classes, self.scores_of_classes(variants, classes))
        # A target function may look at the rows together, so it always gets the batch as it was.
        scores = [self.score_of(self.run(variant)) for variant in self._fitting(variants)]
        return at_least_float32(torch.stack(scores)) if scores else self.score.new_zeros(0, len(self.inputs))

    def scores_of_classes(self, variants: Tensor, classes: Tensor) -> Tensor:
        """The logits of other inputs, without gradients, ``batch_size`` images a forward.

        Args:
            variants: (M, B, C, H, W), M variants of the whole batch.
            classes: (K,) int64, which.

        Returns:
            (M, B, K) float32 or float64.
        """
        return self._forward.scores_of_classes(self._fitting(variants), classes)

    def _fitting(self, variants: Tensor) -> Tensor:
        if variants.shape[1:] != self.inputs.shape:
            what, expected = "variants of another shape than the batch", f"(M, *{tuple(self.inputs.shape)})"
            raise InputError(what, expected=expected, got=tuple(variants.shape))
        return variants.to(self.inputs)

    def run(self, inputs: Tensor) -> Any:
        """The model's raw output for other inputs, (N, C, H, W) of the record's device and dtype; one forward more."""
        return self._forward.run(inputs)

    @property
    def model(self) -> nn.Module:
        """The original module."""
        return self._forward.model

    @property
    def coupled_by_layers(self) -> str | None:
        """Why the network's own layers make the images of a batch see each other; None if none does."""
        return self._forward.coupled_by_layers

    @property
    def alone(self) -> str | None:
        """Why an image must have a forward of its own to be scored; None where its company makes no difference."""
        return self._forward.alone

    def layer_name(self, layer: str | None) -> str:
        """The dotted name behind None, or the name itself."""
        return self._forward.layer_name(layer)

    def _backward(self, rule: Rule, smooth: bool) -> dict[str, Tensor | None]:
        forward = self._forward
        needs, found = forward.needs, forward.places
        places: dict[str, Any] = {INPUT: forward.graph_inputs} if needs.input_gradient else {}
        if needs.layer_gradients:
            places |= {name: place.edge for name, place in found.items() if place.edge is not None}
        nowhere: dict[str, Tensor | None] = dict.fromkeys(found) if needs.layer_gradients else {}
        if not places:
            return nowhere
        forward.check_open()
        score = forward.on_graph(self.score_of)
        root = score.grad_fn
        if root is None:
            raise NoGradientError(UNSEEN.format("the input"))
        with rectified(root, rule, smooth, visible=needs.input_gradient) as count:
            self._overridden[rule, smooth] = count
            self.backwards += 1
            try:
                of = score.sum()
                gradients = torch.autograd.grad(of, list(places.values()), retain_graph=True, allow_unused=True)
            except RuntimeError as error:
                hidden = {HIDING[name] for node in nodes_of(root) if (name := kind(node)) in HIDING}
                raise ModelError("; ".join(hidden) or f"autograd failed: {error}") from error
        return nowhere | dict(zip(places, gradients, strict=True))


@shielded
def recorded_for(
    model: object, inputs: Tensor, targets: Sequence[Target], needs: Needs, batch_size: int | None = None,
    programs: object = None,
) -> Iterator[list[Record]]:  # fmt: skip
    """One Record per target, of one forward, that keep exactly what ``needs`` says.

    Args:
        model: a ``torch.nn.Module`` or a ``Classifier``; a guest for the time of the block.
        inputs: (B, C, H, W) floating point.
        targets: at least one. What a function scores has a forward of its own.
        needs: what is kept.
        batch_size: images per forward, for further ones.
        programs: ``incremental.Programs``, kept from photo to photo.

    Raises:
        SeewhyError: something does not fit; a TargetError if any of the targets does not.
    """
    module = original(model)
    if batch_size is not None and (not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1):
        raise InputError("the batch size counts images", expected="1 or more", got=batch_size)
    if not targets:
        raise InputError("no target was asked for", expected="at least one")
    targets = [resolve_names(model, target) for target in targets]
    with guest(module, grad=True) as modules:
        inputs = fitted(inputs, module)
        if len(inputs) > 1 and (why := coupling(modules)):
            raise CoupledError(why)
        forwards = Forwards(module, inputs, needs, lambda: notes_on(module, modules, inputs), batch_size, programs)
        try:
            yield interruptible(_records, forwards, targets, model)
        finally:
            forwards.close()


def _records(forwards: Forwards, targets: Sequence[Target], model: object) -> list[Record]:
    return [Record(forwards, forward, score_of, model) for forward, score_of in forwards.scores(targets)]


@shielded
def recorded(
    model: object, inputs: Tensor, target: Target, needs: Needs, batch_size: int | None = None, programs: object = None
) -> Iterator[Record]:
    """A Record that keeps exactly what ``needs`` says; the model is a guest for the time of the block."""
    with recorded_for(model, inputs, [target], needs, batch_size, programs) as records:
        yield records[0]


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
        target: None (the predicted class), an int, one int per image, a ``Versus``, or a function of the model's
            output; of a ``Classifier`` also names.
        layers: dotted names of layers to keep; None stands for the default layer.
        input_gradient, layer_gradients, class_map: what else to keep; less is faster.
        batch_size: images per forward in ``Record.rescore``; None: 32, and 256 on a GPU.

    Raises:
        SeewhyError: something of the above does not fit.
    """
    needs = Needs(input_gradient, frozenset(layers), layer_gradients, class_map)
    with recorded(model, inputs, target, needs, batch_size) as made:
        yield made
