"""A network with one output decides yes or no; a no is explained, named and scored as one."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import seewhy
from seewhy.methods import GradCAM, Saliency
from seewhy.models import Classifier, Preprocessing
from seewhy.report import Item, RunInfo, render_report
from taken_apart import Page

LABELS = ("cat",)


def yes_or_no(bias):
    torch.manual_seed(5)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 1))
    with torch.no_grad():
        model[-1].weight.mul_(0.1)
        model[-1].bias.fill_(bias)
    return Classifier(model.eval(), LABELS, Preprocessing((24, 24)), "yes_or_no", "0" * 64, {})


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(2).integers(0, 255, (30, 30, 3), dtype=np.uint8)).save(path)
    return path


def explained(bias, photo, targets=None, steps=0):
    methods = [Saliency(), GradCAM(), *(["class_visualization"] if steps else [])]
    return seewhy.explain(photo, yes_or_no(bias), methods, targets, preset="simonyan", steps=steps or None)


@pytest.mark.parametrize("bias", [-2.8, -0.5, 0.5, 2.8])
def test_the_decision_has_its_name_score_and_probability(bias, photo):
    found, classifier = explained(bias, photo), yes_or_no(bias)
    logit = float(classifier.model(classifier.preprocess(Image.open(photo))).detach())
    (target,), (top,) = found.targets, found.top
    assert top == target.target == classifier.predict(photo).top[0]
    assert top.name == ("cat" if logit > 0 else "not cat")
    assert top.index == 0
    assert top.score == pytest.approx(abs(logit), rel=1e-5)
    assert top.probability == pytest.approx(1 / (1 + np.exp(-abs(logit))), rel=1e-5)
    assert top.probability > 0.5


def test_every_reader_sees_the_no(photo, tmp_path, monkeypatch):
    found = explained(-2.8, photo, steps=3)
    titles = []
    monkeypatch.setattr(
        "seewhy.results.drawing.figure", lambda panels, **given: titles.append((given["title"], panels[1])) or panels
    )
    found.figure()
    title, top = titles[0]
    assert title == "Why not cat?"
    assert [name for name, _ in top.rows] == ["not cat"] == list(top.marked)
    page = Page(render_report([Item(found)], run=RunInfo("m", "w", "v", "d", "c")))
    (target,) = page.photos[1]["targets"]
    assert (target["name"], target["key"]) == ("not cat", "not-0")
    assert target["target"] == page.photos[1]["top"][0], "whose bar is marked as the explained one's"
    assert page.rows[0]["predicted"] == "not cat"
    monkeypatch.undo()
    found.save(tmp_path / "out")
    about = json.loads((tmp_path / "out" / "explanation.json").read_text())
    for entry in (about["top5"][0], about["targets"][0]):
        assert (entry["name"], entry["index"], entry["sign"]) == ("not cat", 0, -1)
        assert entry["score"] > 0
        assert entry["probability"] > 0.9
    assert (tmp_path / "out" / "not-class-0.png").exists()


def test_the_class_visualization_of_a_no_raises_the_no(photo):
    made = explained(-0.1, photo, steps=16).views["class_visualization"].visualization
    clf = yes_or_no(-0.1)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (clf.mean, clf.std))
    with torch.no_grad():
        logit = float(clf.model((made.images - mean) / std))
        assert logit < float(clf.model(torch.zeros(1, 3, 24, 24)))
    assert float(made.score[0]) == pytest.approx(-logit, abs=0.01)  # the image is kept in steps of 1/255
    assert float(made.probability[0]) == pytest.approx(1 / (1 + np.exp(logit)), abs=0.01)
    assert made.history[-1, 0] > made.history[0, 0]


def test_an_output_that_is_asked_for_is_explained_as_it_is(photo):
    """Without the decision's sign: the target was chosen."""
    found = explained(-2.8, photo, targets=[0])
    target = found.targets[0].target
    assert (target.name, target.sign) == ("cat", 1)
    assert target.score < 0
    assert target.probability < 0.1
    assert found.top[0].name == "not cat"  # which is what was predicted, whatever is explained


def test_the_command_tells_both(seewhy_command, photo, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\n")
    net = ["--model", "nets.tiny:make_no", "--input-size", 24, "--labels", labels, "-M", "saliency"]
    code, said, _ = seewhy_command("explain", photo, *net, "-t", 0, "-o", tmp_path / "asked")
    assert code == 0
    rows = [line.split("%")[1].split("  ")[1] for line in said.splitlines() if "%" in line]
    assert rows == ["not cat", "cat"]


def test_networks_of_several_outputs_have_no_not(photo):
    clf = seewhy.load("nets.tiny:make", input_size=32)
    found = seewhy.explain(photo, clf, "saliency")
    assert all(entry.sign == 1 and entry.name.startswith("class ") for entry in found.top)
