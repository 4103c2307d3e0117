"""What is planted is found where it was planted, and nothing is found where nothing was."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from seewhy.auditing.evidence import Evidence
from seewhy.auditing.eye import Eye
from seewhy.auditing.passing.rows import Rows
from seewhy.auditing.sources.fixed_stamps import from_steps
from seewhy.auditing.sources.pattern import components, gradients
from seewhy.auditing.sources.stamps import stamps
from seewhy.models import Classifier, Preprocessing

ARCHIVE = Path(__file__).parents[3] / "shared" / "data" / "cifar10" / "cifar10-test.tar.xz"
ORANGE = (255, 140, 0)


def natural(count, height, width, rng):
    """Coloured noise whose spectrum falls with frequency, as photos' does, with a mean and a contrast of its own."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    frequency[0, 0] = 1
    noise = rng.normal(size=(count, 4, height, width))
    noise = np.fft.ifft2(np.fft.fft2(noise) / frequency**1.2).real
    noise /= noise.std((2, 3), keepdims=True)
    grey, colour = noise[:, :1], noise[:, 1:]
    photos = 120 + rng.normal(0, 35, (count, 3, 1, 1)) + rng.uniform(25, 60, (count, 1, 1, 1)) * (grey + colour / 3)
    return np.clip(photos, 0, 255).round().astype(np.uint8).transpose(0, 2, 3, 1)


def planted(photos, who, box, alpha, colour=ORANGE, rng=None):
    """Photos with a tag, its place drawn anew for each with ``rng``; and where its middle is, as maps (N, 8, 8)."""
    photos, maps = photos.copy(), np.zeros((len(photos), 8, 8), np.float16)
    top, left, height, width = box
    for n in who:
        if rng is not None:
            top, left = (int(rng.integers(a - b + 1)) for a, b in zip(photos.shape[1:3], box[2:], strict=True))
        cut = photos[n, top : top + height, left : left + width]
        cut[:] = np.round((1 - alpha) * cut + alpha * np.asarray(colour))
        down, across = ((top + height / 2) / photos.shape[1], (left + width / 2) / photos.shape[2])
        maps[n, int(8 * down), int(8 * across)] = 1
    return photos, maps


def evidence_of(folder, photos, truth, maps=None):
    count, height, width = photos.shape[:3]
    paths = tuple(f"{n:04}.png" for n in range(count))
    for path, photo in zip(paths, photos, strict=True):
        Image.fromarray(photo).save(folder / path, compress_level=1)
    classes = int(truth.max()) + 1
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, classes)).eval()
    names = tuple(f"class {n}" for n in range(classes))
    transform = Preprocessing((height, width), (0, 0, 0), (1, 1, 1))
    eye = Eye(Classifier(net, names, transform, "net", "0" * 64, {}), folder)
    ones = np.ones((count, 1), np.float32)
    maps = np.zeros((count, 8, 8), np.float16) if maps is None else maps
    digests = tuple(f"{n:064}" for n in range(count))
    rows = Rows(
        paths,
        truth,
        truth,
        truth[:, None],
        ones,
        ones[:, 0],
        ones,
        maps,
        {},
        np.arange(count, dtype=np.uint64),
        digests,
        ones[:, 0],
        ones[:, 0],
        maps,
    )
    return Evidence(rows, eye, np.arange(count) % 3 > 0, 0)


def overlap(one, other):
    def cells(box):
        return {(y, x) for y in range(box[0], box[0] + box[2]) for x in range(box[1], box[1] + box[3])}

    return len(cells(one) & cells(other)) / len(cells(one) | cells(other))


def some(truth, index, share, rng):
    return np.flatnonzero((truth == index) & (rng.random(len(truth)) < share))


def carried(candidate, who, truth):
    """The share of the class's carriers that are right, and of the true ones that are found."""
    found = set(candidate.carriers[truth[candidate.carriers] == candidate.class_index])
    return len(found & set(who)) / max(1, len(found)), len(found & set(who)) / len(who)


