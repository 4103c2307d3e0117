"""Slices under two models: closed forms where they differ on dark photos, and what other mistakes must not show."""

import json
from math import comb, sqrt

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import seewhy
from seewhy.auditing.comparing.both import Side, comparison_of
from seewhy.auditing.comparing.parts import Part, measured
from seewhy.auditing.passing.rows import Rows
from seewhy.auditing.statistics import paired_interval
from seewhy.errors import InputError

COUNT, DARK = 200, 40
LABELS = ("red", "blue")


class Colours(nn.Module):
    """Is right on red and blue photos; below a brightness always wrong."""

    def __init__(self, darkest=0.0, factor=5.0):
        super().__init__()
        self.maps = nn.Conv2d(3, 3, 1, bias=False)
        self.darkest, self.factor = darkest, factor
        with torch.no_grad():
            self.maps.weight.copy_(torch.eye(3)[..., None, None])

    def forward(self, x):
        means = torch.relu(self.maps(x)).mean((2, 3))
        redder = self.factor * (means[:, 0] - means[:, 2]) * torch.where(means.mean(1) < self.darkest, -1.0, 1.0)
        return torch.stack([redder, -redder], 1)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Of each brightness from 25 / 255 on one photo, red and blue by turns."""
    place = tmp_path_factory.mktemp("photos")
    for number in range(COUNT):
        pixels = np.full((24, 24, 3), 25 + number, np.uint8)
        pixels[..., 2 * (number % 2)] += 30
        path = place / LABELS[number % 2] / f"{number:03}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    return place


def model(**given):
    return seewhy.classifier(Colours(**given).eval(), labels=list(LABELS), mean=(0, 0, 0), std=(1, 1, 1), size=24)


THRESHOLD = (25 + DARK - 0.5 + 10) / 255
"""Between the mean of the last photo that is dark and that of the next."""


@pytest.fixture(scope="module")
def compared(photos):
    return seewhy.compare(model(), model(darkest=THRESHOLD, factor=9.0), photos)


def test_models_that_differ_on_dark_photos_differ_in_that_slice(compared):
    slices = {part.name: part for part in compared.slices if "brightness" in part.name}
    assert len(slices) == 5
    first = min(slices.values(), key=lambda part: float(part.name.split()[4]))
    assert first.name == f"photos with brightness from {35 / 255:.4g} to {(35 + DARK - 1) / 255:.4g}"
    for part in slices.values():
        dark = part is first
        assert (part.photos, part.a, part.b) == (DARK, 1, 1 - dark)
        assert (part.fixed, part.broken, part.difference) == (0, DARK * dark, -1.0 * dark)
        assert part.p == (2 * 0.5**DARK if dark else 1)
        p1, p2 = (DARK * dark + 1) / (DARK + 2), 1 / (DARK + 2)
        half = 1.959964 * sqrt((p1 + p2 - (p1 - p2) ** 2) / (DARK + 2))
        assert part.ci == pytest.approx((max(-1, p2 - p1 - half), p2 - p1 + half), abs=1e-6)
        assert part.worse == dark
    assert compared.slices[0] is first
    assert any(sentence.startswith(first.name) for sentence in compared.worse)
    assert {part.name: part.difference for part in compared.parts} == {"all": -0.2, "red": -0.2, "blue": -0.2}
    tests = [(part.p, part.q) for part in (*compared.parts, *compared.slices)]
    ranked = sorted(p for p, _ in tests)
    for p, q in tests:  # Benjamini and Hochberg, by their own definition
        over = [min(1, each * len(tests) / rank) for rank, each in enumerate(ranked, 1) if each >= p]
        assert q == pytest.approx(min(over))


def test_the_broken_photos_are_the_dark_ones_the_surest_mistake_first(compared):
    assert not compared.fixed
    assert {each.path for each in compared.broken} == {f"{LABELS[i % 2]}/{i:03}.png" for i in range(DARK)}
    for each in compared.broken:
        assert (each.truth, each.a, each.right) == (each.path.split("/")[0], each.truth, "a")
        assert each.b != each.truth
        assert each.confidence == each.b_confidence
        redder = 9 * 30 / 255
        assert each.b_confidence == pytest.approx(1 / (1 + np.exp(-2 * redder)), abs=1e-5)
    assert len(compared.maps) == 24
    assert list(compared.maps) == [each.path for each in compared.broken[:24]]


def test_maps_are_told_in_the_score_of_a_right_decision(photos):
    """A network whose scores are ten times as large, and which decides the same, has the same maps."""
    dark = {"darkest": THRESHOLD}
    one, other = (seewhy.compare(model(factor=f), model(factor=f, **dark), photos) for f in (1.0, 10.0))
    assert one.maps
    for path, pair in one.maps.items():
        assert other.maps[path].map_a == pytest.approx(pair.map_a, rel=2e-3, abs=2e-3)  # rows keep float16
        assert other.maps[path].map_b == pytest.approx(pair.map_b, rel=2e-3, abs=2e-3)
    assert one.scale.high == pytest.approx(other.scale.high, rel=2e-3)


def test_the_other_way_round_all_is_mirrored(compared, photos):
    back = seewhy.compare(model(darkest=THRESHOLD, factor=9.0), model(), photos)
    mirrored = {part.name: part for part in (*back.parts, *back.slices)}
    assert len(mirrored) == len(compared.parts) + len(compared.slices)
    for part in (*compared.parts, *compared.slices):
        other = mirrored[part.name]
        assert (part.a, part.b, part.fixed, part.broken) == (other.b, other.a, other.broken, other.fixed)
        assert (part.difference, part.p, part.q) == (-other.difference, other.p, other.q)
        assert part.ci == pytest.approx((-other.ci[1], -other.ci[0]))
        assert (part.worse, part.better) == (other.better, other.worse)
    assert len(back.better) == len(compared.worse)
    assert (back.worse, compared.better) == ([], [])
    assert [(each.path, each.a, each.b_confidence) for each in compared.broken] == [
        (each.path, each.b, each.a_confidence) for each in back.fixed
    ]
    assert list(back.maps) == list(compared.maps)
    for path, pair in compared.maps.items():
        assert (pair.map_a == back.maps[path].map_b).all()
        assert (pair.map_b == back.maps[path].map_a).all()
    assert vars(compared.scale) == vars(back.scale)


def rows(random, errors, cluster):
    """Photos of one class; the features say which of them are mistakes, as those of a real network do."""
    count = len(errors)
    empty = np.zeros(count, np.float32)
    return Rows(
        paths=tuple(f"{i}.png" for i in range(count)), truth=np.zeros(count, np.int64),
        predicted=errors.astype(np.int64), top_classes=np.zeros((count, 2), np.int32),
        top_probabilities=np.full((count, 2), 0.5, np.float32), truth_probability=empty + 0.5,
        features=(np.eye(3)[cluster] + 0.02 * random.normal(size=(count, 3))).astype(np.float16),
        maps=np.zeros((count, 1, 1), np.float16), facts={"brightness": random.random(count).astype(np.float32)},
        hashes=np.arange(count, dtype=np.uint64), digests=tuple(map(str, range(count))), loss=empty, margin=empty,
        predicted_maps=np.zeros((count, 1, 1), np.float16),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_models_of_other_mistakes_and_the_same_quality_differ_in_no_cluster(seed):
    """Each one's own features gather its own mistakes: in that cluster the other is better, and in the rest worse,
    without any difference in quality.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(1000)
    first, second = (np.isin(np.arange(1000), some) for some in (order[:150], order[150:300]))

    def side(errors):
        return Side({}, rows(random, errors, errors.astype(int)), ["cat", "dog"].__getitem__, lambda path: 1 / 0)

    a, b = side(first), side(second)
    for each in (a, b):
        each.rows.facts["brightness"][:] = a.rows.facts["brightness"]
        object.__setattr__(each, "seen", lambda path: (_ for _ in ()).throw(OSError("gone")))
    found = comparison_of(a, b, [(i, i) for i in range(1000)])
    clusters = [part for part in found.slices if part.weak_for]
    assert {part.weak_for for part in clusters} == {"a", "b"}
    assert min(part.q for part in clusters) < 1e-9  # by the test alone they would be
    assert (found.worse, found.better) == ([], [])
    assert "gone" in {pair.error for pair in found.maps.values()}


