"""What people bring to an audit: folders, files of labels, photos and networks of all kinds. Each gives a right audit,
or one line that says what is wrong; the model comes back as it was, and no other work is lost.
"""

import json
import os
import shutil

import numpy as np
import planted
import pytest
import torch
from PIL import Image
from torch import nn

import seewhy
from seewhy.auditing import circle
from seewhy.auditing.eye import Eye
from seewhy.auditing.passing.collection import collection_of
from seewhy.auditing.passing.one_pass import rows_of
from seewhy.auditing.passing.outputs import as_logits
from seewhy.auditing.passing.rows import UNKNOWN
from seewhy.errors import InputError, ModelError, OutputError, SeewhyError

EACH = 12


@pytest.fixture(scope="module")
def net():
    return planted.trained("checks").model


@pytest.fixture
def place(tmp_path):
    return planted.folder(tmp_path / "photos", *planted.pictures(EACH, 7, "checks"))


def classifier(net, **given):
    usual = {"labels": list(planted.LABELS), "mean": planted.MEAN, "std": planted.STD, "size": planted.SIDE}
    return seewhy.classifier(net, **{**usual, **given})


class Wrapped(nn.Module):
    """A network, and a function of its logits."""

    def __init__(self, net, then):
        super().__init__()
        self.net, self.then = net, then

    def forward(self, x):
        return self.then(self.net(x))


def truth_of(place, clf, **given):
    found = collection_of(place, clf, **given)
    return dict(zip(found.paths, found.truth.tolist(), strict=True)), found.notes


# folders


def test_a_folder_that_is_nearly_named_like_a_class_is_said_with_the_nearest(place, net):
    (place / "stripes").rename(place / "strips")
    truth, notes = truth_of(place, classifier(net))
    assert {path for path, index in truth.items() if index == UNKNOWN} == {
        path for path in truth if path.startswith("strips/")
    }
    (note,) = notes
    assert "12 photos in the folder strips" in note
    assert "did you mean stripes?" in note


def test_the_innermost_folder_that_is_named_like_a_class_tells_it(place, net):
    (place / "checks" / "first").mkdir()
    for photo in list((place / "checks").glob("*.png")):
        photo.rename(place / "checks" / "first" / photo.name)
    (place / "part").mkdir()
    (place / "rings").rename(place / "part" / "RINGS")
    truth, notes = truth_of(place, classifier(net))
    assert not notes
    assert {path.split("/")[0]: planted.LABELS[index] for path, index in truth.items()} == {
        "checks": "checks", "part": "rings", "stripes": "stripes", "blobs": "blobs"
    }  # fmt: skip


@pytest.mark.parametrize("labels", [list(planted.LABELS), None])
def test_folders_called_by_all_numbers_are_the_classes_of_these_numbers(place, net, labels):
    for number, name in enumerate(planted.LABELS):
        (place / name).rename(place / str(number))
    truth, notes = truth_of(place, classifier(net, labels=labels))
    assert all(index == int(path.split("/")[0]) for path, index in truth.items())
    assert "numbers" in notes[0]


def test_a_folder_of_another_number_is_no_class(place, net):
    (place / "rings").rename(place / "2024")
    truth, notes = truth_of(place, classifier(net))
    assert {path.split("/")[0] for path, index in truth.items() if index == UNKNOWN} == {"2024"}
    assert len(notes) == 1


def test_labels_that_are_numbers_are_found_by_name(place, net):
    for number, name in enumerate(planted.LABELS):
        (place / name).rename(place / str(9 - number))
    truth, _ = truth_of(place, classifier(net, labels=["9", "8", "7", "6"]))
    assert all(index == 9 - int(path.split("/")[0]) for path, index in truth.items())


