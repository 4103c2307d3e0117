"""Several targets are explained from one forward, and each as if it had been asked for alone."""

from functools import reduce
from operator import or_

import pytest
import torch
from torch import nn

import seewhy
from seewhy.api import run
from seewhy.checks import awkward_networks
from seewhy.core.company import CoupledError
from seewhy.core.needs import Needs
from seewhy.core.record import recorded, recorded_for
from seewhy.errors import InputError, MethodError, ModelError, SeewhyError, TargetError
from seewhy.methods import METHODS, Occlusion

METHOD = [*(method() for method in METHODS if method is not Occlusion), Occlusion(6, 5)]
NEEDS = reduce(or_, (method.needs() for method in METHOD), Needs())
TARGETS = [None, 1, [0, 2, 1], seewhy.Versus(None, [2, 2, 2]), seewhy.Versus([0, 1, 2], 1)]


def fitting(model, x):
    """Those of ``TARGETS`` that fit, for so many images."""
    found = []
    for target in TARGETS:
        try:
            with recorded(model, x, target, Needs()):
                found.append(target)
        except TargetError:
            pass
    return found


def counted(model):
    forwards = []
    model.register_forward_pre_hook(lambda *_: forwards.append(1))
    return forwards


def all_of(record):
    found = {}
    for method in METHOD:
        try:
            found[str(method)] = run(method, record)
        except SeewhyError as error:
            found[str(method)] = f"{type(error).__name__}: {error}"
    return found


@pytest.mark.parametrize("name", sorted(awkward_networks()))
@pytest.mark.parametrize("batch", [1, 3])
def test_each_target_is_explained_as_if_it_were_alone(name, batch):
    model, x = awkward_networks()[name]
    x = x[:batch]
    try:
        targets = [target for target in fitting(model, x) if batch == 3 or not isinstance(target, list)]
    except CoupledError:
        return
    assert len(targets) >= 2
    alone, costs = [], []
    for target in targets:
        model = awkward_networks()[name][0]
        with recorded(model, x, target, NEEDS) as record:
            alone.append(all_of(record))
            costs.append((record.forwards, record.backwards))
    model = awkward_networks()[name][0]
    forwards = counted(model)
    with recorded_for(model, x, targets, NEEDS) as records:
        together = [all_of(record) for record in records]
        assert [(record.forwards, record.backwards) for record in records] == costs
    assert len(forwards) == max(cost for cost, _ in costs)
    for found, expected in zip(together, alone, strict=True):
        for method, a in expected.items():
            b = found[method]
            if isinstance(a, str):
                assert b == a
                continue
            assert torch.equal(b.score, a.score)
            assert torch.equal(b.target, a.target)
            assert b.notes.keys() == a.notes.keys()
            assert (b.layer, b.overridden, b.notes.get("engine")) == (a.layer, a.overridden, a.notes.get("engine"))
            if method.startswith("occlusion"):  # products of several columns are added up in another order
                scale = max(1e-30, float(a.details["grid"].abs().max()))
                assert (b.values - a.values).abs().max() <= 1e-5 * scale
                assert (b.details["grid"] - a.details["grid"]).abs().max() <= 1e-5 * scale
            else:
                assert torch.equal(b.values, a.values), method


