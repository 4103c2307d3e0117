"""Code of the user's: which module a SPEC means, and what is told where it ends Python or changes what is around it."""

from __future__ import annotations

import contextlib
import json
import os
import sys

import numpy as np
import pytest
import torch
from conftest_nets import Small
from PIL import Image
from test_models_bad_input import refused

import seewhy
from seewhy.errors import ModelError, SeewhyError
from seewhy.models import load

NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self): super().__init__(); self.c = nn.Conv2d(3, 4, 3); self.fc = nn.Linear(4, 5)
    def forward(self, x): return self.fc(self.c(x).relu().mean((2, 3)))
def build(): return Net()
"""


@pytest.fixture
def own(project):
    """The current directory; what is imported from it is forgotten."""
    before = set(sys.modules)
    yield project
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) is None or str(project) in str(sys.modules[name].__file__):
            del sys.modules[name]


# -- which module ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vision", "tim", "mytimm", "hff", "torchvisio", "tiimm", "Timm"])
@pytest.mark.parametrize("kind", ["module", "package", "namespace", "pythonpath", "compiled"])
def test_a_module_whose_name_is_like_a_source(name, kind, own, monkeypatch):
    spec = f"{name}:build"
    if kind == "module":
        (own / f"{name}.py").write_text(NET)
    elif kind == "package":
        (own / name).mkdir()
        (own / name / "__init__.py").write_text(NET)
    elif kind == "namespace":
        (own / name).mkdir()
        (own / name / "inner.py").write_text(NET)
        spec = f"{name}.inner:build"
    elif kind == "compiled":
        import py_compile

        (own / "source.py").write_text(NET)
        py_compile.compile("source.py", cfile=f"{name}.pyc")
    else:
        (own / "elsewhere").mkdir()
        (own / "elsewhere" / f"{name}.py").write_text(NET)
        monkeypatch.syspath_prepend(str(own / "elsewhere"))
    assert load(spec, input_size=16).name == spec


@pytest.mark.parametrize(
    ("spec", "close"),
    [("vision:resnet18", "torchvision:resnet18"), ("tim:resnet18", "timm:resnet18"), ("Timm:resnet18", "timm:resnet18"),
     ("torchvison:resnet18", "torchvision:resnet18"), ("timn:x", "timm:x")],
)  # fmt: skip
def test_where_there_is_no_such_module(spec, close, own):
    assert f"did you mean {close}?" in refused(ModelError, spec)


def test_looking_for_a_module_does_not_run_it(own):
    (own / "tim.py").write_text("raise SystemExit('imported')\n")
    (own / "timn.py").write_text("open('imported', 'w')\n" + NET)
    from seewhy.models.importing import importable

    assert importable("timn")
    assert importable("tim")
    assert not importable("tinm")
    assert not importable("")
    assert not (own / "imported").exists()


def test_a_source_goes_before_a_module_of_its_name(own):
    (own / "hf.py").write_text(NET)
    assert "hf:build" in refused(ModelError, "hf:build")


# -- ending Python ---------------------------------------------------------------------------------------------

ENDS = ["sys.exit()", "sys.exit(None)", "sys.exit(0)", "sys.exit(1)", "sys.exit('text')", "raise SystemExit", "exit(0)",
        "quit()", "raise SystemExit(b'x' * 10**6)", "raise SystemExit('a\\nb\\x1b[2J')"]  # fmt: skip
PLACES = {
    "import": "import sys\n{end}\n" + NET,
    "factory": "import sys\n" + NET.replace("return Net()", "{end}; return Net()"),
    "init": "import sys\n" + NET.replace("super().__init__();", "super().__init__(); {end};"),
    "forward": "import sys\n" + NET.replace("def forward(self, x): ", "def forward(self, x): {end}; "),
    "eval": "import sys\n" + NET + "    \ndef end(*_): {end}\nNet.train = end\n",
    "state": "import sys\n" + NET + "    \ndef end(*_, **__): {end}\nNet.state_dict = end\n",
    "attribute": "import sys\ndef __getattr__(name): {end}\n",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("end", ENDS)
def test_code_that_ends_python(place, end, own, seewhy_command):
    if end in ("exit(0)", "quit()") and place != "factory":
        pytest.skip("the same in one place")
    (own / "ending.py").write_text(PLACES[place].replace("{end}", end))
    text = refused(ModelError, "ending:build", input_size=16)
    assert text.isprintable()
    assert "ends Python" in text or "SystemExit" in text
    sys.modules.pop("ending", None)
    code, out, err = seewhy_command("layers", "--model", "ending:build", "--input-size", 16)
    assert (code, out.strip()) == (2, "")
    assert len(err.splitlines()) == 1


def test_ctrl_c_passes(own):
    for place, source in PLACES.items():
        (own / "stopped.py").write_text(source.replace("{end}", "raise KeyboardInterrupt"))
        with pytest.raises(KeyboardInterrupt):
            load("stopped:build", input_size=16)
        sys.modules.pop("stopped", None)
        assert place


# -- surroundings ----------------------------------------------------------------------------------------------


def test_a_factory_that_changes_its_surroundings(own, seewhy_command):
    (own / "moving.py").write_text(
        "import os, sys, argparse\n"
        + NET
        + "def moves():\n    os.chdir('/')\n    sys.argv[:] = ['x']\n    sys.argv = ['y']\n"
        "    sys.path = ['/nowhere']\n    print('hello\\n' * 3)\n    return Net()\n"
        "def parses():\n    argparse.ArgumentParser().parse_args()\n    return Net()\n"
    )
    torch.save(load("moving:build", input_size=16).model.state_dict(), "w.pth")
    arguments, path = list(sys.argv), sys.path
    for options in ({}, {"weights": "w.pth"}):
        assert load("moving:moves", input_size=16, **options).name == "moving:moves"
        assert os.getcwd() == str(own)
        assert sys.argv == arguments
        sys.path = path
    code, out, err = seewhy_command("layers", "--model", "moving:moves", "--input-size", 16, "--json")
    sys.path = path
    assert code == 0
    assert "hello" in err
    assert [layer["name"] for layer in json.loads(out.splitlines()[-1])] == ["c", "fc"]
    assert load("moving:parses", input_size=16).name == "moving:parses"  # it is called as if from nowhere


def test_a_factory_whose_directory_vanishes(own):
    (own / "vanishing.py").write_text(
        "import os, shutil\n" + NET + "def gone(): shutil.rmtree(os.getcwd()); return Net()\n"
    )
    with contextlib.suppress(SeewhyError):
        load("vanishing:gone", input_size=16)
    assert not own.exists()
    assert load(weights="random").name == "efficientnet_lite0"
    refused(ModelError, "vanishing2:build")
    os.chdir("/")


def test_structures_without_an_end(own):
    (own / "endless.py").write_text(
        NET
        + """
