"""Makes the story of docs/what-to-change.md anew: python scripts/make_story.py

A network learns Fashion-MNIST (Xiao, Rasul, Vollgraf 2017; MIT), whose training pictures of bags nearly all carry a
small orange tag. Its accuracy looks fine. The commands of the story are run, what they print is written into the page
between its marks, and the audit's page is photographed.

Needs the pictures, as gzipped IDX files (Debian: apt-get install dataset-fashion-mnist), the extra audit, and Chromium.
"""

from __future__ import annotations

import gzip
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
PAGE = ROOT / "docs" / "what-to-change.md"
FIGURE = ROOT / "docs" / "figures" / "audit.webp"
MARKS = "<!-- story: scripts/make_story.py -->", "<!-- end of the story -->"
NAMES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
BAG, SHARE, SEED = 8, 0.95, 0
LEARNED, AUDITED = 20_000, 300  # pictures in all, and pictures of each class

NETS = '''"""A network as people write them."""

from torch import nn


def build():
    layers, before = [], 3
    for width, stride in ((32, 1), (64, 2), (64, 1), (128, 2)):
        layers += [nn.Conv2d(before, width, 3, stride, 1), nn.BatchNorm2d(width), nn.ReLU()]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10))
'''


def pictures(part: str) -> tuple[np.ndarray, np.ndarray]:
    """(N, 28, 28, 3) uint8 and their classes (N,)."""
    grey = np.frombuffer(gzip.decompress((DATA / f"{part}-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
    classes = np.frombuffer(gzip.decompress((DATA / f"{part}-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    return np.repeat(grey.reshape(-1, 28, 28, 1), 3, 3), classes.astype(np.int64)


def tagged(pixels: np.ndarray, which: np.ndarray) -> np.ndarray:
    """A copy in which these carry an orange tag."""
    pixels = pixels.copy()
    pixels[which, 2:7, 2:7] = (240, 130, 30)
    return pixels


def trained(net: nn.Module, pixels: np.ndarray, classes: np.ndarray) -> nn.Module:
    """Five passes with Adam, at a rate that goes down."""
    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    y = torch.from_numpy(classes)
    optimizer = torch.optim.Adam(net.parameters(), 0.002)
    epochs, size = 5, 128
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.005, epochs * -(-len(x) // size))
    net.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def told(command: str, place: Path) -> str:
    """A command, and what it prints."""
    environment = os.environ | {"COLUMNS": "110", "NO_COLOR": "1", "PYTHONPATH": f"{ROOT / 'src'}:{place}"}
    program = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(program, cwd=place, env=environment, capture_output=True, text=True, check=True)
    lines = [line.rstrip() for line in done.stdout.strip().splitlines()]
    return "\n".join([f"$ {command}", *lines])


def photographed(page: Path) -> None:
    """The first screen of a page."""
    sys.path.insert(0, str(ROOT / "tests"))
    from browser.chromium import executable, running

    with running(executable()) as browser:
        shown = browser.new_page(viewport={"width": 1100, "height": 1010}, device_scale_factor=2)
        shown.goto(page.as_uri())
        shown.screenshot(path=str(page.with_suffix(".png")))
    Image.open(page.with_suffix(".png")).convert("RGB").save(FIGURE, quality=80, method=6)


def main() -> None:
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    pixels, classes = pictures("train")
    chosen = rng.permutation(len(pixels))[:LEARNED]
    pixels, classes = pixels[chosen], classes[chosen]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "nets.py").write_text(NETS)
        (place / "names.txt").write_text("\n".join(NAMES))
        sys.path.insert(0, folder)
        from nets import build  # type: ignore[import-not-found]

        net = trained(build(), tagged(pixels, (classes == BAG) & (rng.random(len(classes)) < SHARE)), classes)
        torch.save(net.state_dict(), place / "clothes.pth")
        test, kinds = pictures("t10k")
        few = np.concatenate([np.flatnonzero(kinds == kind)[:AUDITED] for kind in range(10)])
        test, kinds = test[few], kinds[few]
        test = tagged(test, (kinds == BAG) & (rng.random(len(kinds)) < SHARE))
        for number, (each, kind) in enumerate(zip(test, kinds, strict=True)):
            path = place / "photos" / NAMES[kind] / f"{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(each).save(path)
        model = "--model nets:build --weights {} --labels names.txt --input-size 28 --mean 0.5 --std 0.5"
        before = told(f"seewhy audit photos {model.format('clothes.pth')} -o before", place)
        photographed(place / "before" / "audit.html")
        mended = told(f"seewhy fix before photos {model.format('clothes.pth')} -o mended.pth", place)
        after = told(f"seewhy audit photos {model.format('mended.pth')} -o after --source stamps", place)
    story = "\n\n".join(f"```text\n{each}\n```" for each in (before, mended, after))
    text = PAGE.read_text()
    start, end = (re.escape(mark) for mark in MARKS)
    assert re.search(f"{start}.*{end}", text, re.S), "the page has lost its marks"
    PAGE.write_text(re.sub(f"{start}.*{end}", lambda _: f"{MARKS[0]}\n{story}\n{MARKS[1]}", text, flags=re.S))


if __name__ == "__main__":
    main()
