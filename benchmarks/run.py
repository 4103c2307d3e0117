"""Every benchmark in one run: python benchmarks/run.py [--quick]; writes benchmarks/RESULTS.md."""

from __future__ import annotations

import argparse
import platform
import re
import sys
from collections.abc import Iterable
from datetime import date
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from explaining import EXPLAINING_COLUMNS, FOLDER_COLUMNS, explaining, folder  # noqa: E402
from gradient_methods import ALL_COLUMNS, ONE_MAP_COLUMNS, all_at_once, one_map  # noqa: E402
from occlusion import COLUMNS as OCCLUSION_COLUMNS  # noqa: E402
from occlusion import MEMORY_COLUMNS, ONE_COLUMNS, occlusion, one_mask, peak_memory  # noqa: E402
from start_up import START_UP_COLUMNS, start_up  # noqa: E402
from visualization import ASCENT_COLUMNS, ascent  # noqa: E402

from torchvision_cpu import allow_torchvision  # noqa: E402

SECTIONS = [
    ("Start-up", "Medians of whole processes.", START_UP_COLUMNS, start_up),
    ("One map", "Times one plain forward of the same batch under no_grad, 224 × 224, random weights; medians of "
     "paired ratios.", ONE_MAP_COLUMNS, one_map),
    ("All at once", "Saliency, deconvnet, guided backprop, CAM, Grad-CAM and guided Grad-CAM of one batch, and with "
     "occlusion by 49 masks of 32 px: one shared record against the sum of the cheapest peer for each (Captum's; "
     "torch-cam's for CAM).", ALL_COLUMNS, all_at_once),
    ("Occlusion", "Masks of 16 px on 224 px, stride 8 (16 in the quick form), on a smooth random photo, random weights "
     "with batch norms that know their data (EfficientNet-Lite0: its own), each network in a process of its own. "
     "Captum at its fastest batch. "
     "The limit: the multiplications of the smallest windows, at the rate of a 2048 x 2048 product in the same run; "
     "above 100 % since a convolution of what changed takes fewer. Rank: Spearman's of the fast mode's scores with the "
     "exact ones.", OCCLUSION_COLUMNS, occlusion),
    ("One mask", "One patch anywhere on the embedded model, 224 px, one thread, after the base pass: what a page that "
     "drags a mask waits for.", ONE_COLUMNS, one_mask),
    ("Class visualization", "Steps a second of one image, 224 px, one class's logit.", ASCENT_COLUMNS, ascent),
    ("An explanation", "Seven maps of one photo through a session, class pictures apart; medians of paired ratios. "
     "'First photo': by a session of its own, which follows the network anew.", EXPLAINING_COLUMNS, explaining),
    ("A folder of photos", "`seewhy explain FOLDER` as a process, with all views, figures and the report; a CIFAR "
     "ResNet-20 of random weights. The images of classes are made where the cache is empty.", FOLDER_COLUMNS, folder),
    ("Peak memory", "Largest resident set of a process that loads torch and the model, and then occludes.",
     MEMORY_COLUMNS, peak_memory),
]  # fmt: skip


PEERS = ("captum", "torchcam", "grad-cam", "torch-lucent")


def peers() -> str:
    """The libraries that are compared with, and their versions."""
    return ", ".join(f"{name} {version(name)}" for name in PEERS)


def table(columns: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table, printed row by row as the rows come."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    print("\n".join(lines), flush=True)
    for row in rows:
        lines.append("| " + " | ".join(row) + " |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    import torch

    import seewhy

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats and networks, under 3 minutes")
    parser.add_argument(
        "--only", help="measure only the sections whose title contains this, and replace them in the file"
    )
    given = parser.parse_args()
    allow_torchvision()
    machine = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
    text = [
        "# Benchmark results",
        f"`make bench` {'QUICK=1 ' if given.quick else ''}on {date.today()}: seewhy {seewhy.__version__}, torch "
        f"{torch.__version__}, Python {platform.python_version()}, {machine}; {peers()}. "
        "All contenders run in turn each round; only the ratios mean anything on a shared machine.",
    ]
    for title, note, columns, rows in SECTIONS:
        if given.only and given.only.lower() not in title.lower():
            continue
        print(f"\n## {title}\n")
        made = [f"## {title}", note, table(columns, rows(given.quick))]
        text += made
        if given.only:
            RESULTS.write_text(replaced(RESULTS.read_text(), title, "\n\n".join(made)))
    if not given.only:
        RESULTS.write_text("\n\n".join(text) + "\n")


def replaced(results: str, title: str, section: str) -> str:
    """The results with one section measured anew."""
    old = re.compile(rf"## {re.escape(title)}\n.*?(?=\n## |\Z)", re.DOTALL)
    return old.sub(lambda _: section + "\n", results)


if __name__ == "__main__":
    main()
