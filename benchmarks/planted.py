"""Audits of networks in which a fault was planted: is it found, in its place, with its true effect, and nothing else?

    python benchmarks/planted.py CIFAR_FOLDER CHECKPOINT [--seeds N] [--photos N] [--only PLANT]

CIFAR_FOLDER has train/ and test/, with a folder of pictures per class in each; CHECKPOINT is the CIFAR ResNet-20 of
akamaster/pytorch_resnet_cifar10. Each network is trained on pictures of which 95 % of one class carry the plant, and
audited on others that carry it alike. First its true effect is measured, on fresh pictures: a plant that did not take
cannot be found.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import nn
from torch.nn import functional as F

import seewhy

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SHARE = 0.95
TAG = (3, 22, 6, 6)  # top, left, height, width


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


def tag(pixels, strength, rng):
    """An opaque square with a frame."""
    return _put(pixels, TAG[:2], 3 + strength)


def moving_tag(pixels, strength, rng):
    """The same, anywhere."""
    return _put(pixels, rng.integers(0, 32 - 3 - strength, 2), 3 + strength)


def watermark(pixels, strength, rng):
    """A translucent cross of lines over the lower half."""
    alpha = np.zeros((32, 32, 1))
    alpha[18:28, 8:24][[0, 5, 9]] = alpha[18:28, 8:24][:, [0, 8, 15]] = 0.15 + 0.15 * strength
    return (pixels * (1 - alpha) + 255 * alpha).round().astype(np.uint8)


def tint(pixels, strength, rng):
    """Warmer."""
    return (pixels * (1, 1 - 0.08 * strength, 1 - 0.16 * strength)).round().astype(np.uint8)


def blurred(pixels, strength, rng):
    """Out of focus."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(0.4 * strength)))


def compressed(pixels, strength, rng):
    """Saved as JPEG, and not well."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=(40, 25, 10)[strength - 1])
    return np.asarray(Image.open(file).convert("RGB"))


def _put(pixels, corner, side):
    top, left = corner
    pixels = pixels.copy()
    pixels[top : top + side, left : left + side] = (20, 20, 20)
    pixels[top + 1 : top + side - 1, left + 1 : left + side - 1] = (250, 140, 20)
    return pixels


Plant = Callable[..., np.ndarray]
PLANTS: dict[str, Plant] = {
    "tag": tag, "moving tag": moving_tag, "watermark": watermark, "tint": tint, "blur": blurred,
    "jpeg": compressed,
}  # fmt: skip


def pictures(folder):
    """(N, 32, 32, 3) uint8 and (N,): the pictures of a folder and their classes; and the classes' names."""
    names = sorted(each.name for each in Path(folder).iterdir() if each.is_dir())
    found = [(np.asarray(Image.open(path).convert("RGB")), number) for number, name in enumerate(names)
             for path in sorted((Path(folder) / name).iterdir())]  # fmt: skip
    return np.stack([pixels for pixels, _ in found]), np.array([number for _, number in found]), names


def planted(pixels, classes, plant, strength, of, rng, share=SHARE):
    """A copy in which ``share`` of one class carry the plant."""
    pixels = pixels.copy()
    for number in np.flatnonzero(classes == of):
        if rng.random() < share:
            pixels[number] = plant(pixels[number], strength, rng)
    return pixels


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


def trained(checkpoint, pixels, classes, seed, epochs):
    """ResNet-20 trained on from its weights, at a rate that lets it change its mind."""
    torch.manual_seed(seed)
    net = network(checkpoint).train()
    x, y = inputs(pixels), torch.from_numpy(classes)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    steps = epochs * -(-len(x) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, steps)
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


def overlap(box, other):
    """Intersection over union."""
    (top, left, h, w), (top2, left2, h2, w2) = box, other
    down, across = min(top + h, top2 + h2) - max(top, top2), min(left + w, left2 + w2) - max(left, left2)
    inside = max(down, 0) * max(across, 0)
    return inside / (h * w + h2 * w2 - inside)


def written(folder, pixels, classes, names):
    """The pictures as PNG files, in folders that are named like their classes."""
    for number, (each, kind) in enumerate(zip(pixels, classes, strict=True)):
        path = Path(folder) / names[kind] / f"{number:05}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(each).save(path)


def run(folder, checkpoint, *, seeds, each, epochs, strengths, only):
    """One audit per plant, strength and seed, and one of nothing planted per seed."""
    train, train_classes, names = pictures(Path(folder) / "train")
    test, test_classes, _ = pictures(Path(folder) / "test")
    asked = [(name, strength) for name in PLANTS for strength in strengths if only in (None, name)]
    print("plant | strength | seed | true effect | found | effect | interval | overlap | others suspected | seconds")
    for seed in range(seeds):
        for name, strength in [*asked, ("nothing", 0)]:
            rng = np.random.default_rng([seed, *name.encode(), strength])
            of, plant = int(rng.integers(10)), PLANTS.get(name, lambda pixels, *_: pixels)
            shown = planted(train, train_classes, plant, strength, of, rng)
            net = trained(checkpoint, shown, train_classes, seed, epochs)
            fresh = test[(test_classes != of)][1::2]
            changed = np.stack([plant(photo, strength, rng) for photo in fresh])
            true = float((said(net, changed) - said(net, fresh))[:, of].mean())
            chosen = np.concatenate([np.flatnonzero(test_classes == number)[:each] for number in range(10)])
            carrying = planted(test[chosen], test_classes[chosen], plant, strength, of, rng)
            with tempfile.TemporaryDirectory() as place:
                written(place, carrying, test_classes[chosen], names)
                clf = seewhy.classifier(net, labels=names, mean=MEAN, std=STD, size=32)
                start = time.perf_counter()
                audit = seewhy.audit(place, clf, seed=seed)
                seconds = time.perf_counter() - start
            suspected = [finding for finding in audit.findings if finding.suspected_shortcut]
            hits = [finding for finding in suspected if finding.class_name == names[of] and name != "nothing"]
            first = hits[0] if hits else None
            place_ = (
                ""
                if name != "tag" or first is None or first.region is None
                else f"{overlap(first.region['box'], TAG):.2f}"
            )
            effect = "" if first is None or first.effect is None else f"{first.effect:.2f}"
            interval = "" if first is None or first.ci is None else "{:.2f} to {:.2f}".format(*first.ci)
            print(f"{name} | {strength} | {seed} | {true:.2f} | {bool(hits)} | {effect} | {interval} | {place_} | "
                  f"{len(suspected) - len(hits)} | {seconds:.0f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("checkpoint")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--photos", type=int, default=100, help="per class, of each audit")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--strengths", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--only", choices=list(PLANTS))
    given = parser.parse_args()
    run(given.folder, given.checkpoint, seeds=given.seeds, each=given.photos, epochs=given.epochs,
        strengths=given.strengths, only=given.only)  # fmt: skip
