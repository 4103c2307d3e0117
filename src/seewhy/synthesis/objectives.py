"""What is raised: objectives that compose with + - and *, each giving one number per image.

>>> logit(130) - 1e-4 * l2() + 0.1 * diversity("blocks.5")      # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core.gaussian import blur as gaussian
from ..core.target import Score, Target, logits_of
from ..errors import InputError, LayerError, ModelError


@dataclass(frozen=True, eq=False)
class Scene:
    """One look of the network at the images.

    Attributes:
        x: (B, C, H, W) the images as the network reads them, before any transform; penalties are about these.
        outputs: what the network gave for the transformed images.
        activations: the layers that the objective asked for.
        opacity: (B, 1, H, W) in [0, 1], the alpha channel; None for an image without one.
    """

    x: Tensor
    outputs: Any
    activations: dict[str, Tensor]
    opacity: Tensor | None = None


class Objective:
    """A function of a ``Scene`` that gives (B,), and the layers it reads."""

    def __init__(
        self,
        name: str,
        function: Callable[[Scene], Tensor],
        layers: frozenset[str] = frozenset(),
        of: tuple[int | tuple[int, ...], ...] = (),
    ):
        """``of``: the classes or channels that the images are of, a number for all or one per image: their streams of
        random numbers are told apart by these.
        """
        self.name, self.function, self.layers, self.of = name, function, layers, of

    def __call__(self, scene: Scene) -> Tensor:
        return self.function(scene)

    def __add__(self, other: Objective | float) -> Objective:
        other = _constant(other)
        return Objective(f"{self} + {other}", lambda s: self(s) + other(s), *self._with(other))

    def __sub__(self, other: Objective | float) -> Objective:
        other = _constant(other)
        return Objective(f"{self} - {other}", lambda s: self(s) - other(s), *self._with(other))

    def __mul__(self, factor: float) -> Objective:
        return Objective(f"{factor:g} ({self})", lambda s: factor * self(s), self.layers, self.of)

    def __neg__(self) -> Objective:
        return self * -1.0

    __radd__, __rmul__ = __add__, __mul__

    def __str__(self) -> str:
        return self.name

    def _with(self, other: Objective) -> tuple[frozenset[str], tuple[int | tuple[int, ...], ...]]:
        return self.layers | other.layers, self.of + other.of


def _constant(value: Objective | float) -> Objective:
    if isinstance(value, Objective):
        return value
    return Objective(f"{value:g}", lambda s: torch.full((len(s.x),), float(value)).to(s.x))


def logit(target: Target) -> Objective:
    """The score before the softmax: of a class, one class per image, or a function of the output."""
    resolve = _resolved(target)

    def function(scene: Scene) -> Tensor:
        return resolve(scene)(scene.outputs)

    return Objective(f"logit {target}", function, of=() if callable(target) else _of(target))


def log_probabilities(logits: Tensor) -> Tensor:
    """(B, classes): the logarithm of the softmax; of a single score that of the sigmoid, since its softmax is 1."""
    return F.logsigmoid(logits) if logits.shape[1] == 1 else logits.log_softmax(1)


def probability(target: int | Sequence[int]) -> Objective:
    """The logarithm of the class's probability: it also lowers the other classes."""
    resolve = _resolved(target)

    def function(scene: Scene) -> Tensor:
        classes = resolve(scene).classes
        assert classes is not None
        return log_probabilities(logits_of(scene.outputs)).gather(1, classes[:, None])[:, 0]

    return Objective(f"log probability {target}", function, of=_of(target))


def channel(layer: str, index: int | Sequence[int]) -> Objective:
    """The mean of a channel over space; one channel per image if several are given."""
    pick = _channel(layer, index)

    def function(scene: Scene) -> Tensor:
        return pick(scene).flatten(1).mean(1)

    return Objective(f"channel {index} of {layer}", function, frozenset({layer}), _of(index))


