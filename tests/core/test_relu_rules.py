"""The ReLU rules, on every way to write a ReLU."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import seewhy
from seewhy.core.relu_rules import HIDING, RECTIFIERS, SMOOTH, kind, nodes_of

GRADIENT = torch.tensor([[1.0, -2.0, 3.0, -4.0, 5.0]])
INPUT = torch.tensor([[2.0, 2.0, -2.0, -2.0, 7.0]])


class Elementwise(nn.Module):
    """score = sum of GRADIENT * activation(x): what reaches the activation from above is GRADIENT itself."""

    def __init__(self, activation):
        super().__init__()
        self.activation = activation

    def forward(self, x):
        return (self.activation(x.flatten(1)) * GRADIENT.to(x)).sum(1, keepdim=True)


def _view_in_place(x):
    y = x * 1
    y[:, :3].relu_()
    F.relu(y[:, 3:], inplace=True)
    return y


def _module():
    return nn.ReLU(inplace=True)


SPELLINGS = {
    "module": nn.ReLU(),
    "module in place": nn.Sequential(nn.Identity(), nn.ReLU(inplace=True)),
    "F.relu": F.relu,
    "F.relu in place": lambda x: F.relu(x * 1, inplace=True),
    "F.relu in place, positional": lambda x: F.relu(x * 1, True),
    "torch.relu": torch.relu,
    "method": lambda x: x.relu(),
    "method in place": lambda x: (x * 1).relu_(),
    "threshold": lambda x: F.threshold(x, 0.0, 0.0),
    "threshold in place": lambda x: F.threshold_(x * 1, 0.0, 0.0),
    "clamp": lambda x: x.clamp(min=0),
    "clamp in place": lambda x: (x * 1).clamp_(min=0),
    "clamp with a tensor": lambda x: x.clamp(min=torch.zeros(())),
    "clip": lambda x: x.clip(0),
    "clamp_min": lambda x: torch.clamp_min(x, 0),
    "maximum": lambda x: torch.maximum(x, torch.zeros(())),
    "maximum, zero first": lambda x: torch.maximum(torch.zeros_like(x), x),
    "max": lambda x: torch.max(x, torch.zeros_like(x)),
    "fmax": lambda x: torch.fmax(x, torch.zeros(())),
    "in place on a view": _view_in_place,
}


def _gradients(activation):
    x = INPUT.view(1, 1, 1, 5)
    many = seewhy.attribute(Elementwise(activation), x, ["deconvnet", "guided_backprop"], 0)
    return many["deconvnet"], many["guided_backprop"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_relu(spelling):
    deconvnet, guided = _gradients(SPELLINGS[spelling])
    assert deconvnet.values.flatten().tolist() == [1, 0, 3, 0, 5]
    assert guided.values.flatten().tolist() == [1, 0, 0, 0, 5]
    assert deconvnet.overridden == guided.overridden == (2 if spelling == "in place on a view" else 1)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (F.relu6, [1, 0, 0, 0, 0]),
        (nn.ReLU6(inplace=False), [1, 0, 0, 0, 0]),
        (lambda x: x.clamp(0, 6), [1, 0, 0, 0, 0]),
        (lambda x: F.leaky_relu(x, 0.5), [1, 0, 1.5, 0, 5]),
        (lambda x: F.leaky_relu_(x * 1, 0.5), [1, 0, 1.5, 0, 5]),
        (nn.PReLU(init=0.5), [1, 0, 1.5, 0, 5]),
    ],
)
def test_relatives_keep_their_own_backward_under_guided(activation, expected):
    deconvnet, guided = _gradients(activation)
    assert deconvnet.values.flatten().tolist() == [1, 0, 3, 0, 5]
    assert guided.values.flatten().tolist() == expected


@pytest.mark.parametrize("activation", [F.hardtanh, lambda x: x.clamp(-1, 6), lambda x: torch.maximum(x, x * 0.5)])
def test_not_a_rectifier(activation):
    with pytest.raises(seewhy.SeewhyError, match="no ReLU ran"):
        seewhy.attribute(Elementwise(activation), INPUT.view(1, 1, 1, 5), "deconvnet", 0)


@pytest.mark.parametrize("activation", [F.silu, F.gelu, F.elu, F.celu, F.selu, F.mish, F.hardswish, F.softplus])
def test_smooth_activations_are_an_opt_in(activation):
    x, model = INPUT.view(1, 1, 1, 5), Elementwise(activation)
    with pytest.raises(seewhy.SeewhyError, match="smooth=True"):
        seewhy.attribute(model, x, "guided_backprop", 0)
    found = seewhy.attribute(model, x, seewhy.methods.Deconvnet(smooth=True), 0)
    assert found.values.flatten().tolist() == [1, 0, 3, 0, 5]
    assert found.overridden == 1


def test_torch_still_calls_its_nodes_so():
    """Fails loudly when a torch release renames a node; the tables then need its new name."""
    x = torch.randn(3, requires_grad=True)
    y = torch.randn(3, 1, 2, requires_grad=True)
    z = torch.zeros(3)
    made = [
        torch.relu(x), F.threshold(x, 0, 0), F.leaky_relu(x), F.prelu(y, torch.ones(1)), F.rrelu(x), F.hardtanh(x),
        x.clamp(min=0), torch.clamp_min(x, 0), torch.maximum(x, z), torch.fmax(x, z),
        F.silu(x), F.gelu(x), F.elu(x), F.celu(x), F.mish(x), F.hardswish(x), F.softplus(x),
    ]  # fmt: skip
    assert {kind(result.grad_fn) for result in made} == set(RECTIFIERS) | SMOOTH
    sliced = x * 1
    sliced[:1].relu_()
    assert kind(sliced.grad_fn) == "CopySlices"
    checkpointed = torch.utils.checkpoint.checkpoint(torch.relu, x, use_reentrant=True)
    assert kind(checkpointed.grad_fn) == "CheckpointFunction"
    assert {"CopySlices", "CheckpointFunction"} < set(HIDING)


def test_skip_from_a_relus_input_is_not_rectified():
    class Skip(nn.Module):
        def forward(self, x):
            x = x.flatten(1)
            return ((x + F.relu(x)) * GRADIENT).sum(1, keepdim=True)

    values = seewhy.attribute(Skip(), INPUT.view(1, 1, 1, 5), "guided_backprop", 0).values
    assert values.flatten().tolist() == [1 + 1, -2 + 0, 3 + 0, -4 + 0, 5 + 5]


def test_reused_and_parallel_relus():
    class Reused(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x):
            x = x.flatten(1)
            return ((self.relu(x) + self.relu(-x)) * GRADIENT).sum(1, keepdim=True)

    found = seewhy.attribute(Reused(), INPUT.view(1, 1, 1, 5), "guided_backprop", 0)
    assert found.overridden == 2
    assert found.values.flatten().tolist() == [1, 0, -3, 0, 5]


def test_hooks_are_gone_after_the_backward():
    model = Elementwise(F.relu)
    with seewhy.record(model, INPUT.view(1, 1, 1, 5), 0, layers=[]) as record:
        guided = record.gradient("input", "guided")
        plain = record.gradient("input")
        assert torch.equal(record.gradient("input", "guided"), guided)
    assert plain.flatten().tolist() == [1, -2, 0, 0, 5]


def test_reentrant_checkpointing_is_refused_by_name():
    class Checkpointed(nn.Module):
        def __init__(self, reentrant):
            super().__init__()
            self.reentrant = reentrant
            self.body = nn.Sequential(nn.Linear(5, 5), nn.ReLU())

        def forward(self, x):
            return torch.utils.checkpoint.checkpoint(self.body, x.flatten(1), use_reentrant=self.reentrant)

    x = INPUT.view(1, 1, 1, 5)
    for method in ("saliency", "guided_backprop"):
        with pytest.raises(seewhy.SeewhyError, match="reentrant checkpointing"):
            seewhy.attribute(Checkpointed(True), x, method, 0)
    model = Checkpointed(False)
    expected = seewhy.attribute(nn.Sequential(nn.Flatten(), model.body), x, "guided_backprop", 0)
    found = seewhy.attribute(model, x, "guided_backprop", 0)
    assert torch.equal(found.values, expected.values)
    assert found.overridden == 1


def test_compiled_models_are_explained_through_the_original():
    body = nn.Sequential(nn.Flatten(), nn.Linear(5, 5), nn.ReLU())
    x = INPUT.view(1, 1, 1, 5)
    compiled = torch.compile(body, backend="eager")
    nested = nn.Sequential(torch.compile(body, backend="eager"), nn.Linear(5, 2))
    assert seewhy.attribute(compiled, x, "guided_backprop", 0).overridden == 1
    assert seewhy.attribute(nested, x, "guided_backprop", 0).overridden == 1


def test_the_walk_reaches_every_node():
    x = torch.randn(2, requires_grad=True)
    y = (x.relu() + x.sigmoid()).sum()
    assert sorted(map(kind, nodes_of(y.grad_fn))) == ["AccumulateGrad", "Add", "Relu", "Sigmoid", "Sum"]
