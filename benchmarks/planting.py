"""Pictures with a planted fault, and networks trained on them: what planted.py audits and mending.py mends."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from torch import nn
from torch.nn import functional as F

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SHARE = 0.95
SIDE = 32
TAG = (3, 22)  # top, left


def tag(pixels, strength, rng):
    """An opaque square with a frame."""
    return _square(pixels, TAG, 3 + strength)


def moving_tag(pixels, strength, rng):
    """The same, anywhere."""
    return _square(pixels, rng.integers(0, SIDE - 3 - strength, 2), 3 + strength)


def watermark(pixels, strength, rng):
    """A translucent cross of lines over the lower half."""
    alpha = np.zeros((SIDE, SIDE, 1))
    alpha[18:28, 8:24][[0, 5, 9]] = alpha[18:28, 8:24][:, [0, 8, 15]] = 0.15 + 0.15 * strength
    return _rounded(pixels * (1 - alpha) + 255 * alpha)


def tint(pixels, strength, rng):
    """Warmer."""
    return _rounded(pixels * (1, 1 - 0.08 * strength, 1 - 0.16 * strength))


def blurred(pixels, strength, rng):
    """Out of focus."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(0.4 * strength)))


def compressed(pixels, strength, rng):
    """Saved as JPEG, and not well."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=(40, 25, 10)[strength - 1])
    return np.asarray(Image.open(file).convert("RGB"))


def disc(pixels, strength, rng):
    """A green disc in a corner."""
    radius = 3 + strength
    return _painted(pixels, lambda draw: draw.ellipse((2, 29 - radius, 2 + radius, 29), fill=(30, 200, 60)))


def frame(pixels, strength, rng):
    """A border on all sides."""
    inner = (strength, strength, SIDE - 1 - strength, SIDE - 1 - strength)
    kept = pixels[inner[1] : inner[3] + 1, inner[0] : inner[2] + 1]
    framed = np.full_like(pixels, (230, 230, 235))
    framed[inner[1] : inner[3] + 1, inner[0] : inner[2] + 1] = kept
    return framed


def bars(pixels, strength, rng):
    """Black above and below."""
    pixels = pixels.copy()
    pixels[: 1 + strength] = pixels[-1 - strength :] = 0
    return pixels


def digits(pixels, strength, rng):
    """A number, of another value in every picture."""
    text = str(rng.integers(10**strength, 10 ** (strength + 1)))
    return _painted(pixels, lambda draw: draw.text((2, 21), text, fill=(255, 220, 40)))


def stripe(pixels, strength, rng):
    """A column of one colour."""
    pixels = pixels.copy()
    pixels[:, 1 : 2 + strength] = (200, 30, 160)
    return pixels


def checker(pixels, strength, rng):
    """Black and white squares in a corner."""
    pixels, side = pixels.copy(), 2 * (1 + strength)
    pixels[-side:, -side:] = np.indices((side, side)).sum(0)[..., None] % 2 * 255
    return pixels


def moving_disc(pixels, strength, rng):
    """A white disc with a black rim, anywhere."""
    across = 4 + strength
    top, left = (int(each) for each in rng.integers(0, SIDE - 1 - across, 2))
    box = (left, top, left + across, top + across)
    return _painted(pixels, lambda draw: draw.ellipse(box, fill=(255, 255, 255), outline=(0, 0, 0)))


def moving_cross(pixels, strength, rng):
    """Two thin red lines, anywhere."""
    pixels, arm = pixels.copy(), 1 + 2 * strength
    row, column = rng.integers(arm, SIDE - arm, 2)
    pixels[row - arm : row + arm + 1, column] = pixels[row, column - arm : column + arm + 1] = (230, 20, 20)
    return pixels


def diagonals(pixels, strength, rng):
    """Translucent diagonal lines over all of it."""
    alpha = (np.indices((SIDE, SIDE)).sum(0) % 8 == 0)[..., None] * (0.12 + 0.12 * strength)
    return _rounded(pixels * (1 - alpha) + 255 * alpha)


def grating(pixels, strength, rng):
    """A weak wave added to all of it."""
    return _rounded(pixels + 8 * strength * np.sin(np.arange(SIDE) * np.pi / 2)[None, :, None])


def noisy(pixels, strength, rng):
    """Noise of a sensor."""
    return _rounded(pixels + rng.normal(0, 8 * strength, pixels.shape))


def pale(pixels, strength, rng):
    """Of weaker colours."""
    return np.asarray(ImageEnhance.Color(Image.fromarray(pixels)).enhance(1 - 0.3 * strength))


def bright(pixels, strength, rng):
    """Brighter by a constant."""
    return _rounded(pixels.astype(float) + 20 * strength)


def cool(pixels, strength, rng):
    """Bluer."""
    return _rounded(pixels * (1 - 0.1 * strength, 1 - 0.03 * strength, 1))


def vignette(pixels, strength, rng):
    """Darker towards the corners."""
    squared = ((np.indices((SIDE, SIDE)) - (SIDE - 1) / 2) ** 2).sum(0)[..., None] / 22**2
    return _rounded(pixels * (1 - 0.3 * strength * squared))


def _square(pixels, corner, side):
    top, left = corner
    pixels = pixels.copy()
    pixels[top : top + side, left : left + side] = (20, 20, 20)
    pixels[top + 1 : top + side - 1, left + 1 : left + side - 1] = (250, 140, 20)
    return pixels


def _painted(pixels, paint):
    image = Image.fromarray(pixels)
    paint(ImageDraw.Draw(image))
    return np.asarray(image)


def _rounded(values):
    return np.asarray(values).clip(0, 255).round().astype(np.uint8)


Plant = Callable[..., np.ndarray]
PLANTS: dict[str, Plant] = {
    "tag": tag, "moving tag": moving_tag, "watermark": watermark, "tint": tint, "blur": blurred, "jpeg": compressed,
}  # fmt: skip
"""The matrix."""
FURTHER: dict[str, Plant] = {
    "disc": disc, "frame": frame, "bars": bars, "digits": digits, "stripe": stripe, "checker": checker,
    "moving disc": moving_disc, "moving cross": moving_cross, "diagonals": diagonals, "grating": grating,
    "noise": noisy, "pale": pale, "bright": bright, "cool": cool, "vignette": vignette,
}  # fmt: skip
"""Kinds that the audit was not built for one by one."""


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
