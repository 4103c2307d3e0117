"""Variants of a photo: what is computed in windows is what the network itself says, and is counted."""

import numpy as np
import planted
import pytest
import torch
from torch import nn

import seewhy
from seewhy.auditing.beside import changed
from seewhy.auditing.eye import Eye

SIDE = 160


@pytest.fixture(scope="module")
def clf():
    torch.manual_seed(0)
    return seewhy.classifier(
        planted.Net().eval(), labels=list(planted.LABELS), mean=(0.5,) * 3, std=(0.25,) * 3, size=SIDE
    )


def group(seed, side=24, count=5):
    rng = np.random.default_rng(seed)
    photo = rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    variants = []
    for _ in range(count):
        top, left = rng.integers(0, SIDE - side + 1, 2)
        variants.append(photo.copy())
        variants[-1][top : top + side, left : left + side] = rng.integers(0, 255, (side, side, 3), np.uint8)
    return photo, variants


def test_windows_say_what_the_network_says(clf, tmp_path):
    eye, whole = Eye(clf, tmp_path), Eye(clf, tmp_path)
    groups = [group(0), group(1, side=90), group(2, count=2), group(3)]
    groups[3][1][1] = groups[3][0].copy()  # nothing is changed
    for (photo, variants), said in zip(groups, eye.beside.said(groups), strict=True):
        expected = whole.probabilities(np.stack([photo, *variants]))
        assert said.shape == expected.shape
        assert np.abs(said - expected).max() < 1e-5
    assert eye.saved == 10  # of the two groups of many small changes
    assert eye.forwards == 2 + 6 + 3 + 3  # three to see, once, whether images of a batch change each other's


def test_small_photos_and_networks_that_cannot_be_followed_go_whole(tmp_path):
    class Odd(planted.Net):
        def forward(self, x):
            return super().forward(x * float(x.mean().sign()))  # what a number is made of, no program holds

    torch.manual_seed(0)
    clf = seewhy.classifier(Odd().eval(), labels=list(planted.LABELS), size=SIDE)
    eye = Eye(clf, tmp_path)
    photo, variants = group(5)
    (said,) = eye.beside.said([(photo, variants)])
    assert np.allclose(said, eye.probabilities(np.stack([photo, *variants])), atol=1e-6)
    small = seewhy.classifier(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 3)), labels=list("abc"), size=32)
    eye = Eye(small, tmp_path)
    photo, variants = photo[:32, :32], [each[:32, :32] for each in variants]
    (said,) = eye.beside.said([(photo, variants)])
    assert np.array_equal(said, eye.probabilities(np.stack([photo, *variants])))
    assert eye.saved == 0


def test_the_box_of_what_changed():
    photo, (other,) = group(7, count=1)
    apart = (photo != other).any(2)
    top, left, height, width = changed(photo, other)
    inside = np.zeros_like(apart)
    inside[top : top + height, left : left + width] = True
    assert not (apart & ~inside).any()
    for edge in (apart[top], apart[top + height - 1], apart[:, left], apart[:, left + width - 1]):
        assert edge.any()
    assert changed(photo, photo) == (0, 0, 0, 0)


def test_a_model_of_grey_photos_is_given_the_grey_of_colours(tmp_path):
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    clf = seewhy.classifier(network, labels=["light", "dark"], mean=(0.0,), std=(1.0,), size=16)
    red = np.zeros((1, 16, 16, 3), np.uint8)
    red[..., 0] = 255
    grey = np.asarray(planted.Image.fromarray(red[0]).convert("L"))[0, 0] / 255
    assert Eye(clf, tmp_path).inputs(red).mean().item() == pytest.approx(grey, abs=1e-6)
