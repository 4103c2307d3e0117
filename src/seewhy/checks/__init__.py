"""Conformance: whether a method, anybody's, is right on awkward networks and leaves them alone.

>>> import seewhy
>>> from seewhy.methods import GradCAM
>>> seewhy.checks.check_method(GradCAM())      # raises CheckError, and says what is wrong; doctest: +SKIP
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn

from ..api import attribute, run
from ..core.attribution import Attribution
from ..core.method import Method
from ..core.record import recorded
from ..errors import MethodError, SeewhyError, TargetError
from ..methods import find_method
from .networks import awkward_networks, fingerprint

__all__ = ["CHECKS", "CheckError", "awkward_networks", "check_method", "fingerprint"]

Check: TypeAlias = Callable[[Method, nn.Module, Tensor], None]


class CheckError(SeewhyError, AssertionError):
    """A method does not keep a promise that every method keeps."""


def check_method(method: str | Method | type[Method]) -> list[str]:
    """Run every check on every awkward network.

    Where a method says, by a MethodError, that it does not apply to a network, only its leaving the network
    alone is checked there; it must apply to at least one.

    Returns:
        One line per check that passed, "network: check".

    Raises:
        CheckError: names every check that failed, on which network, and how.
    """
    method = find_method(method)
    passed, failed, applied = [], [], 0
    for name, (model, x) in awkward_networks().items():
        applies = _applies(method, copy.deepcopy(model), x)
        applied += applies
        for check in CHECKS if applies else [check_fingerprint]:
            try:
                check(method, copy.deepcopy(model), x.clone())
                passed.append(f"{name}: {check.__name__}")
            except CheckError as error:
                failed.append(f"{name}: {check.__name__}: {error}")
            except Exception as error:  # noqa: BLE001  # anything a foreign method raises is a finding
                failed.append(f"{name}: {check.__name__}: {type(error).__name__}: {error}")
    if not applied:
        failed.append("the method applies to none of the networks")
    if failed:
        raise CheckError(f"{method} fails {len(failed)} checks:\n  " + "\n  ".join(failed))
    return passed


def check_shape(method: Method, model: nn.Module, x: Tensor) -> None:
    """Values are (B, 1 or C, h, w), finite, and differ between classes."""
    a, b = (_one(method, model, x, target) for target in (0, 1))
    batch, channels = x.shape[:2]
    _demand(
        a.values.shape[0] == batch and a.values.shape[1] in (1, channels), "the shape", "(B, 1 or C, h, w)", a.values
    )
    _demand(not torch.equal(a.values, b.values), "the values do not depend on the class")


def check_determinism(method: Method, model: nn.Module, x: Tensor) -> None:
    """Twice the same, bit for bit."""
    a, b = _one(method, model, x), _one(method, model, x)
    _demand(torch.equal(a.values, b.values), "two runs differ")


def check_batch(method: Method, model: nn.Module, x: Tensor) -> None:
    """A batch gives what its images give one by one, each with its own target."""
    targets = [2, 0, 1]
    together = _one(method, model, x, targets)
    for index, target in enumerate(targets):
        alone = _one(method, model, x[index : index + 1], target)
        _close(together.values[index : index + 1], alone.values, 1e-4, f"image {index} differs when alone")


def check_inputs_kept(method: Method, model: nn.Module, x: Tensor) -> None:
    """The caller's tensor is neither changed nor made to require a gradient."""
    before = x.clone()
    _one(method, model, x)
    _demand(torch.equal(x, before) and not x.requires_grad and x.grad is None, "the caller's inputs changed")


def check_counts(method: Method, model: nn.Module, x: Tensor) -> None:
    """As many forwards and backwards as the record says; at most one backward; none where no gradient is needed."""
    forwards, backwards = [0], [0]
    model.register_forward_pre_hook(lambda *_: _count(forwards))

    def count_backward(module: nn.Module, args: object, output: object) -> object:
        logits = output["logits"] if isinstance(output, dict) else output
        if isinstance(logits, Tensor) and logits.requires_grad:
            logits.register_hook(lambda grad: _count(backwards))  # type: ignore[no-untyped-call]
        return output

    model.register_forward_hook(count_backward)
    needs = method.needs()
    with recorded(model, x[:1], 0, needs) as record:
        run(method, record)
        _demand(forwards[0] == record.forwards, "the record miscounts forwards", record.forwards, forwards[0])
        _demand(backwards[0] == record.backwards, "the record miscounts backwards", record.backwards, backwards[0])
    gradients = needs.input_gradient or needs.layer_gradients
    most = {None, method.rule, "plain"} if gradients else {None}
    _demand(backwards[0] < len(most) + 1, "too many backwards", f"at most {len(most) - 1}", backwards[0])


