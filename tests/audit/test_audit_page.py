"""The page of an audit: all that was found is there, nothing in it acts, and its drawings agree with the numbers."""

import base64
import hashlib
import json
import re
import shlex
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import planted
import pytest
import torch
from PIL import Image

import seewhy
from seewhy.auditing.eye import Eye
from seewhy.auditing.finding import Finding
from seewhy.auditing.mistakes import confused, errors
from seewhy.auditing.pages.axis import points
from seewhy.auditing.pages.interval import drawn
from seewhy.auditing.pages.mean_maps import MeanMaps
from seewhy.auditing.pages.page import STRIP, render
from seewhy.auditing.pages.told import shell_quoted
from seewhy.auditing.passing.looking import Look
from seewhy.auditing.passing.rows import UNKNOWN, Rows
from seewhy.auditing.result import Audit
from seewhy.pictures.overlay import overlay
from seewhy.results.viewed import data_uri
from seewhy.viewer.planes import values_of

HOSTILE = "<script>alert(1)</script>\"'><img src=http://evil.example/x>\n\u202e{{ 7*7 }}"


class Parsed(HTMLParser):
    VOID = frozenset({"meta", "link", "img", "br", "line", "rect", "circle"})

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.texts = [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag, of=None):
        return [given for name, given in self.tags if name == tag and (of is None or given.get("class") == of)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    pixels, kinds = planted.pictures(3, 1, "checks")
    return planted.folder(tmp_path_factory.mktemp("photos"), pixels, kinds)


@pytest.fixture(scope="module")
def classifier():
    net = planted.Net()
    return seewhy.classifier(
        net.eval(), labels=list(planted.LABELS), mean=planted.MEAN, std=planted.STD, size=planted.SIDE
    )


def paths(root):
    return tuple(sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png")))


def audit_of(*findings, name="checks", **photos):
    about = {
        "folder": "photos", "count": 12, "labelled": 12, "accuracy": 0.75, "unreadable": [], "notes": [],
        "classes": {name: {"photos": 6, "accuracy": 0.5}, "rings": {"photos": 6, "accuracy": 1.0}}, **photos,
    }  # fmt: skip
    labels = {str(index): name for index, name in enumerate(planted.LABELS)}
    model = {"spec": "net", "weights": "0" * 64, "preprocessing": "plain", "notes": [], "labels": labels}
    return Audit(model, about, findings, {"seewhy": "0", "seed": 0, "sources": [], "forwards": 12})


def stamp(root, **given):
    usual = {
        "id": "stamp-checks-1", "kind": "stamp", "sentence": "a mark makes photos checks", "class_name": "checks",
        "state": "proven", "suspected_shortcut": True, "effect": 0.42, "ci": (0.31, 0.53), "p": 0.001, "q": 0.004,
        "explained": 7, "carriers": paths(root), "region": {"box": [2, 2, 6, 6], "of": [32, 32]},
        "controls": {"same class": 0.02, "other classes": -0.03}, "remedy": ("blur it",),
    }  # fmt: skip
    return Finding(**{**usual, **given})


def own_script(page):
    """The one script of a page that runs, or None; all others hold JSON."""
    scripts = Parsed(page).all("script")
    assert [each for each in scripts if each.get("type") != "application/json"] == [{}]
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    return script


def hashed(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def blocks(page):
    """The photos that open: id of the block -> what the viewer shows."""
    found = re.findall(r'<script type="application/json" id="(photo-\d+)">(.*?)</script>', page, re.DOTALL)
    return {id: json.loads(text) for id, text in found}


def test_it_asks_for_nothing_and_runs_its_own_script_alone(root, classifier):
    page = render(audit_of(stamp(root)), root, classifier)
    parsed = Parsed(page)
    for _, given in parsed.tags:
        assert not any(name.startswith("on") or name == "style" for name in given)
        for name in ("src", "href"):
            assert given.get(name, "data:").startswith(("data:", "#"))
    (policy,) = [each["content"] for each in parsed.all("meta") if "http-equiv" in each]
    assert "default-src 'none'" in policy
    assert f"script-src {hashed(own_script(page))};" in policy
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert f"style-src {hashed(style)};" in policy
    assert "connect-src" not in policy
    assert "url(" not in style
    assert "@import" not in style


def test_names_from_outside_are_text(root, classifier):
    hostile = stamp(
        root, sentence=HOSTILE, class_name=HOSTILE, carriers=(HOSTILE, *paths(root)), remedy=(HOSTILE,),
        controls={HOSTILE: 0.1}, detail={"why": HOSTILE},
    )  # fmt: skip
    page = render(
        audit_of(hostile, name=HOSTILE, unreadable=[[HOSTILE, HOSTILE]], notes=[HOSTILE]), root, classifier
    )  # fmt: skip
    ordinary = render(audit_of(stamp(root)), root, classifier)
    parsed, plain = Parsed(page), Parsed(ordinary)
    assert own_script(page) == own_script(ordinary)
    assert {tag for tag, _ in parsed.tags} == {tag for tag, _ in plain.tags} | {"b"}
    assert all(each["src"].startswith("data:") for each in parsed.all("img"))
    assert "\u202e" not in page
    assert "{{ 7*7 }}" in page
    assert len([text for text in parsed.texts if "<script>alert(1)</script>" in text]) >= 8


def example(root, **given):
    image = Image.new("RGB", (8, 8), (250, 140, 20))
    usual = {
        "path": paths(root)[-1], "before": {"class": "rings", "probability": 0.91},
        "after": {"class": "checks", "probability": 0.97}, "picture": data_uri(image, 80),
    }  # fmt: skip
    return {"example": {**usual, **given}}


def test_an_example_is_shown_before_and_after(root, classifier):
    about = {"name": "an orange stamp"}
    page = render(audit_of(stamp(root, detail=example(root), transform=about)), root, classifier)
    (after,) = (each for each in Parsed(page).all("img") if each["src"] == example(root)["example"]["picture"])
    assert after["alt"] == ""
    for text in (
        "What it does to a photo of another class, of median effect",
        "with an orange stamp",
        "91.0 %",
        "97.0 %",
    ):
        assert text in page
    assert "what was added" not in page
    faint = example(root, difference=data_uri(Image.new("RGB", (8, 8)), 80), times=6)
    assert "what was added, 6 ×" in render(audit_of(stamp(root, detail=faint)), root, classifier)


@pytest.mark.parametrize("wrong", [
    {"picture": "https://example.org/a.png"}, {"picture": "data:image/svg+xml;base64,PHN2Zz4="},
    {"picture": 'data:image/webp;base64,AA"onerror="alert(1)'},
    {"picture": "data:image/webp;base64," + "A" * (1 << 21)},
    {"picture": None}, {"before": None}, {"after": {"class": "checks", "probability": float("nan")}}, {"path": 3},
])  # fmt: skip
def test_an_example_that_no_audit_wrote_is_left_out(root, classifier, wrong):
    page = render(audit_of(stamp(root, detail=example(root, **wrong))), root, classifier)
    assert "What it does to a photo" not in page
    assert all(each["src"].startswith(("data:image/webp;", "data:image/jpeg;")) for each in Parsed(page).all("img"))
    odd = example(root, difference="javascript:alert(1)", times=6)
    assert "what was added" not in render(audit_of(stamp(root, detail=odd)), root, classifier)
    gone = example(root, path="../../etc/passwd", before={"class": HOSTILE, "probability": 1})
    assert "cannot be read" in render(audit_of(stamp(root, detail=gone)), root, classifier)


def test_a_photo_opens_with_the_map_of_its_class(root, classifier):
    """The map is that of the row, which another function made of a whole batch."""
    carriers = paths(root)
    page = render(audit_of(stamp(root, class_name="rings")), root, classifier)
    pictures = Eye(classifier, root).pixels(carriers)
    rings = planted.LABELS.index("rings")
    maps = Look(classifier)(Eye(classifier, root).inputs(pictures), np.full(len(carriers), rings)).maps
    opens = [each["data-photo"] for each in Parsed(page).all("span") if "data-photo" in each]
    held = blocks(page)
    assert opens == list(held) == [f"photo-{number}" for number in range(1, STRIP + 1)]
    for shown, values, path in zip(held.values(), maps, carriers, strict=False):
        assert shown["photo"]["name"] == path.rpartition("/")[2]
        assert shown["photo"]["crop"] == "", "the page holds it once"
        (target,) = shown["targets"]
        assert target["name"] == "rings"
        (view,) = target["views"]
        found = values_of(view["plane"])
        assert view["id"] == "cam"
        np.testing.assert_allclose(found, values, atol=2e-3 * np.abs(values).max())  # rows are float16


def test_a_network_without_cam_opens_with_grad_cam(root):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, 2, 1), torch.nn.ReLU(), torch.nn.Flatten(),
                              torch.nn.Linear(4 * 16 * 16, 9), torch.nn.ReLU(), torch.nn.Linear(9, 4))  # fmt: skip
    other = seewhy.classifier(net.eval(), labels=list(planted.LABELS), mean=planted.MEAN, std=planted.STD, size=32)
    held = blocks(render(audit_of(stamp(root)), root, other))
    assert len(held) == STRIP
    assert {view["id"] for each in held.values() for view in each["targets"][0]["views"]} == {"grad_cam"}
    assert all(view["kind"] == "map" for each in held.values() for view in each["targets"][0]["views"])


def test_a_page_opens_no_more_photos_than_it_may(root, classifier, monkeypatch):
    monkeypatch.setattr("seewhy.auditing.pages.opened.MOST_OPENED", 3)
    wrong = [{"path": path, "class": "checks", "called": "rings", "probability": 0.9} for path in paths(root)]
    page = render(audit_of(stamp(root), errors=wrong), root, classifier)
    assert len(blocks(page)) == 3
    assert len(Parsed(page).all("img")) == STRIP + len(wrong)


def test_errors_open_with_the_maps_of_both_classes(root, classifier):
    wrong = [
        {"path": path, "class": "checks", "called": "rings", "probability": 0.9 - number / 100}
        for number, path in enumerate(reversed(paths(root)))
    ]  # fmt: skip
    page = render(audit_of(errors=wrong), root, classifier)
    held = list(blocks(page).values())
    assert [each["photo"]["name"] for each in held] == [each["path"].rpartition("/")[2] for each in wrong]
    for each in held:
        assert [target["name"] for target in each["targets"]] == ["rings", "checks"]
        assert each["truth"] == "checks"
        assert each["sharedScale"]


def test_what_is_taken_for_what(root, classifier):
    classes = {"rings": {"photos": 10, "accuracy": 0.7}, "checks": {"photos": 4, "accuracy": 1.0}}
    about = {"classes": classes, "confused": [["rings", "checks", 2], ["rings", "blobs", 1]]}
    page = render(audit_of(**about), root, classifier)
    (table,) = re.findall(r'<table class="confusion">.*?</table>', page, re.DOTALL)
    read = [re.sub("<[^>]*>", " ", line).split() for line in re.findall("<tr>.*?</tr>", table, re.DOTALL)]
    assert read == [["blobs", "checks", "rings"], ["checks", "·", "4", "·"], ["rings", "1", "2", "7"]]
    many = {f"class {number}": {"photos": 9, "accuracy": 0.5} for number in range(21)}
    page = render(audit_of(classes=many, confused=[["class 1", "class 2", 4]]), root, classifier)
    assert "4 × <bdi>class 1</bdi> taken for <bdi>class 2</bdi>" in page


def test_errors_and_confusion_are_counted_from_the_rows():
    rows = rows_of_three()
    name = "abc".__getitem__
    assert [(each["path"], each["class"], each["called"]) for each in errors(rows, name)] == [
        ("4", "a", "c"), ("1", "a", "b"), ("2", "a", "b"),
    ]  # fmt: skip
    assert errors(rows, name)[0]["probability"] == pytest.approx(0.9)
    assert confused(rows, name) == [["a", "b", 2], ["a", "c", 1]]


def rows_of_three():
    """Six photos of three classes: one right, three wrong, one of unknown truth, one right."""
    predicted, truth = np.array([0, 1, 1, 2, 2, 1]), np.array([0, 0, 0, UNKNOWN, 0, 1])
    sure = np.array([0.5, 0.8, 0.7, 0.99, 0.9, 0.6], np.float32)
    maps = np.arange(6 * 4, dtype=np.float16).reshape(6, 2, 2)
    nothing = np.zeros((6, 1))
    return Rows(tuple("012345"), truth, predicted, predicted[:, None], sure[:, None], nothing[:, 0], nothing, maps,
                {}, nothing[:, 0].astype(np.uint64), tuple("012345"), nothing[:, 0], nothing[:, 0],
                100 + maps)  # fmt: skip


def test_a_mean_map_is_of_the_carriers_whose_map_is_of_the_class():
    rows = rows_of_three()
    means = MeanMaps(rows, {0: "a", 1: "b", 2: "c"}, (20, 10))
    finding = Finding("s", "stamp", "s", class_name="a", carriers=("0", "4", "5", "gone"))
    found = means.of(finding)
    assert found.count == 2
    wanted = rows.maps[[0, 4]].astype(np.float32).mean(0)
    paper = Image.new("RGB", found.image.size, (235, 235, 235))
    assert found.image.size[0] * 2 == found.image.size[1]
    assert np.array_equal(np.asarray(found.image), np.asarray(overlay(paper, wanted)))
    assert means.of(replace(finding, class_name="c", carriers=("3",))).count == 1, "the predicted class"
    called = means.of(replace(finding, class_name="c", carriers=("3", "4")))
    both = (rows.maps[3].astype(np.float32) + rows.predicted_maps[4].astype(np.float32)) / 2
    assert called.count == 2
    assert np.array_equal(np.asarray(called.image), np.asarray(overlay(paper, both)))
    assert means.of(replace(finding, class_name=None)) is None
    assert means.of(replace(finding, carriers=("5",))) is None
    assert means.of(replace(finding, carriers=())) is None


def test_every_sentence_is_there_and_states_are_words(root, classifier):
    states = {"proven": "Proven", "not_proven": "Not proven", "too_few": "Too few photos"}
    findings = [
        Finding(f"slice-{state}", "slice", f"Of {state} < 50 % are right & more", state=state) for state in states
    ]
    parsed = Parsed(render(audit_of(*findings), root, classifier))
    for finding in findings:
        assert parsed.texts.count(finding.sentence) >= 1
    for word in states.values():
        assert word in parsed.texts
    shown = [each["id"] for each in parsed.all("article")]
    assert sorted(shown) == ["finding-1", "finding-2", "finding-3"]


@pytest.mark.parametrize(
    ("effect", "ci", "controls"),
    [
        (0.42, (0.31, 0.53), {"same class": 0.02, "other": -0.03}),
        (-0.9, (-1.0, -0.8), {}),
        (0.004, (-0.001, 0.009), {"a": 0.0}),
        (0.0, (0.0, 0.0), {"a": 0.0}),
        (1.0, (1.0, 1.0), {"a": -1.0}),
    ],
)
def test_the_drawing_is_on_the_scale_of_its_ticks(root, classifier, effect, ci, controls):
    parsed = Parsed(render(audit_of(stamp(root, effect=effect, ci=ci, controls=controls)), root, classifier))
    ticks = [(float(each["data-value"]), float(each["x1"])) for each in parsed.all("line", "tick")]
    assert 2 <= len(ticks) <= 7
    slope, start = np.polyfit(*np.transpose(ticks), 1)
    assert slope > 0

    def x(value):
        return pytest.approx(start + slope * value, abs=0.02)

    (interval,) = parsed.all("line", "interval")
    assert [float(interval["data-low"]), float(interval["data-high"])] == list(ci)
    assert [float(interval["x1"]), float(interval["x2"])] == [x(ci[0]), x(ci[1])]
    (dot,) = parsed.all("circle", "dot")
    assert float(dot["cx"]) == x(effect)
    (zero,) = parsed.all("line", "zero")
    assert float(zero["x1"]) == x(0.0)
    assert [float(each["cx"]) for each in parsed.all("circle", "control")] == [x(each) for each in controls.values()]
    for place in (float(interval["x1"]), float(interval["x2"]), float(dot["cx"])):
        assert 0 <= place <= 320


def test_the_accuracy_before_is_no_change_of_accuracy():
    finding = Finding("s", "sensitivity", "s", effect=-0.1, ci=(-0.2, 0.0), controls={"unchanged": 0.9})
    assert drawn(finding).controls == ()
    assert drawn(Finding("d", "duplicate", "d")) is None


@pytest.mark.parametrize(
    ("share", "text"), [(0.42, "+42"), (-0.004, "−0.4"), (0.0, "0"), (0.0999, "+10"), (1e-5, "0.0"), (0.05, "+5")]
)
def test_points(share, text):
    assert points(share) == text


def test_the_region_is_outlined_on_the_photos_and_in_the_diagram(root, classifier):
    parsed = Parsed(render(audit_of(stamp(root)), root, classifier))
    boxes = parsed.all("rect", "line")
    assert len(boxes) == 8 + 1
    assert all([each[k] for k in ("x", "y", "width", "height")] == ["2.0", "2.0", "6.0", "6.0"] for each in boxes)
    assert len(parsed.all("img")) == 8


def test_the_pictures_are_what_the_model_sees(root, classifier):
    import io

    path = paths(root)[0]
    (image,) = Parsed(render(audit_of(stamp(root, carriers=(path,))), root, classifier)).all("img")
    held = Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2]))).convert("RGB")
    seen = classifier.crop(Image.open(root / path))
    assert held.size == seen.size
    assert np.abs(np.asarray(held, float) - np.asarray(seen, float)).mean() < 16


