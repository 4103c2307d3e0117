"""Classes by name, wherever a target goes, of a model that knows their names."""

import pytest
import torch
from torch import nn

import seewhy
from seewhy import Versus
from seewhy.checks import awkward_networks
from seewhy.core.needs import Needs
from seewhy.core.record import recorded_for
from seewhy.core.target import resolve_names
from seewhy.errors import TargetError
from seewhy.models import Classifier


@pytest.fixture
def named():
    model, x = awkward_networks()["residual"]
    return Classifier(model, ("tabby cat", "dog", "frog", "7"), None, "tiny", "", {}), x


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("dog", 1), ("Tabby-Cat", 0), ("2", 2), ("7", 3), (["dog", "frog", 0], [1, 2, 0]), (("dog", "dog", "dog"), 1),
        (Versus("dog", "frog"), Versus(1, 2)), (Versus(None, ["7", "7", "7"]), Versus(None, 3)),
        (Versus(["dog", 0, 1], "frog"), Versus([1, 0, 1], 2)),
    ],
)  # fmt: skip
def test_a_name_is_its_number(named, given, meant):
    classifier, x = named
    a, b = (seewhy.attribute(classifier, x, "grad_cam", target) for target in (given, meant))
    assert torch.equal(a.values, b.values)
    assert torch.equal(a.target, b.target)
    assert (a.against is None) == (b.against is None)
    with seewhy.record(classifier, x, given) as record, recorded_for(classifier, x, [0, given], Needs()) as records:
        for one in (record, records[0].retarget(given), records[1]):
            assert torch.equal(one.score, b.score)
    assert torch.equal(seewhy.incremental.Rescorer(classifier, x, given).target, b.target)


def test_what_is_no_name_is_left_as_it_is(named):
    classifier, _ = named
    for target in (None, 3, [1, 2], torch.tensor([1, 2, 0]), lambda outputs: outputs[:, 0]):
        assert resolve_names(classifier, target) is target
        assert resolve_names(classifier.model, target) is target
    assert resolve_names(classifier.model, Versus(0, [1, 2])) == Versus(0, [1, 2])


def test_names_that_nobody_knows(named):
    classifier, x = named
    with pytest.raises(TargetError, match="did you mean frog"):
        seewhy.attribute(classifier, x, "grad_cam", "frogg")
    for target in ("dog", ["dog", 1, 2], Versus("dog", 1), Versus(1, "dog")):
        with pytest.raises(TargetError, match=r"no names of classes.*seewhy\.classifier\(module, labels=\.\.\.\)"):
            seewhy.attribute(classifier.model, x, "grad_cam", target)
    unnamed = Classifier(classifier.model, None, None, "tiny", "", {})
    with pytest.raises(TargetError, match="have no names"):
        seewhy.attribute(unnamed, x, "grad_cam", "dog")


def test_a_module_that_happens_to_have_an_index_is_no_classifier(named):
    class Indexed(nn.Module):
        def __init__(self, body):
            super().__init__()
            self.body = body

        def index(self, name):
            return 0

        def forward(self, x):
            return self.body(x)

    classifier, x = named
    with pytest.raises(TargetError, match="no names of classes"):
        seewhy.attribute(Indexed(classifier.model), x, "grad_cam", "dog")


def test_images_that_see_each_other_keep_their_names():
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    classifier = Classifier(model, ("cat", "dog"), None, "tiny", "", {})
    a = seewhy.attribute(classifier, torch.randn(2, 3, 12, 12), "saliency", ["dog", "cat"])
    assert a.target.tolist() == [1, 0]
