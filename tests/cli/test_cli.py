"""The command as a person uses it: what it writes, what it says when something is wrong, and its exit codes."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from seewhy import Explanation

TINY = ["--model", "nets.tiny:make", "--input-size", "32"]
ALL = [*TINY, "--steps", "3", "--preset", "simonyan"]
"""For all methods, and for visualize."""
EIGHT = ["saliency", "deconvnet", "guided_backprop", "cam", "grad_cam", "guided_grad_cam", "occlusion",
         "class_visualization"]  # fmt: skip


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "a photo of größe.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)).save(path)
    return path


def test_explain_writes_everything(seewhy, photo, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ntiger cat\n<script>alert(1)</script>\nsea lion\n")
    out = tmp_path / "out"
    code, said, _ = seewhy("explain", photo, *ALL, "--labels", labels, "-o", out)
    assert code == 0
    assert str(out / "report.html") in said
    folder = out / photo.stem
    assert {path.name for path in folder.iterdir()} >= {"figure.png", "maps.npz", "explanation.json"}
    assert Image.open(folder / "figure.png").width > 1000

    about = json.loads((folder / "explanation.json").read_text())
    assert len(about["photo"]["sha256"]) == len(about["model"]["weights_sha256"]) == 64
    assert [entry["index"] for entry in about["top5"]][0] == about["targets"][0]["index"]
    assert sum(entry["probability"] for entry in about["top5"]) == pytest.approx(1)
    assert set(about["targets"][0]["methods"]) == set(EIGHT)
    assert about["targets"][0]["methods"]["guided_backprop"]["overridden"] == 2
    assert about["targets"][0]["methods"]["grad_cam"]["layer"] == "3"
    assert about["targets"][0]["backwards"] == 3
    assert {"seewhy", "versions", "created", "command", "seconds"} <= set(about)

    with np.load(folder / "maps.npz", allow_pickle=False) as maps:
        assert set(EIGHT) - {"class_visualization"} < set(maps.files)
        assert maps["cam"].shape == (1, 1, 13, 13)
        assert maps["guided_backprop"].shape == (1, 3, 32, 32)
        assert maps["guided_backprop"].min() < 0
        assert maps["occlusion.grid"].shape[:2] == (1, 1)
    page = (out / "report.html").read_text()
    assert "<script>alert(1)</script>" not in page
    assert "\\u003cscript>alert(1)\\u003c/script>" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_figures_in_other_colours(seewhy, photo, tmp_path):
    out, folder = tmp_path / "out", tmp_path / "out" / photo.stem
    code, _, _ = seewhy("explain", photo, *TINY, "-o", out, "-M", "cam", "--colormap", "Jet")
    assert code == 0
    explanation = Explanation.load(folder)
    assert Image.open(folder / "figure.png").tobytes() == explanation.figure(colormap="jet").tobytes()
    assert seewhy("report", out, "--figures", "--colormap", "magma")[0] == 0
    assert Image.open(folder / "figure.png").tobytes() == explanation.figure(colormap="magma").tobytes()
    assert seewhy("report", out, "--figures")[0] == 0
    assert Image.open(folder / "figure.png").tobytes() == explanation.figure().tobytes()
    code, _, err = seewhy("report", out, "--colormap", "magma")
    assert code == 2
    assert "--figures" in err


def test_several_photos_targets_and_one_method(seewhy, photo, tmp_path):
    other = tmp_path / "sub" / photo.name
    other.parent.mkdir()
    other.write_bytes(photo.read_bytes())
    out = tmp_path / "out"
    code, said, _ = seewhy("explain", photo, other, *TINY, "-o", out, "-t", 2, "-t", 0, "-M", "Grad-CAM", "--json")
    assert code == 0
    given = json.loads(said)
    assert [entry["folder"] for entry in given["photos"]] == [str(out / photo.stem), str(out / f"{photo.stem}-2")]
    assert [target["index"] for target in given["photos"][0]["targets"]] == [2, 0]
    assert list(given["photos"][0]["targets"][0]["methods"]) == ["grad_cam"]
    assert (out / photo.stem / "figure-0.png").exists()
    with np.load(out / photo.stem / "maps.npz", allow_pickle=False) as maps:
        assert maps["targets"].tolist() == [2, 0]
        assert maps["grad_cam"].shape[0] == 2


def test_parameters_come_from_the_methods_fields(seewhy, photo, tmp_path):
    code, said, _ = seewhy(
        "explain", photo, *TINY, "-o", tmp_path / "out", "--json", "--layer", "1", "--saliency-magnitude", "signed",
        "--occlusion-window", "8x16", "--occlusion-stride", 8, "--occlusion-baseline", "-0.5,0,0.5",
        "--no-grad-cam-relu", "-M", "saliency", "-M", "occlusion", "-M", "grad_cam",
    )  # fmt: skip
    assert code == 0
    methods = json.loads(said)["photos"][0]["targets"][0]["methods"]
    assert methods["saliency"]["params"] == {"magnitude": "signed"}
    assert methods["occlusion"]["params"] == {
        "window": [8, 16], "stride": 8, "baseline": [-0.5, 0, 0.5], "engine": "auto", "precision": "exact",
        "reach": 1.0,
    }  # fmt: skip
    assert methods["occlusion"]["notes"] == {"engine": "incremental"}
    assert methods["grad_cam"]["params"] == {"layer": "1", "layout": "auto", "relu": False}


def test_nothing_is_replaced_without_force(seewhy, photo, tmp_path):
    out = tmp_path / "out"
    arguments = ["explain", photo, *TINY, "-o", out, "-M", "cam"]
    assert seewhy(*arguments)[0] == 0
    before = (out / "report.html").read_bytes()
    code, _, err = seewhy(*arguments)
    assert code == 2
    assert "--force" in err
    assert (out / "report.html").read_bytes() == before
    (out / "report.html").unlink()
    code, _, err = seewhy(*arguments)
    assert code == 2
    assert "exists" in err
    assert seewhy(*arguments, "--force")[0] == 0


def _bad_photos(folder):
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("I am not a photo")
    (folder / "folder.jpg").mkdir()
    Image.new("RGB", (64, 64), "red").save(folder / "whole.png")
    (folder / "cut.png").write_bytes((folder / "whole.png").read_bytes()[:60])
    names = ["missing.jpg", "empty.jpg", "text.jpg", "folder.jpg", "cut.png"]
    return [folder / name for name in names]


def test_bad_photos_lose_no_other_work(seewhy, photo, tmp_path):
    folder = tmp_path / "bad"
    folder.mkdir()
    bad = _bad_photos(folder)
    code, said, err = seewhy("explain", *bad[:3], photo, *bad[3:], *TINY, "-o", tmp_path / "out", "-M", "cam", "--json")
    assert code == 2
    given = json.loads(said)["photos"]
    assert [("error" in entry) for entry in given] == [True, True, True, False, True, True]
    lines = [line for line in err.splitlines() if line.startswith("seewhy:")]
    assert len(lines) == len(bad)
    for path, line in zip(bad, lines, strict=True):
        assert line.count(path.name) == 1
    page = (tmp_path / "out" / "report.html").read_text()
    assert all(path.name in page for path in bad)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--method", "gradcamm"], "did you mean grad_cam"),
        (["--method", "xyzzy"], "saliency, deconvnet"),
        (["--layer", "33"], "no layer '33'"),
        (["--target", "9"], "0 to 3"),
        (["--target", "cta"], "cat"),
        (["--target", "sea loin"], "sea lion"),
        (["--background", "bluish"], "no colour"),
        (["--occlusion-window", "0"], "window is in pixels"),
        (["--model", "nets.tiny:makee"], "make"),
        (["--model", "nets.missing:make"], "nets.missing"),
        (["--model", "efficientnet_lite"], "efficientnet_lite0"),
        (["--weights", "missing.safetensors"], "missing.safetensors"),
        (["--model", "nets.tiny:make_nan"], "NaN"),
        (["--model", "nets.tiny:make_maps"], r"\(B, classes\)"),
        (["--no-such-flag"], "No such option"),
        (["--batch-size", "0"], "batch-size"),
    ],
)
def test_users_errors_are_one_line_and_exit_2(seewhy, photo, tmp_path, arguments, match):
    labels = tmp_path / "labels.json"
    labels.write_text('["cat", "dog", "sea lion", "owl"]')
    given = [*ALL, "--labels", labels] if "--model" not in arguments else TINY[2:]
    code, out, err = seewhy("explain", photo, *given, "-o", tmp_path / "out", *arguments)
    assert code == 2
    assert match.replace("\\", "") in out + err
    assert len([line for line in err.splitlines() if "error" in line.lower() or "seewhy:" in line]) == 1


def test_a_method_that_does_not_apply_stops_no_other(seewhy, photo, tmp_path):
    code, said, _ = seewhy("explain", photo, "--model", "nets.tiny:make_flat", "--input-size", 32, "--steps", 2,
                           "-o", tmp_path / "out", "--json")  # fmt: skip
    assert code == 0
    methods = json.loads(said)["photos"][0]["targets"][0]["methods"]
    assert "Grad-CAM works on any CNN" in methods["cam"]["error"]
    assert methods["grad_cam"]["layer"] == "1"
    code, _, err = seewhy("explain", photo, "--model", "nets.tiny:make_flat", "--input-size", 32, "-M", "cam", "-M",
                          "grad_cam", "-o", tmp_path / "asked")  # fmt: skip
    assert code == 2
    assert "cam: CAM does not apply" in err
    code, said, err = seewhy("explain", photo, "--model", "nets.tiny:make_flat", "--input-size", 32, "--steps", 2,
                             "--layer", "0", "-o", tmp_path / "layer")  # fmt: skip
    assert code == 0  # a layer was asked for, CAM was not
    assert "cam: CAM does not apply" in said
    code, _, err = seewhy("explain", photo, "--model", "nets.tiny:make_flat", "--input-size", 32, "--steps", 2,
                          "--layer", "2", "-o", tmp_path / "no-maps")  # fmt: skip
    assert code == 2
    assert "grad_cam: layer '2' has no maps" in err
    code, _, err = seewhy("explain", photo, *ALL, "--occlusion-baseline", "blurr", "-o", tmp_path / "parameter")
    assert code == 2
    assert "occlusion: this baseline does not fit the inputs" in err
    assert (tmp_path / "asked" / photo.stem / "figure.png").exists()
    assert (tmp_path / "out" / photo.stem / "figure.png").exists()


def test_html_in_a_file_name(seewhy, photo, tmp_path):
    path = tmp_path / "<img src=x onerror=alert(1)>.png"
    path.write_bytes(photo.read_bytes())
    assert seewhy("explain", path, *TINY, "-o", tmp_path / "out", "-M", "cam")[0] == 0
    assert "<img src=x" not in (tmp_path / "out" / "report.html").read_text()


def test_a_file_name_that_is_no_utf8(seewhy, photo, tmp_path):
    """As in archives from before UTF-8."""
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    try:
        shutil.copy(os.fsencode(photo), path)
    except OSError:
        pytest.skip("this file system takes no such names")
    code, said, _ = seewhy("explain", os.fsdecode(path), *TINY, "-o", tmp_path / "out", "-M", "cam", "--json")
    assert code == 0
    entry = json.loads(said)["photos"][0]
    assert os.fsencode(entry["photo"]["path"]) == path
    about = json.loads((tmp_path / "out" / os.fsdecode(b"caf\xe9") / "explanation.json").read_text("utf-8"))
    assert os.fsencode(about["photo"]["path"]) == path
    assert (tmp_path / "out" / "report.html").read_text("utf-8").count("caf")


def test_a_terminal_that_does_not_know_every_character(photo, tmp_path):
    """As on Windows, where what is sent to a file is in an old code page."""
    calls = [
        ["methods"],
        ["layers", *ALL[:4]],
        ["explain", str(photo), *TINY, "-o", str(tmp_path / "out"), "-M", "cam", "--json"],
    ]
    program = f"""
