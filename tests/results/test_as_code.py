"""The code that is copied makes the same maps again, bit for bit."""

import ast
import shlex
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

import seewhy
from nets.tiny import make
from seewhy.core.method import param
from seewhy.methods import INPUT, GradCAM, GuidedGradCAM, Method, Needs, Occlusion, Saliency
from seewhy.results.as_code import as_code

LABELS = "cat\ntiger cat\nlynx's paw\nsea lion\n"
NET = partial(seewhy.load, "nets.tiny:make", input_size=32)


@pytest.fixture
def photo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)
    path = "it's a photo.png"
    Image.fromarray(pixels).save(path)
    (tmp_path / "labels.txt").write_text(LABELS)
    weights = {name: value * 0.9 for name, value in make().state_dict().items()}
    torch.save(weights, "own weights.pt")
    (tmp_path / "cranes.txt").write_text("crane\nCrane\ntiger\nlion\n", "utf-8")
    return path


def labelled(**given):
    return NET(labels="labels.txt", **given)


def run(code):
    """The explanation that the lines give, in a namespace of their own."""
    namespace = {"__name__": "copied"}
    exec(compile("\n".join(code["python"]), "<copied>", "exec"), namespace)
    return namespace["e"]


def same(found, again):
    """But for the order of the views, which is the command's own there."""
    assert [each.key for each in again.targets] == [each.key for each in found.targets]
    assert again.truth == found.truth
    assert again.shared_scale == found.shared_scale
    assert again.model.weights_sha256 == found.model.weights_sha256
    assert [entry.name for entry in again.top] == [entry.name for entry in found.top]
    for one, other in zip(found.targets, again.targets, strict=True):
        assert one.score == other.score
        assert set(one.views) == set(other.views)
        for id, view in one.views.items():
            assert view.params == other.views[id].params
            assert (view.error is None) == (other.views[id].error is None)
            if view.attribution is not None:
                assert view.attribution.values.equal(other.views[id].attribution.values), id
            if view.visualization is not None:
                assert view.visualization.images.equal(other.views[id].visualization.images)


