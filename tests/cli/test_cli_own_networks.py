"""The command with networks of one's own: what is told of them, and the way out where something does not fit."""

import json
import os
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nets.tiny import make
from seewhy import layer_table
from seewhy.core.layers import find_layer
from seewhy.core.record import Record
from seewhy.errors import LayerError

NETS = """
import torch
from torch import nn
from nets.tiny import make, make_flat

def lenet(channels=3, side=5):
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * side * side, 10),
    )

def mnist(): return lenet(1, 4)
def cifar(): return lenet()
def wide(): return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 30, 3))
def four(): return nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2))
class Ends(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = make()
    def forward(self, x):
        if x.std() > 0:
            raise SystemExit("enough")
        return self.body(x)
def constructor(): raise KeyError("weights")
"""


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def own(tmp_path, monkeypatch):
    """ownnets.py in the current directory, under a name that no other test has imported."""
    monkeypatch.chdir(tmp_path)
    name = f"ownnets_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(NETS)
    return name


QUICK = ["-M", "saliency", "-M", "grad_cam"]


def test_random_weights_are_told_once_and_shown_with_every_photo(seewhy, own, photo, tmp_path):
    other = tmp_path / "b.png"
    other.write_bytes(photo.read_bytes())
    out = tmp_path / "out"
    spec = f"{own}:make"
    code, said, err = seewhy("explain", photo, other, "--model", spec, "--input-size", 32, *QUICK, "-o", out)
    assert code == 0
    (line,) = [line for line in err.splitlines() if "are random" in line]
    assert line.startswith(f"note: the weights of {spec} are random")
    assert "--weights" in line
    assert "are random" not in said  # one line is enough on a screen
    note = line.removeprefix("note: ")
    about = json.loads((out / "a" / "explanation.json").read_text())
    assert note in about["photo"]["notes"]
    assert about["model"]["notes"] == [note]
    assert (out / "report.html").read_text().count(note.replace("'", "&#39;")) == 2
    torch.save(make().state_dict(), "w.pth")
    code, said, err = seewhy(
        "explain", photo, "--model", spec, "--weights", "w.pth", "--input-size", 32, *QUICK, "-o", tmp_path / "trained"
    )
    assert code == 0
    assert "are random" not in said + err
    assert json.loads((tmp_path / "trained" / "a" / "explanation.json").read_text())["photo"]["notes"] == []
    code, _, err = seewhy("visualize", "-t", 1, "--model", spec, "--input-size", 32, "--steps", 1, "-o", tmp_path / "v")
    assert code == 0
    assert line in err


def test_the_note_stands_on_the_figure(seewhy, own, photo, tmp_path, monkeypatch):
    from seewhy.pictures.text import Typesetter

    written, write = [], Typesetter.line
    monkeypatch.setattr(
        Typesetter, "line", lambda self, *given, **more: (written.append(given[2]), write(self, *given, **more))[1]
    )
    spec = f"{own}:make"
    assert seewhy("explain", photo, "--model", spec, "--input-size", 32, *QUICK, "-o", tmp_path / "out")[0] == 0
    assert any(f"the weights of {spec[:20]}" in text and "random" in text for text in written)


@pytest.mark.parametrize(("net", "size", "channels"), [("cifar", 32, 3), ("mnist", 28, 1), ("wide", "16x32", 3)])
def test_a_network_of_another_size_is_told_how_to_give_it(seewhy, own, photo, tmp_path, net, size, channels):
    where = ["explain", photo, "--model", f"{own}:{net}", *QUICK, "-o", tmp_path / "wrong"]
    code, _, err = seewhy(*where)
    assert code == 2
    (line,) = [line for line in err.splitlines() if "the model failed" in line]
    assert "given pictures of 224 × 224 with 3 channels" in line
    assert "--input-size" in line
    assert "--mean" in line
    where[-1] = tmp_path / "right"
    code, said, _ = seewhy(*where, "--input-size", size, "--json")
    assert code == 0
    about = json.loads(said)["photos"][0]["model"]["preprocessing"]
    assert len(about["mean"]) == channels
    assert about["input_size"] == [int(side) for side in str(size).split("x")] * (2 if isinstance(size, int) else 1)


