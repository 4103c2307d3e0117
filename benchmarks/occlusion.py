"""Occlusion: by windows, by whole images, in the fast modes, against Captum at its fastest and the physical limit."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from networks import build
from paired import median, paired, ratio
from torch import Tensor, nn

import seewhy
from seewhy.methods import Occlusion

NETWORKS = ["squeezenet1_1", "resnet18", "mobilenet_v2", "efficientnet_lite0", "resnet50", "convnext_tiny", "vgg16"]
QUICK = ["squeezenet1_1", "mobilenet_v2"]
WINDOW = 16
TARGET = 1
REACH = 0.35
"""The shortest reach at which trained networks keep the order of their maps (README.md)."""

COLUMNS = [
    "network", "masks", "Captum", "whole images", "exact", "bfloat16", f"bfloat16, reach {REACH}", "Captum / exact",
    "exact / bfloat16", f"Captum / (bf16, {REACH})", "of the limit", "rank, bf16", f"rank, bf16, {REACH}",
]  # fmt: skip
MEMORY_COLUMNS = ["network", "process with model", "Captum", "exact"]


def network(name: str) -> nn.Module:
    """A network ready to be timed: random weights, except for the embedded one's."""
    if name == "efficientnet_lite0":
        return seewhy.load(name).model
    model = build(name)
    with torch.no_grad():  # batch norms that know their data, so that scores depend on the photo
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        for module in norms:
            module.momentum = None
            module.reset_running_stats()
        if norms:
            model.train()(_photo(4))
    return model.eval()


