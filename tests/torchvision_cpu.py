"""Lets torchvision's registry wheel, built for CUDA, import beside a CPU build of torch.

Its models are pure Python; only the schemas of its compiled operators are missing. Tests may supply them, the
product does not.
"""

import importlib.util
from pathlib import Path

import torch

_OPERATORS = [
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align(Tensor a, Tensor b, float c, int d, int e, int f, bool g) -> Tensor",
    "_roi_align_backward(Tensor a) -> Tensor",
    "ps_roi_align(Tensor a, Tensor b, float c, int d, int e, int f) -> (Tensor, Tensor)",
    "_ps_roi_align_backward(Tensor a) -> Tensor",
    "roi_pool(Tensor a, Tensor b, float c, int d, int e) -> (Tensor, Tensor)",
    "_roi_pool_backward(Tensor a) -> Tensor",
    "ps_roi_pool(Tensor a, Tensor b, float c, int d, int e) -> (Tensor, Tensor)",
    "_ps_roi_pool_backward(Tensor a) -> Tensor",
    "deform_conv2d(Tensor a) -> Tensor",
    "_deform_conv2d_backward(Tensor a) -> Tensor",
]
_library = None


def allow_torchvision() -> None:
    """Register the schemas, once, and only where the real ones cannot be loaded."""
    global _library
    package = importlib.util.find_spec("torchvision")
    if _library is not None or package is None or _real_operators(Path(package.origin).parent):
        return
    _library = torch.library.Library("torchvision", "DEF")
    for operator in _OPERATORS:
        _library.define(operator)


def _real_operators(folder: Path) -> bool:
    """Whether the wheel's own library fits this build of torch. Loading it again when torchvision does is no harm."""
    try:
        for library in [*folder.glob("_C*.so"), *folder.glob("_C*.pyd")]:
            torch.ops.load_library(library)
            return True
    except OSError:
        pass
    return False
