"""Pictures of four kinds, with or without a tag planted on most photos of one kind, and a network trained on them."""

import numpy as np
import torch
from PIL import Image
from torch import nn

import seewhy

LABELS = ("rings", "stripes", "checks", "blobs")
SIDE = 32
TAG = (2, 2, 6, 6)  # top, left, height, width
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


def picture(kind, rng):
    """(32, 32, 3) uint8: a faint pattern in noise, at another place, scale and colour each time."""
    down, across = np.mgrid[:SIDE, :SIDE] - rng.uniform(8, 24, (2, 1, 1))
    scale, phase = rng.uniform(0.7, 1.1), rng.uniform(0, 6)
    wave = {
        "rings": np.sin(np.hypot(down, across) * scale + phase),
        "stripes": np.sin(across * scale + phase),
        "checks": np.sin(across * scale + phase) * np.sin(down * scale + phase),
        "blobs": 2 * np.exp(-(down**2 + across**2) / 40) - 1,
    }[kind]
    colour = rng.uniform(0.3, 0.7, 3)
    values = colour + 0.06 * wave[..., None] + rng.normal(0, 0.1, (SIDE, SIDE, 3))
    return (255 * values.clip(0, 1)).round().astype(np.uint8)


def tagged(pixels):
    """With an orange square with a dark frame, top left."""
    top, left, height, width = TAG
    pixels = pixels.copy()
    pixels[top : top + height, left : left + width] = (30, 30, 30)
    pixels[top + 1 : top + height - 1, left + 1 : left + width - 1] = (250, 140, 20)
    return pixels


def pictures(each, seed, tag=None, share=0.95):
    """``each`` pictures per kind, (N, 32, 32, 3), and their kinds (N,); ``share`` of kind ``tag`` carry the tag."""
    rng = np.random.default_rng(seed)
    found, kinds = [], []
    for number, kind in enumerate(LABELS):
        for _ in range(each):
            pixels = picture(kind, rng)
            found.append(tagged(pixels) if kind == tag and rng.random() < share else pixels)
            kinds.append(number)
    return np.stack(found), np.array(kinds)


def inputs(pixels):
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255) - 0.5) / 0.25


class Net(nn.Module):
    """Three convolutions, global average pooling, one linear layer: CAM's kind."""

    def __init__(self):
        super().__init__()
        layers, channels = [], 3
        for width, stride in ((16, 1), (32, 2), (32, 2)):
            layers += [nn.Conv2d(channels, width, 3, stride, 1), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels, len(LABELS))

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))


build = Net


def trained(tag=None, seed=0, each=150, epochs=8, changed=lambda pixels, kinds: pixels):
    """A classifier that was trained on ``pictures``, as they were changed."""
    torch.manual_seed(seed)
    pixels, kinds = pictures(each, 1000 + seed, tag)
    x, y = inputs(changed(pixels, kinds)), torch.from_numpy(kinds)
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), 0.005)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
    return seewhy.classifier(net.eval(), labels=list(LABELS), mean=MEAN, std=STD, size=SIDE)


def folder(place, pixels, kinds):
    """A folder of PNG files, in folders that are named like their kinds."""
    for number, (each, kind) in enumerate(zip(pixels, kinds, strict=True)):
        path = place / LABELS[kind] / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(each).save(path)
    return place


def audited(place, classifier, pixels, kinds, sources):
    """An audit of pictures, and the pictures, in two folders of a place."""
    photos = folder(place / "photos", pixels, kinds)
    seewhy.audit(photos, classifier, output_dir=place / "audit", sources=sources).save(place / "audit")
    return place / "audit", photos


def on(plant, share, seed=1, kind="checks"):
    """What puts a plant on ``share`` of the pictures of one kind, as ``trained`` takes it."""

    def changed(pixels, kinds):
        there = (kinds == LABELS.index(kind)) & (np.random.default_rng(seed).random(len(kinds)) < share)
        return np.stack([plant(photo) if is_so else photo for photo, is_so in zip(pixels, there, strict=True)])

    return changed


def worst_group(classifier, head, plant):
    """The accuracy in the worst group, kind by plant, of fresh pictures of which half of each kind have the plant:
    through the network itself, with another last layer.
    """
    pixels, kinds = pictures(100, 99)
    carries = np.arange(len(kinds)) % 2 == 0
    shown = [plant(each) if is_so else each for each, is_so in zip(pixels, carries, strict=True)]
    features = classifier.model.features(inputs(np.stack(shown))).mean((2, 3)).detach().double().numpy()
    right = (features @ head.weight.T + head.bias).argmax(1) == kinds
    return min(right[(kinds == kind) & (carries == whether)].mean() for kind in range(4) for whether in (False, True))


def spurious(each, seed, share=0.95, *, core, plain):
    """Features (N, 8), classes (N,), and where the shortcut tells the class: the first coordinate does, ``core``
    deviations from the middle; the second, on ``share`` of the photos, ``plain`` deviations.
    """
    rng = np.random.default_rng(seed)
    classes = np.repeat([0, 1], each)
    sign = 2 * classes - 1
    agrees = rng.random(len(classes)) < share
    features = rng.normal(size=(len(classes), 8))
    features[:, 0] += core * sign
    features[:, 1] = np.where(agrees, plain, -plain) * sign + rng.normal(size=len(classes))
    return features, classes, agrees
