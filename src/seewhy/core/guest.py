"""The user's model is a guest: explained in evaluation mode without parameter gradients, handed back as it came."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from traceback import walk_tb

import torch
from torch import nn

from ..errors import ModelError
from ..interrupts import handling, shielded
from .blocks import opened
from .randomness import same_randomness
from .recursion import more_recursion
from .state import State
from .torch_state import TorchState
from .turns import turn

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


@shielded
def guest(model: nn.Module, *, grad: bool) -> Iterator[list[nn.Module]]:
    """Evaluation mode, frozen parameters; everything as before at the end, whatever happens.

    Kept as they were: every module's ``training`` flag, every parameter's ``requires_grad``, what parameters, buffers
    and tensors in plain attributes hold and which tensors they are, the state of the random number generators of the
    devices in use, and what torch is set to in this thread. Ctrl-C cannot come between the steps of keeping and of
    putting back; another thread that wants the model waits.

    Args:
        model: the original module.
        grad: whether autograd records in the block, which is outside inference mode in any case.

    Gives the list of the model's modules.

    Raises:
        ModelError: the model cannot be explained as it is, is kept busy by another thread, or wrote to a weight that
            it had not written to before.
    """
    modules = _modules(model)
    parameters = [p for module in modules if module._parameters for p in module._parameters.values() if p is not None]
    buffers = [b for module in modules if module._buffers for b in module._buffers.values() if b is not None]
    check_usable(modules, parameters)
    devices = {parameter.device for parameter in parameters if parameter.is_cuda}
    with opened(modules) as block:
        block.own.enter_context(turn([*modules, *parameters, *buffers]))
        block.torchs.enter_context(torch.inference_mode(False))
        block.torchs.callback(TorchState(next((device.type for device in devices), "cpu")).restore)
        block.torchs.enter_context(same_randomness(devices))
        block.torchs.enter_context(more_recursion())
        if any(map(attrgetter("_compiled_call_impl"), modules)) or "OptimizedModule" in {
            kind.__name__ for kind in set(map(type, modules))
        }:
            block.torchs.enter_context(torch.compiler.set_stance("force_eager"))
        state = State(model, modules)
        block.own.callback(lambda: state.restore(block.finished))
        try:
            torch.set_grad_enabled(grad)
            state.prepare()
            yield modules
            block.finished = True
        except SystemExit as error:
            if not _comes_from_a_forward(error):
                raise
            got = f"SystemExit: {error.code}"
            raise ModelError("the model's forward ends Python", expected="its output", got=got) from error


def _comes_from_a_forward(error: SystemExit) -> bool:
    """Not from the block's own code, nor from a handler of signals that came during a forward."""
    frames = [frame.f_code for frame, _ in walk_tb(error.__traceback__)]
    return nn.Module._call_impl.__code__ in frames and handling.__code__ not in frames


def check_usable(modules: list[nn.Module], parameters: list[nn.Parameter]) -> None:
    """Refuse, by name, models that cannot be explained as they are."""
    if any(issubclass(kind, torch.jit.ScriptModule) for kind in set(map(type, modules))):
        raise ModelError("TorchScript hides what happens inside a model", expected="the original Python module")
    if any(map(nn.parameter.is_lazy, parameters)):
        raise ModelError(
            "the model has lazy layers", expected="it to have seen an input once, so that they have a shape"
        )
    if any(map(attrgetter("is_meta"), parameters)):
        raise ModelError("the model is on the meta device and has no weights")
    if any(map(torch.Tensor.is_inference, parameters)):
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
