"""Folders of photos, where results go, and what is asked for on the command line."""

import json
import os

import numpy as np
import pytest
from PIL import Image

import seewhy as package
from taken_apart import Page

TINY = ["--model", "nets.tiny:make", "--input-size", "32"]
OWN = """
from dataclasses import dataclass
from seewhy.methods import INPUT, Method, Needs, param


@dataclass(frozen=True)
class InputTimesGradient(Method):
    id = "input_times_gradient"
    title = "Input × gradient"
    source = "simonyan2013"
    formula = "x · ∂y/∂x"
    misleads = "Zero is the mean colour."
    absolute: bool = param(False, "the magnitude")

    def needs(self):
        return Needs(input_gradient=True)

    def __call__(self, record):
        return record.inputs * record.gradient(INPUT)


class NoMethod:
    pass
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current directory, with photos in folders named like classes, and labels."""
    draws = np.random.default_rng(0)
    for name in ("cat/a.png", "cat/b.png", "dog/a.png", "deep/owl/c.jpg", "dog/notes.txt"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no photo")
        else:
            Image.fromarray(draws.integers(0, 255, (40, 56, 3), dtype=np.uint8)).save(path)
    (tmp_path / "labels.txt").write_text("cat\ndog\nowl\nfox\n")
    (tmp_path / "own_method_of_test.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_is_all_photos_in_it_and_its_folders_are_the_truth(seewhy, place):
    code, said, _ = seewhy("explain", "photos", *TINY, "--labels", "labels.txt", "-M", "cam", "-o", "out")
    assert code == 0
    assert "4 photos found in photos" in said
    names = {path.name for path in (place / "out").iterdir()}
    assert names == {"cat-a", "cat-b", "dog-a", "deep-owl-c", "report.html", "run.json"}
    found = {name: package.Explanation.load(place / "out" / name) for name in ("cat-a", "cat-b", "dog-a", "deep-owl-c")}
    assert [each.truth for each in found.values()] == ["cat", "cat", "dog", "owl"]
    right = sum(each.right for each in found.values())
    page = Page((place / "out" / "report.html").read_text())
    assert (page.run["summary"]["right"], page.run["summary"]["known"]) == (right, 4)
    assert f"{right} of 4 right" in said.splitlines()[-1]
    assert "report.html" in said.splitlines()[-1]
    # The wrong ones come first, the most confident of them at the top.
    shown = [row["path"].removeprefix("photos/") for row in page.rows]
    rank = {
        each.photo.path.removeprefix("photos/"): (each.right, -each.top[0].probability * (-1 if each.right else 1))
        for each in found.values()
    }
    assert shown == sorted(rank, key=rank.get)


def test_folders_that_mean_no_class_tell_no_truth(seewhy, place):
    (place / "photos").rename(place / "holiday")
    code, _, err = seewhy("explain", "holiday", *TINY, "-M", "cam", "-o", "out")  # classes without names
    assert code == 0
    assert Page((place / "out" / "report.html").read_text()).run["summary"] is None
    assert "no class is called so" not in err
    (place / "holiday" / "dog").rename(place / "holiday" / "cow")
    code, _, err = seewhy("explain", "holiday", *TINY, "--labels", "labels.txt", "-M", "cam", "-o", "other")
    assert code == 0
    assert "note: cow: no class is called so" in err
    assert Page((place / "other" / "report.html").read_text()).run["summary"]["known"] == 3


def test_a_folder_without_photos_stops_no_other(seewhy, place):
    (place / "empty").mkdir()
    code, _, err = seewhy("explain", "empty", "photos/cat", *TINY, "-M", "cam", "-o", "out")
    assert code == 2
    assert "empty holds no photo" in err
    assert (place / "out" / "a" / "figure.png").exists()


def test_the_usual_output_folder_is_numbered(seewhy, place):
    for folder in ("seewhy-out", "seewhy-out-2", "seewhy-out-3"):
        code, said, _ = seewhy("explain", "photos/cat/a.png", *TINY, "-M", "cam")
        assert code == 0
        assert f"{folder}{os.sep}report.html" in said
        assert (place / folder / "a" / "figure.png").exists()
    before = (place / "seewhy-out-2" / "report.html").read_bytes()
    assert seewhy("explain", "photos/cat/b.png", *TINY, "-M", "grad_cam", "--layer", "missing")[0] == 2
    assert not (place / "seewhy-out-4").exists()  # where there is nothing to write
    assert f"seewhy-out{os.sep}report" in seewhy("explain", "photos/cat/b.png", *TINY, "-M", "cam", "--force")[1]
    assert (place / "seewhy-out-2" / "report.html").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["-M", "cam", "--steps", 3], "--steps applies to the class visualization"),
        (["-M", "cam", "--preset", "olah"], "--preset applies to the class visualization"),
        (["-M", "cam", "--layer", "1"], "--layer applies to Grad-CAM"),
        (["--colormap", "jet", "--no-figure"], "--colormap applies to the maps of figures"),
        (["-M", "class_visualization", "--colormap", "jet"], "--colormap applies to the maps of figures"),
        (["--colormap", "virdis"], "did you mean viridis"),
        (["--scale", "share", "-t", 1, "-t", 2, "--no-figure"], "--scale applies to the maps of figures"),
        (["--scale", "own", "--opacity", "0.5", "--no-figure"], "--scale and --opacity applies to the maps of figures"),
        (["-M", "class_visualization", "--opacity", "0.5"], "--opacity applies to the maps of figures"),
        (["--opacity", "1.5"], "a number from 0 to 1"),
        (["--opacity", "nan"], "a number from 0 to 1"),
        (["--scale", "shares"], "own, shared, share"),
        (["-M", "cam", "--scale", "share"], "--scale share applies to several targets"),
        (["-M", "cam", "--scale", "shared", "-t", 1], "--scale shared applies to several targets"),
        (["-M", "cam", "--scale", "own", "--shared-scale", "-t", 1, "-t", 2], "ask for two scales"),
        (["-M", "cam", "--batch-size", 4], "--batch-size applies to occlusion"),
        (["-M", "cam", "--occlusion-window", 8], "--occlusion-window applies to occlusion"),
        (["-M", "saliency", "--no-grad-cam-relu"], "grad-cam-relu applies to grad_cam"),
        (["-M", "cam", "--shared-scale"], "--shared-scale applies to several targets"),
        (["-M", "cam", "--shared-scale", "-t", 1], "--shared-scale applies to several targets"),
    ],
)
def test_an_option_that_applies_to_nothing_is_an_error(seewhy, place, arguments, match):
    code, _, err = seewhy("explain", "photos/cat/a.png", *TINY, *arguments)
    assert code == 2
    assert match in err
    assert not (place / "seewhy-out").exists()