def test_without_any_truth_the_stamp_is_found_all_the_same(tmp_path, net):
    place = planted.folder(tmp_path, *planted.pictures(80, 7, "checks"))
    for photo in list(place.rglob("*.png")):
        photo.rename(place / photo.name)
    found = seewhy.audit(place, classifier(net), sources=["stamps"])
    assert found.photos["labelled"] == 0
    assert "no photo has a known class" in found.photos["notes"][0]
    (finding,) = (each for each in found.findings if each.suspected_shortcut)
    assert (finding.class_name, finding.state) == ("checks", "proven")


# files of labels


def written(place, file, line=lambda path, label: f"{path},{label}", first="path,label\n", end="\n", code="utf-8"):
    photos = sorted(path.relative_to(place).as_posix() for path in place.rglob("*.png"))
    lines = end.join(line(path, path.split("/")[0]) for path in photos)
    file.write_bytes((first.replace("\n", end) + lines + end).encode(code))
    return file


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"first": ""},
        {"first": "\n\npath,label\n".lstrip()},
        {"first": "Path, Label\n", "line": lambda path, label: f"{path}, {label}"},
        {"first": "split,filename,class\n", "line": lambda path, label: f"train,{path},{label}"},
        {"first": "path;label\n", "line": lambda path, label: f"{path};{label}"},
        {"first": "path\tlabel\n", "line": lambda path, label: f"{path}\t{label}"},
        {"line": lambda path, label: f'"{path}","{label.upper()}"'},
        {"line": lambda path, label: f"{path},{planted.LABELS.index(label)}"},
        {"line": lambda path, label: f"./{label}/../{path},{label}"},
        {"line": lambda path, label: f"{path},{label}".replace("/", "\\")},
        {"line": lambda path, label: f"{path},{label}\n"},
        {"code": "utf-8-sig", "end": "\r\n"},
    ],
)
def test_labels_as_people_write_them(place, net, tmp_path, given):
    file = written(place, tmp_path / "truth.csv", **given)
    truth, notes = truth_of(place, classifier(net), truth=file)
    assert not notes
    assert {path: planted.LABELS[index] for path, index in truth.items()} == {p: p.split("/")[0] for p in truth}


@pytest.mark.parametrize("base", ["absolute", "beside", "link"])
def test_paths_from_elsewhere(place, net, tmp_path, base):
    if base == "link":
        (tmp_path / "linked").symlink_to(place)
    start = {"absolute": place, "beside": "photos", "link": place.resolve()}[base]
    file = written(place, tmp_path / "truth.csv", lambda path, label: f"{start}/{path},{label}")
    truth, notes = truth_of(tmp_path / "linked" if base == "link" else place, classifier(net), truth=file)
    assert not notes
    assert UNKNOWN not in truth.values()


def test_what_does_not_fit_in_a_file_of_labels_is_said(place, net, tmp_path):
    file = written(place, tmp_path / "truth.csv", lambda p, label: f"{p},{label.replace('rings', 'ringz')}")
    with open(file, "a") as more:
        more.write("blobs/9999.png,blobs\nblobs/0036.png,checks\nblobs/0036.png,blobs\nblobs/0037.png,\n")
    truth, notes = truth_of(place, classifier(net), truth=file)
    assert list(truth.values()).count(UNKNOWN) == EACH
    assert truth["blobs/0036.png"] == planted.LABELS.index("blobs")
    assert "did you mean rings?" in notes[0]
    assert "1 photos have two labels" in notes[1]
    assert "1 paths" in notes[2]
    assert len(notes) == 3


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "lacks a column"),
        ("path,label\n", "tells the class of no photo"),
        ("path,label\n0000.png,rings\n", "did you mean rings/0000.png"),
        ("path,label\nrings/0000.png\n", "line 2 of .* is short"),
        ('path,label\n"rings/0000.png,rings\n', "line 3 of .* is short|line 2 of .* is short"),
        ("a,b\nc,d\n", "lacks a column"),
        (b"\xff\xfe\x00", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_file_of_labels_that_is_none_is_one_line(place, net, tmp_path, text, match):
    file = tmp_path / "truth.csv"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=match) as raised:
        truth_of(place, classifier(net), truth=file)
    assert "\n" not in str(raised.value)