def neuron(layer: str, index: int | Sequence[int], row: int | None = None, column: int | None = None) -> Objective:
    """A channel at one position, by default the centre."""
    pick = _channel(layer, index)

    def function(scene: Scene) -> Tensor:
        maps = pick(scene)
        if maps.dim() < 3:
            return maps
        at = maps.shape[1] // 2 if row is None else row, maps.shape[2] // 2 if column is None else column
        return _at(maps, layer, *at)

    return Objective(f"neuron {index} of {layer}", function, frozenset({layer}), _of(index))


def position(layer: str, row: int, column: int) -> Objective:
    """The length of the whole vector of channels at one position."""

    def function(scene: Scene) -> Tensor:
        vector = _at(scene.activations[layer], layer, row, column)
        length: Tensor = torch.linalg.vector_norm(vector, dim=1)
        return length

    return Objective(f"position {row}, {column} of {layer}", function, frozenset({layer}))


def direction(layer: str, vector: Tensor) -> Objective:
    """The mean over space of the activation's part along ``vector`` (K,), which is taken at unit length."""
    unit = _near(vector / vector.norm())

    def function(scene: Scene) -> Tensor:
        maps = scene.activations[layer].flatten(2)
        if vector.shape != maps.shape[1:2]:
            raise InputError("the direction does not fit the layer", expected=maps.shape[1], got=tuple(vector.shape))
        return torch.einsum("bkp,k->b", maps, unit(maps)) / maps.shape[2]

    return Objective(f"direction in {layer}", function, frozenset({layer}))


def layer(name: str) -> Objective:
    """The mean square of a whole layer: whatever it sees already, more of it (DeepDream, Mordvintsev 2015)."""
    return Objective(f"layer {name}", lambda s: s.activations[name].flatten(1).square().mean(1), frozenset({name}))


def diversity(layer: str) -> Objective:
    """How unlike the images of the batch are, as Gram matrices of ``layer`` (Olah 2017); at most 0."""

    def function(scene: Scene) -> Tensor:
        maps = scene.activations[layer].flatten(2)
        gram = F.normalize(torch.einsum("bip,bjp->bij", maps, maps).flatten(1), dim=1)
        alike = gram @ gram.T
        return -(alike.sum(1) - alike.diagonal()) / max(1, len(alike) - 1)

    return Objective(f"diversity in {layer}", function, frozenset({layer}))


def match(layer: str, reference: Tensor, *, kind: str = "caricature") -> Objective:
    """Likeness of ``layer`` to a reference activation (1 or B, K, h, w).

    "caricature": the inner product times the cosine, which exaggerates what the reference has (Olah 2017);
    "inversion": minus the relative squared distance (Mahendran 2015).
    """
    if kind not in ("caricature", "inversion"):
        raise InputError("there is no such kind of match", expected="caricature or inversion", got=kind)
    near = _near(reference)

    def function(scene: Scene) -> Tensor:
        a, b = scene.activations[layer].flatten(1), near(scene.x).flatten(1)
        if a.shape[1] != b.shape[1]:
            raise InputError("the reference does not fit the layer", expected=a.shape[1], got=b.shape[1])
        if kind == "inversion":
            return -(a - b).square().sum(1) / b.square().sum(1)
        dot = (a * b).sum(1)
        return dot * F.cosine_similarity(a, b).clamp(min=0.1) / b.square().sum(1).sqrt()

    return Objective(f"{kind} in {layer}", function, frozenset({layer}))


def l2() -> Objective:
    """||I||^2 in the network's unit: the penalty of Simonyan 2013, to be subtracted."""
    return Objective("‖I‖²", lambda s: s.x.square().sum((1, 2, 3)))


def total_variation() -> Objective:
    """The mean absolute difference of neighbouring pixels; to be subtracted."""

    def function(scene: Scene) -> Tensor:
        x = scene.x
        return x.diff(dim=2).abs().flatten(1).mean(1) + x.diff(dim=3).abs().flatten(1).mean(1)

    return Objective("total variation", function)


