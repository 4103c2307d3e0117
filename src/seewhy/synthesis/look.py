"""One look of the network at the images: what is raised, and its gradient at the variables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..core.descent import tensors_in
from ..core.gaussian import blur
from ..core.relu_rules import rectifiers
from ..core.target import check_finite
from ..core.torch_state import active
from ..errors import InputError, ModelError
from ..interrupts import shielded
from .ascent import Ascent
from .images import Image
from .listening import Activations
from .objectives import Objective, Scene
from .schedule import scheduled
from .streams import Streams
from .transforms import apply

REDIRECTED_STEPS = 16
"""So long, an image whose gradient is dead gets one through its closed ReLUs (Lucid's redirected ReLU)."""


@dataclass(frozen=True, eq=False)
class Look:
    """The images that were looked at, (B, C, H, W); what was to be raised, (B,), and the same minus the penalties."""

    x: Tensor
    raised: Tensor
    objective: Tensor


@dataclass
class Looker:
    """What an optimizer calls for J of the image as it is; puts the gradient where optimizers look for it.

    Nothing here waits for the device once the images have moved: a step is queued while the last one runs.
    """

    network: nn.Module
    activations: Activations
    image: Image
    aim: Objective
    penalty: Objective | None
    ascent: Ascent
    streams: Streams
    dtype: torch.dtype
    moved: bool = False
    step: int = 0
    looks: list[Look] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ghosts = self.ascent.network.haunting(self.image.x().shape[1])
        self._dead = bool(layers_of(self.aim, self.penalty))

    def begin(self, step: int) -> list[Look]:
        """A new step; gives the list that its looks go to."""
        self.step, self.looks = step, []
        return self.looks

    def __call__(self) -> Tensor:
        x = self.image.x()
        optimizer = self.ascent.optimizer
        if optimizer.gradient_blur:
            x.register_hook(lambda gradient: blur(gradient, optimizer.gradient_blur))  # type: ignore[no-untyped-call]
        scene = Scene(x, self._outputs(x), Activations(self.activations), self.image.opacity())
        raised = self.aim(scene)
        J = raised - self.penalty(scene) if self.penalty else raised
        if J.shape != (len(x),):
            raise InputError("an objective gives one number per image", expected=(len(x),), got=tuple(J.shape))
        if not raised.requires_grad:
            raise ModelError(
                "the objective does not depend on the image through anything that autograd can see",
                expected="a forward without no_grad, detach, rounding or argmax",
            )
        with self._redirected(J):
            if not self.moved:
                check_finite(J)
                self.moved = self._moves(raised)
            gradients = torch.autograd.grad(J.sum(), self.image.variables, allow_unused=True)
        for variable, gradient in zip(self.image.variables, gradients, strict=True):
            variable.grad = None if gradient is None else -optimizer.conditioned(gradient)
        self.looks.append(Look(x.detach(), raised.detach().float(), J.detach().float()))
        return -J.detach().sum()

    def _outputs(self, x: Tensor) -> Any:
        """What the network, or a ghost of it, answers to the images as they are shown."""
        strength = scheduled(self.ascent.strength, self.step / self.ascent.steps)
        shown = apply(self.ascent.transforms, self.image.shown(x, self.streams), self.streams, strength)
        outputs = self._answer(shown.to(self.dtype), strength)
        if any(tensor.is_inference() for tensor in tensors_in(outputs)):
            raise ModelError(
                "the network's forward runs under torch.inference_mode, so no gradient reaches the image",
                expected="a forward without it (the caller may use it)",
            )
        return outputs

    def _answer(self, shown: Tensor, strength: float) -> Any:
        self.activations.clear()
        ghost = active(self._ghosts.look(self.streams, strength)) if self._ghosts else nullcontext()
        with self.ascent.network.precision(shown), ghost:
            return self.network(shown)

    def _moves(self, raised: Tensor) -> bool:
        """Whether what is to be raised changes with the image at all; penalties do anyway."""
        found = torch.autograd.grad(raised.sum(), self.image.variables, allow_unused=True, retain_graph=True)
        return any(gradient is not None and bool(gradient.any()) for gradient in found)

    @shielded
    def _redirected(self, J: Tensor) -> Iterator[None]:
        """In the first steps, until nothing is dead: where a ReLU would let nothing at all of an image's gradient pass,
        let pass what would open it.
        """
        if not self._dead or self.step >= REDIRECTED_STEPS:
            yield
            return
        opened: list[Tensor] = []

        def redirect(grad_inputs: tuple[Tensor, ...], grad_outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            given = grad_inputs[0]
            dead = given.flatten(1).abs().sum(1) == 0
            opening = torch.where(dead.view(-1, *[1] * (given.dim() - 1)), grad_outputs[0].clamp(min=0), given)
            opened.append((opening != given).any())
            return (opening, *grad_inputs[1:])

        handles = []
        try:
            for node in rectifiers(J.grad_fn, required=False):
                handles.append(node.register_hook(redirect))
            yield
        finally:
            for handle in handles:
                handle.remove()
        self._dead = bool(opened) and bool(torch.stack(opened).any())


def layers_of(aim: Objective, penalty: Objective | None) -> frozenset[str]:
    """The layers that they read."""
    return aim.layers | (penalty.layers if penalty else frozenset())


MIXED = 0.05
"""So far, as a share of their size, an answer may move with the company; far above rounding, also in bfloat16:
here it decides on a refusal, not on the slower way that ``core.company`` chooses at a hundredth of this."""


def mixed(network: nn.Module, x: Tensor) -> bool:
    """Whether the answer to an image hangs on the other images of its batch, as under a batch norm without running
    statistics. A network that answers the same question differently each time tells nothing.

    Args:
        x: (B, C, H, W), like the images that will be asked about.
    """
    noise = torch.randn(x[:1].shape, generator=torch.Generator().manual_seed(0)).to(x)
    one, other = x[:1] + noise, 1 - 3 * noise
    with torch.no_grad():
        asked = (one, torch.cat([one, other]), torch.cat([one, other]))
        alone, pair, again = (list(tensors_in(network(images))) for images in asked)
    if not all(map(torch.equal, pair, again)):
        return False
    return any(
        bool((a[0] - b[0]).abs().max() > MIXED * b.abs().max())
        for a, b in zip(alone, pair, strict=True)
        if a.dim() and len(a) == 1 and len(b) == 2
    )
