"""Two audits side by side: what is told is what the models themselves say of the photos."""

import json

import numpy as np
import planted
import pytest
import torch
from safetensors.torch import save_file

import seewhy
from seewhy.errors import InputError

BLIND = planted.LABELS.index("stripes")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Photos; a network, one that cannot see a class any more, and the first with its classes in another order."""
    place = tmp_path_factory.mktemp("compare")
    pixels, kinds = planted.pictures(40, 3)
    planted.folder(place / "photos", pixels, kinds)
    clf = planted.trained(seed=1, epochs=5)
    state = {name: value.clone() for name, value in clf.model.state_dict().items()}
    save_file(state, place / "a.safetensors")
    blind = {**state, "head.bias": state["head.bias"].clone()}
    blind["head.bias"][BLIND] -= 100
    save_file(blind, place / "b.safetensors")
    order = [2, 0, 3, 1]
    turned = {
        **state,
        "head.weight": state["head.weight"][order].clone(),
        "head.bias": state["head.bias"][order].clone(),
    }
    save_file(turned, place / "c.safetensors")
    (place / "labels.txt").write_text("\n".join(planted.LABELS))
    (place / "turned.txt").write_text("\n".join(planted.LABELS[i] for i in order))
    for name, labels in (("a", "labels"), ("b", "labels"), ("c", "turned")):
        files = {"weights": str(place / f"{name}.safetensors"), "labels": str(place / f"{labels}.txt")}
        clf = seewhy.load("planted:build", **files, input_size=32, mean=0.5, std=0.25)
        seewhy.audit(place / "photos", clf, sources=["sensitivity"], output_dir=place / name).save(place / name)
    return place


def right(place, name):
    """The paths that the network itself is right on."""
    net = planted.Net()
    from safetensors.torch import load_file

    net.load_state_dict(load_file(place / f"{name}.safetensors"))
    net.eval()
    paths = sorted((place / "photos").rglob("*.png"))
    pixels = np.stack([np.asarray(planted.Image.open(path)) for path in paths])
    with torch.no_grad():
        said = net(planted.inputs(pixels)).argmax(1).tolist()
    return {f"{path.parent.name}/{path.name}" for path, kind in zip(paths, said, strict=True)
            if planted.LABELS[kind] == path.parent.name}  # fmt: skip


def paths(changed):
    return {each.path for each in changed}


def test_what_was_broken_and_fixed_is_what_the_networks_say(made):
    found = seewhy.compare(made / "a", made / "b")
    a, b = right(made, "a"), right(made, "b")
    assert paths(found.broken) == a - b
    assert paths(found.fixed) == b - a
    assert len(found.broken) >= 20
    parts = {part.name: part for part in found.parts}
    assert parts["all"].photos == 160
    assert parts["stripes"].b == 0
    assert parts["stripes"].worse
    assert any(sentence.startswith("stripes") for sentence in found.worse)
    back = seewhy.compare(made / "b", made / "a")
    assert (paths(back.fixed), paths(back.broken)) == (paths(found.broken), paths(found.fixed))
    assert not any(sentence.startswith("stripes") for sentence in back.worse)


def test_an_audit_against_itself_changes_nothing(made):
    found = seewhy.compare(made / "a", made / "a")
    assert (found.fixed, found.broken, found.worse) == ((), (), [])
    assert all(part.a == part.b and part.p == 1 for part in found.parts)
    assert all(a.effect == b.effect for a, b in found.effects.values())
    assert found.effects


def test_classes_are_compared_by_name(made):
    found = seewhy.compare(made / "a", made / "c")
    assert (found.fixed, found.broken) == ((), ())


def test_what_cannot_be_compared_is_said(made, tmp_path):
    with pytest.raises(InputError, match="no rows"):
        seewhy.compare(made / "a", tmp_path)
    pixels, kinds = planted.pictures(3, 9)
    other = planted.folder(tmp_path / "photos", pixels, 3 - kinds)
    clf = planted.trained(seed=1, each=5, epochs=1)
    seewhy.audit(other, clf, sources=["calibration"], output_dir=tmp_path / "d").save(tmp_path / "d")
    with pytest.raises(InputError, match="no labelled photo"):  # the same names, other pictures
        seewhy.compare(made / "a", tmp_path / "d")
    lines = [f"{path.parent.name}/{path.name},rings" for path in sorted((made / "photos").rglob("*.png"))]
    (tmp_path / "truth.csv").write_text("\n".join(["path,label", *lines]))
    given = {"truth": tmp_path / "truth.csv", "sources": ["calibration"], "output_dir": tmp_path / "e"}
    seewhy.audit(made / "photos", clf, **given).save(tmp_path / "e")
    with pytest.raises(InputError, match="other classes"):
        seewhy.compare(made / "a", tmp_path / "e")


def test_the_command(made, tmp_path, seewhy_command):
    code, out, err = seewhy_command("compare", str(made / "a"), str(made / "b"), "-o", str(tmp_path))
    assert code == 3, err
    assert "worse" in out
    assert "stripes" in out
    about = json.loads((tmp_path / "compare.json").read_text())
    assert about["format"] == 1
    assert {each["path"] for each in about["broken"]} == right(made, "a") - right(made, "b")
    code, out, _ = seewhy_command("compare", str(made / "a"), str(made / "a"), "--json")
    assert code == 0
    assert json.loads(out)["worse"] == []
    code, _, err = seewhy_command("compare", str(made / "a"), "planted:build")
    assert code == 2
    assert "PHOTOS_DIR" in err
    code, _, err = seewhy_command("compare", str(made / "a"), str(made / "b"), "--model", "planted:build")
    assert code == 2
    given = ["--input-size", "32", "--mean", "0.5", "--std", "0.25"]
    both = [word for name in ("a", "b") for word in ("--weights", str(made / f"{name}.safetensors"),
                                                     "--labels", str(made / "labels.txt"))]  # fmt: skip
    code, out, err = seewhy_command("compare", "planted:build", "planted:build", str(made / "photos"), *given, *both)
    assert code == 3, err
