"""How much of the score the largest value of a map is; faint evidence looks faint; every note reaches the reader."""

import numpy as np
import pytest
import torch
from torch import nn

import seewhy
from nets.tiny import make
from seewhy.methods import CAM, GradCAM, Occlusion, Saliency
from seewhy.report import Item, RunInfo, render_report
from taken_apart import Page

PHOTO = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)


def explained(model, *methods, **options):
    return seewhy.explain(PHOTO, seewhy.classifier(model, mean=0.5, std=0.5, size=32), list(methods), **options)


def test_where_features_are_averaged_into_one_layer_cam_and_grad_cam_tell_the_same_share():
    """A position's part of the logit without its bias is w . f / N: Grad-CAM's value, and CAM's over N."""
    found = explained(make(), CAM(), GradCAM(relu=False), targets=[1])
    cam, grad_cam = (found.views[id] for id in ("cam", "grad_cam"))
    assert cam.amount.share == pytest.approx(grad_cam.amount.share, rel=1e-4)
    values = grad_cam.attribution.values
    assert grad_cam.amount.share == pytest.approx(float(values.abs().max()) / abs(found.targets[0].score), rel=1e-5)
    bias = float(make()[-1].bias[1].detach())
    assert float(values.sum()) == pytest.approx(found.targets[0].score - bias, abs=1e-4)
    assert cam.amount.at_least / grad_cam.amount.at_least == pytest.approx(values[0, 0].numel(), rel=1e-6)


class Linear(nn.Module):
    """y_c = w_c . x."""

    def __init__(self):
        super().__init__()
        self.flat, self.head = nn.Flatten(), nn.Linear(3 * 32 * 32, 2, bias=False)

    def forward(self, x):
        return self.head(self.flat(x))


def test_of_a_linear_network_the_share_is_the_largest_weight_beside_the_score():
    model = Linear()
    weight = float(model.head.weight[1].detach().abs().max())
    for magnitude in ("square", "abs", "signed"):
        found = explained(model, Saliency(magnitude), targets=[1])
        amount = found.views["saliency"].amount
        assert amount.share == pytest.approx(weight / abs(found.targets[0].score), rel=1e-4)
        assert amount.per_unit
        assert "per unit of input" in str(amount)


def test_hiding_everything_is_the_whole_score():
    """Of a linear network without bias, a mask of zeros over all of the photo takes all of the score."""
    found = explained(Linear(), Occlusion(window=32, stride=32), targets=[0])
    assert found.views["occlusion"].amount.share == pytest.approx(1, rel=1e-4)
    assert "largest: 100 % of the score" in found.views["occlusion"].facts


def test_faint_evidence_is_painted_faint():
    """The score is nearly all bias, so that hiding anything changes next to nothing of it."""
    model = make()
    with torch.no_grad():
        model[-1].bias.fill_(1000.0)
    found = explained(model, Occlusion(), GradCAM(), CAM(), targets=[1])
    for view in found.views.values():
        scale = found.panel(view).scale
        largest = float(view.attribution.values.abs().max())
        assert largest < 0.1 * scale.high
        assert "faint" in scale.remark
    usual = explained(make(), Occlusion(), targets=[1])
    panel = usual.panel(usual.views["occlusion"])
    assert panel.scale.high == pytest.approx(max(np.abs(panel.values).max(), panel.at_least), rel=1e-5)


def test_a_fast_modes_error_reaches_caption_notes_and_report():
    found = explained(make(), Occlusion(reach=0.3, window=8), targets=[1])
    view = found.views["occlusion"]
    error = view.attribution.notes["measured_error"]["largest"]
    assert f"fast: off by up to {error:.2g}" in view.facts
    (note,) = [note for note in view.notes if "A fast mode" in note]
    assert f"{error:.2g}" in note
    page = Page(render_report([Item(found)], run=RunInfo("m", "w", "v", "d", "c")))
    (shown,) = page.photos[1]["targets"][0]["views"]
    assert note in shown["notes"]
    assert f"fast: off by up to {error:.2g}" in shown["facts"]
    dense = explained(make(), Occlusion(engine="dense"), targets=[1]).views["occlusion"]
    assert any("whole forward" in note for note in dense.notes)


def test_a_shared_scale_leaves_faint_evidence_faint():
    model = make()
    with torch.no_grad():
        model[-1].bias += torch.tensor([1000.0, 900.0, 0.0, 0.0])
    found = explained(model, Occlusion(), targets=[0], versus=1)
    assert found.shared_scale
    for each in found.targets:
        panel = found.panel(each.views["occlusion"])
        assert np.abs(panel.values).max() < 0.1 * panel.scale.high
        assert "faint" in panel.scale.remark
        assert "shared" in panel.scale.remark


@pytest.mark.parametrize("side", [32, 112, 224])
def test_whatever_its_size_a_picture_has_the_colours_of_its_bar(side):
    from PIL import Image

    from seewhy.pictures import MapPanel
    from seewhy.pictures.overlay import blended

    draws = np.random.default_rng(side)
    panel = MapPanel(
        "x", draws.random((side, side)), Image.fromarray(draws.integers(0, 255, (64, 64, 3), dtype=np.uint8))
    )
    known = {tuple(colour) for colour in blended(panel.scale.kind, panel.fine).reshape(-1, 3).tolist()}
    for size in (64, 160, 224, 448):
        drawn = np.asarray(panel.picture((size, size))).reshape(-1, 3)
        assert {tuple(colour) for colour in np.unique(drawn, axis=0).tolist()} <= known
