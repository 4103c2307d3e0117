"""A visualization is one line, one image of it is itself, it shows itself, and a file gives it back or is refused."""

import io
import json
import sys
import tempfile
import types
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from PIL import Image

import seewhy
from fuzz.mutations import damaged, fuzzed
from nets.tiny import make
from seewhy.errors import InputError, OutputError
from seewhy.synthesis import Visualization
from seewhy.synthesis import objectives as o

OPTIONS = {"steps": 4, "size": (20, 24), "mean": (0.5,) * 3, "std": (0.25,) * 3}


@pytest.fixture(scope="module")
def made():
    return seewhy.visualize(make(), [1, 2, 1], checkpoints=(2, 4), alpha=0.1, **OPTIONS)


@pytest.fixture(scope="module")
def classifier():
    return seewhy.load("nets.tiny:make", input_size=20, labels=["cat", "dog", "<b>owl", "sea lion"])


def _same(a, b):
    assert (a is None) == (b is None)
    return a is None or torch.equal(a, b)


def test_one_line_says_what_it_is(made, classifier):
    assert "\n" not in repr(made)
    assert repr(made).startswith("Visualization(class 1 · score ")
    assert "3 x 3 x 20 x 24; default, 4 steps" in repr(made)
    assert "sea lion · score" in repr(seewhy.visualize(classifier, "Sea-Lion", steps=1))
    channels = seewhy.visualize(make(), objective=o.channel("2", [3, 4]), preset="simonyan", **OPTIONS)
    assert "channel [3, 4] of 2" in repr(channels)


def test_one_image_is_what_it_is_in_the_batch(made):
    assert len(made) == 3
    for row, one in enumerate(made):
        assert len(one) == 1
        for name in ("images", "score", "probability", "target", "alpha"):
            assert torch.equal(getattr(one, name), getattr(made, name)[row : row + 1])
        for name in ("history", "objective"):
            assert torch.equal(getattr(one, name), getattr(made, name)[:, row : row + 1])
        assert torch.equal(one.frames[2], made.frames[2][row : row + 1])
        assert one.params["seeds"] == [made.params["seeds"][row]]
        assert one.params["attempts"] == [made.params["attempts"][row]]
    assert torch.equal(made[-1].images, made[2].images)
    for outside in (3, -4):
        with pytest.raises(IndexError, match="among 3"):
            made[outside]


def test_pictures_are_the_pixels(made):
    image = made.to_image(1)
    assert (image.mode, image.size) == ("RGB", (24, 20))
    expected = (made.images[1] * 255).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(np.asarray(image), expected)
    grey = replace(made, images=made.images[:, :1])
    assert grey.to_image().mode == "RGB"
    assert np.array_equal(np.asarray(grey.to_image(1)), np.repeat(expected[..., :1], 3, 2))


def test_in_a_notebook_it_shows_its_images_with_escaped_captions(classifier, monkeypatch):
    v = seewhy.visualize(classifier, ["<b>owl", 1], steps=2)
    assert v.labels == ("<b>owl", "dog")
    shown = v._repr_html_()
    assert shown.count("data:image/png;base64,") == 2
    assert "<b>" not in shown
    assert "&lt;b&gt;owl · score" in shown
    displayed = []
    notebook = types.SimpleNamespace(get_ipython=lambda: object(), display=None)
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=displayed.append))
    v.show()
    assert displayed == [v]
    monkeypatch.setitem(sys.modules, "IPython", None)
    monkeypatch.setattr(Image.Image, "show", lambda self: displayed.append(self.size))
    v.show()
    assert displayed[1:] == [(44, 20)]


def test_names_are_targets_of_a_classifier_alone(classifier):
    by_name = seewhy.visualize(classifier, ["dog", 3, "cat"], steps=2)
    assert by_name.target.tolist() == [1, 3, 0]
    assert seewhy.visualize(classifier, "dog", steps=2).target.tolist() == [1]
    with pytest.raises(seewhy.SeewhyError, match=r"unknown class 'dgo'.*did you mean dog"):
        seewhy.visualize(classifier, "dgo", steps=2)
    for target in ("dog", [1, "dog"]):
        with pytest.raises(seewhy.errors.TargetError, match=r"seewhy\.classifier\(module, labels=\.\.\.\)"):
            seewhy.visualize(make(), target, **OPTIONS)


def _as_json(params):
    return json.loads(json.dumps(params))


@pytest.mark.parametrize("options", [{"target": [1, 2]}, {"target": lambda y: y[:, 1], "alpha": 0.2},
                                     {"objective": o.channel("2", 3), "preset": "simonyan"}])  # fmt: skip
