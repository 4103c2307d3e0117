"""Ascent against torch-lucent: the same score, size, network, optimizer and kinds of change, in paired rounds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from paired import median, paired, ratio
from torch import nn

import seewhy

TARGET, SIZE = 130, 224


def ascent(quick: bool) -> Iterator[list[str]]:
    """Rows: network, steps per second of each, and ours over theirs."""
    from networks import build

    steps = 24 if quick else 32
    networks: dict[str, tuple[nn.Module, str]] = {"efficientnet_lite0": (seewhy.load().model, "classifier")}
    for name, head in [("resnet18", "fc")] if quick else [("resnet18", "fc"), ("mobilenet_v2", "classifier_1")]:
        networks[name] = build(name), head
    for name, (model, head) in networks.items():
        options = {"steps": steps, "size": SIZE, "attempts": 1}
        contenders: dict[str, Callable[[], object]] = {
            "lucent": lambda model=model, head=head: _lucent(model, f"{head}:{TARGET}", steps),
            "olah": lambda model=model, options=options: seewhy.visualize(model, TARGET, preset="olah", **options),
            "default": lambda model=model, options=options: seewhy.visualize(model, TARGET, **options),
        }
        seconds = paired(contenders, repeats=3)
        rates = [f"{steps / median(seconds, each):.1f}" for each in contenders]
        yield [name, *rates, *(f"{ratio(seconds, 'lucent', each):.2f}" for each in ("olah", "default"))]


ASCENT_COLUMNS = ["network", "torch-lucent, steps/s", "seewhy olah, steps/s", "seewhy default, steps/s",
                  "olah / lucent", "default / lucent"]  # fmt: skip


def _lucent(model: nn.Module, objective: str, steps: int) -> object:
    from lucent.optvis import param, render

    torch.manual_seed(0)
    # A copy each time: its hooks stay on a model, and the next run would pay for them.
    return render.render_vis(
        copy.deepcopy(model).eval(), objective, lambda: param.image(SIZE, fft=True, decorrelate=True),
        thresholds=(steps,), progress=False, show_image=False,
    )  # fmt: skip
