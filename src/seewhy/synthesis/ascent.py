"""The ascent: look, backpropagate, move; and the account of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..core.gaussian import blur
from ..core.guest import guest
from ..core.relu_rules import rectifiers
from ..core.target import check_finite
from ..errors import InputError, ModelError
from .folded import folded
from .ghosts import Ghosts
from .images import Image
from .listening import listening
from .objectives import Objective, Scene
from .presets import Preset
from .stepping import conditioned, optimizer_for, regularize, scheduled
from .transforms import apply

Callback: TypeAlias = Callable[[int, Tensor, Tensor], "bool | None"]
"""Called after each step with its number, what was raised (B,), and the images that were looked at, (B, C, H, W) as
the network reads them; returning True stops the ascent."""

REDIRECTED_STEPS = 16
"""So long, an image whose gradient is dead gets one through its closed ReLUs (Lucid's redirected ReLU)."""

LEAST_FOLDED = 16
"""An ascent of fewer steps is over before a faster copy of the network would have paid."""


@dataclass(frozen=True, eq=False)
class Course:
    """How an ascent went: what was to be raised, and the same minus the penalties, before each step, (steps, B)."""

    history: Tensor
    objective: Tensor
    frames: dict[int, Tensor]
    interrupted: bool


def ascend(
    model: nn.Module,
    image: Image,
    aim: Objective,
    penalty: Objective | None,
    preset: Preset,
    *,
    seed: int = 0,
    callback: Callback | None = None,
    checkpoints: Sequence[int] = (),
    patience: int | None = None,
    autocast: bool = False,
) -> Course:
    """Raise ``aim`` minus ``penalty`` by moving ``image``'s variables; Ctrl-C keeps the image so far."""
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    looker = _Looker(image, aim, penalty, preset, torch.Generator().manual_seed(seed), autocast, dtype)
    optimizer = optimizer_for(preset, image.variables)
    history: list[Tensor] = []
    objective: list[Tensor] = []
    frames: dict[int, Tensor] = {}
    interrupted = False
    with torch.inference_mode(False), torch.enable_grad(), guest(model):
        x = image.x().detach()
        network = folded(model, x.to(dtype), looker.layers) if preset.steps >= LEAST_FOLDED else model
        looker.ghosts = Ghosts(network, preset.ghosts, x.shape[1]) if preset.ghosts else None
        with listening(network, looker.layers) as activations:
            try:
                for step in range(preset.steps):
                    looks = looker.begin(network, activations, step)
                    rate = preset.learning_rate * scheduled(preset.schedule, preset, step)
                    optimizer.param_groups[0]["lr"] = rate
                    optimizer.step(looker)  # type: ignore[arg-type]  # some optimizers look more than once
                    if not looker.moved and step + 1 >= min(REDIRECTED_STEPS, preset.steps):
                        raise ModelError("the objective does not change with the image: nothing to ascend from here")
                    history.append(looks[0].raised)
                    objective.append(looks[0].objective)
                    regularize(image, preset, step)
                    if step + 1 in checkpoints:
                        frames[step + 1] = image.x().detach()
                    if callback is not None and callback(step, looks[0].raised, looks[0].x):
                        break
                    if patience is not None and _stalled(objective, patience):
                        break
            except KeyboardInterrupt:
                if not history:
                    raise
                interrupted = True
    return Course(torch.stack(history), torch.stack(objective), frames, interrupted)


@dataclass(frozen=True, eq=False)
class _Look:
    x: Tensor
    raised: Tensor
    objective: Tensor


@dataclass
class _Looker:
    """What an optimizer calls for J of the image as it is; puts the gradient where optimizers look for it."""

    image: Image
    aim: Objective
    penalty: Objective | None
    preset: Preset
    generator: torch.Generator
    autocast: bool
    dtype: torch.dtype
    ghosts: Ghosts | None = None
    moved: bool = False
    looks: list[_Look] = field(default_factory=list)

    @property
    def layers(self) -> frozenset[str]:
        return self.aim.layers | (self.penalty.layers if self.penalty else frozenset())

    def begin(self, network: nn.Module, activations: dict[str, Tensor], step: int) -> list[_Look]:
        """A new step; gives the list that its looks go to."""
        self.network, self.activations, self.step, self.looks = network, activations, step, []
        return self.looks

    def __call__(self) -> Tensor:
        x = self.image.x()
        if self.preset.gradient_blur:
            x.register_hook(lambda gradient: blur(gradient, self.preset.gradient_blur))  # type: ignore[no-untyped-call]
        strength = scheduled(self.preset.strength, self.preset, self.step)
        shown = apply(self.preset.transforms, self.image.shown(x, self.generator), self.generator, strength)
        with self._precision(x):
            if self.ghosts is None:
                outputs = self.network(shown.to(self.dtype))
            else:
                weights = self.ghosts.draw(self.generator, strength)
                outputs = functional_call(self.network, weights, (shown.to(self.dtype),))
        scene = Scene(x, outputs, dict(self.activations), self.image.opacity())
        raised = self.aim(scene)
        J = raised - self.penalty(scene) if self.penalty else raised
        if J.shape != (len(x),):
            raise InputError("an objective gives one number per image", expected=(len(x),), got=tuple(J.shape))
        check_finite(J)
        if not J.requires_grad:
            raise ModelError("the objective does not depend on the image through anything that autograd can see")
        with _redirected(J) if self.layers and self.step < REDIRECTED_STEPS else nullcontext():
            gradients = torch.autograd.grad(J.sum(), self.image.variables, allow_unused=True)
        for variable, gradient in zip(self.image.variables, gradients, strict=True):
            variable.grad = None if gradient is None else -conditioned(gradient, self.preset)
            self.moved = self.moved or (gradient is not None and bool(gradient.any()))
        self.looks.append(_Look(x.detach(), raised.detach().float(), J.detach().float()))
        return -J.detach().sum()

    def _precision(self, x: Tensor) -> AbstractContextManager[object]:
        return torch.autocast(x.device.type, torch.bfloat16) if self.autocast else nullcontext()


@contextmanager
def _redirected(J: Tensor) -> Iterator[None]:
    """Where a ReLU would let nothing at all of an image's gradient pass, let pass what would open it."""

    def redirect(grad_inputs: tuple[Tensor, ...], grad_outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        given = grad_inputs[0]
        dead = given.flatten(1).abs().sum(1) == 0
        opening = torch.where(dead.view(-1, *[1] * (given.dim() - 1)), grad_outputs[0].clamp(min=0), given)
        return (opening, *grad_inputs[1:])

    handles = []
    try:
        for node in rectifiers(J.grad_fn, required=False):
            handles.append(node.register_hook(redirect))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _stalled(objective: list[Tensor], patience: int) -> bool:
    if len(objective) <= patience:
        return False
    means = torch.stack(objective).mean(1)
    return bool(means[-patience:].max() <= means[:-patience].max())
