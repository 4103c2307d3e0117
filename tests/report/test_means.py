"""A mean map is the mean of the photos' maps, each in shares of its own score."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import seewhy
from nets.tiny import make
from seewhy.methods import CAM, GradCAM, Occlusion, Saliency
from seewhy.report import Item, RunInfo, render_report
from seewhy.report.means import SIDE, Means
from seewhy.results.amounts import Amount
from seewhy.viewer.planes import values_of
from taken_apart import Page

LABELS = ["cat", "dog", "owl", "fox"]


def photos(count, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (count, 40, 56, 3), dtype=np.uint8)


def explained(count, methods, size=32, truths=(None,), seed=0):
    session = seewhy.Session(seewhy.classifier(make(), labels=LABELS, mean=0.5, std=0.5, size=size))
    return [
        session.explain(photo, methods, ["dog"], truth=truths[number % len(truths)])
        for number, photo in enumerate(photos(count, seed))
    ]


def means_of(found):
    means = Means()
    for each in found:
        means.add(each)
    return {(told["truth"], told["predicted"]): told for told in means.told()}


def share_of(explanation, id):
    """Of each place, of the magnitude of the score: what the amounts say of the largest one, for all of them."""
    view = explanation.views[id]
    values, score = view.attribution.values[0, 0].double().numpy(), abs(explanation.targets[0].score)
    return values / score / (values.size if id == "cam" else 1)


@pytest.mark.parametrize(("method", "id"), [(GradCAM(relu=False), "grad_cam"), (CAM(), "cam")])
def test_the_mean_of_shares(method, id):
    found = explained(7, [method, Saliency()], truths=["cat", "dog", None])
    groups = {}
    for each in found:
        predicted = each.top[0].name
        truth = "" if each.truth is None else each.truth
        groups.setdefault((truth, predicted), []).append(share_of(each, id))
    told = means_of(found)
    assert told.keys() == groups.keys()
    for pair, shares in groups.items():
        assert told[pair]["count"] == len(shares)
        assert told[pair]["title"] == found[0].views[id].title
        assert told[pair]["diverging"] is True
        mean = np.mean(shares, axis=0)
        assert values_of(told[pair]["plane"]) == pytest.approx(mean, rel=1e-4, abs=1e-7)
    counts = [each["count"] for each in told.values()]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == 7


def test_no_photo_counts_more_than_another_because_of_its_score():
    """A network whose scores are all ten times as large says the same."""
    loud = make()
    with torch.no_grad():
        loud[-1].weight.mul_(10)
        loud[-1].bias.mul_(10)
    one, other = (
        means_of([seewhy.explain(p, seewhy.classifier(model, labels=LABELS, mean=0.5, std=0.5, size=32),
                                 [GradCAM(relu=False)], ["dog"]) for p in photos(3)])
        for model in (make(), loud)
    )  # fmt: skip
    assert one.keys() == other.keys()
    for pair in one:
        assert values_of(one[pair]["plane"]) == pytest.approx(values_of(other[pair]["plane"]), rel=1e-3, abs=1e-7)


def test_a_fine_map_is_averaged_to_few_cells():
    """Occlusion has the photo's own pixels; a cell of the mean is the mean of what lies in it."""
    found = explained(2, [Occlusion(window=8, stride=8)], size=2 * SIDE)
    told = means_of(found)
    for (_, predicted), mean in told.items():
        shares = [share_of(each, "occlusion") for each in found if each.top[0].name == predicted]
        wanted = F.avg_pool2d(torch.tensor(np.mean(shares, axis=0))[None, None], 2)[0, 0].numpy()
        got = values_of(mean["plane"])
        assert got.shape == (SIDE, SIDE)
        # The picture library's averaging weighs what lies around a cell as well.
        assert np.corrcoef(got.ravel(), wanted.ravel())[0, 1] > 0.98
        assert float(got.mean()) == pytest.approx(float(wanted.mean()), rel=0.05, abs=1e-4)


def test_maps_that_are_no_shares_of_the_score_have_no_mean():
    """A gradient is a change per unit; and of photos without a score or a map there is none."""
    assert means_of(explained(2, [Saliency()])) == {}
    model = make()
    with torch.no_grad():
        model[-1].weight.zero_()
        model[-1].bias.fill_(2.0)
    found = seewhy.explain(photos(1)[0], seewhy.classifier(model, mean=0.5, std=0.5, size=32), [GradCAM()], [1])
    assert means_of([found]) == {}, "all zero"
    (one,) = explained(1, [GradCAM()])
    forged = replace(one.views["grad_cam"], amount=Amount(float("nan")))
    assert means_of([replace(one, targets=(replace(one.targets[0], views={"grad_cam": forged}),))]) == {}


def test_maps_of_another_size_are_left_out_and_not_counted():
    told = means_of([*explained(3, [GradCAM()], size=32), *explained(2, [GradCAM()], size=48)])
    (only,) = told.values()
    assert only["count"] == 3
    assert (only["plane"]["width"], only["plane"]["height"]) == (13, 13)


def test_grad_cam_comes_first_whatever_the_order():
    (told,) = means_of(explained(1, [Saliency(), Occlusion(window=8), CAM(), GradCAM()])).values()
    assert told["title"] == "Grad-CAM"


def test_a_pair_in_the_report_has_the_names_of_its_rows():
    """Which is how the page finds it, also where a folder is spelled otherwise."""
    found = explained(5, [GradCAM()], truths=["Dog", "O_W_L", "cat"])
    page = Page(render_report([Item(each) for each in found], run=RunInfo("m", "w", "v", "d", "c")))
    pairs = {(row["truth"], row["predicted"]) for row in page.rows}
    assert {(mean["truth"], mean["predicted"]) for mean in page.run["means"]} == pairs
    assert sum(mean["count"] for mean in page.run["means"]) == 5
