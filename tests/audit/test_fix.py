"""The last layer trained again: against scikit-learn's own pipeline, on planted features, and from audit to file."""

import json

import numpy as np
import planted
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import seewhy
from seewhy.auditing.eye import Eye
from seewhy.auditing.fixing import fix
from seewhy.auditing.passing.collection import collection_of
from seewhy.auditing.passing.one_pass import rows_of
from seewhy.auditing.remedies.head import with_head
from seewhy.auditing.remedies.last_layer import last_layer
from seewhy.auditing.remedies.temperature import temperature
from seewhy.auditing.remedies.written import write_weights
from seewhy.auditing.result import Audit
from seewhy.auditing.split import alike, proposing
from seewhy.errors import InputError, ModelError, OutputError


@pytest.mark.parametrize("count", [2, 4])
def test_folded_back_it_decides_as_scikit_learns_own_pipeline(count):
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(count), 40)
    features = 5 + rng.normal(size=(len(classes), 6)) * [0.1, 1, 10, 3, 1, 1]
    features[:, :count] += 0.8 * np.eye(count)[classes] * features[:, :count].std(0)
    weight, bias = last_layer(features, classes, classes, draws=3)  # as many of each: every draw is all photos
    own = LogisticRegression(solver="liblinear", l1_ratio=1.0, random_state=0, max_iter=1000)
    own = own if count == 2 else OneVsRestClassifier(own)
    pipeline = make_pipeline(StandardScaler(), own).fit(features, classes)
    new = 5 + rng.normal(size=(500, 6)) * [0.1, 1, 10, 3, 1, 1]
    logits = new @ weight.T + bias
    decisions = pipeline.decision_function(new)
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0] if count == 2 else logits, decisions, atol=1e-6)
    assert (logits.argmax(1) == pipeline.predict(new)).all()


def spurious(each, seed, share=0.95):
    """The first coordinate tells the class faintly; (N, 8), (N,) and groups, class by whether the second agrees."""
    features, classes, agrees = planted.spurious(each, seed, share, core=1.5, plain=4)
    return features, classes, 2 * classes + agrees


def test_the_worst_group_gains_over_unbalanced_training():
    better = 0
    for seed in range(5):
        features, classes, groups = spurious(400, seed)
        new, truth, parts = spurious(400, 100 + seed, 0.5)
        worst = []
        for balanced in (True, False):
            weight, bias = last_layer(features, classes, groups, seed=seed, balanced=balanced)
            right = (new @ weight.T + bias).argmax(1) == truth
            worst.append(min(right[parts == part].mean() for part in np.unique(parts)))
        better += worst[0] > worst[1]
    assert better >= 4


def test_the_same_seed_draws_the_same_and_what_does_not_fit_is_said():
    features, classes, groups = spurious(60, 0)
    first, again = (last_layer(features, classes, groups, seed=3) for _ in range(2))
    assert (first[0] == again[0]).all()
    assert not (first[0] == last_layer(features, classes, groups, seed=4)[0]).all()
    for wrong in ((features[:, 0], classes), (features, classes + 1), (features * np.nan, classes)):
        with pytest.raises(InputError):
            last_layer(*wrong, groups)


def test_the_temperature_of_logits_that_were_made_too_sure():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 5)) * 2
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    classes = (chances.cumsum(1) > rng.random((len(logits), 1))).argmax(1)
    assert temperature(3 * logits, classes) == pytest.approx(3, rel=0.05)


HEAD = {"head.weight": torch.arange(12.0, dtype=torch.float64).reshape(4, 3), "head.bias": torch.ones(4)}


def state(prefix):
    return {
        f"{prefix}body.weight": torch.randn(3, 3), f"{prefix}head.weight": torch.zeros(4, 3, dtype=torch.float16),
        f"{prefix}head.bias": torch.zeros(4, dtype=torch.float16),
    }  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "module."])
def test_safetensors_keep_prefix_dtype_and_metadata(tmp_path, prefix):
    before = state(prefix)
    save_file(before, tmp_path / "in.safetensors", {"format": "pt", "made": "here"})
    write_weights(tmp_path / "in.safetensors", tmp_path / "out.safetensors", HEAD)
    after = load_file(tmp_path / "out.safetensors")
    assert list(after) == list(load_file(tmp_path / "in.safetensors"))
    assert after[f"{prefix}head.weight"].dtype == torch.float16
    assert torch.equal(after[f"{prefix}head.weight"].double(), HEAD["head.weight"])
    assert torch.equal(after[f"{prefix}body.weight"], before[f"{prefix}body.weight"])
    with safe_open(tmp_path / "out.safetensors", "pt") as opened:
        assert opened.metadata() == {"format": "pt", "made": "here"}
    kept = (tmp_path / "out.safetensors").read_bytes()
    with pytest.raises(OutputError, match="exists"):
        write_weights(tmp_path / "in.safetensors", tmp_path / "out.safetensors", HEAD)
    assert (tmp_path / "out.safetensors").read_bytes() == kept


def test_a_checkpoint_keeps_what_is_beside_the_weights(tmp_path):
    before = {"epoch": 7, "state_dict": state("module."), "optimizer": {"lr": [0.1]}}
    torch.save(before, tmp_path / "in.pth")
    write_weights(tmp_path / "in.pth", tmp_path / "out.pth", HEAD)
    after = torch.load(tmp_path / "out.pth", weights_only=True)
    assert (after["epoch"], after["optimizer"]) == (7, {"lr": [0.1]})
    assert list(after["state_dict"]) == list(before["state_dict"])
    assert torch.equal(after["state_dict"]["module.head.bias"], torch.ones(4, dtype=torch.float16))
    with pytest.raises(ModelError, match="which of its tensors"):
        write_weights(tmp_path / "in.pth", tmp_path / "other.pth", {"fc.weight": torch.zeros(4, 3)})
    assert not (tmp_path / "other.pth").exists()


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """An audit of photos that carry a tag less often than those that the network was trained on."""
    place = tmp_path_factory.mktemp("fix")
    classifier = planted.trained("checks")
    photos = planted.folder(place / "photos", *planted.pictures(80, 7, "checks", 0.7))
    save_file({f"module.{k}": v for k, v in classifier.model.state_dict().items()}, place / "net.safetensors")
    (place / "labels.txt").write_text("\n".join(planted.LABELS))
    return place, photos


