"""What an audit writes for the next training: augmentations that run, and lists that a spreadsheet may open."""

import csv
import json

import planted
import pytest
import torch
from safetensors.torch import save_file

from seewhy.auditing.finding import Finding
from seewhy.auditing.passing.collection import collection_of
from seewhy.auditing.remedies.lists import duplicate_list, relabel_list, write_lists
from seewhy.auditing.remedies.snippets import snippet
from seewhy.auditing.result import Audit
from seewhy.errors import InputError, OutputError
from torchvision_cpu import allow_torchvision

SENTENCE = 'a stamp"""\nimport os; os.abort()\u2028os.abort()\r#'
STAMP = Finding("stamp-a-1", "stamp", SENTENCE, "a", "proven", True, 0.4, (0.3, 0.5), transform={
    "edit": "stamp", "moving": False, "box": [2, 3, 5, 7], "alpha": 1.0, "colour": [250.0, 140.0, 20.0]})  # fmt: skip


def whole(name, amount):
    return Finding(f"global-{name}-a-1", "global", name, "a", "proven", transform={"edit": name, "amount": amount})


def everyday(name, effect=-0.2):
    return Finding(f"sensitivity-{name}", "sensitivity", name, None, "proven", effect=effect,
                   transform={"kind": name, "name": name, "of": [32, 40]})  # fmt: skip


def audit(*findings, **made):
    return Audit({}, {"count": 3}, findings, made)


@pytest.fixture
def run():
    pytest.importorskip("torchvision.transforms.v2")
    return run_it


def run_it(found):
    names = {}
    exec(compile(snippet(found), "augment.py", "exec"), names)
    return names


allow_torchvision()


def test_a_tag_of_the_stamps_colour_is_put_at_its_place_and_anywhere(run):
    names = run(audit(STAMP))
    assert len(names["augmentation"].transforms) == 1
    image = torch.full((3, 32, 40), 100, dtype=torch.uint8)
    corners = set()
    untouched = 0
    for _ in range(200):
        new = names["augmentation"](image)
        changed = (new != image).any(0)
        untouched += not changed.any()
        if changed.any():
            assert set(map(tuple, new[:, changed].T.tolist())) == {(250, 140, 20)}
            down, across = changed.any(1).nonzero(), changed.any(0).nonzero()
            corners.add((int(down[0]), int(across[0])))
            assert changed.sum() == (down[-1] - down[0] + 1) * (across[-1] - across[0] + 1), "one rectangle"
    assert 100 < untouched < 180
    assert (2, 3) in corners
    assert len(corners) > 10
    assert (image == 100).all()


def test_every_transform_that_an_audit_can_ask_for_runs(run):
    image = torch.randint(0, 256, (3, 32, 40), dtype=torch.uint8)
    for name, amount in (
        ("gain", [1.0, 0.8, 0.6]), ("tint", [30.0, 0.0, -30.0]), ("brightness", -40.0), ("blur", 1.5), ("jpeg", 20.0),
        ("contrast", 0.5), ("saturation", 1.6), ("noise", 9.0), ("vignette", 0.6),
    ):  # fmt: skip
        augmentation = run(audit(whole(name, amount)))["augmentation"]
        assert len(augmentation.transforms) == 1
        if name != "jpeg":  # whose encoder is not in every torchvision
            seen = {tuple(augmentation(image).flatten().tolist()) for _ in range(12)}
            assert len(seen) > 2
            assert all(len(each) == image.numel() for each in seen)
    for name in ("jpeg", "blur", "darker", "brighter", "crop", "mirror", "grey", "rotation"):
        (one,) = run(audit(everyday(name)))["augmentation"].transforms
        assert name == "jpeg" or one(image).shape == image.shape
    (light,) = run(audit(whole("tint", [30.0, 0.0, -30.0])))["augmentation"].transforms
    light.p = 1
    brighter, _, darker = light(torch.full((3, 2, 2), 100, dtype=torch.uint8)).float().mean((1, 2))
    assert brighter > 100 > darker


def test_answers_count_and_what_helps_twice_is_there_once(run):
    real = audit(STAMP).answered("stamp-a-1", "real")
    assert "RandomTag" not in snippet(real)
    assert len(run(real)["augmentation"].transforms) == 1, "the identity"
    weak = Finding("stamp-b-1", "stamp", "weak", "b", "not_proven", transform=STAMP.transform)
    assert "RandomTag" not in snippet(audit(weak))
    assert "RandomTag" in snippet(audit(weak).answered("stamp-b-1", "spurious"))
    assert snippet(audit(everyday("darker"), everyday("brighter"))).count("v2.ColorJitter") == 1
    assert "v2.ColorJitter" not in snippet(audit(everyday("darker", 0.1)))


