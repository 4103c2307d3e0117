"""On a CUDA device: maps against one forward and the peers, occlusion against Captum, steps of an ascent.

``python benchmarks/gpu.py`` writes benchmarks/GPU.md; it needs captum, torchcam and torchvision.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import torch  # noqa: E402
from networks import build  # noqa: E402
from occlusion import captum, network  # noqa: E402
from paired import median, paired, ratio  # noqa: E402
from run import table  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import seewhy  # noqa: E402
from seewhy.methods import Occlusion  # noqa: E402

LAYERS = {"resnet18": "layer4", "resnet50": "layer4", "mobilenet_v2": "features"}
WINDOW, STRIDE, TARGET = 16, 8, 3


def waited(run: Callable[[], object]) -> Callable[[], object]:
    """``run``, and the device's end of it."""

    def whole() -> object:
        run()
        torch.cuda.synchronize()
        return None

    return whole


def one_map() -> Iterator[list[str]]:
    """Rows: network, batch, forward in ms, then times one forward."""
    for name, layer_name in LAYERS.items():
        model = build(name).cuda()
        layer = model.get_submodule(layer_name)
        for batch in (1, 16, 64):
            x = torch.randn(batch, 3, 224, 224, device="cuda")
            contenders = {
                "forward": waited(lambda m=model, x=x: _forward(m, x)),
                "seewhy": waited(lambda m=model, x=x: seewhy.attribute(m, x, "grad_cam", TARGET)),
                "Captum": waited(lambda m=model, x=x, y=layer: _captum_grad_cam(m, y, x)),
                "torch-cam": waited(lambda m=model, x=x, y=layer: _torchcam(m, y, x)),
            }
            seconds = paired(contenders, repeats=41 if batch == 1 else 21, warm=5)
            ratios = [f"{ratio(seconds, each, 'forward'):.2f}" for each in contenders if each != "forward"]
            yield [name, str(batch), f"{median(seconds, 'forward') * 1e3:.1f} ms", *ratios]


def occlusion() -> Iterator[list[str]]:
    """Rows: network, seconds of Captum at its fastest batch and of ours, and their ratio."""
    x = nn.functional.interpolate(torch.randn(1, 3, 28, 28), (224, 224), mode="bicubic").cuda()
    for name in ("resnet18", "resnet50", "mobilenet_v2", "efficientnet_b0", "vgg16"):
        model = network(name).cuda()
        at_once = _fastest(model, x)
        results: dict[str, Tensor] = {}
        contenders = {
            "Captum": waited(lambda m=model, n=at_once: captum(m, x, STRIDE, n, WINDOW, TARGET)),
            "seewhy": waited(lambda m=model, r=results: r.update(ours=_ours(m, x, "auto"))),
        }
        seconds = paired(contenders, repeats=5)
        yield [name, f"{at_once}", *(f"{median(seconds, each):.3f} s" for each in contenders),
               f"{ratio(seconds, 'Captum', 'seewhy'):.2f}"]  # fmt: skip


def ascent() -> Iterator[list[str]]:
    """Rows: network, images, steps a second."""
    steps = 64
    for name in ("resnet18", "mobilenet_v2"):
        model = network(name).cuda()
        for images in (1, 32):
            targets = list(range(images))
            run = waited(lambda m=model, t=targets: seewhy.visualize(m, t, steps=steps, size=224, attempts=1))
            seconds = paired({"seewhy": run}, repeats=3)
            yield [name, str(images), f"{steps / median(seconds, 'seewhy'):.0f}"]


def _ours(model: nn.Module, x: Tensor, engine: str) -> Tensor:
    return seewhy.attribute(model, x, Occlusion(WINDOW, STRIDE, engine=engine), TARGET).values  # type: ignore[arg-type]


def _fastest(model: nn.Module, x: Tensor) -> int:
    sizes = (16, 64, 128, 256)
    runs = {str(n): waited(lambda n=n: captum(model, x, STRIDE, n, WINDOW, TARGET)) for n in sizes}
    seconds = paired(runs, repeats=1)
    return min(sizes, key=lambda n: seconds[str(n)][0])


def _forward(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x)  # type: ignore[no-any-return]


def _captum_grad_cam(model: nn.Module, layer: nn.Module, x: Tensor) -> object:
    from captum.attr import LayerGradCam

    return LayerGradCam(model, layer).attribute(x, TARGET)


def _torchcam(model: nn.Module, layer: nn.Module, x: Tensor) -> object:
    from torchcam.methods import GradCAM

    with GradCAM(model, layer) as extractor:
        return extractor([TARGET] * len(x), model(x))


SECTIONS = [
    ("Grad-CAM", "Times one plain forward of the same batch under no_grad; medians of paired ratios.",
     ["network", "batch", "forward", "seewhy", "Captum", "torch-cam"], one_map),
    ("Occlusion", "729 masks of 16 px, stride 8, on 224 px; Captum at its fastest batch.",
     ["network", "Captum's batch", "Captum", "seewhy", "Captum / seewhy"], occlusion),
    ("Class visualization", "Steps a second, default preset, 224 px.", ["network", "images", "steps/s"], ascent),
]  # fmt: skip


def main() -> None:
    text = [
        "# On a GPU",
        f"`python benchmarks/gpu.py` on {date.today()}: seewhy {seewhy.__version__}, torch {torch.__version__}, Python "
        f"{platform.python_version()}, {torch.cuda.get_device_name()}, float32, random weights; ratios within one run.",
    ]
    for title, note, columns, rows in SECTIONS:
        print(f"\n## {title}\n")
        text += [f"## {title}", note, table(columns, rows())]
    (HERE / "GPU.md").write_text("\n\n".join(text) + "\n")


if __name__ == "__main__":
    main()
