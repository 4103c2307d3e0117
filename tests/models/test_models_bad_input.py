"""Whatever is wrong with a model, one line says what, and what would have been right."""

from __future__ import annotations

import builtins
import contextlib
import json
import pickle
import urllib.error
import warnings
import zipfile

import pytest
import timm
import torch
import transformers
from conftest_nets import Small
from torchvision import models as vision

from seewhy.errors import InputError, MissingExtraError, ModelError, SeewhyError
from seewhy.models import load


def refused(kind, *args, **options) -> str:
    """What ``load`` says when it refuses: of the right kind, on one line, short, and chained or original."""
    with pytest.raises(SeewhyError) as caught:
        load(*args, **options)
    assert type(caught.value) is kind
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 500
    return said


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "unknown model ''; expected efficientnet_lite0, torchvision:NAME"),
        ("eficientnet_lite0", "did you mean efficientnet_lite0?"),
        ("EfficientNet-Lite0", "did you mean efficientnet_lite0?"),
        ("resnet50", "did you mean torchvision:resnet50 or timm:resnet50?"),
        ("my.nets", "did you mean my.nets:factory or timm:my.nets?"),
        ("torchvison:resnet50", "did you mean torchvision:resnet50?"),
        ("torchvision:", "the model after 'torchvision:' is missing"),
        ("torchvision:resnet51", "no classifier 'resnet51'; did you mean torchvision:resnet50"),
        ("torchvision:fasterrcnn_resnet50_fpn", "no classifier 'fasterrcnn_resnet50_fpn'"),
        ("timm:resnet51", "timm has no model 'resnet51'; did you mean timm:resnet"),
        ("timm:resnet18.a1_in2k", "no weights 'a1_in2k'; expected random, a file, or one of"),
        ("nowhere.at.all:network", "there is no module 'nowhere.at.all' to import"),
        ("mine:netwrok", "mine has no 'netwrok'; did you mean mine:network?"),
        ("mine:number", "mine:number cannot be called; got int"),
        ("mine:nothing", "mine:nothing() returned no network; expected a torch.nn.Module; got NoneType"),
        ("mine:needs", "mine:needs() failed; expected a call without arguments; got TypeError"),
        ("mine:fails", "mine:fails() failed; expected a call without arguments; got OSError: the disk"),
        (
            "broken:network",
            "'broken' cannot be imported; got ModuleNotFoundError: No module named",
        ),
        ("mine:two words", "unknown model 'mine:two words'"),
        ("gone.pt2", "no such model file: gone.pt2"),
        ("gone.pth", "no such model file: gone.pth"),
        ("net.safetensors", "is not a model; expected"),
    ],
)
def test_no_such_model(spec, said, project):
    assert said in refused(ModelError, spec)


@pytest.mark.parametrize(
    ("spec", "weights", "said"),
    [
        (
            "efficientnet_lite0",
            "imagenet",
            "unknown weights for efficientnet_lite0; expected a file",
        ),
        (
            "torchvision:resnet18",
            "IMAGENET1K_V9",
            "a file, or one of IMAGENET1K_V1, DEFAULT; did you mean",
        ),
        ("timm:resnet18", "a1_in2k", "timm:resnet18 has no weights 'a1_in2k'"),
        ("mine:network", "random", "a factory's weights are its own"),
        ("mine:network", "gone.pth", "no such weights file: gone.pth"),
        ("mine:network", ".", "no such weights file: ."),
        ("mine:network", "empty.pth", "empty.pth is not a readable checkpoint"),
        ("mine:network", "text.pth", "text.pth is not a readable checkpoint"),
        ("mine:network", "torn.pth", "torn.pth is not a readable checkpoint"),
        ("mine:network", "text.safetensors", "text.safetensors is not a readable checkpoint"),
        ("mine:network", "list.pth", "list.pth holds no weights; expected tensors by name; got list"),
        ("mine:network", "numbers.pth", "numbers.pth holds something else than weights"),
        ("mine:network", "nothing.pth", "nothing.pth holds no weights"),
    ],
)
def test_no_such_weights(spec, weights, said, project, small):
    files = {"empty.pth": b"", "text.pth": b"hello there", "text.safetensors": b"hello there"}
    for name, content in files.items():
        (project / name).write_bytes(content)
    torch.save([1, 2], "list.pth")
    torch.save({"lr": 0.1}, "numbers.pth")
    torch.save({}, "nothing.pth")
    torch.save(small.state_dict(), "torn.pth")
    (project / "torn.pth").write_bytes((project / "torn.pth").read_bytes()[:900])
    if weights == ".":
        weights = "./"
        said = "no such weights file: ./"
    assert said in refused(ModelError, spec, weights=weights)