def test_from_audit_to_file(audited, seewhy_command, monkeypatch):
    place, photos = audited
    model = ["--model", "planted:build", "--weights", str(place / "net.safetensors"), "--labels",
             str(place / "labels.txt"), "--input-size", "32", "--mean", "0.5", "--std", "0.25"]  # fmt: skip
    code, _, err = seewhy_command("audit", str(photos), *model, "--source", "stamps", "-o", str(place / "audit"))
    assert code == 0, err
    given = ["fix", str(place / "audit"), str(photos), *model, "-o", str(place / "new.safetensors")]
    code, out, err = seewhy_command(*given, "--json")
    assert code == 0, err
    about = json.loads(out)
    assert about["class"] == "checks"
    assert set(about["values"]) == {"before", "after", "just trained longer"}
    assert all(len(each) == 5 for way in about["seeds"].values() for each in way.values())
    assert seewhy_command(*given)[0] == 2
    # what is in the file was audited again: the same stamp, and every class on the photos it was not trained on
    again = about["again"]
    (finding,) = Audit.load(place / "audit").findings
    assert again["before"]["effect"] == finding.effect
    assert again["before"]["state"] == finding.state == "proven"
    assert again["after"]["ci"][0] <= again["after"]["effect"] <= again["after"]["ci"][1]
    assert again["after"]["effect"] < again["before"]["effect"]
    assert set(again["classes"]) == set(planted.LABELS)
    assert all(each["photos"] >= 5 and each["before"] != 0 for each in again["classes"].values())
    assert set(again["calibration_error"]) == {"before", "after"}
    # the file is the network that was measured, and nothing but its head is another
    options = {"labels": list(planted.LABELS), "input_size": 32, "mean": 0.5, "std": 0.25}
    old, new = (
        seewhy.load("planted:build", weights=str(place / name), **options)
        for name in ("net.safetensors", "new.safetensors")
    )
    kept = {key: value.clone() for key, value in old.model.state_dict().items()}
    fixed = fix(place / "audit", photos, old, written=lambda head: old)
    assert all(torch.equal(kept[key], value) for key, value in old.model.state_dict().items())
    changed = {key for key, value in new.model.state_dict().items() if not torch.equal(kept[key], value)}
    assert changed == {"head.weight", "head.bias"}
    np.testing.assert_allclose(new.model.head.weight.detach().numpy(), fixed.head.weight, rtol=1e-5, atol=1e-6)
    copy = with_head(old, fixed.head)
    assert torch.equal(copy.model.head.weight, new.model.head.weight)
    assert torch.equal(old.model.head.weight, kept["head.weight"])
    # the numbers of the first seed are those of the written network itself, on the photos it was not trained on
    assert fixed.seeds["after"]["clean accuracy"] == about["seeds"]["after"]["clean accuracy"]
    rows, _ = rows_of(collection_of(photos, old), old, place / "audit" / "rows")
    paths = np.array(rows.paths)[~proposing(rows.truth, alike(rows.digests, rows.hashes))]
    eye = Eye(new, photos)
    decided = eye.probabilities(eye.pixels(list(paths))).argmax(1)
    right = np.mean([planted.LABELS[each] == path.split("/")[0] for each, path in zip(decided, paths, strict=True)])
    assert right == pytest.approx(fixed.seeds["after"]["clean accuracy"][0], abs=0.02)  # rows are float16
    counted = sum(each["photos"] * each["after"] for each in about["again"]["classes"].values())
    assert counted / len(paths) == pytest.approx(right, abs=1e-9)
    # what is given as the one that was written is what is audited again: unchanged, it is as before
    same = fixed.again
    assert same.after.effect == pytest.approx(same.before.effect, abs=1e-6)
    assert same.after.state == same.before.state
    assert all(each["before"] == each["after"] for each in same.classes.values())
    assert same.error["before"] == same.error["after"]
    # nothing but what was measured is said: where the stamp does more than before, that it does
    low, high = fixed.change["after - before"]["effect"]["ci"]
    assert ("made worse" in fixed.sentence and "effect" in fixed.sentence.split(";")[0]) == (low > 0)
    assert not (fixed.helped and low > 0)
    assert low <= fixed.change["after - before"]["effect"]["median"] <= high
    with pytest.raises(InputError, match="no stamp"):
        fix(place / "audit", photos, old, "stamp-nothing-1")


def test_the_stamp_does_less_than_before_and_than_after_unbalanced_training(audited):
    place, photos = audited
    options = {"labels": list(planted.LABELS), "input_size": 32, "mean": 0.5, "std": 0.25}
    old = seewhy.load("planted:build", weights=str(place / "net.safetensors"), **options)
    fixed = fix(place / "audit", photos, old)
    for other in ("before", "just trained longer"):
        assert fixed.change[f"after - {other}"]["effect"]["ci"][1] < 0
    better = np.less(fixed.seeds["after"]["effect"], fixed.seeds["just trained longer"]["effect"])
    assert better.sum() >= 4
    assert fixed.helped
    assert fixed.again.after.effect < fixed.again.before.effect / 2