def test_figures_are_drawn_as_it_is_asked_for(seewhy, place):
    """What is saved is the same; the figures are those that Explanation.figure gives."""
    asked = ["--scale", "share", "--colormap", "magma", "--opacity", "0.5"]
    explain = ["explain", "photos/cat/a.png", *TINY, "-M", "cam", "-M", "saliency", "-t", 0, "-t", 1]
    assert seewhy(*explain, "-o", "usual")[0] == 0
    assert seewhy(*explain, *asked, "-o", "asked")[0] == 0
    found = package.Explanation.load(place / "asked" / "a")
    usual = Image.open(place / "usual" / "a" / "figure-1.png").tobytes()
    drawn = Image.open(place / "asked" / "a" / "figure-1.png").tobytes()
    assert usual == found.figure(1).tobytes()
    assert drawn == found.figure(1, scale="share", colormap="magma", opacity=0.5).tobytes() != usual
    assert not found.shared_scale
    code, _, err = seewhy("report", "asked", *asked)
    assert code == 2
    assert "--scale and --colormap and --opacity applies to figures" in err
    assert seewhy("report", "usual", "--figures", *asked)[0] == 0
    assert Image.open(place / "usual" / "a" / "figure-1.png").tobytes() == drawn
    assert seewhy(*explain, "--shared-scale", "--scale", "shared", "-o", "both")[0] == 0