def test_weights_of_another_network(project, small):
    state = small.state_dict()
    state["head.weight"], state["head.bias"] = state.pop("fc.weight"), state.pop("fc.bias")
    state["features.0.weight"] = torch.zeros(4, 1, 5, 5)
    torch.save(state, "other.pt")
    said = refused(ModelError, "mine:network", weights="other.pt")
    assert "the weights in other.pt do not fit Small: 2 missing (fc.weight, fc.bias)" in said
    assert "2 unexpected (head.weight, head.bias)" in said
    assert "1 of another shape (features.0.weight (4, 1, 5, 5) instead of (4, 3, 3, 3))" in said
    assert "did you mean" in said
    torch.save({"something.else": torch.zeros(1), "features.9.weight": torch.zeros(1)}, "alien.pt")
    assert "did you mean" not in refused(ModelError, "mine:network", weights="alien.pt")


def test_old_checkpoints_without_counters_fit(project, small):
    state = {key: value for key, value in small.state_dict().items() if "num_batches" not in key}
    torch.save(state, "old.pt")
    assert torch.equal(load("mine:network", weights="old.pt").model.fc.weight, small.fc.weight)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(value, project, small):
    small.features[3].weight.data[0, 0] = value
    torch.save(small.state_dict(), "nan.pt")
    said = refused(ModelError, "mine:network", weights="nan.pt")
    assert "not finite" in said
    assert "features.3.weight" in said
    small.features[3].weight.data[0, 0] = 1
    small.features[1].running_var[0] = float("nan")
    torch.save(small.state_dict(), "nan.pt")
    assert "NaN in features.1.running_var" in refused(ModelError, "mine:network", weights="nan.pt")


