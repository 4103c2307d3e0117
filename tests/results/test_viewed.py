"""What the viewer is given is the explanation, and small."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import seewhy
from nets.tiny import make
from seewhy.errors import InputError
from seewhy.methods import METHODS, Occlusion, Saliency
from seewhy.pictures.overlay import one_channel
from seewhy.results.amounts import Amount
from seewhy.results.viewed import viewed
from taken_apart import maps_of, picture_of

MAPS = [kind.id for kind in METHODS]
PHOTO = np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)


def strict(explanation):
    """As it stands in the page."""
    return json.loads(json.dumps(viewed(explanation), allow_nan=False))


@pytest.fixture(scope="module")
def fine():
    """Of a network that looks at 160 pixels, so that gradients are too large to be sent as they are."""
    photo = np.random.default_rng(5).integers(0, 255, (200, 240, 3), dtype=np.uint8)
    classifier = seewhy.classifier(make(), labels=["a", "b", "c", "d"], mean=0.5, std=0.5, size=160)
    return seewhy.explain(photo, classifier, MAPS, ["b", "c"], versus="d", truth="a")


def test_values_arrive_within_half_a_step(fine):
    for found, told in zip(fine.targets, strict(fine)["targets"], strict=True):
        arrived = maps_of(told["views"])
        kinds = {}
        for view in told["views"]:
            wanted = one_channel(found.views[view["id"]].attribution.values[0].numpy())
            got, about = arrived[view["id"]], view["plane"]
            kinds[view["id"]] = about["kind"]
            assert got.shape == wanted.shape == (about["height"], about["width"]), "at native resolution"
            off = float(np.abs(got.astype(np.float64) - wanted).max())
            if about["kind"] == "f32":
                assert off == 0
            else:
                assert off <= about["step"] / 2 * (1 + 1e-5), view["id"]
                most = 2 / 127 if about["kind"] == "product" else 1 / 63
                assert about["step"] <= float(np.abs(wanted).max()) * most * (1 + 1e-6)
        assert (kinds["saliency"], kinds["guided_backprop"], kinds["occlusion"]) == ("u8", "i8", "f32")


def test_guided_grad_cam_is_sent_as_the_product_that_it_is(fine):
    """Where both factors are sent; otherwise it is sent itself."""
    views = strict(fine)["targets"][0]["views"]
    (product,) = (view for view in views if view["id"] == "guided_grad_cam")
    assert product["plane"]["kind"] == "product"
    assert "data" not in product["plane"]
    assert product["plane"]["of"] == ["grad_cam", "guided_backprop"]
    for missing in ("grad_cam", "guided_backprop"):
        first = fine.targets[0]
        alone = replace(first, views={id: view for id, view in first.views.items() if id != missing})
        views = strict(replace(fine, targets=(alone,)))["targets"][0]["views"]
        assert next(view for view in views if view["id"] == "guided_grad_cam")["plane"]["kind"] == "i8"


def test_a_product_of_other_maps_is_not_taken_for_it(fine):
    """Grad-CAM of another layer, or a map that was changed: then the product is another one."""
    first = fine.targets[0]
    view = first.views["grad_cam"]
    other = replace(view, attribution=replace(view.attribution, values=view.attribution.values.flip(-1)))
    changed = replace(fine, targets=(replace(first, views={**first.views, "grad_cam": other}),))
    views = strict(changed)["targets"][0]["views"]
    assert next(view for view in views if view["id"] == "guided_grad_cam")["plane"]["kind"] == "i8"


def test_every_word_and_number_is_there(fine):
    shown = strict(fine)
    photo = shown["photo"]
    assert (photo["size"], photo["cropSize"]) == ([240, 200], [160, 160])
    assert photo["box"] == pytest.approx([20, 0, 220, 200])
    assert picture_of(photo["crop"]).size == (160, 160)
    assert picture_of(photo["whole"]).size == (240, 200)
    assert (shown["truth"], shown["right"]) == ("a", fine.right)
    assert [(t["name"], t["score"]) for t in shown["top"]] == [(t.name, t.score) for t in fine.top]
    assert [t["key"] for t in shown["targets"]] == [t.key for t in fine.targets] == ["1", "2", "1-rather-than-3"]
    assert shown["targets"][2]["against"]["name"] == "d"
    assert shown["sharedScale"] is True
    for found, told in zip(fine.targets, shown["targets"], strict=True):
        assert [view["id"] for view in told["views"]] == list(found.views)
        for view, about in zip(found.views.values(), told["views"], strict=True):
            assert (about["title"], about["formula"], about["source"], about["misleads"], about["caption"]) == (
                view.title, view.formula, view.source, view.misleads, view.caption,
            )  # fmt: skip
            assert (tuple(about["notes"]), tuple(about["facts"])) == (view.notes, view.facts)
            panel = fine.panel(view, scale="own")
            assert about["scale"] == {"high": panel.scale.high, "diverging": panel.scale.kind == "diverging"}
            assert about["fine"] == panel.fine
            share = None if view.amount is None else (view.amount.share, view.amount.per_unit, view.id == "saliency")
            assert share == (about["share"] and tuple(about["share"].values()))


def test_what_has_no_number_is_null(fine):
    nowhere = [replace(entry, score=float("inf"), probability=float("nan")) for entry in fine.top]
    target = replace(fine.targets[0], score=float("nan"), target=nowhere[0])
    shown = strict(replace(fine, top=tuple(nowhere), targets=(target,)))
    assert [(entry["score"], entry["probability"]) for entry in shown["top"]] == [(None, None)] * 4
    assert shown["targets"][0]["score"] is shown["targets"][0]["target"]["score"] is None


@pytest.mark.parametrize("share", [float("nan"), float("inf")])
def test_an_amount_that_is_no_number_is_none(share):
    found = seewhy.explain(PHOTO, seewhy.classifier(make(), mean=0.5, std=0.5, size=32), ["cam"], [1])
    view = replace(found.views["cam"], amount=Amount(share))
    changed = replace(found, targets=(replace(found.targets[0], views={"cam": view}),))
    assert strict(changed)["targets"][0]["views"][0]["share"]["most"] is None


ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SEEWHY_SHARED_DATA", ROOT.parent / "shared" / "data"))
PHOTOS = sorted([*(ROOT / "examples" / "photos").glob("*.png"), *(SHARED / "photos").glob("*.JPEG")][:10])


@pytest.fixture(scope="module")
def embedded():
    return seewhy.Session("efficientnet_lite0")


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda path: path.stem)
def test_a_real_photo_with_seven_maps_is_small(embedded, photo):
    """At 224 pixels, as it stands in the page: 150 kB at most."""
    methods = [Occlusion(window=32, stride=16) if id == "occlusion" else id for id in MAPS]
    shown = viewed(embedded.explain(photo, methods))
    assert [view["kind"] for view in shown["targets"][0]["views"]] == ["map"] * 7
    assert len(json.dumps(shown, ensure_ascii=False).encode()) <= 150_000


class Linear(nn.Module):
    """y_c = w_c . x, and w_c of other magnitudes: the maps of all classes end at other values, as do the scores."""

    def __init__(self):
        super().__init__()
        self.flat, self.head = nn.Flatten(), nn.Linear(3 * 16 * 16, 3, bias=False)
        torch.manual_seed(1)
        with torch.no_grad():
            self.head.weight.copy_(torch.randn(3, 768) * torch.tensor([[1.0], [5.0], [0.2]]))

    def forward(self, x):
        return self.head(self.flat(x))


@pytest.fixture(scope="module")
def linear():
    classifier = seewhy.classifier(Linear(), mean=0.5, std=0.5, size=16)
    methods = [Saliency(), Saliency("signed"), Saliency("abs"), Occlusion(window=4, stride=4)]
    return seewhy.explain(PHOTO, classifier, methods, [0, 1, 2])


@pytest.mark.parametrize("colormap", ["seewhy", "jet"])
def test_own_and_shared_scales(linear, colormap):
    """Own: where the map's largest magnitude is. Shared: where the widest of all targets ends."""
    for id in linear.views:
        largest = [float(found.views[id].attribution.values.abs().max()) for found in linear.targets]
        own = [linear.panel(found.views[id], scale="own", colormap=colormap).scale.high for found in linear.targets]
        at_least = [found.views[id].amount.at_least for found in linear.targets]
        assert own == pytest.approx([max(pair) for pair in zip(largest, at_least, strict=True)])
        shared = {linear.panel(found.views[id], scale="shared").scale.high for found in linear.targets}
        assert shared == {max(own)}


