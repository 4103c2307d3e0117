"""What interventions say of networks whose answer is known in closed form."""

import base64
import hashlib
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from seewhy.auditing.album import Album
from seewhy.auditing.candidate import Candidate
from seewhy.auditing.correction import corrected
from seewhy.auditing.edits.added_pattern import AddedPattern
from seewhy.auditing.edits.global_edits import Global
from seewhy.auditing.edits.stamp import Stamp
from seewhy.auditing.evidence import Evidence
from seewhy.auditing.eye import Eye
from seewhy.auditing.finding import Finding
from seewhy.auditing.interventions import decide
from seewhy.auditing.passing.rows import Rows
from seewhy.errors import PhotoError
from seewhy.models import Classifier, Preprocessing

SIDE, TAG = 12, 4


class Corner(torch.nn.Module):
    """Class 1 by the mean of the corner top left, and by nothing else."""

    def forward(self, x):
        logit = 8 * x[:, :, :TAG, :TAG].mean((1, 2, 3)) - 4
        return torch.stack([torch.zeros_like(logit), logit], 1)


class Chaos(torch.nn.Module):
    """Any change of a photo gives it another probability, drawn as if by chance: no content is better than another."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weights", torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(4)) * 9000)

    def forward(self, x):
        logit = 3 * torch.sin(10_000 * torch.sin((x.double() * self.weights).sum((1, 2, 3)))).float()
        return torch.stack([torch.zeros_like(logit), logit], 1)


def evidence_of(folder, model, count=80, tagged=0.9, seed=0):
    """Photos of noise, of class 0 and 1 by turns; most of class 1 have a white corner."""
    rng = np.random.default_rng(seed)
    photos = rng.integers(0, 140, (count, SIDE, SIDE, 3), dtype=np.uint8)
    truth = np.arange(count) % 2
    carriers = np.flatnonzero((truth == 1) & (rng.random(count) < tagged))
    photos[carriers, :TAG, :TAG] = 255
    paths = tuple(f"{index:03}.png" for index in range(count))
    for path, photo in zip(paths, photos, strict=True):
        Image.fromarray(photo).save(folder / path)
    classifier = Classifier(
        model.eval(), ("cup", "bag"), Preprocessing((SIDE, SIDE), (0, 0, 0), (1, 1, 1)), "net", "0" * 64, {}
    )
    eye = Eye(classifier, folder)
    said = eye.probabilities(photos)
    order = np.argsort(-said, 1)
    rows = Rows(
        paths, truth, order[:, 0], order.astype(np.int32), np.take_along_axis(said, order, 1),
        said[np.arange(count), truth], np.zeros((count, 1), np.float16), np.zeros((count, 1, 1), np.float16), {},
        np.arange(count, dtype=np.uint64), tuple(hashlib.sha256(photo.tobytes()).hexdigest() for photo in photos),
        np.zeros(count, np.float32), np.zeros(count, np.float32), np.zeros((count, 1, 1), np.float16),
    )  # fmt: skip
    return Evidence(rows, eye, (np.arange(count) // 2) % 2 == 0, seed), photos, carriers


def candidate(edit, carriers, name="stamp-bag-1", **other):
    return Candidate(name, "stamp", 1, "bag", edit, carriers, other.pop("repeats", True), "it was said so", **other)


def white(top, left, tall=TAG, wide=TAG, **other):
    return Stamp(top, left, np.ones((tall, wide)), np.full((tall, wide, 3), 255.0), of=(SIDE, SIDE), **other)


def test_a_stamp_that_decides_is_proven_with_the_effect_of_the_closed_form(tmp_path):
    evidence, photos, carriers = evidence_of(tmp_path, Corner())
    (found,) = corrected(decide([candidate(white(0, 0), carriers)], evidence))
    hosts = np.flatnonzero(~evidence.proposing & (evidence.rows.truth == 0))
    before = 1 / (1 + np.exp(4 - 8 * photos[hosts, :TAG, :TAG].mean((1, 2, 3)) / 255))
    effect = 1 / (1 + np.exp(-4)) - before
    assert found.effect == pytest.approx(effect.mean(), abs=1e-5)
    assert found.ci[0] <= found.effect <= found.ci[1]
    assert (found.state, found.suspected_shortcut) == ("proven", True)
    assert found.p == 1 / 5000
    assert found.detail["flipped"] == found.detail["called"] == 1
    assert found.detail["photos"] == len(hosts) == 20
    taken = [row for row in carriers if not evidence.proposing[row]]
    assert found.explained == len(taken) == found.detail["removal"]["measured"]
    for fill in ("blur", "neighbour"):
        assert found.detail["removal"]["change"][fill] < -0.6
        assert abs(found.detail["removal"]["elsewhere"][fill]) < 0.6 * abs(found.detail["removal"]["change"][fill])
    assert found.sentence == (
        "100 % of photos of other classes with an opaque white 4 × 4 stamp top left are called bag; "
        "0 % with a control there"
    )
    assert found.carriers == tuple(evidence.rows.paths[row] for row in carriers)
    assert json.loads(json.dumps(found.detail, allow_nan=False))["why"] == "it was said so"


def opened(uri):
    kind, data = uri.split(";base64,")
    assert kind.startswith("data:image/")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)


def test_an_example_is_the_photo_of_the_median_change_that_is_turned(tmp_path):
    evidence, photos, carriers = evidence_of(tmp_path, Corner())
    (found,) = decide([candidate(white(0, 0), carriers)], evidence)
    example = found.detail["example"]
    row = evidence.rows.paths.index(example["path"])
    assert not evidence.proposing[row]
    assert (example["before"]["class"], example["after"]["class"]) == ("cup", "bag")
    assert example["after"]["probability"] == pytest.approx(1 / (1 + np.exp(-4)), abs=1e-4)
    hosts = np.flatnonzero(~evidence.proposing & (evidence.rows.truth == 0))
    light = photos[hosts, :TAG, :TAG].mean((1, 2, 3))  # the darker the corner was, the larger the change
    rank = sorted(light.tolist()).index(photos[row, :TAG, :TAG].mean())
    assert rank in (len(hosts) // 2 - 1, len(hosts) // 2)
    assert np.abs(opened(example["picture"])[: TAG - 1, : TAG - 1] - 255).max() < 30
    assert "difference" not in example, "only a part of the photo was changed"


def test_what_is_faint_all_over_is_shown_enlarged(tmp_path):
    evidence, _, carriers = evidence_of(tmp_path, Corner())
    stripes = np.zeros((SIDE, SIDE, 3))
    stripes[:, ::2], stripes[:, 1::2] = 9, -9
    wave, faint = candidate(AddedPattern(stripes), carriers), candidate(Global("brightness", 14.0), carriers, "g")
    none, some = decide([wave, faint], evidence)
    assert none.detail["example"] is None, "it does nothing"
    assert 0.05 < some.effect < 0.5
    example = some.detail["example"]
    assert example["before"]["class"] == example["after"]["class"] == "cup"
    assert example["times"] == round(64 / 14)
    assert np.abs(opened(example["difference"]) - (128 + 14 * example["times"])).max() < 12


def test_what_carriers_that_are_not_known_have_there_is_not_told_as_a_control(tmp_path):
    evidence, _, carriers = evidence_of(tmp_path, Corner())
    few = carriers[:4]  # all others of the class carry it too, and controls show it
    (repeats,) = decide([candidate(white(0, 0), few)], evidence)
    assert repeats.detail["called_under_controls"]["same class"] > 0.8
    assert repeats.sentence.endswith("; 0 % with a control there")
    (once,) = decide([candidate(white(0, 0), few, repeats=False)], evidence)
    assert not once.sentence.endswith("; 0 % with a control there")


def test_an_estimated_edit_widens_the_interval_by_how_far_others_as_likely_are_apart(tmp_path):
    evidence, _, carriers = evidence_of(tmp_path, Corner())
    grey = Stamp(0, 0, np.ones((TAG, TAG)), np.full((TAG, TAG, 3), 204.0))
    sure, same, apart = decide(
        [
            candidate(white(0, 0), carriers),
            candidate(white(0, 0), carriers, as_likely=(white(0, 0),)),
            candidate(white(0, 0), carriers, as_likely=(white(0, 0), grey)),
        ],
        evidence,
    )
    assert same.ci == pytest.approx(sure.ci, abs=1e-6)
    of_white, of_grey = 1 / (1 + np.exp(-4)), 1 / (1 + np.exp(4 - 8 * 0.8))
    deviation = (of_white - of_grey) / np.sqrt(2)
    low = apart.effect - np.hypot(sure.effect - sure.ci[0], 1.96 * deviation)
    assert apart.ci[0] == pytest.approx(low, abs=1e-5)
    assert apart.ci[1] <= 1
    assert apart.effect == sure.effect
    assert apart.detail["ci_of_this_change"] == sure.ci


def test_controls_show_what_other_photos_have_there(tmp_path):
    evidence, photos, carriers = evidence_of(tmp_path, Corner())
    (found,) = decide([candidate(white(0, 0), carriers)], evidence, draws=40)
    measured = ~evidence.proposing & (evidence.rows.truth == 0)
    said = 1 / (1 + np.exp(4 - 8 * photos[measured, :TAG, :TAG].mean((1, 2, 3)) / 255))
    expected = 0.0  # contents are of the hosts' own law
    assert found.controls["other classes"] == pytest.approx(expected, abs=4 * said.std() / np.sqrt(20))
    assert found.detail["beyond_controls"]["effect"] == pytest.approx(
        found.effect - np.mean(list(found.controls.values())), abs=1e-9
    )


def test_the_same_stamp_elsewhere_is_not_proven(tmp_path):
    evidence, _, carriers = evidence_of(tmp_path, Corner())
    found = corrected(
        decide([candidate(white(*at), carriers, f"at {at}") for at in ((0, 8), (8, 0), (5, 5))], evidence)
    )
    for each in found:
        assert (each.state, each.effect, each.p, each.suspected_shortcut, each.explained) == (
            "not_proven", 0, 1, False, 0,
        )  # fmt: skip


def test_controls_of_the_same_class_tell_what_its_own_content_does(tmp_path):
    """All of class 1 have a white corner, though only some are said to: its content does as much as the stamp."""
    evidence, _, carriers = evidence_of(tmp_path, Corner(), tagged=1)
    (found,) = decide([candidate(white(0, 0), carriers[:3])], evidence)
    assert found.controls["same class"] == pytest.approx(found.effect, abs=1e-6)
    assert found.detail["beyond_controls"]["effect"] == pytest.approx(found.effect / 2, abs=0.1)
    (part,) = corrected(decide([candidate(white(0, 0), carriers[:3], repeats=False)], evidence))
    assert part.detail["beyond_controls"]["effect"] == pytest.approx(0, abs=1e-6)
    assert part.state == "not_proven"  # what may be the object does no more than any content of its class


def test_without_a_true_effect_p_is_small_at_its_rate(tmp_path):
    evidence, _, _ = evidence_of(tmp_path, Chaos(), count=96, tagged=0)
    rng = np.random.default_rng(8)
    many = [
        candidate(Stamp(2, 3, np.ones((5, 5)), rng.integers(0, 256, (5, 5, 3)).astype(float)), np.zeros(0, int), f"{i}")
        for i in range(80)
    ]
    found = decide(many, evidence)
    p = np.asarray([each.p for each in found])
    low, high = stats.binom.ppf((0.001, 0.999), len(p), 0.05)
    assert low <= (p <= 0.05).sum() <= high
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert not [each for each in corrected(found) if each.state == "proven"]


def test_a_moving_stamp_and_its_controls_are_put_at_random_places(tmp_path):
    evidence, photos, _ = evidence_of(tmp_path, Corner(), count=400)
    (found,) = decide([candidate(white(0, 0, moving=True), np.zeros(0, int))], evidence)
    places = SIDE - TAG + 1
    tags = np.zeros((places, places))
    for top in range(TAG):
        for left in range(TAG):
            tags[top, left] = (TAG - top) * (TAG - left) / TAG**2
    corner = photos[::2, :TAG, :TAG].mean() / 255
    expected = (1 / (1 + np.exp(4 - 8 * (corner + tags * (1 - corner)))) - 1 / (1 + np.exp(4 - 8 * corner))).mean()
    assert found.ci[0] - 0.01 <= expected <= found.ci[1] + 0.01


def test_brightness_decides_where_the_network_reads_it(tmp_path):
    evidence, _, carriers = evidence_of(tmp_path, Corner(), count=120)
    found = corrected(decide([candidate(Global("brightness", 115), carriers)], evidence))[0]
    assert found.state == "proven"
    assert found.effect > 0.5
    assert found.transform["name"] == "brightness +115"
    assert list(found.detail["removal"]["change"]) == ["taken off"]
    assert found.detail["removal"]["elsewhere"] == {}


class Rough(torch.nn.Module):
    """Class 1 where neighbours are alike: what a blur gives."""

    def forward(self, x):
        logit = 10 - 100 * (x[..., 1:] - x[..., :-1]).abs().mean((1, 2, 3))
        return torch.stack([torch.zeros_like(logit), logit], 1)


def test_what_cannot_be_taken_out_explains_as_many_carriers_as_it_turns_photos(tmp_path):
    evidence, photos, _ = evidence_of(tmp_path, Rough(), tagged=0)
    blurred = np.flatnonzero(evidence.rows.truth == 1)
    rng = np.random.default_rng(0)
    for row in blurred:
        Image.fromarray(Global("blur", 2).added(photos[row], rng)).save(tmp_path / evidence.rows.paths[row])
    evidence.rows.predicted[blurred] = 1
    (found,) = corrected(decide([candidate(Global("blur", 2), blurred)], evidence))
    assert found.state == "proven"
    assert found.detail["called"] == 1
    assert found.detail["removal"]["change"] == {}
    assert found.explained == 20  # all of the measured ones


def test_below_twelve_photos_nothing_is_tested(tmp_path):
    evidence, _, carriers = evidence_of(tmp_path, Corner(), count=44)
    few, enough = (
        Evidence(evidence.rows, evidence.eye, ~np.isin(np.arange(44), np.arange(0, 2 * count, 2)), 0)
        for count in (11, 12)
    )
    (found,) = corrected(decide([candidate(white(0, 0), carriers)], few))
    assert (found.state, found.p, found.effect, found.q, found.suspected_shortcut) == (
        "too_few",
        None,
        None,
        None,
        False,
    )
    assert "11 of other classes than bag" in found.sentence
    (found,) = corrected(decide([candidate(white(0, 0), carriers)], enough))
    assert found.state == "proven"


def test_the_same_seed_gives_the_same_whatever_else_is_decided(tmp_path):
    evidence, _, carriers = evidence_of(tmp_path, Corner())
    one, two = candidate(white(0, 0), carriers), candidate(white(1, 1), carriers, "other")
    assert decide([one], evidence)[0] == decide([two, one], evidence)[1]


def _finding(name, p, effect=0.5, ci=(0.4, 0.6), **other):
    return Finding(name, "stamp", name, p=p, effect=effect, ci=ci, suspected_shortcut=True, **other)


def test_proven_is_what_is_certain_and_large_enough_and_beyond_its_controls():
    beyond = {"beyond_controls": {"effect": 0.02, "ci": (0.01, 0.03)}}
    found = {
        each.id: each
        for each in corrected([
            _finding("sure", 0.001), _finding("small", 0.001, 0.04, (0.03, 0.05)), _finding("unsure", 0.2),
            _finding("wide", 0.001, ci=(-0.1, 1.1)), _finding("less", 0.001, -0.3, (-0.4, -0.2)),
            _finding("as its controls", 0.001, detail=beyond), _finding("untested", None),
            _finding("few", 0.001, state="too_few"),
            _finding("estimated", 0.001, ci=(-0.1, 1.1), detail={"ci_of_this_change": (0.4, 0.6)}),
        ])
    }  # fmt: skip
    assert {name for name, each in found.items() if each.state == "proven"} == {"sure", "less", "estimated"}
    assert {name for name, each in found.items() if each.suspected_shortcut} == {"sure", "less", "estimated"}
    assert found["few"].state == "too_few"
    assert found["untested"].q is None
    assert found["unsure"].q == pytest.approx(0.2)
    assert found["sure"].q == pytest.approx(0.001 * 8 / 7)


def test_the_finding_that_explains_most_is_first():
    given = [
        _finding("a", 0.5, explained=2),
        _finding("b", 0.5, -0.9, explained=2),
        _finding("c", 0.5, 0.1, explained=9),
    ]
    assert [each.id for each in corrected(given)] == ["c", "b", "a"]


def test_an_album_keeps_within_its_bound_and_says_the_same(tmp_path):
    evidence, photos, _ = evidence_of(tmp_path, Corner(), count=30)
    whole, small = Album(evidence), Album(evidence, most=3 * photos[0].nbytes)
    rows = np.random.default_rng(2).integers(0, 30, 90)
    assert (whole[rows] == photos[rows]).all()
    assert (small[rows] == photos[rows]).all()
    for path in tmp_path.iterdir():
        path.unlink()
    assert (whole[rows] == photos[rows]).all()
    assert (small[rows[-1:]] == photos[rows[-1:]]).all()
    with pytest.raises(PhotoError):
        small[np.arange(30)]


def test_rows_are_drawn_evenly_and_mostly_the_same_ones(tmp_path):
    evidence, _, _ = evidence_of(tmp_path, Corner(), count=30)
    every = np.ones(30, bool)
    first = Album(evidence).some(every, 10)
    assert len(set(first.tolist())) == 10
    every[first[0]] = False
    assert set(first[1:]) <= set(Album(evidence).some(every, 10))
    drawn = np.zeros(30)
    for seed in range(300):
        drawn[Album(Evidence(evidence.rows, evidence.eye, evidence.proposing, seed)).some(np.ones(30, bool), 10)] += 1
    assert drawn.min() >= 65  # of 100 in expectation, deviation 8
    assert drawn.max() <= 135