class Bomb:
    """Unpickling it leaves a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return builtins.open, (str(self.path), "w")


@pytest.mark.parametrize("how", ["whole", "weights", "plain pickle", "exported"])
def test_a_pickle_is_not_read_unless_trusted(how, project, small):
    trace = project / "exploded"
    content = {"state_dict": small.state_dict(), "extra": Bomb(trace)}
    if how == "plain pickle":
        with open("file.pth", "wb") as file:
            pickle.dump(Bomb(trace), file)
    else:
        torch.save(content, "file.pth")
    if how == "exported":
        torch.export.save(torch.export.export(small, (torch.zeros(2, 3, 9, 9),)), "net.pt2")
        with zipfile.ZipFile("net.pt2") as old, zipfile.ZipFile("new.pt2", "w") as new:
            for name in old.namelist():
                is_sample = name.endswith(("sample_inputs/model.pt", "serialized_example_inputs.pt"))  # as in torch 2.6
                content = (project / "file.pth").read_bytes() if is_sample else old.read(name)
                new.writestr(name.replace("net/", "new/"), content)
    spec = {"whole": "file.pth", "exported": "new.pt2"}.get(how, "mine:network")
    options = {} if how in ("whole", "exported") else {"weights": "file.pth"}
    said = refused(ModelError, spec, **options)
    assert "can run any code" in said
    assert "trust=True (--trust " in said
    assert not trace.exists()
    with contextlib.suppress(SeewhyError):
        load(spec, **options, trust=True)
    assert trace.exists()  # so it was dangerous


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x05\x06" + bytes(18)])
def test_not_an_exported_program(content, project, capfd):
    (project / "net.pt2").write_bytes(content)
    assert "net.pt2 is not an exported program" in refused(ModelError, "net.pt2")


def test_an_exported_program_of_something_else(project):
    torch.export.save(torch.export.export(torch.nn.Linear(3, 2), (torch.zeros(2, 3),)), "net.pt2")
    said = refused(ModelError, "net.pt2", trust=True)
    assert "does not take pictures; expected one input (B, C, H, W); got (2, 3)" in said


def test_weights_for_a_file_that_has_its_own(project, small):
    torch.save(small, "whole.pt")
    assert "whole.pt has its weights in it" in refused(ModelError, "whole.pt", weights="whole.pt")


def test_torchscript_is_refused_when_it_is_loaded(project, small):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its age
        torch.jit.trace(small.eval(), torch.zeros(1, 3, 16, 24)).save("script.pt")
        said = refused(ModelError, "script.pt", trust=True)
    assert "TorchScript, which hides what happens inside a model; expected the original Python module" in said


def test_weights_alone_are_no_network(project, small):
    torch.save(small.state_dict(), "w.pt")
    said = refused(ModelError, "w.pt", trust=True)
    assert "w.pt holds no network" in said
    assert "--weights w.pt" in said


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["a", "b"], "2 names for 5 outputs; expected 5 labels; got 2"),
        ("short.txt", "2 names for 5 outputs"),
        ("gone.txt", "the labels gone.txt cannot be read"),
        ("bad.json", "the labels bad.json cannot be read"),
        ("gap.json", "gap.json: class 1 has no name; expected 0 to 1"),
        ("words.json", "words.json: a key is not an index"),
        ("blank.txt", "blank.txt: the name of class 1 is not text; got ''"),
        ("empty.txt", "empty.txt: no class names"),
        ("latin.txt", "the labels latin.txt cannot be read"),
        ([1, 2, 3, 4, 5], "the name of class 0 is not text; got 1"),
        ([], "no class names"),
        (7, "no class names"),
    ],
)
def test_labels(labels, said, project):
    files = {"short.txt": "a\nb", "bad.json": "{", "gap.json": '{"0": "a", "2": "b"}', "empty.txt": "\n\n"}
    files |= {"words.json": '{"cat": "dog", "eel": "fox"}', "blank.txt": "a\n\nb\nc\nd"}
    for name, content in files.items():
        (project / name).write_text(content)
    (project / "latin.txt").write_bytes("caf\xe9\n".encode("latin-1"))
    assert said in refused(InputError, "mine:network", labels=labels)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device": "gpu"}, "cannot go to the device 'gpu'"),
        ({"device": "cuda:99"}, "cannot go to the device 'cuda:99'"),
        ({"mean": [0.5, 0.5]}, "mean and std do not fit"),
        ({"std": 0}, "std must be positive"),
        ({"input_size": 0}, "at least 1 x 1"),
    ],
)
def test_options(options, said, project):
    assert said in refused(InputError, "mine:network", **options)


def test_a_model_with_other_outputs_still_loads(project):
    """It can be explained with a callable target; only labels need (B, classes)."""
    (project / "odd.py").write_text(
        "from torch import nn\n"
        "class Dense(nn.Module):\n"
        "    def __init__(self): super().__init__(); self.conv = nn.Conv2d(3, 2, 3)\n"
        "    def forward(self, x): return self.conv(x)\n"
    )
    assert load("odd:Dense").labels is None


def test_no_network(project, monkeypatch, tmp_path):
    def offline(*_, **__):
        raise urllib.error.URLError("[Errno -2] Name or service not known")

    monkeypatch.setattr(vision._api.WeightsEnum, "get_state_dict", offline)
    said = refused(ModelError, "torchvision:resnet18")
    assert "the weights ResNet18_Weights.IMAGENET1K_V1 of torchvision:resnet18 could not be fetched" in said
    assert "--weights FILE" in said
    assert "Name or service not known" in said
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    said = refused(ModelError, "timm:resnet18.a1_in1k")
    assert "the weights of timm:resnet18.a1_in1k could not be fetched" in said
    said = refused(ModelError, "hf:nobody/nothing-of-this-name")
    assert "hf:nobody/nothing-of-this-name could not be fetched" in said
    assert "hf:FOLDER" in said


def test_a_timm_model_without_weights():
    name = next(name for name in timm.list_models("mobilenet*") if not timm.is_model_pretrained(name))
    assert "--weights" in refused(ModelError, f"timm:{name}")


def test_hf_folders(project):
    folder = project / "folder"
    folder.mkdir()
    assert "is not an image classifier" in refused(ModelError, f"hf:{folder}")
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert "is not an image classifier" in refused(ModelError, f"hf:{folder}", weights="random")
    transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1]).save_pretrained(folder)
    assert "is not a complete model" in refused(ModelError, f"hf:{folder}")
    assert "unknown weights" in refused(ModelError, f"hf:{folder}", weights="latest")


@pytest.mark.parametrize(
    ("spec", "missing", "extra"),
    [
        ("torchvision:resnet18", "torchvision", "torchvision"),
        ("timm:resnet18", "timm", "timm"),
        ("timm:resnet18", "torchvision", "timm"),
        ("hf:a/b", "transformers", "hf"),
    ],
)
def test_a_package_is_missing(spec, missing, extra, run_python):
    said = run_python(
        "import sys; from seewhy.models import load\n"
        "from seewhy.errors import MissingExtraError\n"
        f"sys.modules[{missing!r}] = None\n"
        f"try: load({spec!r})\n"
        "except MissingExtraError as error: print(error)"
    )
    assert f"the package {missing} is not installed" in said
    assert f'pip install "seewhy[{extra}]"' in said


MISMATCHED = """
import sys, importlib.abc
class Mismatched(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist")
sys.meta_path.insert(0, Mismatched())
from seewhy.errors import MissingExtraError
from seewhy.models import load
for _ in range(2):
    try: load(sys.argv[1])
    except MissingExtraError as error: print(error)
"""


@pytest.mark.parametrize("spec", ["torchvision:resnet18", "timm:resnet18"])
def test_torchvision_does_not_fit_torch(spec, run_python):
    said = run_python(MISMATCHED, spec).splitlines()
    assert len(said) == 2
    for line in said:
        assert "does not fit torch 2." in line
        assert "operator torchvision::nms does not exist" in line
        assert "pip install" in line


def test_hf_beside_a_torchvision_that_does_not_fit(run_python, tmp_path):
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], num_labels=2)
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path)
    transformers.ConvNextImageProcessorPil(size={"shortest_edge": 32}).save_pretrained(tmp_path)
    said = run_python(MISMATCHED, f"hf:{tmp_path}")
    assert said == "" or "does not fit torch" in said  # some versions of transformers do not need it


def test_errors_are_one_family():
    assert issubclass(ModelError, SeewhyError)
    assert issubclass(MissingExtraError, SeewhyError)
    assert Small().fc.out_features == 5
