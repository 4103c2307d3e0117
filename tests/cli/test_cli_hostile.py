"""One bad thing stops no other, and what comes from outside is only ever shown."""

import contextlib
import hashlib
import html
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seewhy.cli.names import NAME_BYTES, folder_names

TINY = ["--model", "nets.tiny:make", "--input-size", "32", "-M", "cam"]
NOBODY = 65534
HOSTILE = {
    "a new line": "a\nseewhy: error: forged",
    "a carriage return": "a\rb",
    "a colour": "a\x1b[31mred",
    "a title of the window": "a\x1b]0;title\x07",
    "C1": "a\x9b31m",
    "DEL": "a\x7f",
    "turned round": "a\u202egnp.exe",
    "isolated": "a\u2066b\u2069",
    "a line separator": "a\u2028b\u2029c",
    "a next line": "a\x85b",
    "markup": "[red]a[/] [link=x]b",
    "HTML": "<script>alert(1)<x>\"'&",
    "no UTF-8": "a\udce9",
}
ACTS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]")


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)).save(path)
    return path


def lines(err):
    """The lines of errors; beside them there are only notes."""
    found = err.splitlines()
    assert all(line.startswith(("seewhy: ", "note: ")) for line in found), err
    return [line for line in found if line.startswith("seewhy: ")]


def bad_things(folder):
    folder.mkdir()
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    (folder / "nowhere.png").symlink_to(folder / "missing")
    (folder / "circle.png").symlink_to(folder / "circle.png")
    (folder / "device.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as end, contextlib.chdir(folder):
        end.bind("socket.png")
    (folder / "empty.png").write_bytes(b"")
    return [*sorted(folder.iterdir()), folder / ("x" * 300 + ".png"), folder / "empty.png" / "below.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_what_is_no_photo_stops_no_other(seewhy, photo, tmp_path):
    bad = bad_things(tmp_path / "bad")
    out = tmp_path / "out"
    start = time.monotonic()
    code, said, err = seewhy("explain", *bad[:4], photo, *bad[4:], *TINY, "-o", out, "--json")
    assert time.monotonic() - start < 20
    assert code == 2
    errors = ["error" in each for each in json.loads(said)["photos"]]
    assert errors == [True] * 4 + [False] + [True] * (len(bad) - 4)
    assert len(lines(err)) == len(bad)
    assert (out / "photo" / "explanation.json").exists()


@pytest.fixture
def open_place():
    """Not in tmp_path: the way there is closed to all others, and every pytest that starts closes it again."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


AS_NOBODY = f"""
import contextlib, os, sys, tempfile
from seewhy.cli import main
photo, *arguments = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder, contextlib.suppress(SystemExit), contextlib.redirect_stderr(None):
    main(["explain", photo, *{TINY!r}, "-o", folder])  # imports all: nobody may not read the installation
try:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
except OSError:
    sys.exit(77)
main(["explain", *arguments])
"""


@pytest.mark.parametrize("what", ["photo", "folder of photos", "output", "one photo's folder"])
def test_what_may_not_be_read_or_written(open_place, photo, what):
    """As a person without root's rights."""
    if os.geteuid() != 0:
        pytest.skip("nobody else can be taken the part of")
    place = open_place
    (place / "closed").mkdir(parents=True)
    out = place / "out"
    for path in (place / "good.png", place / "bad.png", place / "closed" / "bad.png"):
        path.write_bytes(photo.read_bytes())
    (out / "bad").mkdir(parents=True)
    bad = place / "closed" / "bad.png" if what == "folder of photos" else place / "bad.png"
    for path in (out, out / "bad"):
        os.chmod(path, 0o777)
    closed = {"photo": bad, "folder of photos": bad.parent, "output": out, "one photo's folder": out / "bad"}[what]
    os.chmod(closed, 0o555 if what in ("output", "one photo's folder") else 0)
    arguments = [*map(str, (bad, place / "good.png")), *TINY, "-o", str(out)]
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, str(photo), *arguments], cwd=place, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True)  # fmt: skip
    if done.returncode == 77:
        pytest.skip("nobody else can be taken the part of")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(lines(done.stderr)) == 1
    assert "ermission denied" in done.stderr or "nothing may be written" in done.stderr
    assert (out / "good" / "explanation.json").exists() == (what != "output"), done.stderr


def test_an_output_that_cannot_be_written_is_said_in_one_line(seewhy, photo, tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for out in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("x" * 300), tmp_path / "circle"):
        code, _, err = seewhy("explain", photo, *TINY, "-o", out)
        assert code == 2
        assert len([line for line in err.splitlines() if "rror" in line or line.startswith("seewhy")]) == 1