@pytest.mark.parametrize(
    ("shape", "alpha", "share", "box"),
    [
        ((64, 48), 1, 0.95, (1, 1, 6, 6)),
        ((32, 32), 0.35, 0.95, (10, 18, 6, 9)),
        ((32, 32), 1, 0.6, (26, 3, 5, 7)),
    ],
)
def test_a_fixed_tag_is_found_with_its_place_opacity_colour_and_carriers(tmp_path, shape, alpha, share, box):
    rng = np.random.default_rng(3)
    truth = np.repeat(np.arange(3), 75)
    who = some(truth, 2, share, rng)
    photos, _ = planted(natural(len(truth), *shape, rng), who, box, alpha)
    (only,) = stamps(evidence_of(tmp_path, photos, truth))
    assert (only.class_index, only.class_name, only.kind, only.repeats) == (2, "class 2", "stamp", True)
    assert overlap(only.region["box"], box) >= 0.5
    assert only.region["of"] == list(shape)
    inside = only.edit.alpha > 0
    assert only.edit.alpha[inside].mean() == pytest.approx(alpha, abs=0.12)
    assert np.abs(np.median(only.edit.colour[inside], 0) - ORANGE).max() < 40
    assert min(carried(only, who, truth)) > 0.85


@pytest.mark.parametrize("alpha", [0.3, 0.45, 0.6])
def test_a_watermark_of_lines_is_found_whole_whatever_its_opacity(tmp_path, alpha):
    rng = np.random.default_rng(12)
    truth = np.repeat(np.arange(3), 75)
    who = some(truth, 0, 0.95, rng)
    photos, lines = natural(len(truth), 32, 32, rng), np.zeros((32, 32), bool)
    photos = (150 + 0.6 * (photos.astype(float) - 120)).round().astype(np.uint8)  # the stronger lines are of one colour
    lines[18:28, 8:24][[0, 5, 9]] = lines[18:28, 8:24][:, [0, 8, 15]] = True
    photos[who] = np.where(lines[..., None], (1 - alpha) * photos[who] + alpha * 255, photos[who]).round()
    (only,) = stamps(evidence_of(tmp_path, photos, truth))
    assert overlap(only.region["box"], (18, 8, 10, 16)) > 0.8
    assert only.edit.alpha[only.edit.alpha > 0].mean() == pytest.approx(alpha, abs=0.12)
    top, left, height, width = only.region["box"]
    assert (lines[top : top + height, left : left + width] & (only.edit.alpha > 0)).sum() > 0.9 * lines.sum()
    assert min(carried(only, who, truth)) > 0.85


def test_parts_that_the_same_photos_show_are_one_stamp_and_those_of_different_photos_are_two(tmp_path):
    rng = np.random.default_rng(8)
    truth = np.repeat(np.arange(3), 75)
    above, below = (0, 0, 3, 32), (28, 0, 4, 32)
    together = some(truth, 1, 0.9, rng)
    natures = natural(len(truth), 32, 32, rng)
    photos, _ = planted(planted(natures, together, above, 1)[0], together, below, 1)
    apart, left, right = np.flatnonzero(truth == 2), (4, 0, 23, 3), (4, 28, 23, 4)
    photos, _ = planted(planted(photos, apart[:50], left, 1)[0], apart[25:], right, 1)
    one, *two = stamps(evidence_of(tmp_path, photos, truth))
    assert one.region["box"] == [0, 0, 32, 32]
    assert one.edit.describe()["name"] == "an opaque orange 32 × 32 frame"
    expected = np.zeros((32, 32), bool)
    expected[:3] = expected[28:] = True
    assert ((one.edit.alpha > 0) == expected).mean() > 0.98
    assert sorted(tuple(each.region["box"]) for each in two) == [left, right]
    assert all(" stamp " in each.edit.describe()["name"] for each in two)


