"""Calibration and weak slices: closed forms, and nulls at the stated rate."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

from seewhy.auditing.evidence import Evidence
from seewhy.auditing.passing.rows import UNKNOWN, Rows
from seewhy.auditing.sources.calibration import calibration, calibration_error
from seewhy.auditing.sources.slices import clusters_of, fisher_less, slices

CLASSES = 10


def rows_of(truth, logits, *, features=None, facts=None, kept=CLASSES):
    truth, count = np.asarray(truth), len(truth)
    exp = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = exp / exp.sum(1, keepdims=True)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :kept]
    own = np.where(truth >= 0, probabilities[np.arange(count), np.maximum(truth, 0)], np.nan)
    return Rows(
        paths=tuple(f"{index:05}.png" for index in range(count)),
        truth=truth,
        predicted=order[:, 0],
        top_classes=order.astype(np.int32),
        top_probabilities=np.take_along_axis(probabilities, order, 1).astype(np.float32),
        truth_probability=own.astype(np.float32),
        features=np.zeros((count, 0), np.float16) if features is None else features.astype(np.float16),
        maps=np.zeros((count, 2, 2), np.float16),
        facts=facts or {},
        hashes=np.zeros(count, np.uint64),
        digests=("",) * count,
        loss=-np.log(own).astype(np.float32),
        margin=np.zeros(count, np.float32),
        predicted_maps=np.zeros((count, 2, 2), np.float16),
    )


def evidence_of(rows, proposing=None):
    classifier = SimpleNamespace(label=lambda index: f"class {index}", labels=None)
    half = np.arange(len(rows)) % 2 == 0 if proposing is None else proposing
    return Evidence(rows, SimpleNamespace(classifier=classifier), half)


def drawn(random, scale=1.0, count=2000, kept=CLASSES):
    """Truths drawn by the softmax of logits, which the model then says times ``scale``."""
    logits = 1.5 * random.normal(size=(count, CLASSES))
    truth = (logits + random.gumbel(size=logits.shape)).argmax(1)
    return rows_of(truth, scale * logits, kept=kept)


@pytest.mark.parametrize(("scale", "kept"), [(3.0, 10), (3.0, 5), (0.5, 10), (1.0, 10)])
def test_the_temperature_is_the_factor_that_logits_were_scaled_by(scale, kept):
    (found,) = calibration(evidence_of(drawn(np.random.default_rng(1), scale, 4000, kept)))
    assert found.detail["temperature"] == pytest.approx(scale, rel=0.08)
    error, likelihood = found.detail["expected_calibration_error"], found.detail["negative_log_likelihood"]
    if scale == 1:
        assert found.p > 0.05
        assert found.ci[0] <= 0 <= found.ci[1]
    else:
        assert error["after"] < error["before"] / 3
        assert likelihood["after"] < likelihood["before"]
        assert found.p < 0.001
        assert (found.effect > 0.1) == (scale > 1)
        assert ("too sure" in found.sentence) == (scale > 1)


def test_calibrated_models_are_accused_no_oftener_than_stated():
    random = np.random.default_rng(5)
    p = [calibration(evidence_of(drawn(random, count=300)))[0].p for _ in range(60)]
    assert np.mean(np.array(p) <= 0.05) < 0.13  # 3 % of accusations are expected to exceed this by chance: 5 + 2.8 s
    assert np.mean(p) > 0.4


def test_calibration_error_by_hand():
    confidence, right = np.array([0.9, 0.9, 0.5, 0.5]), np.array([True, False, True, True])
    assert calibration_error(confidence, right) == pytest.approx((2 * 0.4 + 2 * 0.5) / 4)


def test_fisher_is_the_count_of_all_draws():
    for right, count, others_right, others in [(1, 4, 4, 5), (0, 3, 3, 6), (3, 3, 2, 6), (2, 5, 3, 4)]:
        balls = [1] * (right + others_right) + [0] * (count + others - right - others_right)
        draws = [sum(draw) <= right for draw in combinations(balls, count)]
        assert fisher_less(right, count, others_right, others) == pytest.approx(np.mean(draws))


def test_clusters_that_lie_apart_are_found():
    random = np.random.default_rng(0)
    true = random.integers(0, 4, 400)
    features = (np.eye(4)[true] + 0.05 * random.normal(size=(400, 4))).astype(np.float32)
    found = clusters_of(features, 4, random)
    assert len({*zip(true.tolist(), found.tolist(), strict=True)}) == 4
    assert (clusters_of(np.ones((50, 3), np.float32), 4, random) == 0).all()


def wrong_where(weak, random, truth, *, accuracy=0.95, low=0.5):
    right = random.random(len(truth)) < np.where(weak, low, accuracy)
    said = np.where(right, truth, (truth + 1) % CLASSES)
    return 4 * np.eye(CLASSES)[said]


def test_a_weak_cluster_and_a_weak_property_are_found_first():
    random = np.random.default_rng(2)
    truth = np.repeat([0, 1], 300)
    kind = random.integers(0, 4, 600)
    features = np.eye(4)[kind] + 0.05 * random.normal(size=(600, 4))
    facts = {"brightness": random.random(600), "contrast": random.random(600), "none": np.full(600, np.nan)}
    cluster = (truth == 1) & (kind == 2)
    worst = slices(evidence_of(rows_of(truth, wrong_where(cluster, random, truth), features=features, facts=facts)))[0]
    assert worst.class_name == "class 1"
    assert worst.p < 1e-4
    assert worst.ci[0] < -0.45 < worst.ci[1]
    assert {int(path[:5]) for path in worst.carriers} <= {*np.flatnonzero(cluster | (truth == 1)).tolist()}
    assert np.mean([cluster[int(path[:5])] for path in worst.carriers]) > 0.8
    dark = facts["brightness"] < 0.2
    worst = slices(evidence_of(rows_of(truth, wrong_where(dark, random, truth), features=features, facts=facts)))[0]
    assert worst.detail["property"] == "brightness"
    assert worst.detail["range"][1] == pytest.approx(0.2, abs=0.05)
    assert worst.p < 1e-4


def test_errors_at_random_are_no_slice():
    random, p = np.random.default_rng(3), []
    for _ in range(30):
        truth = np.repeat([0, 1], 200)
        facts = {name: random.random(400) for name in ("a", "b", "c")}
        logits = wrong_where(np.zeros(400, bool), random, truth, accuracy=0.8)
        p += [
            each.p
            for each in slices(evidence_of(rows_of(truth, logits, features=random.random((400, 3)), facts=facts)))
        ]
    assert len(p) > 30
    assert np.mean(np.array(p) <= 0.05) <= 0.1


@pytest.mark.parametrize("source", [calibration, slices])
@pytest.mark.parametrize("count", [1, 2, 300])
def test_little_is_known(source, count):
    nan = np.full((count, CLASSES), np.nan)
    for truth in (np.full(count, UNKNOWN), np.zeros(count, int)):
        assert source(evidence_of(rows_of(truth, nan, features=nan, facts={"width": nan[:, 0]}))) == []
    same = np.zeros((count, CLASSES))
    source(evidence_of(rows_of(np.zeros(count, int), same, features=same, facts={"width": same[:, 0]})))
    assert source(evidence_of(rows_of(np.zeros(count, int), same), np.ones(count, bool))) == []
