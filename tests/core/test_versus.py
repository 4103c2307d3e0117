"""Why A rather than B: everything that is linear in the logits is A's less B's."""

import pytest
import torch
from torch import nn

import seewhy
from seewhy import Versus
from seewhy.api import run
from seewhy.checks import awkward_networks
from seewhy.core.needs import Needs
from seewhy.core.record import recorded
from seewhy.errors import InputError, TargetError
from seewhy.methods import CAM, GradCAM, Occlusion, Saliency

LINEAR = [Saliency("signed"), CAM(), GradCAM(relu=False), Occlusion(6, 5), Occlusion(6, 5, engine="dense")]


def close(a, b, scale=None, tolerance=1e-5):
    scale = float(b.abs().max()) if scale is None else scale
    assert (a - b).abs().max() <= tolerance * scale


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_of_a_linear_network_the_gradient_is_the_difference_of_two_rows(dtype):
    """y = W x: dy_a/dx - dy_b/dx = W_a - W_b, and hiding a window by 0 takes sum over it of (W_a - W_b) x."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 8, 5)).to(dtype)
    x = torch.randn(2, 3, 6, 8, dtype=dtype)
    weight = model[1].weight.detach().view(5, 3, 6, 8)
    a = seewhy.attribute(model, x, [Saliency("signed"), Occlusion(2, 2)], Versus([1, 4], [3, 0]))
    rows = (weight[[1, 4]] - weight[[3, 0]]).float()
    close(a["saliency"].values, rows)
    drop = (rows * x.float()).sum(1).unfold(1, 2, 2).unfold(2, 2, 2).sum((3, 4))
    close(a["occlusion"].score[:, None, None] - a["occlusion"].details["grid"].float(), drop)
    logits = model(x).detach().float()
    close(a["occlusion"].score, logits[[0, 1], [1, 4]] - logits[[0, 1], [3, 0]])
    assert (a["saliency"].target.tolist(), a["saliency"].against.tolist()) == ([1, 4], [3, 0])


@pytest.mark.parametrize(
    "name", ["module_relu", "functional_relu", "residual", "branches", "stateful", "channels_last"]
)
@pytest.mark.parametrize("method", LINEAR, ids=str)
def test_it_is_as_linear_as_the_logits(name, method):
    model, x = awkward_networks()[name]
    try:
        first, other = (seewhy.attribute(model, x, method, target) for target in ([0, 1, 2], [2, 0, 1]))
    except seewhy.SeewhyError:
        with pytest.raises(seewhy.SeewhyError):
            seewhy.attribute(model, x, method, Versus([0, 1, 2], [2, 0, 1]))
        return
    both = seewhy.attribute(model, x, method, Versus([0, 1, 2], [2, 0, 1]))
    scale = float(torch.maximum(first.values.abs().max(), other.values.abs().max()))
    if method.id == "occlusion":
        scale = float(max(first.details["grid"].abs().max(), other.details["grid"].abs().max()))
    close(both.values, first.values - other.values, scale)
    close(both.score, first.score - other.score, scale=float(first.score.abs().max()))
    if method.id == "cam":
        assert torch.equal(both.values, first.values - other.values)
    if method.id == "occlusion":
        close(both.details["grid"], first.details["grid"] - other.details["grid"], scale)
        assert both.notes.get("engine") == first.notes.get("engine")


def test_cams_mean_is_the_difference_of_the_logits_without_biases():
    model, x = awkward_networks()["residual"]
    a = seewhy.attribute(model, x, "cam", Versus(0, 2))
    bias = model.fc.bias.detach()
    assert torch.allclose(a.values.mean((1, 2, 3)), a.score - (bias[0] - bias[2]), atol=1e-5)


@pytest.mark.parametrize("method", ["deconvnet", "guided_backprop", "guided_grad_cam"])
def test_rules_act_on_the_difference(method):
    """The same as a function that gives the difference, which has a graph of its own."""
    model, x = awkward_networks()["module_relu"]
    a = seewhy.attribute(model, x, method, Versus(1, 0))
    b = seewhy.attribute(model, x, method, lambda outputs: outputs[:, 1] - outputs[:, 0])
    assert torch.equal(a.values, b.values)
    assert a.overridden == b.overridden > 0


def test_other_inputs_are_scored_as_the_difference():
    model, x = awkward_networks()["residual"]
    variants = torch.randn(4, *x.shape)
    with torch.no_grad():
        logits = torch.stack([model(part) for part in variants])
    expected = logits[:, range(3), [0, 1, 2]] - logits[:, range(3), [2, 2, 0]]
    with seewhy.record(model, x, Versus([0, 1, 2], [2, 2, 0])) as record:
        assert torch.allclose(record.rescore(variants), expected, atol=1e-5)
        assert record.rescore(variants[:0]).shape == (0, 3)
    found = seewhy.incremental.Rescorer(model, x, Versus([0, 1, 2], [2, 2, 0]))
    first, other = (seewhy.incremental.Rescorer(model, x, target) for target in ([0, 1, 2], [2, 2, 0]))
    patch, corners = torch.zeros(1, 5, 5), [(0, 0), (3, 4)]
    close(found.scores(patch, corners), first.scores(patch, corners) - other.scores(patch, corners), scale=1.0)
    assert found.against.tolist() == [2, 2, 0]
    assert first.against is None


def test_the_predicted_class_against_another():
    model, x = awkward_networks()["residual"]
    predicted = seewhy.attribute(model, x, "saliency").target
    others = (predicted + 1) % 3
    a = seewhy.attribute(model, x, "saliency", Versus(None, others))
    b = seewhy.attribute(model, x, "saliency", Versus(predicted, others.tolist()))
    assert torch.equal(a.values, b.values)
    assert torch.equal(a.target, predicted)
    with pytest.raises(TargetError, match=r"held against itself.*image 1"):
        seewhy.attribute(model, x, "saliency", Versus(None, [int(others[0]), int(predicted[1]), int(others[2])]))


@pytest.mark.parametrize(
    ("target", "match"),
    [
        (Versus(1, 1), "against itself.*1 rather than 1 for image 0"),
        (Versus([0, 1, 2], 2), "against itself.*image 2"),
        (Versus(0, 5), "no such class.*0 to 4"), (Versus(0, -1), "no such class"), (Versus(5, 0), "no such class"),
        (Versus(0, None), "other class must be told"), (Versus(0, [1, 2]), "one target per image"),
        (Versus(0, lambda outputs: outputs), "not a target"), (Versus(lambda outputs: outputs, 0), "not a target"),
        (Versus(0, 1.5), "integers"), (Versus(0, True), "class index"), (Versus("cat", 0), "no names of classes"),
        (Versus(0, ["cat", 1, 2]), "no names of classes"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(target, match):
    model, x = awkward_networks()["residual"]
    for use in (
        lambda: seewhy.attribute(model, x, "saliency", target),
        lambda: seewhy.incremental.Rescorer(model, x, target),
    ):
        with pytest.raises(TargetError, match=match):
            use()


def test_a_network_of_one_output_has_no_other_class():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1))
    with pytest.raises(TargetError, match="no other class"):
        seewhy.attribute(model, torch.randn(2, 3, 8, 8), "saliency", Versus(0, 0))


def test_images_that_see_each_other_are_explained_one_by_one():
    torch.manual_seed(1)
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    x = torch.randn(2, 3, 12, 12)
    a = seewhy.attribute(model, x, ["saliency", Occlusion(6, 6)], Versus([0, 1], [2, 2]))
    for i, target in enumerate((0, 1)):
        alone = seewhy.attribute(model, x[i : i + 1], ["saliency", Occlusion(6, 6)], Versus(target, 2))
        for key, found in a.items():
            assert torch.equal(found.values[i : i + 1], alone[key].values)
            assert (found.against[i], found.target[i]) == (2, target)
    with pytest.raises(TargetError, match="one target per image"):
        seewhy.attribute(model, x, "saliency", [0, 1, 2])


def test_half_precision_subtracts_in_float32():
    model, x = awkward_networks()["residual"]
    a = [seewhy.attribute(model.bfloat16(), x.bfloat16(), "saliency", target).score for target in (0, 1, Versus(0, 1))]
    assert torch.equal(a[2], a[0] - a[1])


def test_functions_and_versus_have_nothing_of_each_other():
    model, x = awkward_networks()["residual"]
    with recorded(model, x, lambda outputs: outputs[:, 0] - outputs[:, 1], Needs()) as record:
        assert record.against is None
        with pytest.raises(InputError, match="not made of classes"):
            record.of_score(lambda classes: classes)
        function = run(Occlusion(6, 5), record)
    versus = seewhy.attribute(model, x, Occlusion(6, 5), Versus(0, 1))
    close(versus.values, function.values, scale=float(function.details["grid"].abs().max()))