def test_layers_by_depth(seewhy, place):
    code, said, _ = seewhy("explain", "photos/cat/a.png", *TINY, "-M", "grad_cam", "--layer", 3, "--layer", 1, "--json")
    assert code == 0
    methods = json.loads(said)["photos"][0]["targets"][0]["methods"]
    assert [method["layer"] for method in methods.values()] == ["1", "3"]
    assert [method["title"] for method in methods.values()] == ["Grad-CAM, 1", "Grad-CAM, 3"]
    assert seewhy("explain", "photos/cat/a.png", *TINY, "-M", "grad_cam", "--layer", 33)[0] == 2


def test_why_this_rather_than_that(seewhy, place):
    code, said, _ = seewhy("explain", "photos/cat/a.png", *TINY, "--labels", "labels.txt", "-M", "cam", "-t", "owl",
                           "--versus", "fox", "--json", "-o", "out")  # fmt: skip
    assert code == 0
    owl, difference = json.loads(said)["photos"][0]["targets"]
    assert (owl["name"], difference["name"], difference["against"]["name"]) == ("owl", "owl", "fox")
    assert difference["explained_score"] == pytest.approx(owl["score"] - difference["against"]["score"], abs=1e-5)
    assert (place / "out" / "a" / "figure-2-rather-than-3.png").exists()
    shown = Page((place / "out" / "report.html").read_text()).photos[1]
    assert [target["name"] for target in shown["targets"]] == ["owl", "owl rather than fox"]
    assert shown["figures"]["2-rather-than-3"] == "./a/figure-2-rather-than-3.png"
    with np.load(place / "out" / "a" / "maps.npz") as maps:
        assert maps["cam"][1].mean() == pytest.approx(difference["explained_score"], abs=2)  # but for the biases
    assert seewhy("explain", "photos/cat/a.png", *TINY, "--labels", "labels.txt", "--versus", "wolf")[0] == 2


def test_means_are_written_as_people_write_them(seewhy, place):
    shown = set()
    for given in (".3", "0.3", ".3,.3,.3", "0.3,0.3,0.3"):
        code, said, _ = seewhy(
            "explain", "photos/cat/a.png", *TINY, "--mean", given, "--std", ".5", "-M", "cam", "--json"
        )
        assert code == 0
        shown.add(json.dumps(json.loads(said)["photos"][0]["model"]["preprocessing"]["mean"]))
    assert shown == {"[0.3, 0.3, 0.3]"}


def test_no_figure_is_drawn_where_none_is_wanted(seewhy, place):
    code, said, _ = seewhy("explain", "photos/cat", *TINY, "-M", "cam", "--no-figure", "-o", "out")
    assert code == 0
    assert not list((place / "out").rglob("figure*.png"))
    assert "figure" not in said
    page = Page((place / "out" / "report.html").read_text())
    assert all(photo["targets"][0]["views"][0]["plane"] for photo in page.photos.values())
    assert [photo["figures"] for photo in page.photos.values()] == [{}, {}]


def test_a_method_of_ones_own(seewhy, place):
    own = "own_method_of_test:InputTimesGradient"
    code, said, _ = seewhy("explain", "photos/cat/a.png", *TINY, "-M", own, "-M", "cam", "--json")
    assert code == 0
    methods = json.loads(said)["photos"][0]["targets"][0]["methods"]
    assert list(methods) == ["cam", "input_times_gradient"]
    assert methods["input_times_gradient"]["params"] == {"absolute": False}
    for wrong, match in [
        ("own_method_of_test:InputTimesGradien", "InputTimesGradient"),
        ("own_method_of_test:NoMethod", "is no method"),
        ("own_method_of_tests:InputTimesGradient", "cannot be imported"),
        ("own_method_of_test", "module:Class"),
    ]:
        code, _, err = seewhy("explain", "photos/cat/a.png", *TINY, "-M", wrong)
        assert code == 2
        assert match in err, err