def test_a_photo_that_is_gone_breaks_nothing(root, classifier, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    page = render(audit_of(stamp(root, carriers=("gone.png", "broken.png"))), tmp_path, classifier)
    assert Parsed(page).texts.count("cannot be read") == 2
    nothing = audit_of(count=0, labelled=0, accuracy=None, classes={})
    assert "nothing was proven" in render(nothing, tmp_path / "gone", classifier).lower()


@pytest.mark.parametrize("word", ["a b", "it's", "$(id)", "a\nb", "\x1b[2J", "ü", "a\\b'\n", "\u202e", "-x", "a;b"])
def test_a_shell_reads_the_word_again(word):
    read = subprocess.run(["bash", "-c", f"printf %s {shell_quoted(word)}"], capture_output=True, check=True)
    assert read.stdout.decode() == word
    assert "\n" not in shell_quoted(word)


def test_commands_to_check_by_hand(root, classifier, tmp_path):
    place = tmp_path / "my photos"
    parsed = Parsed(render(audit_of(stamp(root, carriers=("it's.png",))), place, classifier))
    what_if, explain = [shlex.split(text) for text in parsed.texts if text.startswith("seewhy ") and "--" in text]
    assert what_if[:5] == ["seewhy", "what-if", str(place / "it's.png"), "--box", "2,2,6,6"]
    assert explain[:3] == ["seewhy", "explain", str(place / "it's.png")]


def test_the_worst_class_is_first(root, classifier):
    names = {"good": {"photos": 5, "accuracy": 0.9}, "bad": {"photos": 5, "accuracy": 0.1}}
    parsed = Parsed(render(audit_of(classes=names), root, classifier))
    assert parsed.texts.index("bad") < parsed.texts.index("good")


def test_the_command_writes_the_page_unless_it_is_not_wanted(root, tmp_path, seewhy_command, monkeypatch):
    (tmp_path / "labels.txt").write_text("\n".join(planted.LABELS))
    given = ["audit", str(root), "--model", "planted:build", "--labels",
             str(tmp_path / "labels.txt"), "--input-size", "32", "--source", "duplicates", "-o"]  # fmt: skip
    code, out, err = seewhy_command(*given, str(tmp_path / "with"))
    assert code == 0, err
    assert "audit.html" in out.replace("\n", "")
    page = (tmp_path / "with" / "audit.html").read_text("utf-8")
    for finding in Audit.load(tmp_path / "with").findings:
        assert finding.sentence[1:] in "".join(Parsed(page).texts)
    code, _, err = seewhy_command(*given, str(tmp_path / "without"), "--no-page")
    assert code == 0, err
    assert not (tmp_path / "without" / "audit.html").exists()
    (tmp_path / "without" / "findings.json").rename(tmp_path / "without" / "audit.html")
    code, _, err = seewhy_command(*given, str(tmp_path / "without"))
    assert code == 2
    assert "--force" in err