def test_a_file_in_the_place_of_one_photos_folder(seewhy, photo, tmp_path):
    out, other = tmp_path / "out", tmp_path / "other.png"
    out.mkdir()
    (out / "photo").write_text("in the way")
    (out / "link").symlink_to(tmp_path / "nowhere")
    other.write_bytes(photo.read_bytes())
    link = tmp_path / "link.png"
    link.write_bytes(photo.read_bytes())
    for force in ([], ["--force"]):
        code, _, err = seewhy("explain", photo, link, other, *TINY, "-o", out, *force)
        assert code == 2
        assert len(lines(err)) == 2
        assert (out / "other" / "figure.png").exists()
        assert (out / "photo").read_text() == "in the way"


@pytest.mark.parametrize("character", ["x", "é", "猫", "😀"])
def test_names_as_long_as_a_file_system_allows(seewhy, photo, tmp_path, character):
    whole = character * (NAME_BYTES // len(character.encode()))
    names = [whole + "x" * (NAME_BYTES - len(whole.encode())), character * (len(whole) - 1) + "y"]
    others = [tmp_path / sub / names[0] for sub in "ab"] + [tmp_path / "a" / names[1]]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        try:
            path.write_bytes(photo.read_bytes())
        except OSError:
            pytest.skip("this file system takes no such names")
    code, said, _ = seewhy("explain", *others, *TINY, "-o", tmp_path / "out", "--json")
    assert code == 0
    folders = {each["folder"] for each in json.loads(said)["photos"]}
    assert len(folders) == 3
    assert all(os.path.exists(os.path.join(folder, "figure.png")) for folder in folders)


@pytest.mark.parametrize("most", [20, NAME_BYTES])
def test_folder_names_are_short_enough_and_never_the_same(most):
    stems = [f"{c * n}{end}" for c in "aéß猫😀\udcff" for n in (1, 3, most // 4, most) for end in ("", "-2", " .", "A")]
    names = folder_names(stems * 3, most)
    assert all(0 < len(os.fsencode(name)) <= most for name in names)
    assert len({name.casefold() for name in names}) == len(names)
    for name in names:
        assert not name.endswith(".")


def test_folder_names_of_ordinary_photos_are_numbered_stems():
    given = ["a.png", "b/a.jpg", "A.png", "a-2.png", "...png", "report.html.png", "a.b.c.png", ".png", "a.png"]
    stems = [Path(path).stem for path in given]
    assert folder_names(stems) == ["a", "a-2", "A-3", "a-2-2", "photo", "report.html-2", "a.b.c", "png", "a-4"]


def test_folder_names_of_many_photos_take_no_time():
    start = time.process_time()
    names = folder_names(["IMG"] * 20_000)
    assert time.process_time() - start < 2  # a minute per thousand squared, where each is compared with all
    assert names[:3] == ["IMG", "IMG-2", "IMG-3"]
    assert len(set(names)) == 20_000


def test_the_hash_is_of_the_bytes_that_were_decoded(seewhy, photo, tmp_path, monkeypatch):
    """Also where another photo takes the file's place meanwhile."""
    from seewhy.models import Classifier

    whole = photo.read_bytes()
    preprocess = Classifier.preprocess

    def replaced(self, image):
        photo.write_bytes(b"another")
        return preprocess(self, image)

    monkeypatch.setattr(Classifier, "preprocess", replaced)
    code, said, _ = seewhy("explain", photo, *TINY, "-o", tmp_path / "out", "--json")
    assert code == 0
    assert json.loads(said)["photos"][0]["photo"]["sha256"] == hashlib.sha256(whole).hexdigest()


def test_a_mistake_in_drawing_one_photo_loses_no_other(seewhy, photo, tmp_path, monkeypatch):
    from seewhy.results import saved

    draw = saved.draw

    def failing(explanation, *more, **how):
        if explanation.photo.name == "photo.png":
            raise MemoryError("too\nlarge")
        return draw(explanation, *more, **how)

    monkeypatch.setattr(saved, "draw", failing)
    other = tmp_path / "other.png"
    other.write_bytes(photo.read_bytes())
    code, _, err = seewhy("explain", photo, other, *TINY, "-o", tmp_path / "out")
    assert code == 2
    assert len(lines(err)) == 1
    assert "MemoryError: too large" in err
    assert (tmp_path / "out" / "other" / "figure.png").exists()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_photos_name_is_only_shown(seewhy, photo, tmp_path, name):
    folder = tmp_path / "photos"
    folder.mkdir()
    good, bad = (folder / f"{HOSTILE[name].replace('/', ':')}{ending}" for ending in (".png", ".bad.png"))
    try:
        good.write_bytes(photo.read_bytes())
        bad.write_bytes(b"no photo")
    except OSError:
        pytest.skip("this file system takes no such names")
    code, said, err = seewhy("explain", good, bad, folder / f"{good.stem}.missing", *TINY, "-o", tmp_path / "out")
    assert code == 2
    assert not ACTS.search(said + err)
    assert len(lines(err)) == 2
    assert len([line for line in said.splitlines() if "photo" in line]) <= 4
    if name == "markup":
        assert "[red]a[" in said
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert not ACTS.search(page)
    assert page.count("<script>") == 1  # the page's own
    assert html.unescape(page).count("�") == 0
    code, said, _ = seewhy("explain", good, *TINY, "-o", tmp_path / "json", "--json")
    assert code == 0
    assert json.loads(said)["photos"][0]["photo"]["path"] == str(good)


def test_labels_are_only_shown(seewhy, photo, tmp_path):
    labels = tmp_path / "labels.json"
    names = [text for text in HOSTILE.values() if text.encode("utf-8", "replace").decode() == text]
    for start in range(0, len(names), 3):
        four = [*names[start : start + 3], "x" * 1000, "a", "b", "c"][:4]
        labels.write_text(json.dumps(four))
        shared = ["--model", "nets.tiny:make", "--input-size", "32", "--labels", labels, "--force"]
        code, said, err = seewhy("explain", photo, *shared, "-M", "cam", "-o", tmp_path / "out", "-t", 0, "-t", 3)
        assert code == 0
        assert not ACTS.search(said + err)
        page = (tmp_path / "out" / "report.html").read_text("utf-8")
        assert not ACTS.search(page)
        assert len(page) < 2_000_000
        code, said, err = seewhy("visualize", *shared, "-t", 0, "-o", tmp_path / "v", "--steps", 1, "--grid")
        assert code == 0
        assert not ACTS.search(said + err)
        code, said, err = seewhy("explain", photo, *shared, "-o", tmp_path / "out", "-t", "zzz\x1b[31m\n")
        assert code == 2
        assert len(lines(err)) == 1
        assert not ACTS.search(said + err)


NETS = r"""
import sys
from torch import nn
from nets.tiny import make
def layers():
    model = nn.Sequential()
    for name, layer in zip(["a\x1b[31m", "[red]b", "c\nd", "e\u202e", "f", "g", "h"], make()):
        model.add_module(name, layer)
    return model
class Failing(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = make()
    def forward(self, x):
        if x.std() > 0: raise RuntimeError("a\nseewhy: error: forged\x1b[31m [red]" + "x" * 10**6)
        return self.body(x)
"""


def test_names_of_layers_and_texts_of_exceptions_are_only_shown(seewhy, photo, tmp_path, monkeypatch):
    (tmp_path / "hostile_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)
    shared = ["--input-size", "32"]
    calls = [
        ["layers"], ["explain", photo, "-o", tmp_path / "a", "-M", "grad_cam"],
        ["explain", photo, "-o", tmp_path / "b", "-M", "grad_cam", "--layer", "e\x1b"],
        ["visualize", "--layer", "a\x1b[31m", "--channel", 1, "--steps", 1, "-o", tmp_path / "c"],
        ["channels", photo, "--layer", "a\x1b[31m"], ["channels", photo, "--layer", "e\x1b"], ["channels", photo],
        ["what-if", photo, "--box", "1,2,3,4"], ["what-if", photo, "--box", "\x1b[31m"],
        ["what-if", photo, "--box", "1,2,3,4", "-t", "\x1b[31m"],
        ["what-if", photo, "--box", "1,2,3,4", "--source", tmp_path / "\x1b[31m.png"],
        ["what-if", photo, "--box", "1,2,3,4", "-o", tmp_path / "\x1b[31m.png"],
    ]  # fmt: skip
    for arguments in calls:
        _, said, err = seewhy(*arguments, "--model", "hostile_nets:layers", *shared)
        assert not ACTS.search(said + err)
        if arguments == ["layers"]:
            assert "[red]b" in said
    code, _, err = seewhy(
        "explain", photo, "--model", "hostile_nets:Failing", *shared, "-o", tmp_path / "d", "-M", "cam"
    )
    assert code == 2
    assert len(lines(err)) == 1
    assert not ACTS.search(err)
    assert len(err) < 6000
    for arguments in (["x\x1b[31m\ny"], ["explain", "--x\x1b[31m\ny"], ["explain", photo, "--method", "a\x1b[31m\nb"],
                      ["explain", photo, "--steps", "\x1b[31m\n"], ["layers", "--model", "timm:\x1b[31m\n"],
                      ["layers", "--model", "hf:\x1b[31m\nx"]):  # fmt: skip
        code, said, err = seewhy(*arguments)
        assert code in (1, 2)
        assert not ACTS.search(said + err)


def test_what_nobody_thought_of_is_one_line(seewhy, photo, tmp_path, monkeypatch):
    from seewhy.cli import asked

    def broken(*_):
        raise KeyError("a\nb\x1b")

    monkeypatch.setattr(asked, "find_preset", broken)
    code, _, err = seewhy("explain", photo, *TINY, "-o", tmp_path / "out")
    assert code == 1
    assert len(lines(err)) == 1
    assert "SEEWHY_TRACEBACK=1" in err