@pytest.mark.parametrize(
    "occlusion",
    [
        Occlusion(6, 5), Occlusion(6, 5, engine="dense"), Occlusion(6, 5, reach=0.5), Occlusion(6, 5, baseline="blur"),
        Occlusion(6, 5, precision="bfloat16"),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("name", ["residual", "branches", "flattened", "viewed", "compared"])
def test_masks_are_scored_once_for_all_targets(name, occlusion):
    model, x = awkward_networks()[name]
    forwards = counted(model)
    spent = []
    for targets in ([1], [1, 0, None, seewhy.Versus(2, [0, 1, 0])]):
        forwards.clear()
        with recorded_for(model, x, targets, Needs()) as records:
            for record in records:
                for _ in range(2):
                    try:
                        run(occlusion, record)
                    except MethodError:
                        assert name in ("compared", "viewed")
        spent.append(len(forwards))
    if name == "compared" and not (occlusion.engine == "auto" and occlusion.precision == "exact"):
        return
    assert spent[0] == spent[1]


def test_masks_of_another_shape_place_or_fill_are_scored_anew():
    model, x = awkward_networks()["residual"]
    baseline = torch.zeros(1)
    ways = [Occlusion(6, 5), Occlusion(5, 5), Occlusion(6, 4), Occlusion(6, 5, 0.5), Occlusion(6, 5, reach=0.5)]
    expected = [seewhy.attribute(model, x, way, 1).values for way in ways]
    with recorded_for(model, x, [0, 1], Needs()) as records:
        for record in records:
            found = [run(way, record).values for way in ways]
        changing = Occlusion(6, 5, baseline)
        before = run(changing, records[1]).values
        baseline += 0.5
        after = run(changing, records[1]).values
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() <= 1e-5 * b.abs().max()
    assert torch.equal(before, found[0])
    assert torch.equal(after, found[3])


def test_what_was_kept_goes_with_the_forward():
    model, x = awkward_networks()["residual"]
    with recorded_for(model, x, [0, 1], Needs()) as records:
        run(Occlusion(6, 5), records[0])
        assert records[1].kept
    assert not records[1].kept


def test_retarget_is_the_same_forward_with_another_target():
    model, x = awkward_networks()["residual"]
    forwards = counted(model)
    with seewhy.record(model, x, 0) as record:
        before = len(forwards)
        other = record.retarget([2, 1, 0])
        assert len(forwards) == before
        gradients = other.gradient("input"), record.gradient("input")
        assert (other.backwards, record.backwards) == (1, 1)
        assert other.activation() is not None
        occluded = [run(Occlusion(6, 5), one).values for one in (record, other)]
        with pytest.raises(TargetError, match="0 to"):
            record.retarget(99)
    for target, gradient, values in zip(([2, 1, 0], 0), gradients, occluded[::-1], strict=True):
        with seewhy.record(model, x, target) as alone:
            assert torch.equal(alone.gradient("input"), gradient)
        expected = seewhy.attribute(model, x, Occlusion(6, 5), target).values
        assert (values - expected).abs().max() <= 1e-5 * expected.abs().max()
    with pytest.raises(InputError, match="closed"):
        record.retarget(1)


class TwoHeads(nn.Module):
    """The second head reads maps of its own, made later; its class 0 is NaN."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 3), nn.Conv2d(3, 8, 3)
        self.fc1, self.fc2 = nn.Linear(6, 4), nn.Linear(8, 4)

    def forward(self, x):
        one = self.conv1(x).relu().mean((2, 3))
        return {"logits": self.fc1(one), "other": self.fc2(self.conv2(x).relu().mean((2, 3)))}


def test_a_function_that_scores_another_head_changes_nothing_for_the_others():
    model, x = TwoHeads(), torch.randn(2, 3, 9, 9)

    def other(outputs):
        return outputs["other"][:, 2]

    for targets in ([other, 1, None], [1, other, seewhy.Versus(1, 0)]):
        with recorded_for(model, x, targets, NEEDS) as records:
            for target, record in zip(targets, records, strict=True):
                many = seewhy.attribute(model, x, ["grad_cam", "guided_backprop", "saliency"], target)
                assert record.default_layer == many["grad_cam"].layer
                assert record.default_layer == ("conv2 + relu" if target is other else "conv1 + relu")
                for method in METHOD[0], METHOD[2], METHOD[4]:
                    assert torch.equal(run(method, record).values, many[method.id].values)
            function = records[targets.index(other)]
            assert torch.equal(function.retarget(1).gradient(), records[targets.index(1)].gradient())
            assert torch.equal(records[targets.index(1)].retarget(other).gradient(), function.gradient())


def test_nan_of_one_class_is_told_to_those_who_ask_for_it():
    """Under ``WithoutNaN`` a class that is NaN has a number, which is not its score."""
    model, x = awkward_networks()["module_relu"]
    with torch.no_grad():
        model.fc.bias[1] = float("nan")
    clean, _ = awkward_networks()["module_relu"]
    with recorded_for(model, x, [0, 2, seewhy.Versus(2, 0)], NEEDS) as records:
        for record, target in zip(records, (0, 2, seewhy.Versus(2, 0)), strict=True):
            expected = seewhy.attribute(clean, x, "saliency", target)
            assert torch.equal(run(METHOD[0], record).values, expected.values)
        for bad in (1, None, seewhy.Versus(0, 1), [0, 0, 1]):
            with pytest.raises(ModelError, match="NaN"):
                records[0].retarget(bad)
    with pytest.raises(ModelError, match="NaN"), recorded_for(model, x, [0, 1], NEEDS):
        pass


def test_targets_that_do_not_fit_are_told():
    model, x = awkward_networks()["module_relu"]
    with pytest.raises(TargetError, match="0 to"), recorded_for(model, x, [0, 77], Needs()):
        pass
    with pytest.raises(InputError, match="no target"), recorded_for(model, x, [], Needs()):
        pass


def test_what_was_noted_for_one_class_serves_them_all():
    """The way from the last maps up to the logits does not hang on which of these is explained, or how many."""
    model, x = awkward_networks()["functional_relu"]
    forwards = counted(model)
    for target in (0, seewhy.Versus(0, 1), None, 1, seewhy.Versus(None, [2, 2, 2])):
        forwards.clear()
        try:
            seewhy.attribute(model, x, "grad_cam", target)
        except TargetError:
            continue
        assert len(forwards) == 1