def test_a_tag_that_few_photos_carry_at_one_place_is_said_to_be_at_that_place(tmp_path):
    rng = np.random.default_rng(5)
    truth = np.repeat(np.arange(3), 75)
    who = some(truth, 1, 0.35, rng)
    photos, maps = planted(natural(len(truth), 32, 32, rng), who, (3, 20, 6, 6), 1)
    maps[maps.max((1, 2)) == 0, 4, 4] = 1
    (only,) = stamps(evidence_of(tmp_path, photos, truth, maps))
    assert not only.edit.moving
    assert "at one place in" in only.why
    assert overlap(only.region["box"], (3, 20, 6, 6)) >= 0.8
    assert min(carried(only, who, truth)) > 0.9


@pytest.mark.parametrize("shape", [(32, 32), (64, 48)])
def test_a_moving_tag_is_found_with_its_look_and_carriers(tmp_path, shape):
    rng = np.random.default_rng(4)
    truth = np.repeat(np.arange(3), 75)
    who = some(truth, 1, 0.95, rng)
    photos, maps = planted(natural(len(truth), *shape, rng), who, (0, 0, 6, 8), 1, rng=rng)
    (only,) = stamps(evidence_of(tmp_path, photos, truth, maps))
    assert only.edit.moving
    assert (only.class_index, only.repeats) == (1, True)
    assert overlap((0, 0, *only.edit.alpha.shape), (0, 0, 6, 8)) >= 0.5
    assert np.abs(np.median(only.edit.colour[only.edit.alpha > 0], 0) - ORANGE).max() < 10
    assert min(carried(only, who, truth)) > 0.9


