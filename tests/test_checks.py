"""Every method conforms; and each check notices a method that breaks its promise."""

import itertools
from dataclasses import dataclass

import pytest
import torch

import seewhy
from seewhy.checks import CHECKS, CheckError, awkward_networks, check_method
from seewhy.core.needs import Needs
from seewhy.core.record import INPUT
from seewhy.methods import CAM, METHODS, Deconvnet, GradCAM, GuidedBackprop, Method, Occlusion, Saliency

VARIANTS = [
    *[method() for method in METHODS], Saliency("abs"), Saliency("signed"), GradCAM(relu=False),
    Occlusion(5, 3, "blur"), Occlusion((4, 9), (6, 2), 0.5), Deconvnet(smooth=True), GuidedBackprop(smooth=True),
]  # fmt: skip


@pytest.mark.parametrize("method", VARIANTS, ids=str)
def test_our_methods_conform(method):
    passed = check_method(method)
    without_cam = {name for name in awkward_networks() if name == "flattened"} if isinstance(method, CAM) else set()
    expected = len(CHECKS) * (len(awkward_networks()) - len(without_cam)) + len(without_cam)
    assert len(passed) == expected


@dataclass(frozen=True)
class _Foreign(Method):
    id = "foreign"
    title = "Foreign"
    source = "simonyan2013"
    formula = ""
    misleads = ""

    def needs(self):
        return Needs(input_gradient=True)

    def __call__(self, record):
        return self.map(record.gradient(INPUT), record)

    def map(self, gradient, record):
        return gradient


class _Normalised(_Foreign):
    def map(self, gradient, record):
        return gradient / gradient.abs().amax((1, 2, 3), keepdim=True)


class _MixesTheBatch(_Foreign):
    def map(self, gradient, record):
        return gradient - gradient.mean(0, keepdim=True)


_calls = itertools.count(1)


class _Random(_Foreign):
    def map(self, gradient, record):
        return gradient * next(_calls)


class _Flat(_Foreign):
    def map(self, gradient, record):
        return gradient.flatten(1)


class _Swallows(_Foreign):
    def __call__(self, record):
        model = record.model
        model.fc_extra = torch.nn.Linear(1, 1)
        return super().__call__(record)


class _Blind(_Foreign):
    def map(self, gradient, record):
        return torch.ones_like(gradient)


class _Half(_Foreign):
    def map(self, gradient, record):
        return gradient.half().float() if gradient.dtype == torch.float32 else gradient * 1.01


class _Wasteful(_Foreign):
    def __call__(self, record):
        for smooth in (True, False):
            gradient = record.gradient(INPUT, "guided", smooth)
        return gradient + record.gradient(INPUT)


class _RunsOutside(_Foreign):
    def map(self, gradient, record):
        record.model(record.inputs)
        return gradient


@pytest.mark.parametrize(
    ("method", "check"),
    [
        (_Normalised(), "check_raw"), (_MixesTheBatch(), "check_batch"), (_Random(), "check_determinism"),
        (_Flat(), "check_shape"), (_Swallows(), "check_fingerprint"), (_Blind(), "check_shape"),
        (_Half(), "check_float64"), (_Wasteful(), "check_counts"), (_RunsOutside(), "check_counts"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Method) else "",
)  # fmt: skip
def test_a_broken_promise_is_noticed(method, check):
    with pytest.raises(CheckError, match=check):
        check_method(method)


def test_a_method_of_ones_own_conforms_and_works_everywhere():
    assert check_method(_Foreign())
    model, x = awkward_networks()["residual"]
    expected = seewhy.attribute(model, x, Saliency("signed"), 1).values
    assert torch.equal(seewhy.attribute(model, x, _Foreign(), 1).values, expected)