def test_a_method_that_a_package_offers(seewhy, place, monkeypatch):
    from importlib.metadata import EntryPoint

    from seewhy import own_methods

    point = EntryPoint("ixg", "own_method_of_test:InputTimesGradient", own_methods.GROUP)
    broken = EntryPoint("broken", "there_is_no_such_module:Method", own_methods.GROUP)
    monkeypatch.setattr(
        own_methods, "entry_points", lambda group: [point, broken] if group == own_methods.GROUP else []
    )
    code, said, _ = seewhy("explain", "photos/cat/a.png", *TINY, "-M", "ixg", "--json")
    assert code == 0
    assert list(json.loads(said)["photos"][0]["targets"][0]["methods"]) == ["input_times_gradient"]
    code, said, err = seewhy("methods")
    assert code == 0
    assert "input_times_gradient" in said
    assert "broken" in said + err
    assert "did you mean ixg" in seewhy("explain", "photos/cat/a.png", *TINY, "-M", "ixgg")[2]
    found = package.explain("photos/cat/a.png", package.load("nets.tiny:make", input_size=32), ["ixg"])
    assert found.views["input_times_gradient"].attribution is not None


def test_the_report_is_drawn_again_byte_for_byte(seewhy, place):
    (place / "photos" / "broken.png").write_bytes(b"no photo")
    code, _, _ = seewhy(
        "explain", "photos", *TINY, "--labels", "labels.txt", "-M", "cam", "-M", "saliency", "-o", "out"
    )
    assert code == 2  # one of them is broken
    page = place / "out" / "report.html"
    before, figure = page.read_bytes(), (place / "out" / "cat-a" / "figure.png").read_bytes()
    page.unlink()
    (place / "out" / "cat-a" / "figure.png").unlink()
    (place / "photos").rename(place / "moved")
    code, said, _ = seewhy("report", "out", "--figures")
    assert code == 0
    assert str(page.relative_to(place)) in said
    assert page.read_bytes() == before
    assert (place / "out" / "cat-a" / "figure.png").read_bytes() == figure
    assert seewhy("report", "out", "-o", "other.html")[0] == 0
    assert seewhy("report", "out", "-o", "other.html")[0] == 2
    assert seewhy("report", "moved")[0] == 2
    assert seewhy("report", "missing")[0] == 2


def test_a_report_of_one_photos_folder_and_of_damaged_ones(seewhy, place):
    seewhy("explain", "photos/cat", *TINY, "-M", "cam", "-o", "out")
    assert seewhy("report", "out/a")[0] == 0
    assert "photos/cat/a.png" in (place / "out" / "a" / "report.html").read_text()
    (place / "out" / "b" / "maps.npz").write_bytes(b"damaged")
    code, _, _ = seewhy("report", "out")
    assert code == 0
    assert "is not a saved explanation" in (place / "out" / "report.html").read_text()
    about = json.loads((place / "out" / "run.json").read_text())
    about["photos"][0]["folder"] = "../elsewhere"
    (place / "out" / "run.json").write_text(json.dumps(about))
    seewhy("report", "out")
    assert "own folder" in (place / "out" / "report.html").read_text()


