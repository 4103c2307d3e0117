"""The user's model is a guest: explained in evaluation mode without parameter gradients, handed back as it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from ..errors import ModelError
from .state import State

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

    Kept as they were: every module's ``training`` flag, every parameter's ``requires_grad``, what parameters, buffers
    and tensors in plain attributes hold and which tensors they are, and the state of the random number generators of
    the devices in use.

    Gives the list of the model's modules.

    Raises:
        ModelError: the model cannot be explained as it is, or wrote to a weight that it had not written to before.
    """
    modules = _modules(model)
    parameters = [p for module in modules if module._parameters for p in module._parameters.values() if p is not None]
    check_usable(modules, parameters)
    state = State(model, modules)
    with ExitStack() as stack:
        stack.enter_context(_same_random_state(parameters))
        if any(type(module).__name__ == "OptimizedModule" or module._compiled_call_impl for module in modules):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        finished = False
        try:
            state.prepare()
            yield modules
            finished = True
        finally:
            state.restore(finished)


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


@contextmanager
def _same_random_state(parameters: list[nn.Parameter]) -> Iterator[None]:
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda = list({parameter.device for parameter in parameters if parameter.is_cuda}) if started else []
    with torch.random.fork_rng(devices=cuda):
        yield