def test_a_cluster_that_is_weak_for_a_and_weaker_for_b_is_worse():
    inside, right = np.arange(100) < 50, np.ones(100, bool)
    (part, mirrored), _ = measured(
        [Part("cluster", inside, "slice", "a"), Part("cluster", inside, "slice", "b")], right, ~inside
    )
    assert part.worse
    assert not mirrored.worse


def test_the_interval_of_pairs_holds_the_difference_as_often_as_it_says():
    of = 40
    for only_first, only_second in ((0.0, 0.05), (0.1, 0.1), (0.3, 0.1), (0.02, 0.4)):
        holds = whole = 0.0
        for i in range(of + 1):
            for j in range(of + 1 - i):
                rest = 1 - only_first - only_second
                ways = comb(of, i) * comb(of - i, j)
                chance = ways * only_first**i * only_second**j * rest ** (of - i - j)
                low, high = paired_interval(i, j, of)
                assert -1 <= low <= (j - i) / of <= high <= 1
                assert paired_interval(j, i, of) == pytest.approx((-high, -low))
                whole += chance
                holds += chance * (low <= only_second - only_first <= high)
        assert whole == pytest.approx(1)
        assert holds >= 0.93
    for counts in ((-1, 0, 3), (2, 2, 3), (0, 0, 0)):
        with pytest.raises(InputError):
            paired_interval(*counts)


