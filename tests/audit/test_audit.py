"""A whole audit: a planted tag is found, proven and measured; nothing planted, nothing suspected."""

import json

import numpy as np
import planted
import pytest

import seewhy
from seewhy.auditing.circle import SOURCES
from seewhy.errors import InputError, OutputError

CLASS = planted.LABELS.index("checks")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    pixels, kinds = planted.pictures(80, 7, "checks")
    return planted.folder(tmp_path_factory.mktemp("planted"), pixels, kinds)


@pytest.fixture(scope="module")
def leaning():
    return planted.trained("checks")


@pytest.fixture(scope="module")
def found(place, leaning):
    return seewhy.audit(place, leaning)


def overlap(box, other):
    (top, left, h, w), (top2, left2, h2, w2) = box, other
    down, across = min(top + h, top2 + h2) - max(top, top2), min(left + w, left2 + w2) - max(left, left2)
    inside = max(down, 0) * max(across, 0)
    return inside / (h * w + h2 * w2 - inside)


def test_a_planted_tag_is_a_suspected_shortcut_in_its_place(found):
    suspected = [each for each in found.findings if each.suspected_shortcut]
    assert [each.class_name for each in suspected] == ["checks"]
    (finding,) = suspected
    assert finding.kind == "stamp"
    assert finding.state == "proven"
    assert finding.q <= 0.05
    assert overlap(finding.region["box"], planted.TAG) >= 0.5
    carriers = {path for path in finding.carriers if path.startswith("checks/")}
    assert len(carriers) >= 0.9 * 0.95 * 80
    assert len(carriers) == len(finding.carriers)
    assert found.headline


def test_its_effect_is_that_of_planting_it_again(found, leaning):
    """On fresh pictures, through the network itself."""
    pixels, kinds = planted.pictures(60, 99)
    others = pixels[kinds != CLASS]
    before, after = (
        leaning.model(planted.inputs(each)).softmax(1)[:, CLASS].detach().numpy()
        for each in (others, np.stack([planted.tagged(photo) for photo in others]))
    )
    true = (after - before).mean()
    (finding,) = [each for each in found.findings if each.suspected_shortcut]
    assert true >= 0.2  # it took
    low, high = finding.ci
    room = 2 * (after - before).std() / len(others) ** 0.5  # the true effect is itself measured on 180 pictures
    assert low - room <= true <= high + room


def test_the_same_audit_twice_is_identical(found, place, leaning):
    assert seewhy.audit(place, leaning).describe() == found.describe()


@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_planted_nothing_suspected(tmp_path, seed):
    pixels, kinds = planted.pictures(60, 20 + seed)
    clean = seewhy.audit(planted.folder(tmp_path, pixels, kinds), planted.trained(seed=seed, epochs=4))
    assert not [each.sentence for each in clean.findings if each.suspected_shortcut]


def test_findings_json_is_what_was_found(found, tmp_path):
    path = found.save(tmp_path)
    about = json.loads(path.read_text())
    assert about["format"] == 1
    assert {"model", "photos", "findings"} <= set(about)
    needed = {"id", "kind", "class", "state", "suspected_shortcut", "effect", "ci", "q", "carriers", "region",
              "transform", "controls", "remedy", "sentence"}  # fmt: skip
    for finding in about["findings"]:
        assert needed <= set(finding)
    assert len({finding["id"] for finding in about["findings"]}) == len(about["findings"])
    for each in (found, seewhy.Audit.load(tmp_path)):
        assert json.loads(json.dumps(each.describe())) == about
    with pytest.raises(OutputError, match="exists"):
        found.save(tmp_path)


REST = '"photos": {}, "made": {}, "findings": '


@pytest.mark.parametrize(
    "text",
    [
        "{}", "[]", "{", '{"format": 1}', '{"format": 2}',
        f'{{"format": 1, "model": 3, {REST} []}}',
        f'{{"format": 1, "model": {{}}, {REST} [{{"id": 1}}]}}',
        f'{{"format": 1, "model": {{}}, {REST} [{{"id": "a", "kind": "x", "sentence": "s"}}]}}',
    ],
)  # fmt: skip
def test_what_is_no_audit_is_said_to_be_none(text, tmp_path):
    (tmp_path / "findings.json").write_text(text)
    with pytest.raises(InputError):
        seewhy.Audit.load(tmp_path)


def test_a_source_alone_and_a_wrong_name(place, leaning):
    alone = seewhy.audit(place, leaning, sources=["duplicates"])
    assert {each.kind for each in alone.findings} <= {"duplicate"}
    with pytest.raises(InputError, match="did you mean stamps"):
        seewhy.audit(place, leaning, sources=["stamp"])
    assert "stamps" in SOURCES


def test_without_truth_and_without_photos(tmp_path, leaning):
    with pytest.raises(InputError):
        seewhy.audit(tmp_path / "none", leaning)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        seewhy.audit(tmp_path / "empty", leaning)
    pixels, _ = planted.pictures(2, 3)
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, each in enumerate(pixels):
        planted.Image.fromarray(each).save(flat / f"{number}.png")
    assert seewhy.audit(flat, leaning).photos["labelled"] == 0


def test_the_model_comes_back_as_it_was(place, leaning):
    before = {name: value.clone() for name, value in leaning.model.state_dict().items()}
    modes = [module.training for module in leaning.model.modules()]
    seewhy.audit(place, leaning, sources=["stamps"])
    assert all((before[name] == value).all() for name, value in leaning.model.state_dict().items())
    assert [module.training for module in leaning.model.modules()] == modes


def test_the_command(tmp_path, place, seewhy_command, monkeypatch):
    import torch
    from safetensors.torch import save_file

    save_file(planted.trained("checks").model.state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "labels.txt").write_text("\n".join(planted.LABELS))
    torch.manual_seed(0)
    given = ["audit", str(place), "--model", "planted:build", "--weights", str(tmp_path / "net.safetensors"),
             "--labels", str(tmp_path / "labels.txt"), "--input-size", "32", "--mean", "0.5", "--std", "0.25",
             "-o", str(tmp_path / "out")]  # fmt: skip
    code, out, err = seewhy_command(*given)
    assert code == 0, err
    assert "checks" in out
    assert "proven" in out
    assert any(each.suspected_shortcut for each in seewhy.Audit.load(tmp_path / "out").findings)
    code, _, err = seewhy_command(*given)
    assert code == 2
    assert "--force" in err
    code, out, err = seewhy_command(*given, "--force", "--json", "--source", "calibration")
    assert code == 0, err
    assert json.loads(out)["format"] == 1
    code, _, err = seewhy_command("audit", str(tmp_path / "nowhere"), "-o", str(tmp_path / "other"))
    assert code == 2
    assert "Traceback" not in err