def _photo(batch: int = 1) -> Tensor:
    """As smooth as a photo, seeded."""
    coarse = torch.randn(batch, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    return nn.functional.interpolate(coarse, (224, 224), mode="bicubic")


def occlusion(quick: bool) -> Iterator[list[str]]:
    """Rows: network, seconds of each, and their ratios; each measured in a process of its own, as people run them."""
    for name in QUICK if quick else NETWORKS:
        yield _in_a_process(name, "quick row" if quick else "row")


def _row(name: str, quick: bool) -> list[str]:
    model, x = network(name), _photo()
    stride = 16 if quick else 8
    at_once, peak = _captums_fastest(model, x), matrix_peak()
    ways = {
        "Captum": lambda: captum(model, x, stride, at_once),
        "whole": lambda: ours(model, x, stride, engine="dense"),
        "exact": lambda: ours(model, x, stride),
        "bf16": lambda: ours(model, x, stride, precision="bfloat16"),
        "reach": lambda: ours(model, x, stride, precision="bfloat16", reach=REACH),
    }
    results: dict[str, Tensor] = {}

    def keeping(way: str, run: Callable[[], Tensor]) -> Callable[[], object]:
        return lambda: results.update({way: run()})

    slow = name in ("resnet50", "convnext_tiny", "vgg16")
    seconds = paired({way: keeping(way, run) for way, run in ways.items()}, repeats=1 if slow or quick else 2, warm=0)
    masks = len(range(0, 224 - WINDOW + 1, stride))
    limit = 2 * window_products(model, x, stride) / peak
    ranks = [f"{_rank(results['exact'], results[way]):.3f}" for way in ("bf16", "reach")]
    return [
        name, str(masks * masks), *(f"{median(seconds, way):.1f} s" for way in ways),
        f"{ratio(seconds, 'Captum', 'exact'):.1f}", f"{ratio(seconds, 'exact', 'bf16'):.2f}",
        f"{ratio(seconds, 'Captum', 'reach'):.1f}", f"{limit / median(seconds, 'exact'):.0%}", *ranks,
    ]  # fmt: skip


def ours(model: nn.Module, x: Tensor, stride: int, **way: object) -> Tensor:
    """(masks,) scores."""
    a = seewhy.attribute(model, x, Occlusion(WINDOW, stride, **way), TARGET)  # type: ignore[arg-type]
    return a.details["grid"].flatten()


def captum(
    model: nn.Module, x: Tensor, stride: int, at_once: int, window: int = WINDOW, target: int = TARGET
) -> Tensor:
    """Captum's map."""
    from captum.attr import Occlusion as Captum

    with torch.no_grad():
        return Captum(model).attribute(  # type: ignore[no-any-return]
            x, (3, window, window), strides=(3, stride, stride), baselines=0, target=target,
            perturbations_per_eval=at_once,
        )  # fmt: skip


def _captums_fastest(model: nn.Module, x: Tensor) -> int:
    """How many perturbations at a time suit Captum best here, tried on few masks."""
    seconds = {}
    for at_once in (1, 2, 4, 8, 16):
        times = []
        for _ in range(2):
            start = time.perf_counter()
            captum(model, x, 52, at_once, window=52)
            times.append(time.perf_counter() - start)
        seconds[at_once] = min(times)
    return min(seconds, key=seconds.__getitem__)


def matrix_peak() -> float:
    """Operations a second of a 2048³ product, float32: the physical limit's measure."""
    a, b = torch.randn(2, 2048, 2048)
    times = []
    for _ in range(9):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(times)


def window_products(model: nn.Module, x: Tensor, stride: int) -> float:
    """Multiplications that an exact map needs where each layer is computed in the smallest windows, clipped."""
    import numpy as np

    from seewhy.core.needs import Needs
    from seewhy.core.record import recorded
    from seewhy.incremental.followed import Followed
    from seewhy.incremental.kernels import Filter
    from seewhy.incremental.operators import Mean, RowRule
    from seewhy.incremental.program import Ref
    from seewhy.incremental.windows import windows_of

    with recorded(model, x, TARGET, Needs()) as record:
        engine = Followed(record).scoring(record).engine
    corners = [(top, left) for top in range(0, 224 - WINDOW + 1, stride) for left in range(0, 224 - WINDOW + 1, stride)]
    boxes = np.array([(t, le, t + WINDOW, le + WINDOW) for t, le in corners], np.int64)
    windows = {Ref(0): windows_of(boxes, (224, 224))}
    products = 0.0
    for step in engine.steps:
        known = [windows[ref] for ref in step.sources if ref in windows]
        if step.rule and len(known) == len(step.sources) and not isinstance(step.rule, Mean):
            windows[step.results[0]] = known[0] if isinstance(step.rule, RowRule) else step.rule.spread(known)
            positions = float(windows[step.results[0]].area)
        else:
            shape = engine.program.shapes[step.results[0]]
            positions = len(boxes) * float(np.prod(shape[2:]) if len(shape) == 4 else np.prod(shape[1:-1]))
        weights = step.node.function.weight if isinstance(step.node.function, Filter) else None
        if step.node.name == "linear":
            weights = next(arg for arg in step.node.args if isinstance(arg, Tensor))
        products += 0 if weights is None else positions * weights.numel()
    return products


def _rank(a: Tensor, b: Tensor) -> float:
    from seewhy.core.ranks import rank_correlation

    return rank_correlation(a[None], b[None])


def one_mask(quick: bool) -> Iterator[list[str]]:
    """Rows: size of the patch, milliseconds a score on one thread, and how many of a plain forward."""
    from seewhy.incremental import Rescorer

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        clf, x = seewhy.load("efficientnet_lite0"), _photo()
        rescorer = Rescorer(clf, x, TARGET)
        generator = torch.Generator().manual_seed(0)
        for size in (16, 32, 64):
            patch, corners = torch.zeros(3, size, size), torch.randint(0, 225 - size, (64, 2), generator=generator)
            where = iter(corners.repeat(20, 1).tolist())
            contenders: dict[str, Callable[[], object]] = {
                "forward": lambda: _forward(clf.model, x),
                "rescorer": lambda patch=patch, where=where: rescorer.scores(patch, [next(where)]),
            }
            seconds = paired(contenders, repeats=40 if quick else 100, warm=10)
            times = [f"{median(seconds, name) * 1e3:.1f} ms" for name in ("forward", "rescorer")]
            yield [f"{size} px", *times, f"{ratio(seconds, 'rescorer', 'forward'):.2f}"]
    finally:
        torch.set_num_threads(threads)


ONE_COLUMNS = ["patch", "forward", "Rescorer.scores", "of a forward"]


def _forward(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x)  # type: ignore[no-any-return]


def peak_memory(quick: bool) -> Iterator[list[str]]:
    """Rows: network, and the most memory that a process of its own held."""
    for name in QUICK if quick else ["squeezenet1_1", "resnet18", "resnet50", "vgg16"]:
        yield [name, *(f"{_in_a_process(name, way):.0f} MB" for way in ("model", "captum", "exact"))]


def _in_a_process(name: str, way: str) -> Any:
    command = [sys.executable, str(Path(__file__)), name, way]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _most_held() -> float:
    """Megabytes: the largest resident set since this program began. (ru_maxrss counts from the parent's size on.)"""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


def _alone(name: str, way: str) -> None:
    from torchvision_cpu import allow_torchvision

    allow_torchvision()
    if way.endswith("row"):
        print(json.dumps(_row(name, quick=way.startswith("quick"))))
        return
    model, x = network(name), _photo()
    with torch.no_grad():
        model(x)
    if way == "captum":
        captum(model, x, 52, 8, window=52)
    if way == "exact":
        ours(model, x, 16)
    print(json.dumps(_most_held()))


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    _alone(*sys.argv[1:])