def test_audits_show_their_photos_wherever_these_are(photos, tmp_path, seewhy_command):
    for name, given in (("a", {}), ("b", {"darkest": THRESHOLD})):
        seewhy.audit(photos, model(**given), sources=["calibration"], output_dir=tmp_path / name).save(tmp_path / name)
    found = seewhy.compare(tmp_path / "a", tmp_path / "b")
    path = found.broken[0].path
    with Image.open(photos / path) as photo:
        assert (np.asarray(found.maps[path].seen_a) == np.asarray(photo)).all()
    moved = photos.rename(tmp_path / "moved")
    try:
        assert seewhy.compare(tmp_path / "a", tmp_path / "b").maps[path].error
        there = seewhy.compare(tmp_path / "a", tmp_path / "b", moved)
        assert (np.asarray(there.maps[path].seen_a) == np.asarray(found.maps[path].seen_a)).all()
        Image.new("RGB", (24, 24)).save(moved / path)
        assert "another photo" in seewhy.compare(tmp_path / "a", tmp_path / "b", moved).maps[path].error
        # the command: the page, the exit code, nothing replaced unless it is asked for
        words = ["compare", tmp_path / "a", tmp_path / "b", moved, "-o", tmp_path / "out"]
        code, out, err = seewhy_command(*words)
        assert code == 3, err
        assert str(tmp_path / "out/compare.html") in out
        assert found.headline in out
        about = json.loads((tmp_path / "out/compare.json").read_text())
        assert about["worse"] == found.worse
        before = (tmp_path / "out/compare.html").read_bytes()
        code, out, err = seewhy_command(*words)
        assert (code, out) == (2, "")
        assert "--force" in err
        assert (tmp_path / "out/compare.html").read_bytes() == before
        assert seewhy_command(*words, "--force")[0] == 3
        (tmp_path / "out/compare.json").unlink()
        assert seewhy_command(*words)[0] == 2  # the page is there
        assert seewhy_command(*words, "--no-page")[0] == 3
        swapped = ["compare", tmp_path / "b", tmp_path / "a", moved, "--json"]
        assert seewhy_command(*swapped)[0] == 0
    finally:
        moved.rename(photos)
