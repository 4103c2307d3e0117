"""What is saved is read back as it was, by a process without the model and without the photo; or refused."""

import json
import shutil
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import seewhy
from seewhy.core.attribution import jsonable
from seewhy.errors import InputError, OutputError
from seewhy.methods import GradCAM, Occlusion
from seewhy.report import Item, RunInfo, render_report
from seewhy.results.saved import describe
from seewhy.results.viewed import viewed
from taken_apart import Page, picture_of

RUN = RunInfo("m", "w", "v", "d", "c")
LABELS = ["cat", "tiger cat", "<b>lynx</b>", "sea lion"]


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    y, x = np.mgrid[0:48, 0:60] / 6.0
    pixels = np.uint8(127 + 60 * np.stack([np.sin(x + y), np.cos(x) * np.sin(y), np.sin(x * y / 4)], -1))
    path = tmp_path_factory.mktemp("photo") / "waves.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def classifier():
    return seewhy.load("nets.tiny:make", input_size=32, labels=LABELS)


@pytest.fixture(scope="module")
def explanation(photo, classifier):
    methods = ["saliency", "guided_backprop", "cam", GradCAM(layer="1"), GradCAM(), Occlusion(reach=0.4),
               "class_visualization"]  # fmt: skip
    return seewhy.explain(
        photo, classifier, methods, ["cat", 3], versus="sea lion", truth="cat", preset="simonyan", steps=4
    )  # fmt: skip


@pytest.fixture
def saved(explanation, tmp_path):
    return explanation.save(tmp_path / "saved")