def test_nothing_of_a_findings_file_becomes_code():
    code = snippet(audit(STAMP, whole("tint", [1.0, 2.0, 3.0])))
    assert all("os.abort" not in line or line.startswith("    # ") for line in code.splitlines())
    for box in (["__import__('os')", 0, 1, 1], [True, 0, 1, 1], [float("nan"), 0, 1, 1], [0, 1]):
        wrong = Finding("stamp-a-1", "stamp", "a", "a", "proven", transform={**STAMP.transform, "box": box})
        with pytest.raises(InputError, match="stamp-a-1"):
            snippet(audit(wrong))
    with pytest.raises(InputError):
        snippet(audit(whole("nothing", 1.0)))


SUSPECT = {"given": "=1+1", "suggested": "b", "probability_given": 0.1, "probability_suggested": 0.8, "score": 3.0}
LISTED = audit(
    Finding("label-suspects", "label", "labels", detail={"suspects": [
        {"path": name, **SUSPECT} for name in ("a/1,\"x\".png", "=cmd.png", "a/two\nlines.png", "a/\udcff.png")
    ]}),
    Finding("duplicate-near-labels", "duplicate", "twice", detail={"groups": [
        {"paths": ["a/1.png", "b/1.png"], "labels": ["a", "b"]}, {"paths": ["a/2.png", "a/3.png"], "labels": ["a", "a"]}
    ]}),
    Finding("duplicate-leak", "duplicate", "there too", detail={"pairs": [["a/1.png", "x/9.png"]]}),
    sources=["labels", "duplicates"],
)  # fmt: skip


def test_lists_are_read_back_and_no_cell_is_a_formula(tmp_path):
    write_lists(LISTED, tmp_path)
    with open(tmp_path / "relabel.csv", newline="", encoding="utf-8") as lines:
        found = list(csv.DictReader(lines))
    paths = [each["path"] for each in found]
    assert paths == ['a/1,"x".png', "./=cmd.png", "a/two\nlines.png", "a/\\udcff.png"]
    assert not any(cell.startswith(("=", "+", "@")) for each in found for cell in each.values())
    with open(tmp_path / "duplicates.csv", newline="", encoding="utf-8") as lines:
        copies = [(each["group"], each["path"], each["what"]) for each in csv.DictReader(lines)]
    assert copies == [
        ("1", "a/1.png", "decide"), ("1", "b/1.png", "decide"), ("2", "a/2.png", "keep"), ("2", "a/3.png", "leave out"),
        ("1", "a/1.png", "also x/9.png"),
    ]  # fmt: skip
    with pytest.raises(OutputError, match="exists"):
        write_lists(LISTED, tmp_path)
    assert write_lists(audit(sources=["stamps"]), tmp_path) == []
    assert relabel_list(audit()).count("\n") == duplicate_list(audit()).count("\n") == 1


def test_a_relabel_list_is_truth_for_an_audit_once_its_column_has_the_name(tmp_path):
    pixels, kinds = planted.pictures(1, 0)
    photos = planted.folder(tmp_path / "photos", pixels, kinds)
    (photos / "=x.png").write_bytes((photos / "rings" / "0000.png").read_bytes())
    listed = audit(Finding("label-suspects", "label", "l", detail={"suspects": [{**SUSPECT, "path": "=x.png"}]}))
    text = relabel_list(listed).replace("suggested", "label", 1).replace(",b,", ",checks,")
    (tmp_path / "truth.csv").write_text(text)
    found = collection_of(photos, planted.trained(epochs=0, each=4), tmp_path / "truth.csv")
    assert found.truth[found.paths.index("=x.png")] == planted.LABELS.index("checks")


def test_the_commands_write_them(tmp_path, seewhy_command, run):
    photos = planted.folder(tmp_path / "photos", *planted.pictures(25, 7, "checks"))
    save_file(planted.trained("checks", epochs=1).model.state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "labels.txt").write_text("\n".join(planted.LABELS))
    out = tmp_path / "out"
    given = ["audit", str(photos), "--model", "planted:build", "--weights", str(tmp_path / "net.safetensors"),
             "--labels", str(tmp_path / "labels.txt"), "--input-size", "32", "--mean", "0.5", "--std", "0.25",
             "-o", str(out), "--source", "labels", "--source", "sensitivity", "--no-page"]  # fmt: skip
    code, _, err = seewhy_command(*given)
    assert code == 0, err
    assert (out / "relabel.csv").read_text().startswith("path,given,suggested")
    assert not (out / "duplicates.csv").exists()
    (out / "findings.json").unlink()
    assert seewhy_command(*given)[0] != 0, "a list is not replaced"
    assert seewhy_command(*given, "--force")[0] == 0
    about = json.loads((out / "findings.json").read_text())
    assert [each["transform"]["of"] for each in about["findings"] if each["kind"] == "sensitivity"] == [[32, 32]] * 8
    code, _, err = seewhy_command("fix", str(out), "--snippets", str(tmp_path / "augment.py"))
    assert code == 0, err
    names = {}
    exec(compile((tmp_path / "augment.py").read_text(), "augment.py", "exec"), names)
    assert names["augmentation"].transforms
    assert seewhy_command("fix", str(out), "--snippets", str(tmp_path / "augment.py"))[0] != 0
    assert seewhy_command("fix", str(out))[0] == 2
