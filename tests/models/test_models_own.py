"""A network of one's own, given in all the ways that people give one: it is found, or one line names the way out."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import transformers
from conftest_nets import Small
from safetensors.torch import save_file
from test_models_bad_input import refused
from test_models_sources import exported
from torch import nn

import seewhy
from seewhy.errors import InputError, ModelError
from seewhy.models import load
from seewhy.models.file_kind import EXPORTED, SAFETENSORS, TORCHSCRIPT, kind_of

PACKAGE = """
from torch import nn
class Block(nn.Module):
    def __init__(self): super().__init__(); self.c = nn.Conv2d({channels}, 4, 3); self.fc = nn.Linear(4, 5)
    def forward(self, x): return self.fc(self.c(x).relu().mean((2, 3)))
def build(): return Block()
def _helper(): pass
also = Block
"""


@pytest.fixture
def own(project, monkeypatch):
    """mynet.py, and the package nets with nets/inner.py, in the current directory."""
    (project / "mynet.py").write_text(PACKAGE.format(channels=3))
    (project / "nets_of_mine").mkdir()
    (project / "nets_of_mine" / "__init__.py").write_text(PACKAGE.format(channels=3))
    (project / "nets_of_mine" / "inner.py").write_text(PACKAGE.format(channels=3))
    yield project
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mynet", "nets_of_mine", "elsewhere")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("spec", "right"),
    [
        ("mynet.py:build", "mynet:build"),
        ("./mynet.py:build", "mynet:build"),
        ("nets_of_mine/../mynet.py:build", "mynet:build"),
        ("mynet.py:also", "mynet:also"),
        ("mynet.py:Block", "mynet:Block"),
        ("mynet.py:biuld", "mynet:build"),
        ("mynet.py:build()", "mynet:build"),
        ("mynet.py::build", "mynet:build"),
        ("mynet.py", "mynet:build"),
        ("mynet.py:", "mynet:build"),
        ("nets_of_mine/inner.py:build", "nets_of_mine.inner:build"),
        ("nets_of_mine/inner:build", "nets_of_mine.inner:build"),
        ("nets_of_mine\\inner.py:build", "nets_of_mine.inner:build"),
        ("nets_of_mine/__init__.py:build", "nets_of_mine:build"),
        ("nets_of_mine/__init__.py", "nets_of_mine:build"),
        ("mynet:build()", "mynet:build"),
        ("nets_of_mine.inner:build( )", "nets_of_mine.inner:build"),
        ("mynet", "mynet:build"),
        ("mynet:", "mynet:build"),
        ("mynet.build", "mynet:build"),
        ("mynett:build", "mynet"),
        ("gone.py:build", "gone:build"),
    ],
)
def test_a_module_is_named_and_not_its_file(spec, right, own):
    said = refused(ModelError, spec)
    assert re.search(rf"did you mean .*\b{re.escape(right)}\b", said), said
    if "gone" not in spec and ":" in right:
        assert load(right, input_size=16).name == right


def test_modules_whose_names_are_like_a_source(own):
    (own / "hff.py").write_text(PACKAGE.format(channels=3))
    for spec in ("torchvision.models:squeezenet1_1", "hff:build"):
        assert load(spec, input_size=64).notes[0].startswith(f"the weights of {spec} are random")
    sys.modules.pop("hff", None)


def test_an_absolute_path_and_one_from_outside(own, tmp_path_factory):
    assert "did you mean mynet:build" in refused(ModelError, f"{own / 'mynet.py'}:build")
    other = tmp_path_factory.mktemp("other") / "elsewhere.py"
    other.write_text(PACKAGE.format(channels=3))
    said = refused(ModelError, f"{other}:build")
    assert f"in the directory {other.parent} or with it in PYTHONPATH" in said
    assert "did you mean elsewhere:build" in said


def test_other_things_that_are_not_a_factory(own):
    (own / "my-net.py").write_text(PACKAGE.format(channels=3))
    (own / "script.py").write_text("import sys\nsys.exit(2)\n")
    (own / "broken_net.py").write_text("def build(:\n")
    (own / "more.py").write_text(
        "from conftest_nets import Small\nimport torch\nnet = Small()\n"
        "def exits(): raise SystemExit(3)\ndef a_class(): return Small\n"
        "def lazy(): return torch.nn.Sequential(torch.nn.LazyConv2d(4, 3), torch.nn.Flatten())\n"
    )
    for spec, said in {
        "my-net.py:build": "has a name that Python does not import",
        "mynet:Block(5)": r"a factory is named, not called: 'mynet:Block\(5\)'; expected a function without arguments",
        "script:build": "the module 'script' ends Python when it is imported; expected.*__name__ == \"__main__\"",
        "broken_net:build": "'broken_net' cannot be imported; got SyntaxError",
        "broken_net.py:build": "did you mean broken_net:build",
        "more:net": "more:net is a network already.*expected a function or class that makes one; got Small",
        "more:exits": r"more:exits\(\) failed.*SystemExit: 3",
        "more:a_class": r"more:a_class\(\) returned no network",
        "more:lazy": r"more:lazy has lazy layers \(0\).*expected a network that ran once, on zeros",
    }.items():
        assert re.search(said, refused(ModelError, spec)), spec
    torch.save(Small().state_dict(), "w.pth")
    assert "has lazy layers" in refused(ModelError, "more:lazy", weights="w.pth")


@pytest.mark.parametrize(
    ("given", "got"),
    [(Small(), "Small"), (Small, "Small"), (nn.Sequential(Small()), "Sequential"), (Small().fc, "Linear")],
)
def test_a_network_in_memory(given, got):
    said = refused(ModelError, given, labels=["a", "b"])
    assert "which is text" in said
    assert "seewhy.attribute(network, inputs)" in said
    assert "efficientnet_lite0" in said
    assert said.endswith(f"got {got}")


@pytest.mark.parametrize("given", [None, 3, {"fc.weight": torch.zeros(1)}, lambda: None, b"net.pt2", ["a"]])
def test_other_things_than_a_spec(given):
    assert "SPEC, which is text" in refused(ModelError, given)


def test_weights_in_memory(own):
    assert "the name of their file" in refused(ModelError, "mynet:build", weights={"fc.weight": torch.zeros(1)})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"input_size": "32"}, "the size of a picture"), ({"input_size": (32,)}, "the size of a picture"),
        ({"input_size": (1, 2, 3)}, "the size of a picture"), ({"input_size": 3.5}, "the size of a picture"),
        ({"input_size": True}, "the size of a picture"), ({"mean": "grey"}, "mean is a number"),
        ({"std": [None]}, "std is a number"), ({"mean": []}, "mean is a number"),
        ({"mean": [0.1, 0.2]}, "do not fit the model's channels"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense(options, said, own):
    assert said in refused(InputError, "mynet:build", **options)


def test_a_path_is_a_spec_too(small, tmp_path):
    assert load(Path(exported(small, tmp_path / "net.pt2", dynamic=True)), trust=True).input_size == (16, 24)


# -- how many channels ---------------------------------------------------------------------------------------


class Depthwise(nn.Module):
    """Its first weights are (3, 1, 3, 3), its input has 3 channels."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 3, 3, groups=3), nn.Conv2d(3, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
        )

    def forward(self, x):
        return self.net(x)