# photos


def test_photos_of_all_kinds_names_and_sizes(place, net):
    photos = sorted((place / "rings").glob("*.png"))
    first = Image.open(photos[0]).copy()
    for path, mode in zip(photos, ["RGBA", "L", "LA", "P", "1"], strict=False):
        Image.open(path).convert(mode).save(path)
    Image.fromarray(np.asarray(first.convert("L")).astype(np.uint16) * 257).save(photos[5])
    first.convert("CMYK").save(place / "rings" / "cmyk.jpg")
    first.resize((900, 2)).save(photos[6])
    first.resize((1, 1)).save(photos[7])
    shutil.copy(photos[8], os.fsencode(place / "rings") + b"/\xff\xfe.png")
    for name in ("a\nb\x1b[31m.png", "<b>&'\".png", "日本 %s {x}.png", "-rf.png", "é.PNG"):
        shutil.copy(photos[8], place / "rings" / name)
    (place / "checks" / "link.png").symlink_to(photos[9])
    (place / "loop").symlink_to(place)
    bad = {"empty.png": b"", "text.png": b"no photo", "cut.png": photos[9].read_bytes()[:60]}
    for name, data in bad.items():
        (place / "blobs" / name).write_bytes(data)
    (place / "blobs" / "dead.png").symlink_to(place / "nowhere")
    os.mkfifo(place / "blobs" / "pipe.png")
    found = seewhy.audit(place, classifier(net), sources=["duplicates", "labels"])
    unreadable = dict(found.photos["unreadable"])
    assert set(unreadable) == {f"blobs/{name}" for name in (*bad, "dead.png", "pipe.png")}
    assert unreadable["blobs/dead.png"].count("dead.png") == 1
    assert found.photos["labelled"] == found.photos["count"] == 4 * EACH + 1 + 1 + 5 + 1
    about = json.loads(json.dumps(found.describe()))
    found.save(place / "audit")  # within the photos' folder
    assert seewhy.Audit.load(place / "audit").describe()["photos"] == about["photos"]


@pytest.mark.parametrize("how", ["removed", "damaged", "changed"])
def test_photos_that_go_between_pass_and_proof_are_left_out(place, net, monkeypatch, how):
    lost = [place / "rings" / "0000.png", place / "checks" / "0024.png", place / "checks" / "0025.png"]

    def passed(*args, **given):
        found = rows_of(*args, **given)
        for path in lost:
            path.unlink()
            if how != "removed":
                path.write_bytes(b"no photo" if how == "damaged" else (place / "blobs" / "0036.png").read_bytes())
        return found

    monkeypatch.setattr(circle, "rows_of", passed)
    found = seewhy.audit(place, classifier(net), sources=["sensitivity", "global"])
    told = dict(found.photos["unreadable"])
    assert set(told) == {path.relative_to(place).as_posix() for path in lost}
    assert all(f"was {'removed' if how == 'removed' else 'changed'} while" in why for why in told.values())
    assert found.photos["count"] == 4 * EACH - len(lost)
    monkeypatch.undo()
    for path in lost:
        path.unlink(missing_ok=True)
    again = seewhy.audit(place, classifier(net), sources=["sensitivity", "global"])
    assert [each.sentence for each in found.findings] == [each.sentence for each in again.findings]


def test_rows_of_other_photos_are_replaced_where_that_is_asked_for(place, net, tmp_path):
    given = {"sources": ["calibration"], "output_dir": tmp_path / "out"}
    seewhy.audit(place, classifier(net), **given)
    (place / "rings" / "0000.png").unlink()
    with pytest.raises(OutputError, match="other photos"):
        seewhy.audit(place, classifier(net), **given)
    assert seewhy.audit(place, classifier(net), **given, overwrite=True).photos["count"] == 4 * EACH - 1
    assert seewhy.audit(place, classifier(net), **given).photos["count"] == 4 * EACH - 1


