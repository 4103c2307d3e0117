"""Numbers that are none, and places that take no file: told in one line, and before the work."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from seewhy.errors import InputError
from seewhy.gallery import wanted_channel
from seewhy.methods import Occlusion

TINY = ["--model", "nets.tiny:make", "--input-size", "32"]
ALL = [*TINY, "--steps", "2", "--preset", "simonyan"]
"""For all methods, and for visualize."""
NETS = r"""
import torch
from torch import nn
from nets.tiny import make

class Odd(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.body, self.value = make(), value
    def forward(self, x):
        scores = self.body(x)
        return torch.cat([scores[:, :2], scores[:, 2:3] * 0 + self.value, scores[:, 3:]], 1)

class Leaves(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = make()
    def forward(self, x):
        if x.std() > 0:
            raise SystemExit(0)
        return self.body(x)

def nan(): return Odd(float("nan"))
def plus(): return Odd(float("inf"))
def minus(): return Odd(float("-inf"))
def gone(): raise SystemExit(0)
"""


@pytest.fixture
def photo(tmp_path, monkeypatch):
    (tmp_path / "odd_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)).save(path)
    return path


def refused(answer):
    code, _, err = answer
    assert code == 2
    told = [line for line in err.splitlines() if not line.startswith(("note: ", "Usage:", "Try ")) and line]
    assert len(told) == 1
    return told[0]


@pytest.fixture
def no_work(monkeypatch):
    """Explaining or ascending is a failure of the test."""
    from seewhy.gallery import Gallery
    from seewhy.session import Session

    def worked(*_, **__):
        pytest.fail("it worked")

    monkeypatch.setattr(Session, "maps", worked)
    monkeypatch.setattr(Gallery, "_ascend", worked)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--occlusion-baseline", "nan"], ["--occlusion-baseline=-inf"], ["--occlusion-baseline", "0.1,nan,0"],
        ["--occlusion-baseline", "0,0,1e999"], ["--occlusion-reach", "nan"], ["--occlusion-window", "nan"],
        ["--occlusion-stride", "1e999"], ["--background", "nan"], ["--background", "rgb(999,0,0)"],
        ["--background", "hsl(1e999,5%,5%)"], ["--background", "hsv(0,100%,nan%)"], ["--mean", "nan"],
        ["--std", "inf"], ["--std", "0.1,nan,0.1"], ["--input-size", "nan"], ["--input-size", "0"], ["--steps", "nan"],
        ["--batch-size", "inf"],
    ],
)  # fmt: skip
def test_numbers_that_are_none_are_refused_before_the_work(seewhy, photo, tmp_path, no_work, arguments):
    refused(seewhy("explain", photo, *ALL, "-o", tmp_path / "out", *arguments))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_baseline_that_is_no_number(value):
    for baseline in (value, (0.0, value, 0.0), [value], torch.tensor(value), torch.full((3, 4, 4), 0.5).fill_(value)):
        with pytest.raises(InputError, match="NaN or infinity hides nothing"):
            Occlusion(baseline=baseline)
    hole = torch.zeros(3, 8, 8)
    hole[1, 2, 3] = value
    with pytest.raises(InputError, match="NaN or infinity"):
        Occlusion(baseline=hole)
    for fine in (0, 0.5, (0.1, 0.2, 0.3), torch.zeros(3, 4, 4), "blur"):
        Occlusion(baseline=fine)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--l2", "nan"], ["--l2", "inf"], ["--learning-rate", "nan"], ["--learning-rate", "0"],
        ["--learning-rate=-inf"], ["--alpha", "nan"], ["--steps", "0"], ["--size", "0"], ["--batch-size", "0"],
        ["--video", "nowhere/film.gif"], ["--video", "film.avi"], ["--video", "a-folder.gif"], ["--seed", "nan"],
        ["--video", "a-file/film.gif"],
    ],
)  # fmt: skip
def test_visualize_refuses_before_the_ascent(seewhy, photo, tmp_path, arguments, monkeypatch):
    from seewhy.synthesis import task

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-folder.gif").mkdir()
    (tmp_path / "a-file").write_text("x")
    monkeypatch.setattr(task, "ascend", lambda *_, **__: pytest.fail("it ascended"))
    refused(seewhy("visualize", "-t", 1, *ALL, "-o", tmp_path / "out", "--force", *arguments))
    assert not list((tmp_path / "out").glob("*.png"))


@pytest.mark.parametrize("name", ["class-1.png", "class-1.json", "grid.png", "film.gif", "film.gif.json"])
def test_a_folder_in_a_files_place_is_told_before_the_ascent(seewhy, photo, tmp_path, no_work, name):
    out = tmp_path / "out"
    (out / name).mkdir(parents=True)
    arguments = ["visualize", "-t", 1, *ALL, "--grid", "--video", out / "film.gif", "-o", out, "--force"]
    assert "is a folder" in refused(seewhy(*arguments))


def test_a_folder_in_the_reports_place(seewhy, photo, tmp_path, no_work):
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    assert "is a folder" in refused(seewhy("explain", photo, *ALL, "-o", tmp_path / "out", "--force"))


def test_names_of_layers_as_long_as_one_likes():
    model = torch.nn.Sequential()
    model.add_module("a" * 500, torch.nn.Conv2d(3, 4, 3))
    model.add_module("a" * 499 + "猫", torch.nn.Conv2d(4, 4, 3))
    stems = {wanted_channel(model, name, 1).stem for name, _ in model.named_children()}
    assert len(stems) == 2
    assert all(len(f"{stem}-photos.json".encode()) < 255 for stem in stems)


def test_a_class_that_is_no_number_hides_no_other(seewhy, photo, tmp_path):
    for net, others in (("nan", None), ("plus", None), ("minus", 0.0)):
        shared = ["explain", photo, "--model", f"odd_nets:{net}", "--input-size", 32, "--steps", 2, "--force"]
        code, said, _ = seewhy(*shared, "-t", 1, "-o", tmp_path / "out", "--json")
        assert code == 0, net
        about = json.loads(said)["photos"][0]
        assert about["targets"][0]["index"] == 1
        assert about["targets"][0]["score"] is not None
        assert about["targets"][0]["methods"]["grad_cam"]["max"] > 0
        top = {entry["index"]: entry for entry in about["top5"]}
        assert set(top) == {0, 1, 2, 3}
        assert top[2]["score"] is None
        assert top[2]["probability"] == others
        assert (top[1]["probability"] is None) == (others is None)
        code, said, _ = seewhy(*shared, "-t", 1, "-o", tmp_path / "out")
        assert code == 0
        assert "nan" not in said.lower().replace("odd_nets:nan", "")
        page = (tmp_path / "out" / "report.html").read_text()
        assert "width:nan" not in page
        code, said, err = seewhy(*shared, "-t", 2, "-o", tmp_path / "out")
        assert code == 2
        assert "NaN or infinite" in err


@pytest.mark.parametrize("command", ["explain", "layers", "visualize"])
def test_a_model_that_ends_the_program_is_an_error(seewhy, photo, tmp_path, command):
    where = {"explain": [photo, "-o", tmp_path / "out"], "layers": [], "visualize": ["-t", 1, "-o", tmp_path / "out"]}
    assert "SystemExit" in refused(seewhy(command, *where[command], "--model", "odd_nets:gone", "--input-size", 32))
    if command != "layers":  # which are listed of black pictures
        answer = seewhy(command, *where[command], "--model", "odd_nets:Leaves", "--input-size", 32)
        assert "SystemExit" in refused(answer)