def test_in_shares_of_the_score_equal_colours_are_equal_shares(linear):
    """The scale of every target ends at the same share of its score; for the square of a gradient, which grows with
    the square of the score, at the same square of a share.
    """
    scores = [abs(found.score) for found in linear.targets]
    assert max(scores) > 3 * min(scores)
    for id, view in linear.views.items():
        power = 2 if view.params.get("magnitude") == "square" else 1
        ends = [linear.panel(found.views[id], scale="share").scale.high for found in linear.targets]
        own = [linear.panel(found.views[id], scale="own").scale.high for found in linear.targets]
        shares = [end / score**power for end, score in zip(ends, scores, strict=True)]
        assert shares == pytest.approx([max(end / s**power for end, s in zip(own, scores, strict=True))] * 3, rel=1e-6)
        assert any(end == pytest.approx(mine) for end, mine in zip(ends, own, strict=True)), "one of them is its own"
        assert all(end >= mine * (1 - 1e-6) for end, mine in zip(ends, own, strict=True)), "and none is cut"


def test_the_same_share_is_the_same_colour():
    """Two classes whose scores and maps are the same but for a factor look alike in shares, and not by a shared end."""

    class Twins(Linear):
        def __init__(self):
            super().__init__()
            with torch.no_grad():
                self.head.weight[1] = 7 * self.head.weight[0]

    classifier = seewhy.classifier(Twins(), mean=0.5, std=0.5, size=16)
    found = seewhy.explain(PHOTO, classifier, [Saliency(), Occlusion(window=4, stride=4)], [0, 1])
    for id in found.views:
        same, other = (
            [np.asarray(found.to_image(id, target=which, scale=scale)).astype(int) for which in (0, 1)]
            for scale in ("share", "shared")
        )
        assert np.abs(same[0] - same[1]).max() <= 2
        assert np.abs(other[0] - other[1]).max() > 50
    drawn = [found.figure(which, scale="share").tobytes() for which in (0, 1)]
    assert drawn[0] != found.figure(0, scale="shared").tobytes()
    assert found.figure(0).tobytes() == found.figure(0, scale="own").tobytes()


