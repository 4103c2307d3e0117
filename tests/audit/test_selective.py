"""SELF: what it chooses and how it trains, on planted features; and fix where groups are unknown, or have no photos."""

import json
from functools import partial

import numpy as np
import planted
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import seewhy
from seewhy.auditing.fixing import fix
from seewhy.auditing.remedies.comparing import Comparison, Measured
from seewhy.auditing.remedies.selective import disagreement, finetuned, selected
from seewhy.errors import InputError

OPTIONS = {"labels": list(planted.LABELS), "input_size": 32, "mean": 0.5, "std": 0.25}


spurious = partial(planted.spurious, core=2.5, plain=5)


def learned(seed):
    """The last layer of a network that learned from other photos of the same kind, what is plainest most of all."""
    features, classes, _ = spurious(1000, 50 + seed)
    fit = LogisticRegression(C=1e-3).fit(features, classes)
    return np.concatenate([-fit.coef_, fit.coef_]) / 2, np.concatenate([-fit.intercept_, fit.intercept_]) / 2


@pytest.mark.parametrize("seed", range(5))
def test_the_minority_is_chosen_far_beyond_its_share(seed):
    features, classes, agrees = spurious(400, seed)
    head = learned(seed)
    by = {how: selected(features, classes, *head, 20, how, seed) for how in ("disagreement", "loss", "chance")}
    assert all((np.bincount(classes[each]) == 20).all() for each in by.values())
    share = {how: 1 - agrees[each].mean() for how, each in by.items()}
    assert share["disagreement"] > 0.5 > 0.15 > share["chance"]
    assert share["loss"] > 0.3


def test_the_worst_group_gains_over_as_many_photos_by_chance():
    better = 0
    for seed in range(5):
        features, classes, _ = spurious(400, seed)
        new, truth, agrees = spurious(2000, 100 + seed, 0.5)
        head = learned(seed)
        worst = []
        for how in ("disagreement", "chance"):
            chosen = selected(features, classes, *head, 20, how, seed)
            weight, bias = finetuned(features[chosen], classes[chosen], *head)
            right = (new @ weight.T + bias).argmax(1) == truth
            worst.append(min(right[(truth == k) & (agrees == side)].mean() for k in (0, 1) for side in (False, True)))
        better += worst[0] > worst[1] + 0.3
    assert better >= 4


def test_the_divergence_of_one_feature_in_closed_form():
    weight, bias = np.array([[1.0], [-1.0]]), np.zeros(2)
    x = np.array([[0.0], [0.7], [3.0]])

    def chances(logit):
        return np.stack([1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(logit))])

    p = chances(2 * x[:, 0])
    dropped, kept = ((p * np.log(p / other)).sum(0) for other in (chances(0 * x[:, 0]), chances(4 * x[:, 0])))
    found = disagreement(x, weight, bias)
    assert found[0] == 0
    share = (found[1] - kept[1]) / (dropped[1] - kept[1])  # of the draws in which the feature was dropped
    assert 0.25 < share < 0.75
    np.testing.assert_allclose(found, share * dropped + (1 - share) * kept, atol=1e-12)


def test_finetuning_is_gradient_descent_on_the_mean_loss_of_the_classes():
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2], [30, 10, 5])
    features = rng.normal(size=(45, 4)) * [1, 5, 0.2, 1] + 3
    weight, bias = rng.normal(size=(3, 4)), rng.normal(size=3)
    same = finetuned(features, classes, weight, bias, steps=0)
    np.testing.assert_allclose(same[0], weight, atol=1e-12)
    np.testing.assert_allclose(same[1], bias, atol=1e-12)
    mean, deviation = features.mean(0), features.std(0)
    scaled, truth = torch.from_numpy((features - mean) / deviation), torch.from_numpy(classes)
    w = torch.from_numpy(weight * deviation).requires_grad_()
    b = torch.from_numpy(bias + weight @ mean).requires_grad_()
    optimizer = torch.optim.SGD([w, b], 0.3)
    for _ in range(20):
        optimizer.zero_grad()
        losses = torch.nn.functional.cross_entropy(scaled @ w.T + b, truth, reduction="none")
        sum(losses[truth == k].mean() / 3 for k in range(3)).backward()
        optimizer.step()
    found = finetuned(features, classes, weight, bias, steps=20, rate=0.3)
    logits = scaled @ w.T + b
    np.testing.assert_allclose(features @ found[0].T + found[1], logits.detach().numpy(), atol=1e-9)


def test_what_does_not_fit_is_said():
    features, classes, _ = spurious(20, 0)
    weight, bias = learned(0)
    for wrong in (
        (features[:, :3], classes),
        (features, classes + 1),
        (features * np.nan, classes),
        (features[:0], []),
    ):
        with pytest.raises(InputError):
            selected(np.asarray(wrong[0]), np.asarray(wrong[1]), weight, bias, 5)
    with pytest.raises(InputError, match="no such choice"):
        selected(features, classes, weight, bias, 5, "dropout")


