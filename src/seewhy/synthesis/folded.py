"""A private copy of a network with each batch norm folded into the convolution before it: the same answers, sooner.

In evaluation mode a batch norm is an affine map per channel, which a convolution can do on the way (its weights times
the norm's scale). Half the passes over memory go; the user's model is not touched.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..core.company import coarse
from ..core.descent import tensors_in
from .listening import listening

TOLERANCE, COARSE_TOLERANCE = 1e-3, 2e-2
"""How far the copy's answers may be from the original's, as a share of their spread; rounding gives about 1e-6, and
about 1e-3 where products are rounded coarsely."""


def folded(model: nn.Module, x: Tensor, layers: frozenset[str] = frozenset()) -> nn.Module:
    """A faster copy of ``model`` that answers images like ``x`` alike, also at ``layers``; else ``model`` itself.

    The model is in evaluation mode and frozen. Which convolution feeds which norm is seen by running the copy, so it
    does not matter how the network is written; that nobody else reads the convolution is seen by comparing answers.
    """
    probe = x[:1].detach() + torch.randn(x[:1].shape, generator=torch.Generator().manual_seed(0)).to(x)
    answers = _answers(model, probe, layers)
    try:
        twin, pairs = _fused(model, probe)
    except Exception:  # noqa: BLE001 - whatever a foreign model cannot do, the original goes on as it is
        return model
    # oneDNN is faster where channels are last; a network that asks for the memory of its maps needs them first.
    layouts = (torch.channels_last, torch.contiguous_format) if x.device.type == "cpu" else (torch.preserve_format,)
    usable = (laid for layout in layouts if (laid := _alike(twin, layout, probe, layers, answers)) is not None)
    return next(usable, model) if pairs else model


def _fused(model: nn.Module, x: Tensor) -> tuple[nn.Module, list[tuple[str, str]]]:
    """A copy without the norms that a convolution can stand for, and which these were."""
    twin: Any = copy.deepcopy(model)
    pairs = _pairs(twin, x)
    for convolution, norm in pairs:
        _replace(twin, convolution, fuse_conv_bn_eval(twin.get_submodule(convolution), twin.get_submodule(norm)))
        _replace(twin, norm, nn.Identity())
    return twin.requires_grad_(False), pairs


def _alike(
    twin: nn.Module, layout: torch.memory_format, x: Tensor, layers: frozenset[str], answers: list[Tensor]
) -> nn.Module | None:
    """The copy with its weights in this layout, if it answers as the original did."""
    try:
        laid: nn.Module = twin.to(memory_format=layout)  # type: ignore[call-overload]  # not in torch's stubs
        alike = all(_close(a, b) for a, b in zip(answers, _answers(laid, x, layers), strict=True))
    except Exception:  # noqa: BLE001 - as above: another layout may do, or the original
        return None
    return laid if alike else None


def _pairs(model: nn.Module, x: Tensor) -> list[tuple[str, str]]:
    """(convolution, batch norm) wherever a norm reads just what a convolution gave."""
    made: dict[int, tuple[str, Tensor]] = {}
    pairs: dict[str, str] = {}
    handles = []

    def gave(name: str, module: nn.Module, args: Any, output: Tensor) -> None:
        made[id(output)] = name, output  # held, so that no other tensor gets its id

    def reads(name: str, module: nn.Module, args: Any) -> None:
        if args and id(args[0]) in made:
            pairs[made[id(args[0])][0]] = name

    try:
        for name, module in model.named_modules():
            if type(module) is nn.Conv2d and not module._forward_hooks and not module._forward_pre_hooks:
                handles.append(module.register_forward_hook(partial(gave, name)))
            elif type(module) is nn.BatchNorm2d and module.track_running_stats and not module._forward_hooks:
                handles.append(module.register_forward_pre_hook(partial(reads, name)))
        with torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return list(pairs.items())


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


def _answers(model: nn.Module, x: Tensor, layers: frozenset[str]) -> list[Tensor]:
    with torch.no_grad(), listening(model, layers) as activations:
        outputs = list(tensors_in(model(x)))
    return outputs + [activations[layer] for layer in sorted(layers)]


def _close(a: Tensor, b: Tensor) -> bool:
    tolerance = COARSE_TOLERANCE if coarse(a) else TOLERANCE
    return a.shape == b.shape and bool((a - b).abs().max() <= tolerance * a.float().std(correction=0))
