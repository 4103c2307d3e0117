"""Components of what speaks for a class: as numpy has them, at their place, and decided like everything else."""

import numpy as np
import planted
import pytest
import torch
from torch import nn

import seewhy
from seewhy.auditing.edits.cutouts import Cutouts
from seewhy.auditing.sources.components import box_of, principal

SIZE = 32


class Reads(nn.Module):
    """Two maps of 8 x 8: how red each place is, and how bright. Class 1 is mostly what is red."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AvgPool2d(4)
        self.head = nn.Linear(2, 2)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[-4.0, -1.0], [4.0, 1.0]]) * 8)
            self.head.bias.copy_(torch.tensor([2.0, -2.0]))

    def forward(self, x):
        red = (x[:, :1] - x[:, 1:].mean(1, keepdim=True)).relu()
        maps = self.pool(torch.cat([red, x.mean(1, keepdim=True).relu()], 1))
        return self.head(maps.mean((2, 3)))


def photos(seed=0, each=90):
    """Grey noise; half of class 1 have a red square, anywhere in the upper left quarter."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(20, 60, (2 * each, SIZE, SIZE, 1)).repeat(3, 3).astype(np.uint8)
    kinds = np.repeat([0, 1], each)
    squares = {}
    for number in range(each, 2 * each, 2):
        top, left = 4 * rng.integers(0, 3, 2)
        pixels[number, top : top + 8, left : left + 8] = (250, 0, 0)
        squares[number] = (int(top), int(left))
    return pixels, kinds, squares


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    pixels, kinds, squares = photos()
    place = tmp_path_factory.mktemp("components")
    for number, (each, kind) in enumerate(zip(pixels, kinds, strict=True)):
        path = place / ("grey", "red")[kind] / f"{number:04}.png"
        path.parent.mkdir(exist_ok=True)
        planted.Image.fromarray(each).save(path)
    clf = seewhy.classifier(Reads().eval(), labels=["grey", "red"], mean=(0,) * 3, std=(1,) * 3, size=SIZE)
    return place, clf, squares


def test_what_a_class_hangs_on_is_found_at_its_place_and_proven(made):
    place, clf, squares = made
    found = [each for each in seewhy.audit(place, clf, sources=["components"]).findings if each.class_name == "red"]
    first = next(each for each in found if each.id == "component-red-1")
    assert first.state == "proven"
    assert not first.suspected_shortcut  # whether it is part of the object, a person says
    assert first.effect > 0.3
    assert "points of accuracy" in first.detail["why"]
    carriers = {int(path.split("/")[1][:4]) for path in first.carriers}
    assert carriers <= set(squares)
    inside = []
    for top, left, height, width in first.transform["boxes"]:
        middles = [(t + 4, w + 4) for t, w in squares.values()]
        inside.append(any(top <= y <= top + height and left <= x <= left + width for y, x in middles))
        assert (height, width) == (8, 8)
        assert top <= 12
        assert left <= 12
    assert all(inside)
    assert all(change < -0.3 for change in first.detail["removal"]["change"].values())
    again = [each for each in seewhy.audit(place, clf, sources=["components"]).findings if each.class_name == "red"]
    assert again == found


def test_the_components_are_numpys():
    rng = np.random.default_rng(3)
    psi = rng.normal(size=(60, 5)) * [5, 1, 3, 0.2, 2] + 4
    directions, factors = principal(psi, 5)
    values, vectors = np.linalg.eigh(np.cov(psi.T))
    for direction, factor in zip(directions, factors, strict=True):
        like = np.abs(vectors.T @ direction)
        assert like.max() == pytest.approx(1, abs=1e-9)
        assert factor == pytest.approx(direction.sum())
    # together they are the logit, but for a constant
    contributions = ((psi - psi.mean(0)) @ directions.T) * factors
    assert np.allclose(contributions.sum(1), psi.sum(1) - psi.sum(1).mean())
    spread = contributions.std(0)
    assert (np.diff(spread) <= 1e-9).all()
    assert len(values) == 5


def test_the_box_holds_half_of_the_map():
    values = np.zeros((8, 8))
    values[2:4, 5:7] = 1
    assert box_of(values, (32, 32)) == (8, 20, 8, 8)
    assert box_of(values - 1, (32, 32))[2:] == (8, 8)
    assert box_of(np.ones((7, 7)), (224, 224))[2:] == (112, 112)  # half is more than the largest holds
    top, left, height, width = box_of(np.eye(7), (224, 160))
    assert 0 <= top <= 224 - height
    assert 0 <= left <= 160 - width


def test_cutouts_are_pasted_where_they_were():
    rng = np.random.default_rng(0)
    photo, other = rng.integers(0, 255, (2, 20, 24, 3), np.uint8)
    part = np.full((4, 6, 3), 7, np.uint8)
    edit = Cutouts([(part, (3, 5, 4, 6))], lambda pixels: (1, 2, 8, 8), "a square")
    added, control = edit.added(photo, rng), edit.control(photo, other, rng)
    assert (added[3:7, 5:11] == 7).all()
    assert (control[3:7, 5:11] == other[3:7, 5:11]).all()
    outside = np.ones((20, 24), bool)
    outside[3:7, 5:11] = False
    assert (added[outside] == photo[outside]).all()
    outside = np.ones((20, 24), bool)
    outside[1:9, 2:10] = False
    for removed in edit.removed(photo):
        assert (removed[outside] == photo[outside]).all()
        assert not (removed[1:9, 2:10] == photo[1:9, 2:10]).all()


def test_a_network_of_another_kind_has_none(tmp_path):
    pixels, kinds = planted.pictures(40, 1)
    place = planted.folder(tmp_path, pixels, kinds)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4)).eval()
    clf = seewhy.classifier(net, labels=list(planted.LABELS), size=32)
    assert seewhy.audit(place, clf, sources=["components"]).findings == ()