def test_other_channels_than_a_photo_has(seewhy, own, photo, tmp_path):
    for command in (["explain", photo, "-o", tmp_path / "a"], ["layers"], ["visualize", "-t", 0, "-o", tmp_path / "b"],
                    ["what-if", photo, "--box", "0,0,9,9"], ["channels", photo]):  # fmt: skip
        code, _, err = seewhy(*command, "--model", f"{own}:four")
        assert code == 2
        assert re.search(r"reads 4 channels.*\(--mean, --std\), 4 values each, or one for all", err)
    assert seewhy("layers", "--model", f"{own}:four", "--mean", 0.5, "--std", 0.5)[0] == 0
    code, _, err = seewhy("explain", photo, "--model", f"{own}:four", "--mean", "0.5,0.5,0.5,0.5", "--std", "0.2",
                          "-o", tmp_path / "c")  # fmt: skip
    assert code == 2
    assert "a photo has 3 channels and the model reads 4" in err


@pytest.mark.parametrize(
    "given",
    [
        ["--mean", "0.1,0.2,0.3", "--std", "0.4"],
        ["--mean", "0.1", "--mean", "0.2", "--mean", "0.3", "--std", "0.4"],
    ],
)
def test_mean_and_deviation_in_two_spellings(seewhy, own, photo, tmp_path, given):
    code, said, _ = seewhy("explain", photo, "--model", f"{own}:make", "--input-size", 32, *given, *QUICK, "-o",
                           tmp_path / "out", "--json")  # fmt: skip
    assert code == 0
    about = json.loads(said)["photos"][0]["model"]["preprocessing"]
    assert (about["mean"], about["std"]) == ([0.1, 0.2, 0.3], [0.4] * 3)


def test_a_model_that_ends_python_or_cannot_be_built(seewhy, own, photo, tmp_path):
    code, _, err = seewhy("explain", photo, "--model", f"{own}:Ends", "--input-size", 32, *QUICK, "-o", tmp_path / "a")
    assert code == 2
    assert "the model failed (given pictures of 32 × 32 with 3 channels): SystemExit: enough" in err
    code, _, err = seewhy("explain", photo, "--model", f"{own}:constructor", "-o", tmp_path / "b")
    assert code == 2
    assert "constructor() failed; expected a call without arguments; got KeyError: 'weights'" in err


def test_the_refusals_of_models_are_one_line_in_the_command(seewhy, own, photo, tmp_path):
    (tmp_path / "labels.txt").write_text("a\nb\n")
    torch.jit.script(nn.Linear(2, 2)).save("script.pt")
    for given, said in [
        (["--model", f"{own}.py:make"], f"did you mean {own}:make?"),
        (["--model", f"./{own}.py"], "given by its dotted name"),
        (["--model", f"{own}:make", "--weights", "script.pt"], "it is TorchScript"),
        (["--model", f"{own}:make", "--labels", "labels.txt", "--input-size", "32"], "2 names for 4 outputs"),
        (["--model", "script.pt"], "holds TorchScript"),
        (["--model", f"{own}:make", "--input-size", "32by32"], "the size of a picture"),
        (["--model", f"{own}:make", "--mean", "grey"], "mean is a number"),
    ]:
        code, out, err = seewhy("explain", photo, *given, "-o", tmp_path / "out")
        assert code == 2
        assert said in err, given
        assert len(err.splitlines()) == 1
        assert not out.strip()


@pytest.mark.parametrize("option", ["--trust", "--trust-pickle"])
def test_a_network_in_a_file_is_read_where_it_is_trusted(seewhy, own, tmp_path, option):
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(make().eval(), (torch.zeros(2, 3, 32, 32),), dynamic_shapes=shapes)
    torch.export.save(program, "net.pt2")
    torch.save(make(), "net.pt")
    for name in ("net.pt2", "net.pt"):
        code, out, err = seewhy("layers", "--model", name, "--input-size", 32, "--json")
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert "can run any code" in line
        assert "--trust " in line
        code, out, _ = seewhy("layers", "--model", name, "--input-size", 32, "--json", option)
        assert code == 0
        assert json.loads(out)[0]["kind"] in ("Conv2d", "InterpreterModule")
    assert "--trust-pickle" not in seewhy("layers", "--help")[1]
    code, _, err = seewhy("visualize", "-t", 0, "--steps", 1, "--second", "net.pt", "-o", tmp_path / "out")
    assert code == 2
    assert "net.pt may be a pickled network" in err