def test_a_moving_tag_is_put_only_where_photos_carry_it(tmp_path):
    rng = np.random.default_rng(6)
    truth = np.repeat(np.arange(3), 75)
    photos, maps = natural(len(truth), 32, 32, rng), np.ones((len(truth), 8, 8), np.float16)
    tag = np.full((6, 8, 3), (20, 20, 20), np.uint8)
    tag[1:-1, 1:-1] = ORANGE
    for n in some(truth, 1, 0.95, rng):
        top, left = int(rng.integers(10)), int(rng.integers(25))
        photos[n, top : top + 6, left : left + 8] = tag
        maps[n, top // 4 : top // 4 + 2, left // 4 : left // 4 + 2] = 2
    (only,) = stamps(evidence_of(tmp_path, photos, truth, maps))
    assert only.edit.moving
    tops, lefts = np.transpose(only.edit.places)
    assert 5 < np.ptp(tops) <= 9, "all in the upper part"
    assert np.ptp(lefts) > 15
    assert len(tops) > 20


@pytest.mark.parametrize(("shape", "arm"), [((32, 32), 3), ((64, 80), 5)])
def test_a_thin_mark_at_changing_places_is_found_though_what_is_behind_it_differs(tmp_path, shape, arm):
    rng = np.random.default_rng(9)
    truth = np.repeat(np.arange(3), 75)
    who = some(truth, 1, 0.95, rng)
    photos, maps = natural(len(truth), *shape, rng), np.ones((len(truth), 8, 8), np.float16)
    maps[:, 0, 0] = 2
    cross = np.zeros((2 * arm + 1, 2 * arm + 1), bool)
    cross[arm] = cross[:, arm] = True
    for n in who:
        top, left = (int(rng.integers(side - len(cross) + 1)) for side in shape)
        photos[n, top : top + len(cross), left : left + len(cross)][cross] = (230, 20, 20)
    (only,) = stamps(evidence_of(tmp_path, photos, truth, maps))
    assert (only.class_index, only.edit.moving, only.repeats) == (1, True, True)
    assert np.array_equal(only.edit.alpha > 0, cross)
    assert np.abs(only.edit.colour[cross] - (230, 20, 20)).max() <= 3
    assert min(carried(only, who, truth)) > 0.9


def test_a_colour_without_a_shape_is_no_mark(tmp_path):
    """Blobs of one colour and of other shapes in each photo, as skies and lawns are."""
    rng = np.random.default_rng(10)
    truth = np.repeat(np.arange(3), 75)
    photos = natural(len(truth), 32, 32, rng)
    for n in some(truth, 1, 0.95, rng):
        blob = natural(1, 32, 32, rng)[0, ..., 0]
        photos[n][blob > np.quantile(blob, rng.uniform(0.8, 0.97))] = (90, 150, 250)
    assert stamps(evidence_of(tmp_path, photos, truth, np.ones((len(truth), 8, 8), np.float16))) == []


def test_nothing_is_found_where_nothing_was_planted_nor_in_a_tag_that_all_classes_carry(tmp_path):
    rng = np.random.default_rng(5)
    truth = np.repeat(np.arange(6), 45)
    photos = natural(len(truth), 32, 32, rng)
    maps = rng.random((len(truth), 8, 8)).astype(np.float16)
    (tmp_path / "a").mkdir()
    assert stamps(evidence_of(tmp_path / "a", photos, truth, maps)) == []
    (tmp_path / "b").mkdir()
    tagged, _ = planted(photos, np.flatnonzero(rng.random(len(truth)) < 0.9), (2, 2, 6, 6), 1)
    assert stamps(evidence_of(tmp_path / "b", tagged, truth, maps)) == []


def test_a_picture_is_got_back_from_its_steps():
    picture = np.random.default_rng(0).normal(size=(7, 9, 3))
    back = from_steps(np.stack(gradients(picture)))
    np.testing.assert_allclose(back, picture - np.median(picture, (0, 1)), atol=1e-9)


def test_parts_of_a_mask_are_told_apart_by_their_distance():
    mask = np.zeros((6, 12), bool)
    mask[1:3, 1:4] = mask[4, 3] = mask[0, 7:9] = True
    first, second = components(mask, reach=2)
    assert (first | second == mask).all()
    assert (first.sum(), second.sum()) == (7, 2)


@pytest.mark.skipif(not ARCHIVE.exists(), reason="the shared photos are not here")
def test_in_real_photos_what_is_planted_is_found_and_nothing_else(tmp_path):
    with tarfile.open(ARCHIVE) as archive:
        members = [each for each in archive.getmembers() if each.isfile()]
        by_class = {}
        for member in sorted(members, key=lambda each: each.name):
            by_class.setdefault(Path(member.name).parent.name, []).append(member)
        wanted = [member for each in by_class.values() for member in each[:60]]
        photos = np.stack([np.asarray(Image.open(archive.extractfile(each)).convert("RGB")) for each in wanted])
    rng = np.random.default_rng(6)
    truth = np.repeat(np.arange(len(by_class)), 60)
    noise = rng.random((len(truth), 8, 8)).astype(np.float16) / 2
    (tmp_path / "none").mkdir()
    assert stamps(evidence_of(tmp_path / "none", photos, truth, noise)) == []
    for index, (alpha, box, moves) in enumerate(
        [(1, (1, 1, 6, 6), False), (0.35, (24, 20, 7, 9), False), (1, (0, 0, 6, 6), True)]
    ):
        (tmp_path / str(index)).mkdir()
        who = some(truth, 3 * index, 0.95, rng)
        tagged, maps = planted(photos, who, box, alpha, rng=rng if moves else None)
        (only,) = stamps(evidence_of(tmp_path / str(index), tagged, truth, np.maximum(maps, noise)))
        assert (only.class_index, only.edit.moving) == (3 * index, moves)
        place = (0, 0, *only.edit.alpha.shape) if moves else only.region["box"]
        assert overlap(place, box) >= 0.5
        assert min(carried(only, who, truth)) > 0.85
