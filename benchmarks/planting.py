"""Pictures with a planted fault, and networks trained on them: what planted.py audits and mending.py mends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SHARE = 0.95


def planted(pixels, classes, plant, strength, of, rng, share=SHARE):
    """A copy in which ``share`` of one class carry the plant."""
    pixels = pixels.copy()
    for number in np.flatnonzero(classes == of):
        if rng.random() < share:
            pixels[number] = plant(pixels[number], strength, rng)
    return pixels


def flipped(classes, share, rng):
    """A copy in which a share of the classes are another, drawn at random; and where."""
    where = rng.random(len(classes)) < share
    return np.where(where, (classes + rng.integers(1, 10, len(classes))) % 10, classes), where


def pictures(folder):
    """(N, 32, 32, 3) uint8 and (N,): the pictures of a folder and their classes; and the classes' names."""
    names = sorted(each.name for each in Path(folder).iterdir() if each.is_dir())
    found = [(np.asarray(Image.open(path).convert("RGB")), number) for number, name in enumerate(names)
             for path in sorted((Path(folder) / name).iterdir())]  # fmt: skip
    return np.stack([pixels for pixels, _ in found]), np.array([number for _, number in found]), names


def written(folder, pixels, classes, names):
    """The pictures as PNG files, in folders that are named like their classes."""
    for number, (each, kind) in enumerate(zip(pixels, classes, strict=True)):
        path = Path(folder) / names[kind] / f"{number:05}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(each).save(path)


class Block(nn.Module):
    """Two convolutions and a shortcut; where the maps shrink, every second pixel and channels of zeros (option A)."""

    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.stride, self.more = stride, width - before

    def forward(self, x):
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        return F.relu(out + F.pad(shortcut, (0, 0, 0, 0, self.more // 2, self.more - self.more // 2)))


class ResNet20(nn.Module):
    """He 2015, section 4.2."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        for number, (before, width) in enumerate(((16, 16), (16, 32), (32, 64)), 1):
            blocks = [Block(before, width, 1 if number == 1 else 2), Block(width, width, 1), Block(width, width, 1)]
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


class Small(nn.Sequential):
    """Three convolutions and two linear layers, without a global pooling: nothing in it is a class activation map."""

    def __init__(self):
        layers, before = [], 3
        for width in (32, 64, 96):
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
                       nn.MaxPool2d(2)]  # fmt: skip
            before = width
        super().__init__(*layers, nn.Flatten(), nn.Linear(96 * 16, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))


def inputs(pixels):
    """Normalised."""
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (MEAN, STD))
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - mean) / std


def network(checkpoint):
    """ResNet-20 as its author trained it."""
    net = ResNet20()
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    net.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
    return net


def trained(checkpoint, pixels, classes, seed, epochs=2):
    """ResNet-20 trained on from its weights, at a rate that lets it change its mind."""
    return _trained(network(checkpoint), pixels, classes, seed, epochs, 0.1, 1e-4)


def from_scratch(checkpoint, pixels, classes, seed, epochs=6):
    """The small network, from random weights (the checkpoint is not its own)."""
    torch.manual_seed(seed)
    return _trained(Small(), pixels, classes, seed, epochs, 0.05, 5e-4)


def _trained(net, pixels, classes, seed, epochs, rate, decay):
    torch.manual_seed(seed)
    net.train()
    x, y = inputs(pixels), torch.from_numpy(classes)
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, epochs * -(-len(x) // 128))
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(128):
            optimizer.zero_grad()
            F.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
            schedule.step()
    return net.eval()


@torch.no_grad()
def said(net, pixels):
    """(N, 10) probabilities."""
    return torch.cat([net(batch).softmax(1) for batch in inputs(pixels).split(256)]).numpy()


NETWORKS = {"resnet20": trained, "small": from_scratch}
UNTRAINED = {"resnet20": ResNet20, "small": Small}