CASES = {
    "methods": lambda photo: seewhy.explain(photo, NET(), ["cam", "grad_cam", "saliency"], [1]),
    "predicted": lambda photo: seewhy.explain(photo, NET(), "cam"),
    "parameters": lambda photo: seewhy.explain(
        photo,
        labelled(),
        [Saliency("signed"), GradCAM(layer="1", relu=False), Occlusion(window=(8, 6), stride=(4, 3), baseline=0.25)],
        ["tiger cat"],
    ),
    "layers": lambda photo: seewhy.explain(photo, labelled(), [GradCAM(layer="1"), GradCAM(), GuidedGradCAM()], [3]),
    "versus": lambda photo: seewhy.explain(photo, labelled(), ["cam"], ["cat", "lynx's paw"], versus=["sea lion", 1]),
    "versus in another order": lambda photo: seewhy.explain(
        photo, labelled(), ["cam"], [seewhy.Versus("cat", 1), "sea lion", seewhy.Versus(3, 1)]
    ),
    "versus alone": lambda photo: seewhy.explain(photo, labelled(), ["cam"], [seewhy.Versus(0, 1)]),
    "versus the prediction": lambda photo: seewhy.explain(photo, labelled(), ["cam"], versus="cat"),
    "one scale": lambda photo: seewhy.explain(photo, labelled(), ["cam"], [0, 1], shared_scale=True),
    "no scale": lambda photo: seewhy.explain(photo, labelled(), ["cam"], [0], versus=1, shared_scale=False),
    "truth": lambda photo: seewhy.explain(photo, labelled(), ["cam"], [0], truth="lynx's paw"),
    "options": lambda photo: seewhy.explain(
        photo, NET(mean=[0.3, 0.4, 0.5], std=0.25, device="cpu"), ["saliency", "cam"], [1]
    ),
    "size": lambda photo: seewhy.explain(
        photo, seewhy.load("nets.tiny:make", input_size=(24, 40), weights="own weights.pt", trust=True), ["cam"], [1]
    ),
    "labels in memory": lambda photo: seewhy.explain(photo, NET(), ["cam"], [1], versus=2),
    "of one name": lambda photo: seewhy.explain(photo, NET(labels="cranes.txt"), ["cam"], [1, 0, 2], versus=[3, 0]),
    "no": lambda photo: seewhy.explain(photo, seewhy.load("nets.tiny:make_no", input_size=24), ["cam", "saliency"]),
    "error": lambda photo: seewhy.explain(
        photo, seewhy.load("nets.tiny:make_flat", input_size=32), ["cam", GradCAM(layer="0"), GradCAM(layer="1")], [1]
    ),
    "picture": lambda photo: seewhy.explain(
        photo, labelled(), ["cam", "class_visualization"], ["cat"], preset="simonyan", steps=3
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_python_makes_the_same_again(case, photo):
    found = CASES[case](photo)
    code = as_code(found)
    again = run(code)
    same(found, again)
    assert list(again.views) == list(found.views)
    loaded = seewhy.Explanation.load(found.save("saved"))
    assert as_code(loaded) == code, "it is told by what is saved"


NOT_FOR_THE_COMMAND = {
    "versus in another order": "its first target is the one that is held against others",
    "versus alone": "it explains the first target too",
    "no scale": "it has no option that parts scales",
    "layers": "its layers are for all methods that have one",
    "truth": "it reads the truth from the folder's name",
}


@pytest.mark.parametrize("case", [case for case in CASES if case not in NOT_FOR_THE_COMMAND])
def test_the_command_makes_the_same_again(case, photo, seewhy_command, tmp_path):
    found = CASES[case](photo)
    code = as_code(found)
    options = [shlex.split(each) for each in (*code["targets"].values(), *code["views"].values())]
    shared = ["--shared-scale"] if case == "one scale" else []
    program, *arguments = shlex.split(code["command"])
    assert program == "seewhy"
    status, _, err = seewhy_command(
        *arguments, *(word for each in options for word in each), *shared, "-o", "out", "--no-figure"
    )
    assert status == (2 if case == "error" else 0), err
    (folder,) = (path for path in (tmp_path / "out").iterdir() if path.is_dir())
    found.save("saved", figure=False)
    with np.load(folder / "maps.npz") as again, np.load("saved/maps.npz") as before:
        assert set(again.files) == set(before.files)
        for name in before.files:
            assert again[name].tobytes() == before[name].tobytes(), name
    same(found, seewhy.Explanation.load(folder))


def test_one_view_of_one_target_is_asked_for_by_its_own_options(photo, seewhy_command, tmp_path):
    found = CASES["parameters"](photo)
    code = as_code(found)
    (target,) = code["targets"].values()
    (id,) = (id for id in code["views"] if id == "occlusion")
    arguments = shlex.split(" ".join([code["command"], target, code["views"][id]]))[1:]
    assert seewhy_command(*arguments, "-o", "out")[0] == 0
    again = seewhy.Explanation.load(next(path for path in (tmp_path / "out").iterdir() if path.is_dir()))
    assert list(again.views) == [id]
    assert again.views[id].attribution.values.equal(found.views[id].attribution.values)


def test_layers_are_named_for_each_where_one_is(photo, seewhy_command, tmp_path):
    """The command's --layer is for all methods that have one: the usual layer is then named too."""
    found = seewhy.explain(photo, labelled(), [GradCAM(layer="1"), GradCAM()], [3])
    code = as_code(found)
    arguments = shlex.split(" ".join([code["command"], *code["targets"].values(), *code["views"].values()]))[1:]
    assert seewhy_command(*arguments, "-o", "out")[0] == 0
    again = seewhy.Explanation.load(next(path for path in (tmp_path / "out").iterdir() if path.is_dir()))
    for view, other in zip(found.views.values(), again.views.values(), strict=True):
        assert view.attribution.values.equal(other.attribution.values)


def test_arguments_of_the_model_are_kept_in_the_provenance(photo):
    given = {"input_size": (24, 40), "mean": [0.3, 0.4, 0.5], "std": 0.25, "weights": "own weights.pt",
             "labels": "labels.txt", "device": "cpu", "trust": True}  # fmt: skip
    kept = seewhy.load("nets.tiny:make", **given).provenance["arguments"]
    assert kept == {**given, "input_size": [24, 40]}
    assert seewhy.load("nets.tiny:make").provenance["arguments"] == {}
    assert "labels" not in seewhy.load("nets.tiny:make", labels=["a", "b", "c", "d"]).provenance["arguments"]


@dataclass(frozen=True)
class Own(Method):
    """Times a number."""

    id = "own"
    title = "Own"
    source = "simonyan2013"
    formula = "c · ∂y/∂x"
    misleads = "It does not."
    times: float = param(1.0, help="the number")

    def needs(self):
        return Needs(input_gradient=True)

    def __call__(self, record):
        return self.times * record.gradient(INPUT)


def test_methods_of_ones_own_are_left_to_be_filled_in(photo):
    found = seewhy.explain(photo, NET(), ["cam", Own(), Own(times=3.0)], [1])
    lines = as_code(found)["python"]
    code = "\n".join(lines).replace("own_1 = ...", "own_1 = Own()").replace("own_2 = ...", "own_2 = Own(times=3.0)")
    namespace = {"__name__": "copied", "Own": Own}
    exec(compile(code, "<copied>", "exec"), namespace)
    same(found, namespace["e"])
    assert sum(line.startswith("own_") and "a method of your own: own" in line for line in lines) == 2


def test_what_was_in_memory_is_left_to_be_filled_in():
    pixels = np.zeros((32, 32, 3), np.uint8)
    labels = ["a", "b", "c", "d"]
    found = seewhy.explain(pixels, seewhy.classifier(make(), labels=labels, size=32), ["cam"], ["b"])
    lines = as_code(found)["python"]
    assert any(line.startswith("photo = ...") for line in lines)
    assert any(line.startswith("model = seewhy.classifier(...)") for line in lines)
    assert "e = seewhy.explain(photo, model," in lines
    compile("\n".join(lines), "<copied>", "exec")
    found = seewhy.explain(pixels, NET(labels=labels), ["cam"], ["b"])
    lines = as_code(found)["python"]
    assert any("your labels" in line for line in lines)
    assert "    targets=[1]," in lines, "by its number, which needs no labels"


@pytest.mark.parametrize("name", ["a\"b'c\\.png", "猫 \u202e.png", "-a.png", "$(touch x) `y`;.png", "a\nb.png"])
def test_hostile_names_are_quoted(name, photo, seewhy_command, tmp_path):
    """In Python every name is right; in the command every one that a terminal can show."""
    Image.open(photo).save(tmp_path / "plain.png")
    (tmp_path / "plain.png").rename(tmp_path / name)
    found = seewhy.explain(name, NET(), ["cam"], [1])
    code = as_code(found)
    same(found, run(code))
    assert all(line.isprintable() for line in code["python"])
    arguments = shlex.split(code["command"])[1:]
    assert seewhy_command(*arguments, "--target", "1", "-M", "cam", "-o", "out")[0] == 0
    assert not (tmp_path / "x").exists()


def test_a_forged_file_puts_no_code_into_what_is_copied(photo):
    """Names of arguments are code, and a file from elsewhere may hold any."""
    evil = "x=1)\nraise SystemExit(3)\n#"
    found = seewhy.explain(photo, NET(), ["cam", "class_visualization"], [1], preset="simonyan", steps=2)
    view = replace(found.views["class_visualization"], params={"preset": [evil], "steps": {evil: evil}})
    provenance = {**found.model.provenance, "arguments": {evil: evil, "mean": evil}, "weights": evil}
    forged = replace(
        found, model=replace(found.model, spec=evil, provenance=provenance), truth=evil,
        targets=(replace(found.targets[0], views={**found.views, "class_visualization": view}),),
    )  # fmt: skip
    for told in (forged, replace(forged, model=replace(forged.model, provenance={"weights": "in memory"}))):
        lines = as_code(told)["python"]
        assert all(line.isprintable() for line in lines), "no text ends its line"
        calls = [node for node in ast.walk(ast.parse("\n".join(lines))) if isinstance(node, ast.Call)]
        assert len(calls) == 2
        assert not [node for node in ast.walk(ast.parse("\n".join(lines))) if isinstance(node, ast.Raise)]