def test_made_photos_count_in_their_group_and_not_in_the_clean_accuracy():
    groups = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, -1, -1])
    real = np.array([1, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1], bool)
    right = np.array([1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0], float)
    comparison = Comparison(groups, 0, np.random.default_rng(0), real)
    one = Measured(right, np.zeros(0), np.zeros(0))
    assert comparison.values([one]) == pytest.approx({"clean accuracy": 4 / 7, "worst group accuracy": 1 / 3})
    same = comparison.difference([one], [one])
    assert all(each == {"median": 0.0, "ci": [0.0, 0.0]} for each in same.values())


def test_a_class_that_is_never_without_the_stamp(tmp_path):
    """Its other group is made, and the gain is one on fresh photos too."""
    classifier = planted.trained("checks")
    audit, photos = planted.audited(tmp_path, classifier, *planted.pictures(60, 7, "checks", 1.0), ["stamps"])
    fixed = fix(audit, photos, classifier)
    assert fixed.remedy.name == "dfr"
    assert min(fixed.groups["checks, without it"]) >= 20
    assert set(fixed.groups) == {f"{name}, {how} it" for name in planted.LABELS for how in ("with", "without")}
    heads = {"after": fixed.head, "longer": fixed.longer}
    worst = {name: planted.worst_group(classifier, head, planted.tagged) for name, head in heads.items()}
    assert worst["after"] > worst["longer"] + 0.1
    told = fixed.change["after - just trained longer"]["worst group accuracy"]
    assert told["ci"][0] > 0
    assert told["median"] == pytest.approx(worst["after"] - worst["longer"], abs=0.25)


def test_where_nothing_is_suspected_it_is_self_and_a_null_is_told_as_one(tmp_path, seewhy_command):
    torch.save(planted.trained().model.state_dict(), tmp_path / "net.pth")
    classifier = seewhy.load("planted:build", weights=str(tmp_path / "net.pth"), **OPTIONS)
    audit, photos = planted.audited(tmp_path, classifier, *planted.pictures(50, 7), ["stamps"])
    fixed = fix(audit, photos, classifier, written=lambda head: classifier)
    assert fixed.finding is None
    assert fixed.remedy.name == "self"
    assert set(fixed.values["after"]) == {"clean accuracy", "worst group accuracy"}
    assert not fixed.helped
    assert "did not help beyond chance" in fixed.sentence
    low, high = fixed.change["after - just trained longer"]["worst group accuracy"]["ci"]
    assert low <= 0 <= high
    assert json.loads(json.dumps(fixed.describe()))["again"]["before"] is None
    with pytest.raises(InputError, match="needs groups of photos with and without"):
        fix(audit, photos, classifier, remedy="dfr")
    with pytest.raises(InputError, match="no remedy 'sefl'"):
        fix(audit, photos, classifier, remedy="sefl")
    (tmp_path / "labels.txt").write_text("\n".join(planted.LABELS))
    code, out, err = seewhy_command(
        "fix", str(audit), str(photos), "--model", "planted:build", "--weights", str(tmp_path / "net.pth"), "--labels",
        str(tmp_path / "labels.txt"), "--input-size", "32", "--mean", "0.5", "--std", "0.25",
        "-o", str(tmp_path / "new.pth"), "--remedy", "self",
    )  # fmt: skip
    assert code == 0, err
    assert "against nothing in particular" in out
    assert "self: trained on" in out
    new = torch.load(tmp_path / "new.pth", weights_only=True)["head.weight"]
    np.testing.assert_allclose(new.numpy(), fixed.head.weight, rtol=1e-5, atol=1e-6)


def test_what_any_training_gains_is_not_told_as_a_gain_of_the_remedy(tmp_path):
    """A network that was trained too little gets better by either."""
    classifier = planted.trained(epochs=3)
    audit, photos = planted.audited(tmp_path, classifier, *planted.pictures(50, 7), ["stamps"])
    fixed = fix(audit, photos, classifier, written=lambda head: classifier)
    assert fixed.helped
    low, high = fixed.change["after - just trained longer"]["worst group accuracy"]["ci"]
    assert low <= 0 <= high
    assert not fixed.beyond_longer
    assert "helped no more than just training longer" in fixed.sentence


def test_against_a_slice_its_accuracy_is_measured_again(tmp_path):
    classifier = planted.trained()
    pixels, kinds = planted.pictures(80, 9)
    dim = np.arange(len(kinds)) % 4 == 0
    pixels[dim] = pixels[dim] // 8  # hardly anything is seen
    audit, photos = planted.audited(tmp_path, classifier, pixels, kinds, ["slices"])
    finding = next(each for each in seewhy.Audit.load(audit).findings if each.state == "proven")
    fixed = fix(audit, photos, classifier, finding.id, written=lambda head: classifier)
    assert fixed.remedy.name == "self"
    assert fixed.finding == finding
    inside = sum(sum(here) for name, here in fixed.groups.items() if "with it" in name)
    assert inside == finding.detail["photos"]
    assert fixed.again.after.effect == pytest.approx(finding.effect, abs=1e-9)  # the model is as it was
