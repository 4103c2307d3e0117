"""The user's model is a guest: explained in evaluation mode without parameter gradients, handed back as it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from ..errors import ModelError

_WRAPPERS = ("DataParallel", "DistributedDataParallel")


def original(model: object) -> nn.Module:
    """The module that a classifier, a compiled model or a data-parallel wrapper stands for."""
    if not isinstance(model, nn.Module):
        inner = getattr(model, "model", None)
        if not isinstance(inner, nn.Module):
            raise ModelError(
                "this is not a model", expected="a torch.nn.Module or a seewhy Classifier", got=type(model)
            )
        model = inner
    while True:
        if isinstance(compiled := getattr(model, "_orig_mod", None), nn.Module):
            model = compiled
        elif type(model).__name__ in _WRAPPERS and isinstance(model.module, nn.Module):
            model = model.module
        else:
            return model


@contextmanager
def guest(model: nn.Module) -> Iterator[list[nn.Module]]:
    """Evaluation mode, frozen parameters; everything as before at the end, whatever happens.

    Kept as they were: every module's ``training`` flag, every parameter's ``requires_grad`` and ``grad``,
    the buffers' identity and content, the state of the random number generators of the devices in use.

    Gives the list of the model's modules.
    """
    modules = _modules(model)
    parameters = [p for module in modules if module._parameters for p in module._parameters.values() if p is not None]
    training = [module for module in modules if module.training]
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    buffers = _Buffers(modules)
    with ExitStack() as stack:
        stack.enter_context(_same_random_state(parameters))
        if any(type(module).__name__ == "OptimizedModule" for module in modules):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        try:
            # The flag, not .eval(): a module may override train() to rewrite its weights.
            for module in training:
                module.training = False
            for parameter in trainable:
                parameter.requires_grad_(False)
            yield modules
        finally:
            for module in training:
                module.training = True
            for parameter in trainable:
                parameter.requires_grad_(True)
            buffers.restore()


def _modules(model: nn.Module) -> list[nn.Module]:
    """Each module once, as ``model.modules()`` gives them; this runs before every forward, and is faster."""
    found, stack = dict.fromkeys([model]), [model]
    while stack:
        for child in stack.pop()._modules.values():
            if child is not None and child not in found:
                found[child] = None
                stack.append(child)
    return list(found)


class _Buffers:
    """All buffers of a model as they were: which tensors they were, and what they held.

    Copied together, not one by one: a network has hundreds of tiny ones, and this runs before every forward.
    """

    def __init__(self, modules: list[nn.Module]):
        self._places = [
            (module._buffers, name, tensor)
            for module in modules
            if module._buffers
            for name, tensor in module._buffers.items()
        ]
        groups: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
        for _, _, tensor in self._places:
            if tensor is not None:
                groups.setdefault((tensor.dtype, tensor.device), []).append(tensor)
        self._kept = [
            (tensors, [_version(tensor) for tensor in tensors], torch.cat([tensor.reshape(-1) for tensor in tensors]))
            for tensors in groups.values()
        ]

    def restore(self) -> None:
        for place, name, tensor in self._places:
            place[name] = tensor
        for tensors, versions, content in self._kept:
            if versions != [_version(tensor) for tensor in tensors]:
                with torch.no_grad():
                    for tensor, before in zip(tensors, torch.split(content, [t.numel() for t in tensors]), strict=True):
                        tensor.copy_(before.view(tensor.shape))


def _version(tensor: Tensor) -> int:
    # Inference tensors keep no version; nothing may change them in place.
    return -1 if tensor.is_inference() else tensor._version


@contextmanager
def _same_random_state(parameters: list[nn.Parameter]) -> Iterator[None]:
    cuda = list({parameter.device for parameter in parameters if parameter.is_cuda})
    with torch.random.fork_rng(devices=cuda):
        yield
