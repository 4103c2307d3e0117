"""A network with one output decides yes or no; a no is explained, named and scored as one."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import seewhy
from seewhy.explain import Explainer, Folder, Request, draw, photo_entry
from seewhy.methods import GradCAM, Saliency
from seewhy.models import Classifier, Preprocessing
from seewhy.report import RunInfo, render_report

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


def explained(bias, photo, targets=(), steps=0):
    explainer = Explainer(yes_or_no(bias), Request((Saliency(), GradCAM()), targets, steps=steps))
    return explainer, explainer(photo)


@pytest.mark.parametrize("bias", [-2.8, -0.5, 0.5, 2.8])
def test_the_decision_has_its_name_score_and_probability(bias, photo):
    explainer, found = explained(bias, photo)
    logit = float(explainer.classifier.model(explainer.classifier.preprocess(found.photo.image)).detach())
    (target,), (top,) = found.targets, found.top
    assert top == target.target
    assert top.name == ("cat" if logit > 0 else "not cat")
    assert top.index == 0
    assert top.score == pytest.approx(abs(logit), rel=1e-5)
    assert top.probability == pytest.approx(1 / (1 + np.exp(-abs(logit))), rel=1e-5)
    assert top.probability > 0.5


def test_every_reader_sees_the_no(photo, tmp_path, monkeypatch):
    explainer, found = explained(-2.8, photo, steps=3)
    titles = []
    monkeypatch.setattr(
        "seewhy.explain.drawing.figure", lambda panels, **given: titles.append((given["title"], panels[1])) or panels
    )
    draw(found, found.targets[0], explainer)
    title, top = titles[0]
    assert title == "Why not cat?"
    assert [name for name, _ in top.rows] == ["not cat"] == list(top.marked)
    page = render_report([photo_entry(found, explainer)], run=RunInfo("m", "w", "v", "d", "c"))
    assert "Why <bdi>not cat</bdi>?" in page
    assert 'class="explained"' in page
    monkeypatch.undo()
    about = Folder(tmp_path / "out", force=False).write(found, explainer, "seewhy explain")
    about = json.loads(json.dumps(about))
    for entry in (about["top5"][0], about["targets"][0]):
        assert (entry["name"], entry["index"], entry["sign"]) == ("not cat", 0, -1)
        assert entry["score"] > 0
        assert entry["probability"] > 0.9
    assert (tmp_path / "out" / "not-class-0.png").exists()


def test_the_class_visualization_of_a_no_raises_the_no(photo):
    explainer, found = explained(-0.1, photo, steps=16)
    made = found.targets[0].visualization
    clf = explainer.classifier
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (clf.mean, clf.std))
    with torch.no_grad():
        logit = float(clf.model((made.images - mean) / std))
        assert logit < float(clf.model(torch.zeros(1, 3, 24, 24)))
    assert float(made.score[0]) == pytest.approx(-logit, rel=1e-3)
    assert float(made.probability[0]) == pytest.approx(1 / (1 + np.exp(logit)), rel=1e-3)
    assert made.history[-1, 0] > made.history[0, 0]


def test_an_output_that_is_asked_for_is_explained_as_it_is(photo):
    """Without the decision's sign: the target was chosen."""
    _, found = explained(-2.8, photo, targets=(0,))
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
    found = Explainer(clf, Request((Saliency(),), steps=0))(photo)
    assert all(entry.sign == 1 and entry.name.startswith("class ") for entry in found.top)