# networks


def state(model):
    tensors = [value.clone() for value in (*model.parameters(), *model.buffers())]
    flags = [(each.training, len(each._forward_hooks), len(each._forward_pre_hooks)) for each in model.modules()]
    return tensors, flags, [each.requires_grad for each in model.parameters()], torch.get_rng_state()


def assert_the_same(before, after):
    for a, b in ((before[0], after[0]), ([before[3]], [after[3]])):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert before[1:3] == after[1:3]


SOME = ["stamps", "sensitivity", "components", "calibration", "preprocessing"]


@pytest.mark.parametrize(
    "then",
    [
        lambda y: {"logits": y, "more": y[:, :1]},
        lambda y: (y, y.mean(1)),
        lambda y: y.softmax(1),
        lambda y: y.log_softmax(1),
        lambda y: y.detach(),
    ],
    ids=["dict", "tuple", "softmax", "log softmax", "detached"],
)
def test_outputs_of_any_form_give_the_same_audit(place, net, then):
    plain = seewhy.audit(place, classifier(net), sources=SOME)
    model = Wrapped(net, then).train()
    before = state(model)
    found = seewhy.audit(place, classifier(model), sources=SOME)
    assert_the_same(before, state(model))
    model.eval()
    assert found.photos["accuracy"] == plain.photos["accuracy"]
    kinds = ("sensitivity", "calibration", "preprocessing")
    numbers, expected = (
        {each.id: each.effect for each in some.findings if each.kind in kinds} for some in (found, plain)
    )
    assert numbers.keys() == expected.keys()
    assert all(numbers[id] == pytest.approx(expected[id], abs=1e-4) for id in numbers)