def test_a_file_gives_it_back(options, tmp_path):
    v = seewhy.visualize(make(), options.pop("target", None), checkpoints=(1, 4), **options, **OPTIONS)
    v.save(tmp_path / "v.npz")
    again = Visualization.load(tmp_path / "v.npz")
    for field in fields(Visualization):
        a, b = getattr(v, field.name), getattr(again, field.name)
        if field.name == "frames":
            assert a.keys() == b.keys()
            assert all(torch.equal(a[step], b[step]) for step in a)
        elif field.name == "params":
            assert _as_json(a) == b
        elif field.name in ("interrupted", "labels"):
            assert a == b
        else:
            assert _same(a, b), field.name
    with np.load(tmp_path / "v.npz", allow_pickle=False) as plain:
        assert plain["images"].dtype == np.float32
    with pytest.raises(OutputError, match="exists"):
        v.save(tmp_path / "v.npz")
    v[0].save(tmp_path / "v.npz", overwrite=True)
    assert len(Visualization.load(tmp_path / "v.npz")) == 1


def _saved(v, without=(), about=None, **arrays):
    """A file's content, with other parts."""
    with tempfile.TemporaryDirectory() as folder:
        v.save(Path(folder, "v.npz"))
        with np.load(Path(folder, "v.npz")) as kept:
            parts = {name: kept[name] for name in kept.files if name not in without}
    told = json.loads(str(parts["about"]))
    told = {name: value for name, value in (told | (about or {})).items() if value is not KeyError}
    file = io.BytesIO()
    np.savez(file, **{**parts, "about": np.array(json.dumps(told)), **arrays})
    return file.getvalue()


PIXELS = np.full((3, 3, 20, 24), 0.5, np.float32)
WRONG = {
    "images above": ({"images": PIXELS * 3}, "images"), "images nan": ({"images": PIXELS * np.nan}, "images"),
    "images double": ({"images": PIXELS.astype(np.float64)}, "images"), "fewer": ({"images": PIXELS[:2]}, "history"),
    "no batch": ({"images": PIXELS[0]}, "images"), "empty": ({"images": PIXELS[:0]}, "images"),
    "no images": ({"without": ("images",)}, "images"), "no history": ({"without": ("history",)}, "history"),
    "infinite": ({"history": np.full((4, 3), np.inf, np.float32)}, "history"),
    "shorter": ({"objective": np.zeros((3, 3), np.float32)}, "objective"),
    "score": ({"score": np.zeros(2, np.float32)}, "score"), "words": ({"score": np.array(["a"] * 3)}, "score|numpy"),
    "likely": ({"probability": np.full(3, 1.5, np.float32)}, "probability"),
    "below": ({"target": np.full(3, -1)}, "target"), "half": ({"target": np.zeros(3, np.float32)}, "target"),
    "opaque": ({"alpha": PIXELS[:, :1] * 4}, "alpha"), "alpha": ({"alpha": PIXELS}, "alpha"),
    "frame": ({"frames.3": PIXELS[:, :, :5]}, "frame 3"), "frame name": ({"frames.x": PIXELS}, "frame's name"),
    "params": ({"about": {"params": []}}, "params"), "seeds": ({"about": {"params": {"seeds": [1]}}}, "params"),
    "attempts": ({"about": {"params": {"attempts": ["a"] * 3}}}, "params"),
    "interrupted": ({"about": {"interrupted": 1}}, "interrupted"), "labels": ({"about": {"labels": ["a"]}}, "labels"),
    "kind": ({"about": {"kind": "attribution"}}, "kind"), "no kind": ({"about": {"kind": KeyError}}, "kind"),
    "format": ({"about": {"format": 2}}, "format 1; got 2, of a newer seewhy"),
    "objects": ({"score": np.array([{}] * 3, dtype=object)}, "saved"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_holds_anything_else_is_refused(name, made, tmp_path):
    given, match = WRONG[name]
    path = tmp_path / "v.npz"
    path.write_bytes(_saved(made, **given))
    with pytest.raises(InputError, match=match) as error:
        Visualization.load(path)
    assert str(error.value).startswith(f"{path} is not a saved visualization: ")
    assert "\n" not in str(error.value)
    path.write_bytes(_saved(made))
    assert len(Visualization.load(path)) == 3


def test_neither_is_taken_for_the_other(made, tmp_path):
    attribution = seewhy.attribute(make(), torch.rand(1, 3, 20, 20), "saliency", 1)
    attribution.save(tmp_path / "a.npz")
    made.save(tmp_path / "v.npz")
    with pytest.raises(InputError, match="not a saved visualization"):
        Visualization.load(tmp_path / "a.npz")
    with pytest.raises(InputError, match="not a saved attribution"):
        seewhy.Attribution.load(tmp_path / "v.npz")
    with pytest.raises(InputError, match="not a saved visualization"):
        Visualization.load(tmp_path / "missing.npz")


def _stored(content):
    """Without compression, so that damage reaches what is inside."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(file, "w") as other:
        for entry in archive.infolist():
            other.writestr(entry.filename, archive.read(entry))
    return file.getvalue()


GOOD = [_stored(_saved(seewhy.visualize(make(), [1], checkpoints=(1,), **(OPTIONS | {"steps": 1, "size": 12}))))]


@fuzzed
@given(damaged(GOOD))
def test_a_damaged_file_is_read_or_refused(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "v.npz")
        path.write_bytes(content)
        try:
            v = Visualization.load(path)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert 0 <= v.images.min() <= v.images.max() <= 1
            assert len(repr(v).splitlines()) == 1
