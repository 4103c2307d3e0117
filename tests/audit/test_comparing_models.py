"""Two models on the same photos: what is told is what the networks themselves say of them, stamps included."""

import copy
import functools
import json
from dataclasses import replace

import numpy as np
import planted
import pytest
import torch
from safetensors.torch import save_file

import seewhy
from seewhy.auditing.circle import audit
from seewhy.auditing.comparing.models import compare
from seewhy.auditing.evidence import Evidence
from seewhy.auditing.eye import Eye
from seewhy.auditing.passing.collection import collection_of
from seewhy.auditing.passing.one_pass import rows_of
from seewhy.auditing.sources.stamps import stamps
from seewhy.auditing.split import alike, proposing
from seewhy.errors import InputError

CLASS = planted.LABELS.index("checks")
BLIND = planted.LABELS.index("stripes")
ORDER = [2, 0, 3, 1]


def classifier(net, labels=planted.LABELS):
    options = {"mean": planted.MEAN, "std": planted.STD, "size": planted.SIDE}
    return seewhy.classifier(net.eval(), labels=list(labels), **options)


def with_head(net, weight, bias):
    out = copy.deepcopy(net)
    with torch.no_grad():
        out.head.weight.copy_(weight)
        out.head.bias.copy_(bias)
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Photos, models and an audit: leaning on a tag, leaning less, blind to a class, leaning with classes permuted."""
    place = tmp_path_factory.mktemp("comparing")
    photos = planted.folder(place / "photos", *planted.pictures(44, 7, "checks"))
    leaning = planted.trained("checks", each=80, epochs=6).model
    weight, bias = leaning.head.weight.detach(), leaning.head.bias.detach()
    zeroed = weight.clone()
    zeroed[BLIND] = 0
    less = weight.clone()
    less[CLASS] *= 0.3
    nets = {"leaning": leaning, "less": with_head(leaning, less, bias), "blind": with_head(leaning, zeroed, bias)}
    nets["permuted"] = with_head(leaning, weight[ORDER], bias[ORDER])
    names = dict.fromkeys(nets, planted.LABELS) | {"permuted": [planted.LABELS[i] for i in ORDER]}
    for name, net in nets.items():
        save_file(net.state_dict(), place / f"{name}.safetensors")
        (place / f"{name}.txt").write_text("\n".join(names[name]))
    models = {name: classifier(net, names[name]) for name, net in nets.items()}
    found = audit(photos, models["leaning"], sources=["stamps"])
    found.save(place / "audit")
    return place, photos, models, found


@pytest.fixture(scope="module")
def audited(made):
    """Two models compared with the audit's stamps on both; each pair once."""
    _, photos, models, found = made
    return functools.cache(lambda a, b: compare(models[a], models[b], photos, audit=found))


def said(net, photos, paths):
    """The softmax of a network for photos, without seewhy."""
    pixels = np.stack([np.asarray(planted.Image.open(photos / path)) for path in paths])
    return net.eval()(planted.inputs(pixels)).softmax(1).detach().numpy()


def right(model, photos):
    paths = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    decided = said(model.model, photos, paths).argmax(1)
    return {path for path, k in zip(paths, decided, strict=True) if model.labels[k] == path.split("/")[0]}


def told(found):
    return json.loads(json.dumps(found.describe()))


def test_broken_photos_are_those_that_the_networks_tell(made):
    _, photos, models, _ = made
    a, b = right(models["leaning"], photos), right(models["blind"], photos)
    found = compare(models["leaning"], models["blind"], photos)
    assert len(a - b) >= 20
    assert ({each.path for each in found.broken}, {each.path for each in found.fixed}) == (a - b, b - a)
    parts = {part.name: part for part in found.parts}
    assert parts["all"].photos == 176
    assert parts["all"].b == pytest.approx(len(b) / 176)
    assert parts["stripes"].worse
    assert any(sentence.startswith("stripes: ") for sentence in found.worse)


