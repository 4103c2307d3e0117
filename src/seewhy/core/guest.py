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
    check_usable(modules, parameters)
    trainable = [parameter for parameter in parameters if parameter.requires_grad and parameter.is_leaf]
    buffers = _Buffers(modules)
    with ExitStack() as stack:
        stack.enter_context(_same_random_state(parameters))
        if any(type(module).__name__ == "OptimizedModule" or module._compiled_call_impl for module in modules):
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


def check_usable(modules: list[nn.Module], parameters: list[nn.Parameter]) -> None:
    """Refuse, by name, models that cannot be explained as they are."""
    for module in modules:
        if isinstance(module, torch.jit.ScriptModule):
            raise ModelError("TorchScript hides what happens inside a model", expected="the original Python module")
    for parameter in parameters:
        if nn.parameter.is_lazy(parameter):
            raise ModelError(
                "the model has lazy layers", expected="it to have seen an input once, so that they have a shape"
            )
        if parameter.is_meta:
            raise ModelError("the model is on the meta device and has no weights")
        if parameter.is_inference():
            raise ModelError("the model was made under torch.inference_mode, so autograd cannot use it")


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
        self._modules = modules
        self._dicts = [(module._buffers, dict(module._buffers)) for module in modules if module._buffers]
        groups: dict[tuple[torch.dtype, torch.device, bool], list[Tensor]] = {}
        for place, _ in self._dicts:
            for tensor in place.values():
                if tensor is not None and tensor.layout == torch.strided:
                    groups.setdefault((tensor.dtype, tensor.device, tensor.dim() == 0), []).append(tensor)
        self._kept = [
            (tensors, _versions(tensors), torch.stack(tensors) if scalars else torch.cat(list(map(_flat, tensors))),
             [tensor.shape for tensor in tensors])
            for (_, _, scalars), tensors in groups.items()
        ]  # fmt: skip

    def restore(self) -> None:
        """Also buffers that were replaced, added, resized or written to."""
        for module in self._modules:
            if module._buffers:
                module._buffers.clear()
        for place, before in self._dicts:
            place.update(before)
        for tensors, versions, content, shapes in self._kept:
            if versions != _versions(tensors):
                with torch.no_grad():
                    parts = torch.split(content, [shape.numel() for shape in shapes])
                    for tensor, part, shape in zip(tensors, parts, shapes, strict=True):
                        if tensor.shape != shape:
                            tensor.resize_(shape)
                        tensor.copy_(part.view(shape))


def _flat(tensor: Tensor) -> Tensor:
    return tensor if tensor.dim() == 1 else tensor.reshape(-1)


def _versions(tensors: list[Tensor]) -> list[int]:
    # Inference tensors keep no version; nothing may change them in place.
    return [-1 if tensor.is_inference() else tensor._version for tensor in tensors]


@contextmanager
def _same_random_state(parameters: list[nn.Parameter]) -> Iterator[None]:
    cuda = list({parameter.device for parameter in parameters if parameter.is_cuda})
    with torch.random.fork_rng(devices=cuda):
        yield
