"""The ascent: look, backpropagate, move; and the account of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ..core.gaussian import blur
from ..core.guest import guest
from ..core.layers import find_layer
from ..core.relu_rules import rectifiers
from ..core.target import check_finite
from ..errors import InputError, LayerError, ModelError
from .images import Image, Pixels
from .objectives import Objective, Scene
from .presets import Preset
from .transforms import apply

Callback: TypeAlias = Callable[[int, Tensor, Tensor], "bool | None"]
"""Called after each step with the step, the objective (B,) and the images (B, C, H, W) as the network reads them;
returning True stops the ascent."""

REDIRECTED_STEPS = 16
"""So long, an image whose gradient is dead gets one through its closed ReLUs (Lucid's redirected ReLU)."""


@dataclass(frozen=True, eq=False)
class Course:
    """How an ascent went: the objective and the part of it that was to be raised, before each step, (steps, B)."""

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
    generator = torch.Generator().manual_seed(seed)
    optimizer = _optimizer(preset, image.variables)
    history: list[Tensor] = []
    objective: list[Tensor] = []
    frames: dict[int, Tensor] = {}
    interrupted = False
    layers = aim.layers | (penalty.layers if penalty else frozenset())
    device = image.variables.device.type
    with torch.inference_mode(False), torch.enable_grad(), guest(model), _listening(model, layers) as activations:
        try:
            for step in range(preset.steps):
                x = image.x()
                with torch.autocast(device, torch.bfloat16) if autocast else nullcontext():
                    outputs = model(apply(preset.transforms, x, generator))
                scene = Scene(x, outputs, dict(activations))
                raised = aim(scene)
                J = raised - penalty(scene) if penalty else raised
                if J.shape != (len(x),):
                    raise InputError("an objective gives one number per image", expected=(len(x),), got=tuple(J.shape))
                check_finite(J)
                redirect = _redirected(J) if layers and step < REDIRECTED_STEPS else nullcontext()
                with redirect:
                    (gradient,) = torch.autograd.grad(J.sum(), image.variables, allow_unused=True)
                history.append(raised.detach().float())
                objective.append(J.detach().float())
                _move(image, gradient, optimizer, preset, step)
                if step + 1 in checkpoints:
                    frames[step + 1] = image.x().detach()
                if callback is not None and callback(step, history[-1], image.x().detach()):
                    break
                if patience is not None and _stalled(objective, patience):
                    break
        except KeyboardInterrupt:
            if not history:
                raise
            interrupted = True
    return Course(torch.stack(history), torch.stack(objective), frames, interrupted)


def _move(image: Image, gradient: Tensor | None, optimizer: torch.optim.Optimizer, preset: Preset, step: int) -> None:
    if gradient is None or not gradient.any():
        raise ModelError("the objective does not change with the image: there is nothing to ascend from here")
    if preset.normalize:
        gradient = gradient / gradient.square().flatten(1).mean(1).sqrt().clamp(min=1e-20).view(-1, 1, 1, 1)
    if preset.schedule == "cosine":
        falling = 0.55 + 0.45 * math.cos(math.pi * step / preset.steps)
        optimizer.param_groups[0]["lr"] = preset.learning_rate * falling
    image.variables.grad = -gradient
    optimizer.step()
    image.variables.grad = None
    with torch.no_grad():
        if isinstance(image, Pixels):
            if preset.blur_every and (step + 1) % preset.blur_every == 0:
                image.variables.copy_(blur(image.variables, preset.blur))
            if preset.small_norm:
                norm = image.variables.norm(dim=1, keepdim=True)
                least = norm.flatten(1).quantile(preset.small_norm, dim=1).view(-1, 1, 1, 1)
                image.variables.mul_(norm >= least)


def _optimizer(preset: Preset, variables: Tensor) -> torch.optim.Optimizer:
    kinds: dict[str, Any] = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "nadam": torch.optim.NAdam}
    if preset.optimizer not in kinds:
        raise InputError(f"there is no optimizer {preset.optimizer!r}", expected=", ".join(kinds))
    made: torch.optim.Optimizer = kinds[preset.optimizer]([variables], lr=preset.learning_rate)
    return made


@contextmanager
def _listening(model: nn.Module, layers: frozenset[str]) -> Iterator[dict[str, Tensor]]:
    """The last outputs of ``layers``, on the graph, for the time of the block."""
    outputs: dict[str, Tensor] = {}
    handles = []

    def listener(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if not isinstance(output, Tensor):
                raise LayerError(f"layer {name!r} gives no tensor", got=type(output).__name__)
            outputs[name] = output.clone()  # the network may overwrite it

        return hook

    try:
        for name in layers:
            handles.append(find_layer(model, name).register_forward_hook(listener(name)))
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


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