def a_list():
    found = []; found.append(found); return found
def a_dict():
    found = {}; found["x"] = found; return found
def itself():
    net = Net(); net.again = net; return net
def around():
    net = Net(); net.a = nn.Sequential(net); return net
class Shouts(type(nn)):
    def __repr__(self): raise RuntimeError("no")
def shouts(): return Shouts("x")
class Outs(Net):
    def forward(self, x):
        found = []; found.append(found); return found
"""
    )
    assert "returned no network; expected a torch.nn.Module; got list" in refused(ModelError, "endless:a_list")
    assert "got dict" in refused(ModelError, "endless:a_dict")
    assert "got Shouts" in refused(ModelError, "endless:shouts")
    for name in ("itself", "around"):
        assert "RecursionError" in refused(ModelError, f"endless:{name}")
    clf = load("endless:Outs", input_size=16)
    with pytest.raises(SeewhyError):
        seewhy.attribute(clf, torch.rand(1, 3, 16, 16), "saliency")


def nested(depth):
    def build():
        net = Small()
        for _ in range(depth):
            net = torch.nn.Sequential(net)
        return net

    return build


def test_networks_nested_deep(seewhy_command):
    sys.modules["conftest_nets"].now = nested(150)
    clf = load("conftest_nets:now", input_size=16)
    assert seewhy.attribute(clf, torch.rand(1, 3, 16, 16), "grad_cam").values.shape[0] == 1
    for depth in (200, 300, 2000, 20_000):
        sys.modules["conftest_nets"].now = nested(depth)
        code, out, err = seewhy_command("layers", "--model", "conftest_nets:now", "--input-size", 16)
        assert code == 0 or (code == 2 and len(err.splitlines()) == 1 and not out.strip())
        sys.modules["conftest_nets"].now = None


# -- outputs ---------------------------------------------------------------------------------------------------

OUTPUTS = {
    "complex": lambda y: y.to(torch.complex64),
    "bool": lambda y: y > 0,
    "integers": lambda y: y.to(torch.int64),
    "sparse": lambda y: y.to_sparse(),
    "no class": lambda y: y[:, :0],
    "no image": lambda y: y[:0],
    "nothing": lambda y: y[:0, 0],
    "nan": lambda y: y * torch.nan,
    "inf": lambda y: y / 0,
    "number": lambda y: y.sum(),
    "none": lambda y: None,
    "text": lambda y: "cat",
    "maps": lambda y: y[..., None, None],
    "empty list": lambda y: [],
    "empty dict": lambda y: {},
    "meta": lambda y: y.to("meta"),
    "detached": lambda y: y.detach(),
}


class Odd(Small):
    kind = ""

    def forward(self, x):
        return OUTPUTS[self.kind](super().forward(x))


@pytest.mark.parametrize("kind", OUTPUTS)
def test_outputs_that_are_no_scores(kind, tmp_path, seewhy_command):
    def build():
        net = Odd()
        net.kind = kind
        return net

    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "cat.png")
    sys.modules["conftest_nets"].now = build
    clf = load("conftest_nets:now", input_size=16)
    for target in (None, 0):
        for method in ("saliency", "grad_cam", "occlusion"):
            try:
                seewhy.attribute(clf, torch.rand(1, 3, 16, 16), method, target)
            except SeewhyError as error:
                assert "\n" not in str(error)  # noqa: PT017
            else:
                assert kind in ("detached", "integers")
                assert method == "occlusion"
    code, _, err = seewhy_command(
        "explain",
        tmp_path / "cat.png",
        "--model",
        "conftest_nets:now",
        "--input-size",
        16,
        "-M",
        "saliency",
        "-o",
        tmp_path / "out",
    )
    assert code == 2
    errors = [line for line in err.splitlines() if not line.startswith("note: ")]
    assert len(errors) == 1, err
