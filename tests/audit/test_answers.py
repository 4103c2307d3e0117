"""What a person says of a finding is kept, and counts."""

import json

import planted
import pytest

import seewhy
from seewhy.auditing.finding import Finding
from seewhy.auditing.fixing import fix
from seewhy.auditing.result import Audit
from seewhy.errors import InputError


def audit(*findings):
    return Audit({}, {"count": 3}, findings, {})


STAMP = Finding("stamp-bag-1", "stamp", "a stamp", "bag", "proven", True, 0.4, (0.3, 0.5))
PART = Finding("component-bag-1", "component", "a part", "bag", "proven", False, 0.4, (0.3, 0.5))
WEAK = Finding("component-bag-2", "component", "a part", "bag", "not_proven", False, 0.01, (0.0, 0.1))


def test_what_is_real_is_no_shortcut_and_what_is_spurious_is_one_where_it_is_proven():
    found = audit(STAMP, PART, WEAK).answered("stamp-bag-1", "real").answered("component-bag-1", "spurious")
    found = found.answered("component-bag-2", "spurious")
    assert [each.suspected_shortcut for each in found.findings] == [False, True, False]
    assert [each.answer for each in found.findings] == ["real", "spurious", "spurious"]
    unknown = audit(STAMP).answered("stamp-bag-1", "unknown")
    assert unknown.findings[0].suspected_shortcut
    with pytest.raises(InputError, match="did you mean stamp-bag-1"):
        found.answered("stamp-bag-2", "real")
    with pytest.raises(InputError, match="spurious or real or unknown"):
        found.answered("stamp-bag-1", "maybe")


def test_answers_are_saved_and_taken_over_by_id(tmp_path):
    found = audit(STAMP, PART).answered("stamp-bag-1", "real")
    found.save(tmp_path)
    again = audit(PART, STAMP).answered_as(Audit.load(tmp_path))
    assert [each.answer for each in again.findings] == [None, "real"]
    assert not again.findings[1].suspected_shortcut
    about = json.loads((tmp_path / "findings.json").read_text())
    about["findings"][0]["answer"] = "perhaps"
    (tmp_path / "findings.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="answer"):
        Audit.load(tmp_path)


def test_the_command_and_an_audit_made_again(tmp_path, seewhy_command):
    from safetensors.torch import save_file

    pixels, kinds = planted.pictures(80, 7, "checks")
    place = planted.folder(tmp_path / "photos", pixels, kinds)
    leaning = planted.trained("checks")
    save_file(leaning.model.state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "labels.txt").write_text("\n".join(planted.LABELS))
    given = ["audit", str(place), "--model", "planted:build", "--weights", str(tmp_path / "net.safetensors"),
             "--labels", str(tmp_path / "labels.txt"), "--input-size", "32", "--mean", "0.5", "--std", "0.25",
             "-o", str(tmp_path / "out"), "--source", "stamps"]  # fmt: skip
    assert seewhy_command(*given)[0] == 0
    page = (tmp_path / "out" / "audit.html").read_text()
    assert f"seewhy answer {tmp_path / 'out'} stamp-checks-1 spurious" in page
    code, out, err = seewhy_command("answer", str(tmp_path / "out"), "stamp-checks-1", "real")
    assert code == 0, err
    assert "real" in out
    assert seewhy_command(*given, "--force")[0] == 0
    (finding,) = Audit.load(tmp_path / "out").findings
    assert (finding.answer, finding.suspected_shortcut, finding.state) == ("real", False, "proven")
    assert "part of the object" in (tmp_path / "out" / "audit.html").read_text()
    clf = seewhy.load("planted:build", weights=str(tmp_path / "net.safetensors"), labels=str(tmp_path / "labels.txt"),
                      input_size=32, mean=0.5, std=0.25)  # fmt: skip
    with pytest.raises(InputError, match="part of the object"):
        fix(tmp_path / "out", place, clf, "stamp-checks-1")
    for wrong in (("stamp-checks-9", "real"), ("stamp-checks-1", "yes")):
        code, _, err = seewhy_command("answer", str(tmp_path / "out"), *wrong)
        assert code == 2
        assert "Traceback" not in err


def test_the_headline_is_what_matters_most():
    other = Finding("preprocessing", "preprocessing", "scaled otherwise", None, "proven", False, 0.1, (0.05, 0.2))
    assert audit(PART, STAMP).headline == "a stamp"
    assert audit(PART, STAMP, other).headline == "scaled otherwise"
    assert audit(WEAK, PART).headline == "a part"
    assert "nothing was proven on 3 photos" in audit(WEAK).headline