import contextlib
from seewhy.cli import main
for call in {calls!r}:
    with contextlib.suppress(SystemExit):
        main(call)
"""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, check=True)
    said = done.stdout.decode("ascii")
    assert "deconvnet  ?y/?x" in said
    assert "default" in said
    assert json.loads(said.splitlines()[-1])["photos"][0]["photo"]["path"] == str(photo)


def test_a_click_whose_parameter_types_are_not_generic():
    """It became so in 8.4; older ones are welcome."""
    program = "import click; click.ParamType.__class_getitem__ = None; import seewhy.cli.explain"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_visualize(seewhy, tmp_path, photo):
    out = tmp_path / "out"
    arguments = ["visualize", *ALL, "-t", 1, "-t", 3, "-o", out, "--size", 24, "--seed", 5, "--start", "noise"]
    code, said, _ = seewhy(*arguments, "--json")
    assert code == 0
    first = json.loads(said)[0]
    assert first["target"]["index"] == 1
    assert len(first["history"]) == 3
    assert Image.open(out / "class-3.png").size == (24, 24)
    assert json.loads((out / "class-3.json").read_text())["params"]["seed"] == 5
    assert seewhy(*arguments)[0] == 2
    assert seewhy(*arguments, "--force")[0] == 0
    assert seewhy("visualize", *ALL, "-t", 1, "-o", tmp_path / "photo", "--start", photo)[0] == 0
    code, _, err = seewhy("visualize", *ALL, "-t", 1, "-o", tmp_path / "b", "--start", "gray")
    assert code == 2
    assert "gray" in err


def test_layers_and_methods(seewhy):
    code, out, _ = seewhy("layers", *ALL[:4])
    assert code == 0
    assert [line for line in out.splitlines() if "default" in line][0].split()[0] == "3"
    layers = json.loads(seewhy("layers", *ALL[:4], "--json")[1])
    assert layers[0] == {"name": "0", "kind": "Conv2d", "shape": [8, 15, 15], "default": False}
    code, out, _ = seewhy("layers", "--model", "nets.tiny:make_undecided")
    assert code == 0
    assert out.splitlines()[-1].startswith("none is the default")
    code, out, _ = seewhy("methods")
    assert code == 0
    assert all(method in out for method in EIGHT)
    assert "Rˡ = [hˡ > 0] [Rˡ⁺¹ > 0] Rˡ⁺¹" in " ".join(out.split())
    assert [row["id"] for row in json.loads(seewhy("methods", "--json")[1])] == EIGHT


def test_help_is_instant_and_lists_everything():
    program = "import sys; from seewhy.cli import main\ntry: main(['--help'])\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    for command in ("explain", "what-if", "channels", "visualize", "layers", "methods"):
        assert command in done.stdout


def test_ctrl_c_keeps_what_is_done(seewhy, photo, tmp_path, monkeypatch):
    from seewhy.session import Session

    maps = Session.maps

    def interrupted(self, photo, *more, **options):
        if photo.path.name == "second.png":
            raise KeyboardInterrupt
        return maps(self, photo, *more, **options)

    monkeypatch.setattr(Session, "maps", interrupted)
    (tmp_path / "second.png").write_bytes(photo.read_bytes())
    out = tmp_path / "out"
    code, _, err = seewhy("explain", photo, tmp_path / "second.png", *TINY, "-o", out, "-M", "cam")
    assert code == 1
    assert "interrupted" in err
    assert photo.name in (out / "report.html").read_text()
    assert (out / photo.stem / "explanation.json").exists()


def test_folders_stay_inside_the_output_dir(seewhy, photo, tmp_path):
    place = tmp_path / "photos"
    place.mkdir()
    for name in ("...png", "report.html.png"):
        (place / name).write_bytes(photo.read_bytes())
    out = tmp_path / "o" / "ut"
    photos = [place / "...png", place / "report.html.png", place / "...png"]
    code, said, _ = seewhy("explain", *photos, *TINY, "-o", out, "-M", "cam", "--json")
    assert code == 0
    folders = [entry["folder"] for entry in json.loads(said)["photos"]]
    assert folders == [str(out / "photo"), str(out / "report.html-2")]
    assert {path.name for path in (tmp_path / "o").iterdir()} == {"ut"}


def test_an_output_dir_that_cannot_be_used(seewhy, photo, tmp_path):
    (tmp_path / "file").write_text("x")
    for command in (["explain", photo], ["visualize", "-t", 1]):
        code, _, err = seewhy(*command, *ALL, "-o", tmp_path / "file" / "sub")
        assert code == 2
        assert "cannot be used as a folder" in err


def test_a_model_that_raises_and_prints(seewhy, photo, tmp_path):
    other = tmp_path / "second.png"
    other.write_bytes(photo.read_bytes())
    code, said, err = seewhy("explain", photo, other, "--model", "nets.tiny:make_rude", "--input-size", 32, "-o",
                             tmp_path / "out", "--json", "-M", "cam")  # fmt: skip
    assert code == 2
    assert [("error" in entry) for entry in json.loads(said)["photos"]] == [True, False]
    assert "AssertionError: not yet" in err


@pytest.mark.parametrize("arguments", [["layers"], ["visualize", "-t", 1], ["explain", "PHOTO"]])
def test_a_model_for_pictures_of_another_size(seewhy, photo, tmp_path, arguments):
    where = [] if arguments == ["layers"] else ["-o", tmp_path / "out"]
    given = [photo if argument == "PHOTO" else argument for argument in arguments]
    code, _, err = seewhy(*given, "--model", "nets.tiny:make_flat", *where)
    assert code == 2
    assert "the model failed" in err
    assert "shapes cannot be multiplied" in err
    assert arguments[0] == "visualize" or "given pictures of 224 × 224" in err


def test_a_class_visualization_that_fails_loses_no_map(seewhy, photo, tmp_path):
    code, said, _ = seewhy("explain", photo, "--model", "nets.tiny:make_without_bias", "--input-size", 32, "-o",
                           tmp_path / "out", "--json", "--preset", "simonyan")  # fmt: skip
    assert code == 0
    methods = json.loads(said)["photos"][0]["targets"][0]["methods"]
    assert "nothing to ascend" in methods["class_visualization"]["error"]
    assert methods["grad_cam"]["layer"]


def test_probabilities_are_of_the_model_at_hand(seewhy, photo, tmp_path):
    """The softmax of one score is always 1, and a softmax of probabilities flattens them."""
    found = {}
    for net in ("make", "make_one_output", "make_softmax"):
        code, said, _ = seewhy("explain", photo, "--model", f"nets.tiny:{net}", "--input-size", 32, "-M", "saliency",
                               "-o", tmp_path / net, "--json")  # fmt: skip
        assert code == 0
        found[net] = json.loads(said)["photos"][0]
    one = found["make_one_output"]["top5"][0]
    assert one["probability"] == pytest.approx(1 / (1 + np.exp(-one["score"])))
    assert found["make_one_output"]["probabilities"].endswith("sigmoid")
    plain, soft = ([entry["probability"] for entry in found[net]["top5"]] for net in ("make", "make_softmax"))
    assert soft == pytest.approx(plain, abs=1e-6)
    assert "already" in found["make_softmax"]["probabilities"]


def test_of_equal_scores_the_explained_one_is_on_top(seewhy, photo, tmp_path):
    code, said, _ = seewhy("explain", photo, "--model", "nets.tiny:make_undecided", "--input-size", 32, "-o",
                           tmp_path / "out", "-M", "saliency", "--json")  # fmt: skip
    assert code == 0
    about = json.loads(said)["photos"][0]
    assert about["top5"][0]["index"] == about["targets"][0]["index"]
    assert [entry["index"] for entry in about["top5"]] == [0, 1, 2, 3, 4]


def test_what_is_said_of_a_photo(seewhy, photo, tmp_path):
    """Every class that was asked for with its probability, however small, and every figure that was written."""
    out = tmp_path / "out"
    code, said, _ = seewhy("explain", photo, tmp_path / "missing.png", "-t", "toaster", "-t", "daisy", "-M", "cam",
                           "-o", out)  # fmt: skip
    assert code == 2
    lines = said.splitlines()
    for name in ("toaster", "daisy"):
        assert any(name in line and "%" in line for line in lines)
    assert not any(line.lstrip().startswith(("0.0 %", "100.0 %")) for line in lines)
    for path in (out / photo.stem).glob("figure*.png"):
        assert str(path) in said
    assert "without 1 of 2 photos" in lines[-1]
    top = lines[1].split()
    assert len(top[-1]) == pytest.approx(24 * float(top[0]) / 100, abs=1)
    assert [line.split()[-1] for line in lines if "< 0.1 %" in line] == ["▏", "▏"]


def test_a_command_that_does_not_exist(seewhy, photo):
    for arguments, match in [
        (["expalin", photo], "did you mean explain?"), ([photo], f"did you mean explain {photo}"),
        (["x"], "expected explain"),
    ]:  # fmt: skip
        code, _, err = seewhy(*arguments)
        assert code == 2
        assert match in err
