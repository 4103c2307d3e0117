"""torchvision beside a CPU build of torch, for the tests only."""

from __future__ import annotations

import torch

OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align(Tensor input, Tensor rois, float scale, int h, int w, int ratio, bool aligned) -> Tensor",
    "_roi_align_backward(Tensor grad, Tensor rois, float scale, int h, int w, int n, int c, int height,"
    " int width, int ratio, bool aligned) -> Tensor",
    "ps_roi_align(Tensor input, Tensor rois, float scale, int h, int w, int ratio) -> (Tensor, Tensor)",
    "_ps_roi_align_backward(Tensor grad, Tensor rois, Tensor mapping, float scale, int h, int w, int ratio,"
    " int n, int c, int height, int width) -> Tensor",
    "roi_pool(Tensor input, Tensor rois, float scale, int h, int w) -> (Tensor, Tensor)",
    "_roi_pool_backward(Tensor grad, Tensor rois, Tensor argmax, float scale, int h, int w, int n, int c,"
    " int height, int width) -> Tensor",
    "ps_roi_pool(Tensor input, Tensor rois, float scale, int h, int w) -> (Tensor, Tensor)",
    "_ps_roi_pool_backward(Tensor grad, Tensor rois, Tensor mapping, float scale, int h, int w, int n, int c,"
    " int height, int width) -> Tensor",
    "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, int sh, int sw,"
    " int ph, int pw, int dh, int dw, int groups, int offsets, bool masked) -> Tensor",
    "_deform_conv2d_backward(Tensor grad, Tensor input, Tensor weight, Tensor offset, Tensor mask,"
    " Tensor bias, int sh, int sw, int ph, int pw, int dh, int dw, int groups, int offsets, bool masked)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)

_library: torch.library.Library | None = None


def allow_torchvision() -> None:
    """Lets ``import torchvision`` succeed where its compiled operators do not fit the installed torch.

    The import only asks that its operators (for detection) are declared; no classification model calls one.
    Call it before the first import of torchvision. Where torchvision fits, it does nothing.
    """
    global _library
    if _library is not None or _operators_load():
        return
    _library = torch.library.Library("torchvision", "DEF")
    for schema in OPERATORS:
        _library.define(schema)


def _operators_load() -> bool:
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True
    for file in Path(spec.origin).parent.glob("_C*.*"):
        try:
            torch.ops.load_library(str(file))
        except OSError:
            return False
    return hasattr(torch.ops.torchvision, "nms")
