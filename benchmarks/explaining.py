"""What an explanation costs: many targets beside one, the second photo beside the first, drawing, and a folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from paired import median, paired, ratio
from PIL import Image

EXPLAINING_COLUMNS = ["model", "one photo, seven maps", "4 targets / 1 target", "next photo / first photo",
                      "figure", "figure as PNG", "saved and loaded", "report, of 60 photos, per photo"]  # fmt: skip
FOLDER_COLUMNS = ["photos", "time", "per photo", "report"]

MAPS = ["saliency", "deconvnet", "guided_backprop", "cam", "grad_cam", "guided_grad_cam", "occlusion"]


def photos(count: int, side: int) -> list[np.ndarray]:
    """Smooth random photos, (side, 1.3 side, 3) uint8."""
    draws = np.random.default_rng(0)
    coarse = [Image.fromarray(draws.integers(0, 255, (8, 10, 3), dtype=np.uint8)) for _ in range(count)]
    return [np.asarray(image.resize((side * 13 // 10, side), Image.Resampling.BICUBIC)) for image in coarse]


def explaining(quick: bool) -> Iterator[list[str]]:
    """Rows: one model each; medians of paired ratios, and of seconds."""
    import seewhy
    from nets.cifar_resnet import resnet20

    models = {
        "CIFAR ResNet-20, 32 px, random weights": (seewhy.classifier(resnet20(), size=32), 32),
        "efficientnet_lite0, 224 px": (seewhy.load(), 224),
    }
    for name, (classifier, side) in models.items():
        given = iter(photos(200, side))
        session = seewhy.Session(classifier)
        session.explain(next(given), MAPS)
        contenders = {
            "first": lambda: seewhy.explain(next(given), classifier, MAPS),  # noqa: B023 - called at once
            "next": lambda: session.explain(next(given), MAPS),  # noqa: B023
            "four": lambda: session.explain(next(given), MAPS, [0, 1, 2, 3]),  # noqa: B023
        }
        seconds = paired(contenders, repeats=3 if quick else 9)
        explanation = session.explain(next(given), MAPS)
        with tempfile.TemporaryDirectory() as folder:
            drawn = paired(_drawing(explanation, Path(folder)), repeats=3 if quick else 9)
        page = _report([explanation] * 60)
        yield [
            name, f"{median(seconds, 'next'):.2f} s", f"{ratio(seconds, 'four', 'next'):.2f}",
            f"{ratio(seconds, 'next', 'first'):.2f}", f"{median(drawn, 'figure') * 1e3:.0f} ms",
            f"{median(drawn, 'png') * 1e3:.0f} ms", f"{median(drawn, 'saved') * 1e3:.0f} ms",
            f"{len(page) / 60 / 1000:.0f} kB",
        ]  # fmt: skip


def _drawing(explanation, folder: Path):
    from seewhy import Explanation
    from seewhy.pictures import png_bytes

    figure = explanation.figure()

    def saved() -> None:
        explanation.save(folder / "saved", figure=False, overwrite=True)
        Explanation.load(folder / "saved")

    return {"figure": explanation.figure, "png": lambda: png_bytes(figure), "saved": saved}


def _report(explanations) -> str:
    from seewhy.report import Item, RunInfo, render_report

    return render_report([Item(each) for each in explanations], run=RunInfo("", "", "", "", ""))


def folder(quick: bool) -> Iterator[list[str]]:
    """Rows: ``seewhy explain`` of a folder of small photos, with all views; the cache is empty first, full then."""
    count = 20 if quick else 200
    with tempfile.TemporaryDirectory() as place:
        for number, pixels in enumerate(photos(count, 32)):
            path = Path(place, "photos", f"{number}.png")
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(path)
        for cache in ("empty", "full"):
            out = Path(place, cache)
            start = time.perf_counter()
            _run(["explain", str(path.parent), "--model", "nets.cifar_resnet:resnet20", "--input-size", "32",
                  "-o", str(out)], Path(place, "cache"))  # fmt: skip
            seconds = time.perf_counter() - start
            report = (out / "report.html").stat().st_size
            yield [
                f"{count} of 32 px, cache {cache}", f"{seconds:.0f} s", f"{seconds / count:.2f} s",
                f"{report / 1e6:.1f} MB",
            ]  # fmt: skip


def _run(arguments: list[str], cache: Path) -> None:
    """Run the command."""
    environment = {**os.environ, "SEEWHY_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-m", "seewhy", *arguments], env=environment, capture_output=True, check=True)