class Folded(nn.Module):
    """The first convolution reads 48 channels, the network 3."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.PixelUnshuffle(4), nn.Conv2d(48, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
        )

    def forward(self, x):
        return self.net(x)


def of(channels):
    return lambda: Small(channels=channels)


@pytest.mark.parametrize(
    ("factory", "order", "mean"),
    [(of(1), "L", (0.5,)), (of(3), "RGB", (0.485, 0.456, 0.406)), (Depthwise, "RGB", (0.485, 0.456, 0.406)),
     (Folded, "RGB", (0.485, 0.456, 0.406))],
)  # fmt: skip
def test_how_many_channels_is_found_by_running(factory, order, mean, cat, tmp_path, project):
    sys.modules["conftest_nets"].now = factory
    clf = load("conftest_nets:now", input_size=(16, 24))
    assert (clf.transform.order, clf.mean) == (order, mean)
    assert clf.model(clf.preprocess(cat)).shape[0] == 1
    torch.save(factory(), "whole.pt") if factory in (Depthwise, Folded) else None
    if Path("whole.pt").exists():
        assert load("whole.pt", trust=True, input_size=(16, 24)).transform.order == order


@pytest.mark.parametrize("channels", [2, 4, 6])
def test_other_channels_need_a_mean_and_a_deviation(channels, cat):
    sys.modules["conftest_nets"].now = of(channels)
    for given in ({}, {"mean": 0.5}, {"std": [0.5] * channels}):
        said = refused(InputError, "conftest_nets:now", input_size=16, **given)
        assert f"conftest_nets:now reads {channels} channels" in said
        assert "(--mean, --std)" in said
    clf = load("conftest_nets:now", input_size=16, mean=0.5, std=[0.25] * channels, labels=list("abcde"))
    assert (clf.mean, clf.std) == ((0.5,) * channels, (0.25,) * channels)
    with pytest.raises(InputError, match=f"a photo has 3 channels and the model reads {channels}.*seewhy.attribute"):
        clf.preprocess(cat)
    assert seewhy.attribute(clf, torch.rand(2, channels, 16, 16)).values.shape[0] == 2


def test_one_value_is_for_all_channels(cat):
    sys.modules["conftest_nets"].now = of(3)
    for mean, std in ((0.4, 0.2), ([0.4], [0.2]), ((0.4,) * 3, 0.2)):
        clf = load("conftest_nets:now", input_size=16, mean=mean, std=std)
        assert (clf.mean, clf.std, clf.transform.order) == ((0.4,) * 3, (0.2,) * 3, "RGB")
    sys.modules["conftest_nets"].now = of(1)
    assert load("conftest_nets:now", input_size=16, mean=0.4).std == (0.5,)


def test_a_network_that_never_runs_is_loaded_all_the_same():
    """Of another size, perhaps: whoever runs it hears so."""

    def flat(channels=1):
        return nn.Sequential(nn.Conv2d(channels, 2, 5), nn.Flatten(), nn.Linear(2 * 24 * 24, 10))

    sys.modules["conftest_nets"].now = flat
    assert load("conftest_nets:now").transform.order == "RGB"
    assert load("conftest_nets:now", mean=[0.1], std=[0.3]).transform.order == "L"
    grey = load("conftest_nets:now", input_size=28)
    assert (grey.transform.order, grey.mean, grey.std) == ("L", (0.5,), (0.5,))


def test_exported_programs_say_how_many_they_read(tmp_path):
    for channels, order in ((1, "L"), (3, "RGB")):
        path = exported(Small(channels=channels).eval(), tmp_path / f"{channels}.pt2", channels=channels, batch=2)
        assert load(path, trust=True).transform.order == order
    four = exported(Small(channels=4).eval(), tmp_path / "4.pt2", channels=4)
    assert "4.pt2 reads 4 channels" in refused(InputError, four, trust=True)
    assert load(four, trust=True, mean=0.5, std=0.5).mean == (0.5,) * 4


# -- pickled networks ----------------------------------------------------------------------------------------


def test_a_pickled_network_of_a_class_in_the_current_directory(own, monkeypatch, tmp_path_factory):
    """As a training script that runs there saves it."""
    program = "import torch, mynet; m = mynet.Block(); torch.save(m, 'whole.pt'); torch.save({'net': m}, 'in.pth')"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=own)
    before = list(sys.path)
    for file in ("whole.pt", "in.pth"):
        sys.modules.pop("mynet", None)
        assert type(load(file, trust=True, input_size=16).model).__name__ == "Block"
        sys.modules.pop("mynet", None)
        assert load("nets_of_mine:build", weights=file, trust=True, input_size=16).notes == ()
        assert sys.path == before
    sys.modules.pop("mynet", None)
    whole = own / "whole.pt"
    monkeypatch.chdir(tmp_path_factory.mktemp("other"))
    said = refused(ModelError, str(whole), trust=True)
    assert "holds a class of the module 'mynet', which is not to be found" in said
    assert "PYTHONPATH" in said
    assert sys.path == before


@pytest.mark.parametrize("options", [{}, {"weights": "main.pt"}])
def test_a_pickled_network_of_a_class_in_the_script_that_saved_it(own, options):
    (own / "save.py").write_text(
        "import torch\nfrom torch import nn\nclass Mine(nn.Sequential): pass\n"
        "torch.save(Mine(nn.Conv2d(3, 4, 3)), 'main.pt')\n"
    )
    subprocess.run([sys.executable, "save.py"], check=True, cwd=own)
    said = refused(ModelError, "mynet:build" if options else "main.pt", trust=True, **options)
    assert "main.pt was saved by a script or notebook that defines Mine itself" in said
    assert "--model module:Mine" in said
    program = "from seewhy.cli import main\nmain(['layers', '--model', 'main.pt', '--trust'])"
    for how in (["-c", program], ["-m", "seewhy", "layers", "--model", "main.pt", "--trust"]):
        done = subprocess.run([sys.executable, *how], cwd=own, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "defines Mine itself" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_pickled_network_whose_class_has_another_name_now(own):
    program = "import torch, mynet; torch.save(mynet.Block(), 'whole.pt')"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=own)
    (own / "mynet.py").write_text(PACKAGE.format(channels=3).replace("Block", "Blocks"))
    said = refused(ModelError, "whole.pt", trust=True)
    assert "whole.pt holds mynet.Block, but mynet has no 'Block' (any more); did you mean Blocks?" in said


# -- files that are not weights ------------------------------------------------------------------------------


@pytest.fixture
def files(own, small):
    """Name -> what is said of it."""
    torch.export.save(torch.export.export(small, (torch.zeros(2, 3, 16, 24),)), "net.pt2")
    torch.jit.script(small).save("script.pt")
    torch.jit.trace(small, torch.zeros(1, 3, 16, 24)).save("traced.pth")
    np.savez("arrays.npz", a=np.zeros(3))
    np.save("array.npy", np.zeros(3))
    with zipfile.ZipFile("weights.zip", "w") as archive:
        archive.writestr("weights.pth", b"x")
    with gzip.open("weights.pth.gz", "wb") as file:
        file.write(b"x" * 100)
    contents = {
        "net.onnx": b"\x08\x09\x12\x07pytorch\x1a\x052.1.0:\x9a\x01" + bytes(range(256)),
        "model.h5": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "net.tflite": b"\x1c\0\0\0TFL3" + bytes(100),
        "read.me.pth": b"these are the weights, or so I thought\n",
        "page.pth": b"<!DOCTYPE html><html><body>Sign in</body></html>",
        "pointer.safetensors": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n",
        "nothing.pt": b"",
        "cat.pth": b"\xff\xd8\xff\xe0" + bytes(100),
    }
    for name, content in contents.items():
        (own / name).write_bytes(content)
    return {
        "net.pt2": "a program of torch.export.*--model net.pt2", "script.pt": "TorchScript.*torch.jit.load",
        "traced.pth": "TorchScript.*state_dict", "arrays.npz": "arrays of numpy", "array.npy": "arrays of numpy",
        "weights.zip": "an archive; expected the file that is in it", "weights.pth.gz": "an archive",
        "net.onnx": "an ONNX graph.*exported from", "model.h5": "HDF5, as Keras", "net.tflite": "TensorFlow Lite",
        "read.me.pth": "it is text", "page.pth": "a web page", "pointer.safetensors": "Git LFS.*git lfs pull",
        "nothing.pt": "it is empty", "cat.pth": "a photo",
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_files_that_are_not_weights(files):
    for name, said in files.items():
        assert re.search(
            f"{name} is not a readable checkpoint, it is .*", refused(ModelError, "mynet:build", weights=name)
        )
        assert re.search(said, refused(ModelError, "mynet:build", weights=name)), name
        assert re.search(said, refused(ModelError, "efficientnet_lite0", weights=name)), name


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_files_that_are_no_model(files, small):
    save_file(small.state_dict(), "w.safetensors")
    torch.save(small.state_dict(), "w.pth")
    for name in files:
        if name != "net.pt2":
            said = refused(ModelError, name)
            assert "holds" in said or "is not a model" in said, name
    assert "the network they are for: --model package.module:factory --weights w.safetensors" in refused(
        ModelError, "w.safetensors"
    )
    for trust, what in ((False, "w.pth may be a pickled network"), (True, "w.pth holds no network")):
        said = refused(ModelError, "w.pth", trust=trust)
        assert what in said
        assert "--weights w.pth" in said


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_is_what_it_holds_not_what_it_is_called(project, small, tmp_path):
    save_file(small.state_dict(), "other.pth")
    assert kind_of("other.pth") is SAFETENSORS
    assert torch.equal(load("mine:network", weights="other.pth").model.fc.weight, small.fc.weight)
    Path(exported(small, "net.pt2", dynamic=True)).rename("net.pt")
    assert kind_of("net.pt") is EXPORTED
    assert load("net.pt", trust=True).input_size == (16, 24)
    torch.jit.script(small).save("net.pt2")
    assert kind_of("net.pt2") is TORCHSCRIPT
    assert "net.pt2 is not an exported program, it is TorchScript" in refused(ModelError, "net.pt2")
    torch.save(small.state_dict(), "checkpoint.pt2")
    assert "a checkpoint of torch.save goes with --weights" in refused(ModelError, "checkpoint.pt2")
    scripted = torch.jit.script(small)
    scripted.save("script.pt")  # what is trusted may be unpacked
    assert torch.equal(load("mine:network", weights="script.pt", trust=True).model.fc.weight, small.fc.weight)


def test_checkpoints_are_no_other_kind(project, small):
    torch.save(small.state_dict(), "new.pth")
    torch.save(small.state_dict(), "old.pth", _use_new_zipfile_serialization=False)
    torch.save(small, "whole.pth")
    for name in ("new.pth", "old.pth", "whole.pth"):
        assert kind_of(name) is None
    assert kind_of("gone.pth") is None


# -- labels ---------------------------------------------------------------------------------------------------


class Named(Small):
    """Gives its scores in a dict."""

    def forward(self, x):
        return {"logits": super().forward(x), "mean": x.mean((1, 2, 3))}


class Several(Small):
    """Gives its scores and something else."""

    def forward(self, x):
        return super().forward(x), x.mean((1, 2, 3))


@pytest.mark.parametrize("factory", [Small, Named, Several])
@pytest.mark.parametrize("count", [1, 4, 6, 1000])
def test_labels_of_another_count_than_a_factorys_outputs(factory, count):
    sys.modules["conftest_nets"].now = factory
    said = refused(InputError, "conftest_nets:now", labels=[f"n{i}" for i in range(count)])
    assert f"{count} name{'s' if count > 1 else ''} for 5 outputs; expected 5 labels; got {count}" in said


def test_labels_of_another_count_in_every_other_way(small, project, tmp_path):
    (project / "labels.txt").write_text("a\nb\n")
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic", num_labels=5)
    transformers.ResNetForImageClassification(config).save_pretrained("folder")
    transformers.ConvNextImageProcessorPil(size={"shortest_edge": 32}).save_pretrained("folder")
    torch.save(small, "whole.pth")
    torch.save(timm.create_model("resnet10t", num_classes=5).state_dict(), "timm.pth")
    torch.save(small.state_dict(), "w.pth")
    ways = [
        (exported(small, "one.pt2", batch=1), {"trust": True}),
        (exported(small, "two.pt2", batch=2), {"trust": True}),  # which takes two pictures at once, and no other number
        (exported(small, "any.pt2", dynamic=True), {"trust": True}),
        ("hf:folder", {}),
        ("whole.pth", {"trust": True}),
        ("timm:resnet10t", {"weights": "timm.pth"}),
        ("mine:network", {"weights": "w.pth"}),
    ]
    for spec, options in ways:
        assert f"the labels do not fit {spec}: 2 names for 5 outputs" in refused(
            InputError, spec, labels="labels.txt", **options
        )
    for spec, options in (("torchvision:resnet18", {"weights": "random"}), ("efficientnet_lite0", {})):
        assert "2 names for 1000 outputs" in refused(InputError, spec, labels="labels.txt", **options)


def test_labels_of_one_output():
    sys.modules["conftest_nets"].now = lambda: Small(classes=1)
    said = refused(InputError, "conftest_nets:now", labels=["cat", "dog"])
    assert "2 names for 1 output; expected 1 label, the name of what a score above zero means; got 2" in said
    assert load("conftest_nets:now", labels=["cat"]).label(0) == "cat"


class Late(Small):
    """Nobody can count its outputs before it sees a photo: it does not run on an empty picture."""

    def forward(self, x):
        if not x.std() > 0:
            raise ValueError("nothing to see")
        return super().forward(x)


def test_labels_whose_count_is_not_known_beforehand(cat, tmp_path):
    sys.modules["conftest_nets"].now = Late
    cat.save(tmp_path / "cat.png")
    for labels in (["a", "b"], list("abcdefghi")):
        clf = load("conftest_nets:now", input_size=32, labels=labels)
        with pytest.raises(InputError, match=f"{len(labels)} names for 5 outputs; expected 5 labels"):
            seewhy.explain(tmp_path / "cat.png", clf, "grad_cam")
    clf = load("conftest_nets:now", input_size=32, labels=list("abcde"))
    assert seewhy.explain(tmp_path / "cat.png", clf, "grad_cam").top[0].name in "abcde"


def test_a_folder_whose_config_and_weights_disagree(tmp_path):
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic", num_labels=3)
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path)
    transformers.ConvNextImageProcessorPil(size={"shortest_edge": 32}).save_pretrained(tmp_path)
    about = json.loads((tmp_path / "config.json").read_text())
    about |= {"id2label": {str(i): f"n{i}" for i in range(7)}, "label2id": {f"n{i}": i for i in range(7)}}
    (tmp_path / "config.json").write_text(json.dumps(about))
    assert "its config.json and its weights do not fit each other" in refused(ModelError, f"hf:{tmp_path}")
