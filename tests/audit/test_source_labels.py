"""Wrong labels, duplicates: planted ones are found, and clean rows give none."""

from types import SimpleNamespace

import numpy as np
import pytest

from seewhy.auditing.evidence import Evidence
from seewhy.auditing.passing.rows import UNKNOWN, Rows
from seewhy.auditing.sources.duplicates import duplicates
from seewhy.auditing.sources.labels import confident, labels
from seewhy.errors import PhotoError

CLASSES = 5


def rows_of(truth, probabilities, features, **more):
    """Rows of hand-made probabilities (N, K), of which the best three are kept."""
    truth, count = np.asarray(truth), len(truth)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :3]
    own = np.where(truth >= 0, probabilities[np.arange(count), np.maximum(truth, 0)], np.nan)
    columns = {
        "paths": tuple(f"{index:05}.png" for index in range(count)),
        "truth": truth,
        "predicted": order[:, 0],
        "top_classes": order.astype(np.int32),
        "top_probabilities": np.take_along_axis(probabilities, order, 1).astype(np.float32),
        "truth_probability": own.astype(np.float32),
        "features": np.asarray(features, np.float16),
        "maps": np.zeros((count, 2, 2), np.float16),
        "facts": {},
        "hashes": np.random.default_rng(1).integers(0, 1 << 63, count, dtype=np.uint64),
        "digests": tuple(f"digest {index}" for index in range(count)),
        "loss": -np.log(own).astype(np.float32),
        "margin": np.zeros(count, np.float32),
        "predicted_maps": np.zeros((count, 2, 2), np.float16),
    }
    return Rows(**{**columns, **more})


def no_file(path):
    raise PhotoError(f"{path} is hand-made and has no file")


def evidence_of(rows):
    classifier = SimpleNamespace(label=lambda index: f"class {index}", labels=tuple("abcde"))
    half = np.arange(len(rows)) % 2 == 0
    return Evidence(rows, SimpleNamespace(classifier=classifier, photo=no_file), half)


def drawn(seed, count=1000, flipped=0.1, noise=0.9, sure=1.0):
    """Photos of Gaussian classes; the model knows the densities; some labels are replaced."""
    random = np.random.default_rng(seed)
    true = random.integers(0, CLASSES, count)
    features = 3 * np.eye(CLASSES)[true] + noise * random.normal(size=(count, CLASSES))
    scores = sure * 3 * features / noise**2
    probabilities = np.exp(scores - scores.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    wrong = random.random(count) < flipped
    given = np.where(wrong, (true + random.integers(1, CLASSES, count)) % CLASSES, true)
    return rows_of(given, probabilities, features), true, wrong


@pytest.mark.parametrize(("seed", "sure"), [(0, 1), (1, 1), (2, 1), (3, 4)])
def test_flipped_labels_come_first_and_the_right_label_is_suggested(seed, sure):
    rows, true, wrong = drawn(seed, sure=sure)
    (found,) = labels(evidence_of(rows))
    ranked = [rows.paths.index(path) for path in found.carriers]
    first = ranked[: wrong.sum()]
    assert wrong[first].mean() >= 0.8
    suggested = [each["suggested"] for each in found.detail["suspects"]]
    right = [name == f"class {true[row]}" for name, row in zip(suggested, ranked, strict=True) if wrong[row]]
    assert np.mean(right) > 0.9
    assert found.state == "not_proven"
    assert found.p is None


def test_a_network_that_learned_its_wrong_labels_by_heart_is_told_by_neighbours():
    rows, _, wrong = drawn(4, noise=0.4)
    sure = np.full((len(rows), CLASSES), 0.01)
    sure[np.arange(len(rows)), rows.truth] = 0.96
    (found,) = labels(evidence_of(rows_of(rows.truth, sure, rows.features)))
    assert found.detail["by_neighbours_only"] == len(found.carriers)
    assert np.mean([wrong[rows.paths.index(path)] for path in found.carriers]) > 0.95
    assert len(found.carriers) >= 0.9 * wrong.sum()


def test_a_network_that_half_learned_its_wrong_labels_still_doubts_them_first():
    # Hardly any photo reaches the threshold of another class then: the list must not end before the wrong labels do.
    random = np.random.default_rng(5)
    rows, true, wrong = drawn(5, noise=0.7)
    learned = 0.2 * np.eye(CLASSES)[rows.truth] + 0.8 * np.eye(CLASSES)[true]
    scores = random.uniform(2, 9, (len(rows), 1)) * learned + 0.7 * random.normal(size=learned.shape)
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    (found,) = labels(evidence_of(rows_of(rows.truth, probabilities, np.zeros((len(rows), 0)))))
    ranked = [rows.paths.index(path) for path in found.carriers]
    assert wrong[ranked[: wrong.sum()]].sum() >= 0.7 * wrong.sum()


def test_confident_learning_by_hand():
    # Thresholds: class 0: (.9 + .2 + .9) / 3 = .67; class 1: (.75 + .6) / 2 = .675.
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.1], [0.25, 0.75], [0.4, 0.6]])
    rows = rows_of([0, 0, 0, 1, 1], np.pad(probabilities, ((0, 0), (0, 1))), np.ones((5, 1)))
    suggested, margin = confident(rows)
    assert suggested.tolist() == [UNKNOWN, 1, UNKNOWN, UNKNOWN, UNKNOWN]
    assert margin[1] == pytest.approx(0.6)
    lower = probabilities.copy()
    lower[1] = [0.35, 0.65]  # class 1 does not reach its threshold
    assert (confident(rows_of([0, 0, 0, 1, 1], np.pad(lower, ((0, 0), (0, 1))), np.ones((5, 1))))[0] == UNKNOWN).all()


@pytest.mark.parametrize("source", [labels, duplicates])
@pytest.mark.parametrize("count", [0, 1, 2, 30])
def test_little_is_known(source, count):
    probabilities = np.full((count, CLASSES), 0.2)
    features = np.full((count, 3), np.nan)
    for truth in (np.full(count, UNKNOWN), np.zeros(count, int), np.arange(count) % 2):
        assert source(evidence_of(rows_of(truth, probabilities, features))) == []


def test_exact_copies_are_facts():
    probabilities = np.full((7, CLASSES), 0.2)
    digests = ("a", "b", "a", "c", "b", "d", "a")
    rows = rows_of([0, 1, 0, 2, 2, 3, 0], probabilities, np.zeros((7, 0)), digests=digests)
    differ, same = duplicates(evidence_of(rows))
    assert (differ.id, differ.carriers, differ.explained) == ("duplicate-exact-labels", ("00001.png", "00004.png"), 1)
    assert same.carriers == ("00000.png", "00002.png", "00006.png")
    assert {differ.state, same.state} == {"proven"}
    assert same.detail["photos_to_leave_out"] == 2