def check_fingerprint(method: Method, model: nn.Module, x: Tensor) -> None:
    """The model is bit for bit as it came: on success, on a bad target, on an error in the middle of the forward."""
    before = fingerprint(model)
    with suppress(MethodError):
        _one(method, model, x)
    _same(before, fingerprint(model), "success")

    try:
        _one(method, model, x, 99)
    except TargetError:
        pass
    else:
        raise CheckError("a target beyond the classes is accepted", expected="TargetError")
    _same(before, fingerprint(model), "a bad target")

    last = [module for module in model.modules() if not list(module.children())][-1]
    handle = last.register_forward_pre_hook(_fail)
    try:
        _one(method, model, x)
    except _BrokenError:
        pass
    else:
        raise CheckError("an error of the model is swallowed")
    finally:
        handle.remove()
    _same(before, fingerprint(model), "an error in the forward")


def check_float64(method: Method, model: nn.Module, x: Tensor) -> None:
    """A float64 model gives the same, as float32."""
    single = _one(method, model, x)
    double = _one(method, model.double(), x.double())
    _demand(double.values.dtype == torch.float32, "the dtype of the values", torch.float32, double.values.dtype)
    _close(single.values, double.values, 1e-3, "float32 and float64 models disagree")


def check_raw(method: Method, model: nn.Module, x: Tensor) -> None:
    """Nothing is normalised: a network with scores twice as large gives other values."""
    once = _one(method, model, x).values
    with torch.no_grad():
        list(model.parameters())[-2].mul_(2)
        list(model.parameters())[-1].mul_(2)
    twice = _one(method, model, x).values
    changed = (twice - once).abs().max() > 0.01 * once.abs().max()
    _demand(bool(changed) or not bool(once.any()), "the values are normalised: doubling the scores changed nothing")


def check_saved(method: Method, model: nn.Module, x: Tensor) -> None:
    """Saved and loaded, it is the same."""
    a = _one(method, model, x)
    with tempfile.TemporaryDirectory() as folder:
        a.save(Path(folder) / "a.npz")
        b = Attribution.load(Path(folder) / "a.npz")
    _demand(torch.equal(a.values, b.values) and torch.equal(a.score, b.score), "values changed in the file")
    _demand((a.method, a.layer, a.overridden, a.input_size) == (b.method, b.layer, b.overridden, b.input_size), "facts")
    _demand(set(a.details) == set(b.details), "details were lost")


CHECKS: tuple[Check, ...] = (
    check_shape,
    check_determinism,
    check_batch,
    check_inputs_kept,
    check_counts,
    check_fingerprint,
    check_float64,
    check_raw,
    check_saved,
)


class _BrokenError(Exception):
    """What the network raises in the middle of its forward."""


def _fail(*_: object) -> None:
    raise _BrokenError("on purpose")


def _count(counter: list[int]) -> None:
    counter[0] += 1


def _applies(method: Method, model: nn.Module, x: Tensor) -> bool:
    try:
        _one(method, model, x)
    except MethodError:
        return False
    except Exception:  # noqa: BLE001  # the checks will say what
        return True
    return True


def _one(method: Method, model: nn.Module, x: Tensor, target: int | list[int] = 0) -> Attribution:
    return attribute(model, x, method, target)


def _demand(true: bool, what: str, expected: object = None, got: object = None) -> None:
    if not true:
        raise CheckError(what, expected=expected, got=tuple(got.shape) if isinstance(got, Tensor) else got)


def _close(a: Tensor, b: Tensor, tolerance: float, what: str) -> None:
    """Equal up to ``tolerance`` of the larger map's largest value."""
    _demand(a.shape == b.shape, what, tuple(a.shape), tuple(b.shape))
    difference, scale = float((a - b).abs().max()), float(torch.maximum(a.abs().max(), b.abs().max()))
    _demand(difference <= tolerance * scale + 1e-12, what, f"within {tolerance:g} of {scale:.3g}", f"{difference:.3g}")


def _same(before: dict[str, object], after: dict[str, object], when: str) -> None:
    changed = [part for part in before if before[part] != after[part]]
    _demand(not changed, f"after {when} the model is not as it came: {', '.join(changed)} changed")
