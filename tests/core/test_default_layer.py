"""The default layer is the last one that the explained score hangs on, whatever was asked of the model before."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import seewhy
from seewhy.core.needs import Needs
from seewhy.core.record import recorded
from seewhy.layer_table import layers


class Forked(nn.Module):
    """Classes from one branch; a map from another that runs after it, so that it is the last to give maps."""

    def __init__(self):
        super().__init__()
        self.trunk, self.maps = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 2, 1)
        self.left, self.right, self.fc = nn.Conv2d(6, 5, 1), nn.Conv2d(6, 5, 1), nn.Linear(5, 4)
        self.branch = "left"

    def forward(self, x):
        x = F.relu(self.trunk(x))
        branches = {name: getattr(self, name)(x) for name in ("left", "right")}
        return {"logits": self.fc(F.relu(branches[self.branch]).mean((2, 3))), "maps": self.maps(x)}


def _classes(model, x):
    return seewhy.attribute(model, x).layer


def _map(model, x):
    return seewhy.attribute(model, x, target=lambda outputs: outputs["maps"][:, 1].mean((1, 2))).layer


def _table(model, x):
    return next(layer.name for layer in layers(model, x) if layer.default)


def _activation_only(model, x):
    with recorded(model, x, None, Needs(layers=frozenset({None}))) as record:
        assert record.activation().shape[1] == 5
        return record.default_layer


def _everything(model, x):
    return seewhy.attribute(model, x, ["saliency", "grad_cam", "guided_grad_cam"])["guided_grad_cam"].layer


ASKED = {
    _classes: "left + relu", _map: "trunk + relu", _table: "left", _activation_only: "left + relu",
    _everything: "left + relu",
}  # fmt: skip


@pytest.mark.parametrize("order", list(itertools.permutations(ASKED, 2)))
def test_it_does_not_depend_on_what_was_asked_before(order):
    model, x = Forked(), torch.randn(2, 3, 9, 9)
    for ask in (*order, *order):
        assert ask(model, x) == ASKED[ask]


def test_another_branch_is_noticed_though_both_run():
    model, x = Forked(), torch.randn(2, 3, 9, 9)
    for branch in ("left", "right", "left"):
        model.branch = branch
        assert _table(model, x) == branch
        assert _classes(model, x) == _everything(model, x) == f"{branch} + relu"


def test_layers_of_a_model_without_classes_are_listed():
    assert _table(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), torch.randn(1, 3, 9, 9)) == "1"