def test_probabilities_are_taken_as_they_are():
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.2, 0.3, 0.5], [1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    said = as_logits(logits).softmax(1)
    for row, expected in enumerate((logits[0].softmax(0), logits[1], torch.full((3,), 1 / 3), logits[3])):
        assert torch.allclose(said[row], expected, atol=1e-6)
    with pytest.raises(ModelError, match="two outputs or more"):
        as_logits(torch.zeros(2, 1))


def failing(y):
    if (y.argmax(1) == 3).any():
        raise ValueError("no\nsuch photo")
    return y


def nan(y):
    return torch.where((y.argmax(1) == 3)[:, None], y * float("nan"), y)


@pytest.mark.parametrize("then", [failing, nan])
def test_photos_that_a_network_fails_on_stop_no_others(place, net, then):
    model = Wrapped(net, then)
    before = state(model)
    found = seewhy.audit(place, classifier(model))
    assert_the_same(before, state(model))
    called = [path for path, _ in found.photos["unreadable"]]
    assert len(called) >= EACH - 2
    assert found.photos["count"] == 4 * EACH - len(called)
    assert any(each.kind == "sensitivity" and each.effect is not None for each in found.findings)


def test_an_image_that_a_network_fails_on_has_no_probabilities(place, net):
    pixels, kinds = planted.pictures(5, 3)
    eye, plain = Eye(classifier(Wrapped(net, failing)), place), Eye(classifier(net), place)
    expected, said = plain.probabilities(pixels), eye.probabilities(pixels)
    fails = expected.argmax(1) == 3
    assert 0 < fails.sum() < len(kinds)
    assert np.isnan(said[fails]).all()
    assert np.allclose(said[~fails], expected[~fails], atol=1e-6)
    assert eye.failures


class Grumpy(nn.Module):
    def __init__(self, calls):
        super().__init__()
        self.net, self.calls = planted.Net().eval(), calls

    def forward(self, x):
        self.calls -= 1
        if self.calls < 0:
            raise RuntimeError("tired\nof it")
        return self.net(x)


@pytest.mark.parametrize("calls", [0, 5, 8])
def test_a_network_that_fails_for_good_is_one_line(place, calls):
    model = Grumpy(calls)
    before = state(model)
    with pytest.raises(SeewhyError, match="tired") as raised:
        seewhy.audit(place, classifier(model))
    assert "\n" not in str(raised.value)
    assert_the_same(before, state(model))


def test_images_that_see_each_other_are_looked_at_one_by_one(place, net):
    alone = Wrapped(net, lambda y: y - y.mean(0) + torch.tensor([0.0, 0.0, 0.0, 0.1]))
    pixels, _ = planted.pictures(3, 3)
    said = Eye(classifier(alone), place).probabilities(pixels)
    one_by_one = np.concatenate([Eye(classifier(alone), place).probabilities(each[None]) for each in pixels])
    assert np.array_equal(said, one_by_one)
    found = seewhy.audit(place, classifier(alone), sources=["calibration"])
    assert found.photos["accuracy"] == 0.25  # each by itself is a blob


class WithoutGradient(nn.Module):
    """Neither CAM nor Grad-CAM applies."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, 4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(256, 4))

    def forward(self, x):
        with torch.no_grad():
            return self.body(x)


def tokens():
    layer = nn.TransformerEncoderLayer(12, 2, 24, batch_first=True)
    return nn.Sequential(
        nn.Conv2d(3, 12, 8, 8), nn.Flatten(2), nn.Unflatten(2, (16,)), Transposed(), nn.TransformerEncoder(layer, 1),
        nn.Flatten(), nn.Linear(16 * 12, 4),
    )  # fmt: skip


class Transposed(nn.Module):
    def forward(self, x):
        return x.transpose(1, 2)


@pytest.mark.parametrize(
    "make",
    [
        WithoutGradient,
        tokens,
        lambda: nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(3072, 4)),
        lambda: torch.compile(planted.Net().eval(), backend="eager"),
        lambda: nn.DataParallel(planted.Net()),
        lambda: planted.Net().bfloat16(),
        lambda: planted.Net().double().requires_grad_(False),
    ],
    ids=["without gradient", "tokens", "pixels", "compiled", "data parallel", "bfloat16", "float64"],
)
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_networks_of_any_build(place, make):
    torch.manual_seed(0)
    model = make()
    before = state(model)
    clf = classifier(model, size=planted.SIDE)
    found = seewhy.audit(place, clf, sources=SOME)
    assert_the_same(before, state(model))
    assert found.photos["labelled"] == 4 * EACH
    assert seewhy.audit(place, clf, sources=SOME).describe() == found.describe()


def test_networks_of_other_channels_and_one_output_are_one_line(place):
    for net, given, match in (
        (nn.Conv2d(4, 4, 3), {"mean": [0.5] * 4, "std": [0.5] * 4}, "a photo has 3 channels and the model reads 4"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1)), {"labels": None}, "zeros_like"),
        (nn.Sequential(nn.Flatten(), nn.Linear(30, 4)), {}, "the model failed"),
    ):
        with pytest.raises(SeewhyError, match=match):
            seewhy.audit(place, classifier(net, **given))


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"photos": None}, "folder of photos is a path"),
        ({"truth": None}, "truth is a path"),
        ({"batch_size": 0}, "batch_size is a whole number"),
        ({"seed": -1}, "seed is a whole number"),
        ({"seed": 0.5}, "seed is a whole number"),
    ],
)
def test_arguments_that_make_no_sense(place, net, given, match):
    with pytest.raises(InputError, match=match):
        seewhy.audit(**{"photos": place, "model": classifier(net), **given})


# the command


def test_the_sources_are_named_in_the_help_and_answers_take_the_file_too(place, net, tmp_path, seewhy_command):
    _, out, _ = seewhy_command("audit", "--help")
    assert all(name in out for name in circle.SOURCES)
    found = seewhy.audit(place, classifier(net), sources=["sensitivity"])
    path = found.save(tmp_path / "out")
    code, _, err = seewhy_command("answer", path, found.findings[0].id, "real")
    assert code == 0, err
    assert seewhy.Audit.load(path).findings[0].answer == "real"
