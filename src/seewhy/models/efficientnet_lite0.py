"""EfficientNet-Lite0 (Tan & Le 2019, the variant without squeeze-and-excitation, ReLU6 throughout).

Input (B, 3, H, W), any H and W from 32 up, made for 224 x 224; output (B, classes) logits.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import nn

# The published weights come from TensorFlow, whose BatchNorm divides by a larger epsilon than PyTorch's 1e-5.
EPSILON = 1e-3


class Stage(NamedTuple):
    """``repeats`` blocks of one width; only the first of them strides."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def convolution(
    before: int, after: int, kernel: int = 1, stride: int = 1, groups: int = 1, activate: bool = True
) -> nn.Sequential:
    """Convolution, BatchNorm and (unless told not to) ReLU6.

    A stride of 2 pads one pixel more at the right and bottom than at the left and top: that is what
    TensorFlow's "SAME" does to a map of even size, and the weights were trained with it.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    padding = kernel // 2
    if stride == 2:
        layers["pad"] = nn.ZeroPad2d((padding - 1, padding, padding - 1, padding))
        padding = 0
    layers["conv"] = nn.Conv2d(before, after, kernel, stride, padding, groups=groups, bias=False)
    layers["norm"] = nn.BatchNorm2d(after, eps=EPSILON)
    if activate:
        layers["relu"] = nn.ReLU6(inplace=True)
    return nn.Sequential(layers)


class Block(nn.Module):
    """Widen, look around in each channel by itself, narrow; added to the input where the shapes agree."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = before * expansion
        self.expand = convolution(before, wide) if expansion > 1 else nn.Identity()
        self.depthwise = convolution(wide, wide, kernel, stride, groups=wide)
        self.project = convolution(wide, after, activate=False)
        self.adds = stride == 1 and before == after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.adds else y


class EfficientNetLite0(nn.Module):
    """(B, 3, H, W) -> (B, ``classes``): stem, sixteen blocks, head, pooling and one linear layer."""

    def __init__(self, classes: int = 1000):
        super().__init__()
        self.stem = convolution(3, 32, kernel=3, stride=2)
        self.blocks = nn.Sequential(*_blocks(32))
        self.head = convolution(STAGES[-1].channels, 1280)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(1280, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.head(self.blocks(self.stem(x)))
        logits: torch.Tensor = self.classifier(self.dropout(self.flatten(self.pool(features))))
        return logits


def _blocks(before: int) -> Iterator[Block]:
    for repeats, kernel, stride, expansion, channels in STAGES:
        for repeat in range(repeats):
            yield Block(before, channels, kernel, stride if repeat == 0 else 1, expansion)
            before = channels


PUBLISHED_NAMES = (
    (r"_blocks\.(\d+)\._expand_conv", r"blocks.\1.expand.conv"),
    (r"_blocks\.(\d+)\._bn0", r"blocks.\1.expand.norm"),
    (r"_blocks\.(\d+)\._depthwise_conv", r"blocks.\1.depthwise.conv"),
    (r"_blocks\.(\d+)\._bn1", r"blocks.\1.depthwise.norm"),
    (r"_blocks\.(\d+)\._project_conv", r"blocks.\1.project.conv"),
    (r"_blocks\.(\d+)\._bn2", r"blocks.\1.project.norm"),
    (r"_conv_stem", "stem.conv"),
    (r"_bn0", "stem.norm"),
    (r"_conv_head", "head.conv"),
    (r"_bn1", "head.norm"),
    (r"_fc", "classifier"),
)


def renamed(published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The published weights under this file's layer names; keys that are already ours stay."""
    return {_our_name(key): value for key, value in published.items()}


def _our_name(key: str) -> str:
    layer, _, parameter = key.rpartition(".")
    for theirs, ours in PUBLISHED_NAMES:
        if match := re.fullmatch(theirs, layer):
            return f"{match.expand(ours)}.{parameter}"
    return key