def blur(sigma: float = 1.0) -> Objective:
    """The mean square of what a Gaussian of ``sigma`` pixels takes away from the image; to be subtracted.

    It weighs on the waves finer than ``sigma``, where total variation weighs on every edge.
    """
    if not sigma > 0:
        raise InputError("a blur has a width in pixels", expected="above zero", got=sigma)
    return Objective(f"blur {sigma:g}", lambda s: (s.x - gaussian(s.x, sigma)).square().flatten(1).mean(1))


def opacity() -> Objective:
    """How much of the image is painted rather than let through, 0 to 1; to be subtracted (Mordvintsev 2018).

    Raises:
        InputError: the image has no alpha channel.
    """

    def function(scene: Scene) -> Tensor:
        if scene.opacity is None:
            raise InputError("the image has no alpha channel", expected="alpha= a weight above zero")
        return scene.opacity.flatten(1).mean(1)

    return Objective("opacity", function)


def mean(objective: Objective) -> Objective:
    """The batch's mean, given to each of its images: they are raised together."""
    return Objective(f"mean of {objective}", lambda s: objective(s).mean().expand(len(s.x)), objective.layers,
                     objective.of)  # fmt: skip


def _of(units: Any) -> tuple[int | tuple[int, ...], ...]:
    """The number, or numbers, as ``Objective`` keeps them; nothing where they are none: said when they are used."""
    try:
        return (int(units),) if not isinstance(units, Sequence | Tensor) else (tuple(int(unit) for unit in units),)
    except (TypeError, ValueError):
        return ()


def _resolved(target: Target) -> Callable[[Scene], Score]:
    """The target for these outputs; worked out once for outputs of a shape, since it copies between devices."""
    known: dict[object, Score] = {}

    def resolve(scene: Scene) -> Score:
        if callable(target):
            return Score(None, target)
        logits = logits_of(scene.outputs)
        if not logits.is_floating_point():
            raise ModelError(
                "the model answers whole numbers, which have no gradient", expected="scores", got=logits.dtype
            )
        key = logits.shape, logits.device, len(scene.x)
        if key not in known:
            known[key] = Score.resolve(target, scene.outputs, len(scene.x))
        return known[key]

    return resolve


def _near(reference: Tensor) -> Callable[[Tensor], Tensor]:
    """The reference as another tensor is and where it is; copied once."""
    known: dict[object, Tensor] = {}

    def near(like: Tensor) -> Tensor:
        key = like.dtype, like.device
        if key not in known:
            known[key] = reference.detach().clone().to(like)  # a clone: autograd keeps no inference tensor
        return known[key]

    return near


def _channel(layer: str, index: int | Sequence[int]) -> Callable[[Scene], Tensor]:
    """(B, ...): of each image its channel of the layer."""
    known: dict[object, Tensor] = {}

    def pick(scene: Scene) -> Tensor:
        maps = scene.activations[layer]
        if maps.dim() < 2:
            raise LayerError(f"layer {layer!r} has no channels", expected="(B, K, ...)", got=tuple(maps.shape))
        key = maps.shape[:2], maps.device
        if key not in known:
            indices = [index] * len(maps) if isinstance(index, int) else list(index)
            if len(indices) != len(maps) or not all(0 <= i < maps.shape[1] for i in indices):
                raise LayerError(
                    f"layer {layer!r} has no such channel", expected=f"0 to {maps.shape[1] - 1}", got=index
                )
            known[key] = torch.tensor(indices, device=maps.device)
        where = known[key].view(-1, *[1] * (maps.dim() - 1))
        return maps.gather(1, where.expand(-1, 1, *maps.shape[2:]))[:, 0]

    return pick


def _at(maps: Tensor, layer: str, row: int, column: int) -> Tensor:
    """The maps at one position, without their last two dimensions.

    Raises:
        LayerError: they have no such position.
    """
    height, width = maps.shape[-2:]
    if maps.dim() < 3 or not (-height <= row < height and -width <= column < width):
        got = f"{row}, {column} of maps {tuple(maps.shape)}"
        raise LayerError(f"layer {layer!r} has no such position", expected="a row and a column of its maps", got=got)
    return maps[..., row, column]