def test_the_other_way_round_everything_is_the_other_way_round(audited):
    there, back = audited("leaning", "blind"), audited("blind", "leaning")
    assert there.broken
    assert not any(sentence.startswith("stripes: ") for sentence in back.worse)
    assert [each.path for each in there.broken] == [each.path for each in back.fixed]
    assert [each.path for each in there.fixed] == [each.path for each in back.broken]
    assert {p.name: (p.a, p.b, p.p, p.q) for p in there.parts} == {p.name: (p.b, p.a, p.p, p.q) for p in back.parts}
    (one,), (other,) = there.repeated, back.repeated
    assert (one.a, one.b, one.a_ci, one.p, one.q) == (other.b, other.a, other.b_ci, other.p, other.q)
    assert one.difference == -other.difference


def test_a_stamp_does_to_both_what_the_networks_tell(made, audited):
    _, photos, models, found = made
    (finding,) = [each for each in found.findings if each.kind == "stamp"]
    collection = collection_of(photos, models["leaning"])
    rows, _ = rows_of(collection, models["leaning"], made[0] / "rows")
    half = proposing(rows.truth, alike(rows.digests, rows.hashes), 0)
    evidence = Evidence(rows, Eye(models["leaning"], photos), half)
    (candidate,) = stamps(evidence, ["checks"])
    carries = np.isin(rows.paths, finding.carriers)
    hosts = [p for p, own, side, has in zip(rows.paths, rows.truth, half, carries, strict=True)
             if own != CLASS and not side and not has]  # fmt: skip
    pixels = np.stack([np.asarray(planted.Image.open(photos / path)) for path in hosts])
    with_it = np.stack([candidate.edit.added(each, np.random.default_rng(0)) for each in pixels])

    def change(net):
        put, there = (net(planted.inputs(each)).softmax(1)[:, CLASS].detach().numpy() for each in (with_it, pixels))
        return float((put - there).mean())

    (one,) = audited("less", "leaning").repeated
    assert one.photos == len(hosts) <= 200  # all of them, and none that proposed
    assert one.a == pytest.approx(change(models["less"].model), abs=1e-5)
    assert one.b == pytest.approx(change(models["leaning"].model), abs=1e-5)
    assert one.b == pytest.approx(finding.effect, abs=1e-6)  # the audit's own measurement, once more
    assert one.b >= 0.2
    assert one.ci[0] <= one.difference <= one.ci[1]
    assert one.q <= 0.05
    assert one.worse


def test_who_leans_more_on_a_stamp_is_worse_and_who_leans_less_is_not(audited):
    sentence = "moves checks by"
    assert any(sentence in each for each in audited("less", "leaning").worse)
    assert not any(sentence in each for each in audited("leaning", "less").worse)


def test_a_model_against_itself_changes_nothing(audited):
    found = audited("leaning", "leaning")
    assert (found.fixed, found.broken, found.worse) == ((), (), [])
    assert all(part.p == 1 for part in found.parts)
    (one,) = found.repeated
    assert (one.a, one.a_ci, one.a_beyond, one.p) == (one.b, one.b_ci, one.b_beyond, 1)


def test_the_order_of_the_classes_changes_nothing(audited):
    straight, permuted = audited("blind", "leaning"), audited("blind", "permuted")
    assert straight.fixed
    for name in ("fixed", "broken"):
        (one, other) = ([(each.path, each.a, each.b) for each in getattr(it, name)] for it in (straight, permuted))
        assert one == other
    for name in ("parts", "slices"):
        assert [vars(part) for part in getattr(straight, name)] == [vars(part) for part in getattr(permuted, name)]
    (one,), (other,) = straight.repeated, permuted.repeated
    assert (one.photos, one.p) == (other.photos, other.p)
    assert one.b == pytest.approx(other.b, abs=1e-5)


def test_all_tests_are_corrected_together(audited):
    found = audited("leaning", "blind")
    tests = [(part.p, part.q) for part in (*found.parts, *found.slices)] + [(one.p, one.q) for one in found.repeated]
    ranked = sorted(p for p, _ in tests)
    for p, q in tests:  # Benjamini and Hochberg, by their own definition
        over = [min(1, each * len(tests) / rank) for rank, each in enumerate(ranked, 1) if each >= p]
        assert q == pytest.approx(min(over))