def test_a_scale_of_shares_of_what_is_no_share_is_its_own():
    found = seewhy.explain(PHOTO, seewhy.classifier(make(), mean=0.5, std=0.5, size=32), ["guided_grad_cam"], [0, 1])
    for each in found.targets:
        view = each.views["guided_grad_cam"]
        if view.amount is None:
            assert found.panel(view, scale="share").scale == found.panel(view, scale="own").scale


def test_a_score_of_zero_has_no_share():
    """Its map ends where it does; the others' scales are not drawn into infinity."""
    model = Linear()
    with torch.no_grad():
        model.head.weight[2] = 0
    found = seewhy.explain(PHOTO, seewhy.classifier(model, mean=0.5, std=0.5, size=16), [Saliency()], [0, 2])
    assert found.targets[1].score == 0
    ends = [found.panel(each.views["saliency"], scale="share").scale.high for each in found.targets]
    assert ends == [found.panel(each.views["saliency"], scale="own").scale.high for each in found.targets]


def test_names_of_scales_are_read_as_people_write_them(linear):
    view = linear.views["saliency"] if "saliency" in linear.views else next(iter(linear.views.values()))
    assert linear.panel(view, scale="Shared").scale == linear.panel(view, scale="shared").scale
    for wrong in ("", "max", 3, b"own"):
        with pytest.raises(InputError, match="own, shared, share"):
            linear.panel(view, scale=wrong)
