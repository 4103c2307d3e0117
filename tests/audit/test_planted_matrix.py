"""One plant of each kind, and nothing: is it found and proven, with its true effect; and is nothing else suspected?

The whole matrix, on real photos, is benchmarks/planted.py.
"""

import io

import numpy as np
import planted
import pytest
from PIL import Image, ImageFilter

import seewhy

CLASS = planted.LABELS.index("checks")
SHARE = 0.95
SOURCES = ("stamps", "global", "components")  # those that suspect


def tag(photo, rng):
    return put(photo, 2, 3)


def moving_tag(photo, rng):
    return put(photo, *rng.integers(0, planted.SIDE - 7, 2))


def put(photo, top, left):
    """A square with a frame."""
    photo = photo.copy()
    photo[top : top + 7, left : left + 7] = (20, 20, 20)
    photo[top + 1 : top + 6, left + 1 : left + 6] = (250, 140, 20)
    return photo


def watermark(photo, rng):
    alpha = np.zeros((planted.SIDE, planted.SIDE, 1))
    alpha[18:28, 8:24][[0, 1, 8, 9]] = 0.45
    alpha[18:28, 8:24][:, [0, 1, 14, 15]] = 0.45
    return (photo * (1 - alpha) + 255 * alpha).round().astype(np.uint8)


def tint(photo, rng):
    return (photo * np.array([1, 0.75, 0.5])).round().astype(np.uint8)


def blur(photo, rng):
    return np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(1.2)))


def jpeg(photo, rng):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=8)
    return np.asarray(Image.open(file).convert("RGB"))


PLANTS = {
    "tag": ("stamp", tag),
    "moving tag": ("stamp", moving_tag),
    "watermark": ("stamp", watermark),
    "tint": ("global", tint),
    "blur": ("global", blur),
    "jpeg": ("global", jpeg),
}


def with_plant(plant, seed):
    def changed(pixels, kinds):
        rng = np.random.default_rng(seed)
        return np.stack([
            plant(photo, rng) if kind == CLASS and rng.random() < SHARE else photo
            for photo, kind in zip(pixels, kinds, strict=True)
        ])  # fmt: skip

    return changed


def effect(clf, plant):
    """On fresh pictures of other classes, through the network itself: the mean change of p(class), and its error."""
    pixels, kinds = planted.pictures(60, 99)
    others, rng = pixels[kinds != CLASS], np.random.default_rng(5)
    after = np.stack([plant(photo, rng) for photo in others])
    said = [clf.model(planted.inputs(each)).softmax(1)[:, CLASS].detach().numpy() for each in (others, after)]
    change = said[1] - said[0]
    return change.mean(), change.std() / len(change) ** 0.5


def suspected_of(place, clf):
    return [each for each in seewhy.audit(place, clf, sources=SOURCES).findings if each.suspected_shortcut]


@pytest.mark.parametrize("name", PLANTS)
def test_a_plant_is_found_with_its_true_effect(name, tmp_path):
    kind, plant = PLANTS[name]
    clf = planted.trained(epochs=10, changed=with_plant(plant, 1))
    true, error = effect(clf, plant)
    assert true >= 0.2, "the plant did not take, and there is nothing to find"
    pixels, kinds = planted.pictures(80, 7)
    place = planted.folder(tmp_path, with_plant(plant, 2)(pixels, kinds), kinds)
    suspected = suspected_of(place, clf)
    assert [(each.kind, each.class_name) for each in suspected] == [(kind, "checks")]
    (found,) = suspected
    carriers = sum(path.startswith("checks/") for path in found.carriers)
    assert carriers >= 60  # of 76
    low, high = found.ci
    assert low - 2 * error - 0.1 <= true <= high + 2 * error + 0.1  # what is pasted is an estimate itself


@pytest.mark.parametrize("seed", [3, 4])
def test_where_nothing_was_planted_nothing_is_suspected(seed, tmp_path):
    clf = planted.trained(seed=seed, epochs=10)
    pixels, kinds = planted.pictures(80, 7 + seed)
    assert not suspected_of(planted.folder(tmp_path, pixels, kinds), clf)


def test_a_tag_on_photos_of_all_classes_is_no_shortcut(tmp_path):
    clf = planted.trained(seed=5, epochs=10)
    pixels, kinds = planted.pictures(80, 9)
    rng = np.random.default_rng(0)
    pixels = np.stack([planted.tagged(photo) if rng.random() < 0.5 else photo for photo in pixels])
    assert not suspected_of(planted.folder(tmp_path, pixels, kinds), clf)


def test_flipped_labels_come_first(tmp_path):
    clf = planted.trained(seed=1, epochs=10)
    pixels, kinds = planted.pictures(80, 11)
    rng = np.random.default_rng(6)
    flipped = rng.random(len(kinds)) < 0.1
    given = np.where(flipped, (kinds + rng.integers(1, 4, len(kinds))) % 4, kinds)
    place = planted.folder(tmp_path, pixels, given)
    (found,) = seewhy.audit(place, clf, sources=["labels"]).findings
    first = [int(path.split("/")[1][:4]) for path in found.carriers[: int(flipped.sum())]]
    assert flipped[first].mean() >= 0.8