def test_models_of_other_classes_are_refused_with_the_names(made):
    _, photos, models, _ = made
    net = models["leaning"].model
    other = classifier(net, ("rings", "stripes", "dots", "blobs"))
    with pytest.raises(InputError, match=r"the second lacks checks; the first lacks dots"):
        compare(models["leaning"], other, photos)
    unnamed = replace(models["leaning"], labels=None)
    with pytest.raises(InputError, match="class 0"):
        compare(models["leaning"], unnamed, photos)


def test_what_cannot_be_compared_is_said(made, tmp_path):
    _, _, models, found = made
    pixels, kinds = planted.pictures(6, 8)  # nothing planted: no stamp can be found again
    plain = planted.folder(tmp_path / "plain", pixels, kinds)
    with pytest.raises(InputError, match="no stamp of the audit can be repeated"):
        compare(models["less"], models["leaning"], plain, audit=found)
    without = replace(found, findings=())
    assert any("no stamp" in note for note in compare(models["less"], models["leaning"], plain, audit=without).notes)
    real = replace(found, findings=tuple(replace(each, answer="real") for each in found.findings))
    answered = compare(models["less"], models["leaning"], plain, audit=real)
    assert not answered.repeated
    assert any("real" in note for note in answered.notes)
    flat = tmp_path / "flat"
    flat.mkdir()
    planted.Image.fromarray(pixels[0]).save(flat / "0.png")
    with pytest.raises(InputError, match="no photo has a known class"):
        compare(models["less"], models["leaning"], flat)


def given(place, *names):
    words = ["--input-size", "32", "--mean", "0.5", "--std", "0.25"]
    for name in names:
        words += ["--model", "planted:build", "--weights", str(place / f"{name}.safetensors")]
        words += ["--labels", str(place / f"{name}.txt")]
    return words


def test_the_command(made, audited, tmp_path, seewhy_command):
    place, photos, models, _ = made
    code, out, err = seewhy_command("compare", photos, *given(place, "leaning", "blind"), "-o", tmp_path)
    assert code == 3, err
    assert "worse" in out
    about = json.loads((tmp_path / "compare.json").read_text())
    assert about["format"] == 1
    broken = right(models["leaning"], photos) - right(models["blind"], photos)
    assert {each["path"] for each in about["broken"]} == broken
    assert f"{len(about['fixed'])} fixed, {len(broken)} broken" in out
    assert seewhy_command("compare", photos, *given(place, "leaning", "blind"), "-o", tmp_path)[0] == 2
    code, out, err = seewhy_command("compare", photos, *given(place, "leaning", "permuted"))
    assert code == 0, err
    assert "nothing got significantly worse" in out
    # with an audit: what the function gives, to the last digit
    options = ["--audit", place / "audit", "--json"]
    code, out, err = seewhy_command("compare", photos, *given(place, "less", "leaning"), *options)
    assert code == 3, err
    found, by_function = json.loads(out), told(audited("less", "leaning"))
    for side in ("a", "b"):
        assert found[side].pop("model") == "planted:build"
        by_function[side].pop("model")
    assert found == by_function


def test_bad_input_gives_one_line(made, tmp_path, seewhy_command):
    place, photos, _, _ = made
    two = given(place, "leaning", "less")
    (tmp_path / "two.txt").write_text("rings\nstripes\ndots\nblobs")
    renamed = [*two[:-1], str(tmp_path / "two.txt")]
    for words, said_ in (
        ([photos, *given(place, "leaning")], "--model twice"),
        ([photos, *given(place, "leaning", "less", "blind")], "--model twice"),
        ([photos], "--model twice"),
        ([photos, photos, *two], "two audits"),
        ([photos, photos, "--audit", place / "audit"], "two audits"),
        ([photos, *renamed], "the second lacks checks"),
        ([photos, *two, "--audit", tmp_path], "findings.json"),
        ([tmp_path, *two], "no photo"),
    ):
        code, out, err = seewhy_command("compare", *words)
        lines = [line for line in err.splitlines() if line.strip()]
        assert (code, out) == (2, ""), err
        assert len(lines) == 1, err
        assert said_ in lines[0], err