def same(a, b):
    assert type(a) is type(b) or {type(a), type(b)} <= {int, float}, (a, b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            same(one, other)
    else:
        assert a == b or (a != a and b != b)


def test_every_part_comes_back(explanation, saved):
    loaded = seewhy.Explanation.load(saved)
    same(describe(explanation), describe(loaded))
    assert repr(loaded) == repr(explanation)
    assert loaded.notes == explanation.notes
    assert loaded.right is False
    assert np.array_equal(np.asarray(loaded.photo.crop), np.asarray(explanation.photo.crop))
    assert loaded.photo.whole_file == explanation.photo.whole_file == (saved / "whole.webp").read_bytes()
    assert loaded.photo.whole.tobytes() == explanation.photo.whole.tobytes()
    for found, again in zip(explanation.targets, loaded.targets, strict=True):
        assert (found.key, found.title, found.score) == (again.key, again.title, again.score)
        for id, view in found.views.items():
            other = again.views[id]
            assert (view.notes, view.caption, view.amount, view.error) == (
                other.notes, other.caption, other.amount, other.error,
            )  # fmt: skip
            if (one := view.attribution) is not None:
                two = other.attribution
                assert one.values.equal(two.values)
                assert one.score.equal(two.score)
                assert one.target.equal(two.target)
                assert (one.against is None) == (two.against is None)
                assert one.shared == two.shared
                assert one.details.keys() == two.details.keys()
                assert all(part.equal(two.details[name]) for name, part in one.details.items())
                same(jsonable(one.notes), jsonable(two.notes))
            if (one := view.visualization) is not None:
                two = other.visualization
                assert one.images.equal(two.images)
                assert one.history.equal(two.history)
                assert one.objective.equal(two.objective)


def test_another_process_draws_the_same_bytes_without_model_or_photo(explanation, tmp_path, photo, classifier):
    """Also after the photo is gone, and in a process that imports no loader's package."""
    copy = tmp_path / "gone.png"
    shutil.copy(photo, copy)
    methods = ["saliency", "cam", "class_visualization"]
    first = seewhy.explain(copy, classifier, methods, versus=2, preset="simonyan", steps=3)
    first.save(tmp_path / "saved")
    copy.unlink()
    program = f"""
import pathlib, sys
import torch
from seewhy import Explanation
from seewhy.report import Item, RunInfo, render_report

def no_model(*given, **more):
    raise AssertionError("a model was run")

torch.nn.Module.__call__ = no_model
loaded = Explanation.load({str(tmp_path / "saved")!r})
out = pathlib.Path({str(tmp_path)!r})
for number, found in enumerate(loaded.targets):
    (out / f"{{number}}.raw").write_bytes(loaded.figure(found).tobytes())
page = render_report([Item(loaded, "saved")], run=RunInfo("m", "w", "v", "d", "c"))
(out / "page.html").write_text(page, "utf-8")
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    for number, found in enumerate(first.targets):
        assert (tmp_path / f"{number}.raw").read_bytes() == first.figure(found).tobytes()
    assert (tmp_path / "page.html").read_text("utf-8") == render_report([Item(first, "saved")], run=RUN)
    again = seewhy.Explanation.load(tmp_path / "saved").save(tmp_path / "again")
    for name in ("figure.png", "crop.png", "whole.webp", "explanation.json"):
        assert (again / name).read_bytes() == (tmp_path / "saved" / name).read_bytes()


def test_nothing_is_replaced_unless_it_is_asked_for(explanation, saved):
    before = (saved / "explanation.json").read_bytes()
    with pytest.raises(OutputError, match="overwrite=True"):
        explanation.save(saved)
    assert (saved / "explanation.json").read_bytes() == before
    explanation.save(saved, overwrite=True, figure=False)


def test_a_folder_that_is_none_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="not a saved explanation"):
            seewhy.Explanation.load(folder)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda about: about.update(format=2), "newer seewhy"),
        (lambda about: about.pop("format"), "format"),
        (lambda about: about["photo"].update(crop="../crop.png"), "a file in the folder"),
        (lambda about: about["photo"].update(crop="explanation.json"), "a file in the folder"),
        (lambda about: about["photo"].update(whole="../whole.webp"), "named otherwise"),
        (lambda about: about["photo"].update(whole="crop.png"), "named otherwise"),
        (lambda about: about["photo"].update(whole="whole.jpg"), "cannot be read"),
        (lambda about: about["photo"].update(whole=3), "'whole'"),
        (lambda about: about["photo"].update(size=[61, 48]), "whole photo is another"),
        (lambda about: about["photo"].update(box=[1, 2]), "'box'"),
        (lambda about: about["photo"].update(size=[0, 3]), "'size'"),
        (lambda about: about.update(targets=[]), "explains nothing"),
        (lambda about: about.update(targets=3), "'targets'"),
        (lambda about: about["targets"][0].update(index=-1), "count"),
        (lambda about: about["targets"][0]["methods"]["cam"].update(row=7), "does not hold"),
        (lambda about: about["targets"][0]["methods"]["cam"].update(array="other"), "does not hold"),
        (lambda about: about["targets"][0]["methods"]["cam"].update(array="targets"), "does not hold"),
        (lambda about: about["targets"][0]["methods"]["cam"].update(row=True), "'row'"),
        (lambda about: about["targets"][0]["methods"]["cam"].update(notes=[]), "'notes'"),
        (lambda about: about["targets"][0]["methods"]["cam"].update(caption=3), "'caption'"),
        (lambda about: about.update(top5=[[]]), "no object"),
        (lambda about: about["model"].update(notes=[3]), "other things than text"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(saved, change, match):
    about = json.loads((saved / "explanation.json").read_text())
    change(about)
    (saved / "explanation.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=match) as caught:
        seewhy.Explanation.load(saved)
    assert "\n" not in str(caught.value)


def test_one_view_as_a_picture(explanation, photo):
    assert explanation.to_image("cam").size == (32, 32)
    assert explanation.to_image("cam", target="sea lion", size=(64, 64)).size == (64, 64)
    assert explanation.to_image("class_visualization").size == (32, 32)
    with pytest.raises(InputError, match="guided_backprop"):
        explanation.to_image("guided_backpropp")
    with pytest.raises(InputError, match="sea lion"):
        explanation.to_image("cam", target="sea loin")


def test_maps_are_drawn_in_other_colours_on_request(explanation, saved):
    assert explanation.to_image("cam").tobytes() == explanation.to_image("cam", colormap="seewhy", opacity=1).tobytes()
    usual, jet = explanation.figure(), explanation.figure(colormap="Jet")
    assert usual.tobytes() == explanation.figure(colormap="seewhy", opacity=1.0).tobytes()
    drawn = {explanation.to_image("cam", colormap=name).tobytes() for name in ("seewhy", "viridis", "magma", "jet")}
    assert len(drawn) == 4
    assert jet.tobytes() not in (usual.tobytes(), explanation.figure(colormap="jet", opacity=0.5).tobytes())
    explanation.save(saved, overwrite=True, colormap="jet")
    assert Image.open(saved / "figure.png").tobytes() == jet.tobytes()
    assert seewhy.Explanation.load(saved).figure().tobytes() == usual.tobytes(), "what is saved has no colours"
    for draw in (explanation.figure, partial(explanation.to_image, "cam")):
        with pytest.raises(InputError, match="did you mean viridis"):
            draw(colormap="virdis")
        with pytest.raises(InputError, match="from 0 to 1"):
            draw(opacity=2)
    for draw in (explanation.figure, partial(explanation.to_image, "cam")):
        with pytest.raises(InputError, match="own, shared, share"):
            draw(scale=3)
    for wrong, match in [({"colormap": "virdis"}, "viridis"), ({"opacity": -1}, "from 0 to 1"), ({"scale": ""}, "own")]:
        with pytest.raises(InputError, match=match):
            explanation.save(saved, overwrite=True, figure=False, **wrong)
    assert (saved / "explanation.json").exists(), "and nothing is cleared before"


def test_a_map_is_placed_where_the_crop_lies_on_the_photo(explanation, photo):
    """Outside of the crop the photo is as it was; inside, it is what is drawn on the crop."""
    original = Image.open(photo).convert("RGB")
    placed = np.asarray(explanation.to_image("cam", photo)).astype(int)
    left, top, right, bottom = explanation.photo.box
    assert (left, top, right, bottom) == pytest.approx((6, 0, 54, 48))
    before = np.asarray(original).astype(int)
    assert np.array_equal(placed[:, :6], before[:, :6])
    assert np.array_equal(placed[:, 54:], before[:, 54:])
    drawn = np.asarray(explanation.to_image("cam", size=(48, 48))).astype(int)
    assert np.array_equal(placed[:, 6:54], drawn)
    with pytest.raises(InputError, match="60 × 48"):
        explanation.to_image("cam", Image.new("RGB", (61, 48)))


def test_it_shows_itself_in_a_notebook_in_a_frame_of_its_own(explanation):
    """The frame's page is the viewer's, under its policy; the picture is for where frames are not shown."""
    html = explanation._repr_html_()
    assert "<b>" not in html
    assert "<script" not in html, "it is all within an attribute"
    outside = Tags()
    outside.feed(html)
    assert [tag for tag, _ in outside.found] == ["div", "iframe", "details", "summary", "img"]
    frame, image = outside.found[1][1], outside.found[4][1]
    assert frame["sandbox"] == "allow-scripts", "an origin of its own: nothing of the notebook is in its reach"
    assert "Why cat?" in frame["title"]
    assert image["alt"] == frame["title"]
    assert picture_of(image["src"]).width == 640
    page = Page(frame["srcdoc"])
    assert page.policy["default-src"] == ["'none'"]
    shown = page.blocks["seewhy-explanation"]
    assert shown == json.loads(json.dumps(viewed(explanation), allow_nan=False))
    assert "<b>lynx</b>" in [entry["name"] for entry in shown["top"]]
    assert html == explanation._repr_html_(), "and many of them stand beside each other"


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
