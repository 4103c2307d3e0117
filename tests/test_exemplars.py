"""The photos that excite a unit most, and the part that did it: known from how the photos were made."""

import random

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import seewhy
from seewhy import events
from seewhy.checks import fingerprint
from seewhy.exemplars import Exemplars, Unit, _Best, exemplars, photos_in
from seewhy.models import Classifier
from seewhy.models.preprocessing import Preprocessing


class Spots(nn.Module):
    """Channel 0 sees red in patches of 16 x 16, channel 1 blue; the classes are their means."""

    def __init__(self):
        super().__init__()
        self.see = nn.Conv2d(3, 2, 16, stride=16, bias=False)
        with torch.no_grad():
            self.see.weight.zero_()
            self.see.weight[0, 0] = self.see.weight[1, 2] = 1 / 256

    def forward(self, x):
        return self.see(x).mean((2, 3))


@pytest.fixture
def classifier():
    transform = Preprocessing((64, 64), mean=(0.0,) * 3, std=(1.0,) * 3)
    return Classifier(Spots().eval(), ("red", "blue"), transform, "spots", "0" * 64, {})


@pytest.fixture
def folder(tmp_path):
    """photo-0 to photo-7: a red spot that grows stronger, at a place of its own; and what is no photo."""
    for number in range(8):
        array = np.zeros((64, 64, 3), np.uint8)
        row, column = divmod(number, 4)
        array[16 * row : 16 * row + 16, 16 * column : 16 * column + 16, 0] = 20 * (number + 1)
        place = tmp_path / ("deep" if number % 2 else ".")
        place.mkdir(exist_ok=True)
        Image.fromarray(array).save(place / f"photo-{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no photo")
    (tmp_path / "notes.txt").write_text("not looked at")
    return tmp_path


def test_the_strongest_come_first_and_the_crop_is_the_spot(classifier, folder):
    unit, other = Unit(0, "see"), Unit(0)
    found = exemplars(classifier, folder, [unit, other], count=3, batch_size=3)
    most = found[unit].top
    assert [each.path.stem for each in most] == ["photo-7", "photo-6", "photo-5"]
    assert [each.value for each in most] == pytest.approx([160 / 255, 140 / 255, 120 / 255], abs=1e-4)
    for each, number in zip(most, (7, 6, 5), strict=True):
        row, column = divmod(number, 4)
        assert each.position == (row, column)
        assert each.box == (16 * column, 16 * row, 16 * column + 16, 16 * row + 16)
        assert np.asarray(each.part)[..., 0].min() == 20 * (number + 1)
    assert [each.path.stem for each in found[other].top] == ["photo-7", "photo-6", "photo-5"]
    assert found[other].top[0].value == pytest.approx(160 / 255 / 16, abs=1e-4)
    assert [each.path.stem for each in found[other].bottom] == ["photo-0", "photo-1", "photo-2"]
    assert found[unit].looked == 8
    assert len(found[unit].skipped) == 1
    assert "broken.png" in found[unit].skipped[0]


def test_a_neuron_looks_at_its_place_only(classifier, folder):
    unit = Unit(0, "SEE", 1, 2)
    found = exemplars(classifier, folder, [unit], count=2)[unit]
    assert found.top[0].path.stem == "photo-6"
    assert found.top[0].box == (32, 16, 48, 32)
    assert found.top[1].value == 0


def test_the_folder_is_read_once_however_many_units(classifier, folder, monkeypatch):
    read = []
    preprocess = Classifier.preprocess
    monkeypatch.setattr(Classifier, "preprocess", lambda self, image: read.append(1) or preprocess(self, image))
    exemplars(classifier, folder, [Unit(0, "see"), Unit(1, "see"), Unit(0), Unit(1)], count=1)
    assert len(read) == 8 + 4 * 2


def test_the_photos_that_are_done_are_told(classifier, folder):
    heard, called = [], []
    with events.job("photos", listener=heard.append):
        exemplars(classifier, folder, [Unit(0)], count=1, batch_size=3, progress=called.append)
    told = [event for event in heard if event.kind == "progress"]
    assert [event.value.photos for event in told] == called == [3, 6, 8]
    assert {event.total for event in told} == {9}  # one of them is no photo
    assert told[-1].done == 9
    assert told[-1].share == 1


def test_a_cancelled_search_leaves_the_model_as_it_was(classifier, folder):
    classifier.model.train()
    before, cancellation = fingerprint(classifier.model), events.Cancellation()

    def search():
        with events.job("photos", listener=lambda event: cancellation.cancel(), cancellation=cancellation):
            exemplars(classifier, folder, [Unit(0)], batch_size=3)

    with pytest.raises(events.Cancelled):
        search()
    assert fingerprint(classifier.model) == before


def test_only_the_best_are_remembered():
    numbers = [random.Random(0).randint(0, 50) for _ in range(500)]
    best = _Best(7)
    for place, number in enumerate(numbers):
        best.offer(number, place, (0, 0))
        assert len(best.heap) <= 7
    expected = sorted(range(500), key=lambda place: (-numbers[place], place))[:7]
    assert [path for _, path, _ in best.ranked()] == expected


def test_a_closed_relu_gives_the_whole_photo(classifier, folder):
    classifier.model.see = nn.Sequential(classifier.model.see, nn.ReLU())
    with torch.no_grad():
        classifier.model.see[0].weight.neg_()
    found = exemplars(classifier, folder, [Unit(0, "see")], count=1)[Unit(0, "see")]
    assert isinstance(found, Exemplars)
    assert found.top[0].box == (0, 0, 64, 64)


@pytest.mark.parametrize(
    ("unit", "match"),
    [(Unit(2), "0 to 1"), (Unit(5, "see"), "0 to 1"), (Unit(0, "sea"), "did you mean see"),
     (Unit(0, "see", 9, 0), "no such position")],
)  # fmt: skip
def test_units_that_are_not_there(classifier, folder, unit, match):
    with pytest.raises(seewhy.SeewhyError, match=match):
        exemplars(classifier, folder, [unit])


def test_folders_with_nothing_in_them(classifier, tmp_path):
    with pytest.raises(seewhy.SeewhyError, match="holds no photo"):
        exemplars(classifier, tmp_path, [Unit(0)])
    with pytest.raises(seewhy.SeewhyError, match="is no folder"):
        exemplars(classifier, tmp_path / "missing", [Unit(0)])
    with pytest.raises(seewhy.SeewhyError, match="a count"):
        exemplars(classifier, tmp_path, [Unit(0)], count=0)
    assert list(photos_in(tmp_path)) == []