def test_names_of_layers_cannot_command_the_terminal(seewhy, own):
    """Nor the library that draws the table."""
    (module,) = (file for file in os.listdir() if file.endswith(".py"))
    with open(module, "a") as file:
        file.write("def named():\n    net = make()\n")
        file.write("    net.add_module('a\\x1b[2J\\nb[red]x[/red]', nn.Identity())\n    return net\n")
    code, out, _ = seewhy("layers", "--model", f"{own}:named", "--input-size", 32)
    assert code == 0
    assert "\x1b" not in out
    assert "b[red]x[/red]" in out


# -- layers --------------------------------------------------------------------------------------------------


def test_a_layer_like_nothing_is_answered_with_what_layers_look_like(seewhy, own, photo, tmp_path):
    code, _, err = seewhy("explain", photo, "--model", f"{own}:make", "--input-size", 32, "--layer", "xyzzy", "-o",
                          tmp_path / "out")  # fmt: skip
    assert code == 2
    assert "no layer 'xyzzy'; expected a name that `seewhy layers` lists, such as 0, 1, 2" in err
    assert "did you mean" not in err
    net = nn.ModuleDict({"features": nn.Sequential(nn.Conv2d(3, 3, 1)), "head": nn.Linear(3, 2)})
    for name, said in [
        ("zzz", "such as features, head"), ("", "such as features, head"), ("feature", "did you mean features or"),
        ("Features.0", "did you mean features.0"), ("heads", "did you mean head?"), (None, "dotted name"),
    ]:  # fmt: skip
        with pytest.raises(LayerError, match=re.escape(said)) as caught:
            find_layer(net, name)
        assert ("did you mean" in str(caught.value)) == ("did you mean" in said)
    with pytest.raises(LayerError, match="a single layer, has none"):
        find_layer(nn.Linear(2, 2), "conv")


def test_a_default_that_follows_a_layer(seewhy, own, monkeypatch):
    """Where a function, not a module, comes after the last convolution, its name is the layer's and what follows."""
    found = layer_table._default
    monkeypatch.setattr(layer_table, "_default", lambda module, inputs: found(module, inputs) and "2 + relu")
    code, out, _ = seewhy("layers", "--model", f"{own}:make", "--input-size", 32)
    assert code == 0
    (line,) = [line for line in out.splitlines() if "default" in line]
    assert line.split()[0] == "2"
    assert "Conv2d + relu" in line
    rows = json.loads(seewhy("layers", "--model", f"{own}:make", "--input-size", 32, "--json")[1])
    assert [row for row in rows if row["default"]] == [
        {"name": "2", "kind": "Conv2d + relu", "shape": [12, 13, 13], "default": True}
    ]
    monkeypatch.setattr(layer_table, "_default", lambda module, inputs: found(module, inputs) and None)
    rows = json.loads(seewhy("layers", "--model", f"{own}:make", "--input-size", 32, "--json")[1])
    assert not any(row["default"] for row in rows)


def test_the_name_of_what_follows_a_layer_is_passed_on(seewhy, own, photo, tmp_path, monkeypatch):
    """Only the part that names a module is checked beforehand."""
    asked, name_of = [], Record.layer_name

    def layer_name(self, layer):
        asked.append(layer)
        return name_of(self, layer)

    monkeypatch.setattr(Record, "layer_name", layer_name)
    base = ["explain", photo, "--model", f"{own}:make", "--input-size", 32, "-M", "grad_cam"]
    seewhy(*base, "--layer", "2 + relu", "-o", tmp_path / "a")
    code, _, err = seewhy(*base, "--layer", "22 + relu", "-o", tmp_path / "b")
    assert code == 2
    assert "no layer '22'" in err
