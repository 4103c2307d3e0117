"""What the pages are shown: photos of four colours, some in the wrong folder, and what the command makes of them."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import planted
import torch
from PIL import Image

import seewhy
from nets import colours
from seewhy.viewer import page

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(str(ROOT / each) for each in ("src", "tests", "tests/audit")),
}
HOSTILE = "<img src=x onerror=\"document.title='taken'\">\u202e"
LABELS = ("red", "green", "blue", HOSTILE)
# By the true class, the colours that the photos really have.
PHOTOS = {"red": (0, 0, 1), "green": (1, 1, 2), "blue": (2, 2), HOSTILE: (3, 0)}
SIZE = (96, 72)
MODEL = "nets.colours:make"


def options(folder):
    """Of the command, for the small model; writes its labels into ``folder``."""
    labels = folder / "labels.json"
    labels.write_text(json.dumps(LABELS), "utf-8")
    return ["--model", MODEL, "--input-size", str(colours.SIDE), "--labels", str(labels)]


def photo(cast, seed, size=SIZE):
    """Blotches of a colour as a PIL image, smooth enough for WebP to keep."""
    return Image.fromarray(colours.pixels(cast, seed)).resize(size, Image.Resampling.BICUBIC)


def write_photos(folder):
    """Folders named like classes, with photos of ``PHOTOS`` in them."""
    for truth, casts in PHOTOS.items():
        (folder / truth).mkdir(parents=True)
        for cast in casts:
            seed = len(list(folder.rglob(f"{'rgbn'[cast]}?<b>.png")))
            photo(cast, seed).save(folder / truth / f"{'rgbn'[cast]}{seed}<b>.png")
    return folder


@dataclass
class Run:
    """A folder that ``seewhy explain`` wrote."""

    folder: Path

    @property
    def report(self):
        return self.folder / "report.html"

    @cached_property
    def photos(self):
        """Number in the report -> path of the photo, and the folder of its explanation or None."""
        told = json.loads((self.folder / "run.json").read_text("utf-8"))["photos"]
        return {
            number: (each["path"], None if each["folder"] is None else self.folder / each["folder"])
            for number, each in enumerate(told, 1)
        }

    @cached_property
    def explanations(self):
        """Number in the report -> what was saved."""
        return {number: seewhy.Explanation.load(at) for number, (_, at) in self.photos.items() if at is not None}

    def values(self, number, view, target=0):
        """Raw values (C, h, w) of one map, read from maps.npz alone."""
        with np.load(self.photos[number][1] / "maps.npz") as arrays:
            return arrays[view][target]

    def number(self, name):
        """Of the photo whose path ends in this."""
        return next(number for number, (path, _) in self.photos.items() if path.endswith(name))


def explain_all(folder):
    """The run that most tests of the report look at: three targets each, and one photo that cannot be read."""
    photos = write_photos(folder / "photos")
    (photos / "broken.png").write_bytes(b"no photo")
    asked = ["--target", "red", "--target", "green", "--versus", "blue", "--steps", 6, "--no-figure"]
    command("explain", photos, *options(folder), *asked, "--output-dir", folder / "run", codes=(2,))
    return Run(folder / "run")


def audit_all(folder):
    """The page of an audit, of photos most of which carry a planted tag where they are of one class; one class and
    some photos have hostile names. Gives the page's path, and those that were audited.
    """
    labels = (*planted.LABELS[:3], HOSTILE)
    net = planted.trained("checks", epochs=3)
    torch.save(net.model.state_dict(), folder / "weights.pth")
    (folder / "labels.json").write_text(json.dumps(labels), "utf-8")
    pixels, kinds = planted.pictures(48, 7, "checks")
    for number, (each, kind) in enumerate(zip(pixels, kinds, strict=True)):
        path = folder / "photos" / labels[kind] / f"{number:03}<b>.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(each).save(path)
    command(
        "audit", folder / "photos", "--model", "planted:build", "--weights", folder / "weights.pth", "--labels",
        folder / "labels.json", "--input-size", planted.SIDE, "--mean", 0.5, "--std", 0.25, "--source", "stamps",
        "--source", "slices", "--source", "sensitivity", "-o", folder / "audit",
    )  # fmt: skip
    return folder / "audit" / "audit.html"


def multiplied(html, count):
    """A report with so many photos: those that it has, under other numbers and names, over and over."""
    photos = dict(re.findall(r'<script type="application/json" id="photo-(\d+)">(.*?)</script>\n', html, re.DOTALL))
    (about,) = re.findall(r'id="seewhy-run">(.*?)</script>', html, re.DOTALL)
    run = json.loads(about)
    known = [row for row in run["rows"] if str(row["number"]) in photos]
    rows, blocks = [], []
    for number in range(1, count + 1):
        row = known[number % len(known)]
        rows.append({**row, "number": number, "name": f"{number}-{row['name']}"})
        blocks.append(f'<script type="application/json" id="photo-{number}">{photos[str(row["number"])]}</script>\n')
    whole = re.sub(r'<script type="application/json" id="photo-\d+">.*?</script>\n', "", html, flags=re.DOTALL)
    whole = whole.replace(about, page.as_json({**run, "rows": rows}))
    begin, end = whole.index("<script>"), whole.index("</body>")
    return whole[:begin] + blocks[0] + whole[begin:end] + "".join(blocks[1:]) + whole[end:]


def command(*arguments, codes=(0,), **more):
    """What ``python -m seewhy`` with these arguments prints; it must end with one of these codes."""
    line = [sys.executable, "-m", "seewhy", *map(str, arguments)]
    done = subprocess.run(line, env=ENVIRONMENT, capture_output=True, text=True, timeout=240, **more)
    assert done.returncode in codes, done.stderr
    return done.stdout


class Served:
    """``seewhy app`` in a process of its own.

    Attributes:
        address: what it printed, with its token.
        origin: without.
    """

    def __init__(self, *arguments, port=0):
        line = [sys.executable, "-m", "seewhy", "app", *map(str, arguments), "--port", str(port), "--no-browser"]
        self._told = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        self.process = subprocess.Popen(line, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=self._told, text=True)
        self.address = self.process.stdout.readline().strip()
        assert self.address, "it did not start"
        self.origin, _, _ = self.address.partition("/?")

    @property
    def port(self):
        return int(self.origin.rpartition(":")[2])

    def end(self):
        """By Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(30)
        self._told.seek(0)
        assert code == 0, f"it ended with {code}: {self._told.read()[-3000:]}"
        self.process.stdout.close()
        self._told.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.end()