def test_class_pictures_of_many_photos_are_made_once_and_after_all_maps(seewhy, place, monkeypatch):
    from seewhy.session import Session

    monkeypatch.setenv("SEEWHY_CACHE_DIR", str(place / "cache"))  # where other tests made none of them
    order = []
    maps, visualizations = Session.maps, Session.visualizations
    monkeypatch.setattr(Session, "maps", lambda self, *a, **k: order.append("maps") or maps(self, *a, **k))
    monkeypatch.setattr(
        Session, "visualizations", lambda self, asked: order.append(len(asked)) or visualizations(self, asked)
    )
    draws = np.random.default_rng(1)
    for number in range(8):
        pixels = draws.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / "photos" / f"{number}.png")
    quick = ["-M", "cam", "-M", "class_visualization", "--preset", "simonyan", "--steps", 4]
    code, _, _ = seewhy("explain", "photos", *TINY, *quick, "-o", "out")
    assert code == 0
    assert order[:12] == ["maps"] * 12
    assert len(order) == 13
    for folder in (place / "out").iterdir():
        if folder.is_dir():
            found = package.Explanation.load(folder)
            assert found.views["class_visualization"].visualization is not None
            assert (folder / "figure.png").exists()
    order.clear()
    assert seewhy("explain", "photos", *TINY, *quick, "-o", "again")[0] == 0
    assert order == ["maps"] * 12  # all of them are in the cache


def test_runs_that_begin_at_once_have_folders_of_their_own(place):
    import threading

    from seewhy.cli.places import output_folder

    taken, barrier = [], threading.Barrier(8)

    def take():
        barrier.wait(10)
        taken.append(output_folder(None, force=False))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(set(taken)) == len(taken) == 8


def test_earlier_results_are_no_photos(seewhy, place):
    assert seewhy("explain", "photos", *TINY, "-M", "cam", "-o", "photos/out")[0] == 0
    code, said, _ = seewhy("explain", "photos", *TINY, "-M", "cam", "-o", "other")
    assert code == 0
    assert "4 photos found" in said


def test_force_leaves_no_figure_of_an_earlier_target(seewhy, place):
    arguments = ["explain", "photos/cat/a.png", *TINY, "-M", "cam", "-o", "out", "--force"]
    assert seewhy(*arguments, "-t", 0, "-t", 1)[0] == 0
    (place / "out" / "a" / "mine.png").write_bytes(b"mine")
    assert seewhy(*arguments, "-t", 2, "--no-figure")[0] == 0
    assert {path.name for path in (place / "out" / "a").iterdir()} == {
        "explanation.json", "maps.npz", "crop.png", "whole.webp", "mine.png",
    }  # fmt: skip
    assert Page((place / "out" / "report.html").read_text()).photos[1]["figures"] == {}


def test_a_report_follows_no_link_and_leads_nowhere_else(seewhy, place):
    assert seewhy("explain", "photos/cat", *TINY, "-M", "cam", "-o", "out")[0] == 0
    (place / "victim.txt").write_text("mine")
    for name in ("report.html", "a/figure.png"):
        (place / "out" / name).unlink()
        (place / "out" / name).symlink_to(place / "victim.txt")
        assert seewhy("report", "out", "--figures")[0] == 2
        (place / "out" / name).unlink()
    assert (place / "victim.txt").read_text() == "mine"
    about = json.loads((place / "out" / "run.json").read_text())
    for folder in ("..", "", "link"):
        (place / "out" / "link").unlink(missing_ok=True)
        (place / "out" / "link").symlink_to(place / "out" / "b")
        about["photos"][0]["folder"] = folder
        (place / "out" / "run.json").write_text(json.dumps(about))
        assert seewhy("report", "out")[0] == 0
        assert "own folder" in (place / "out" / "report.html").read_text()


@pytest.mark.parametrize("option", [["--versus", 1], ["--shared-scale", "-t", 1, "-t", 2]])
def test_comparisons_need_maps(seewhy, place, option):
    code, _, err = seewhy("explain", "photos/cat/a.png", *TINY, "-M", "class_visualization", *option)
    assert code == 2
    assert "applies to maps" in err
