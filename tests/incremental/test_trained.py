"""On trained weights and real photos, occlusion as it is by default is its definition.

The definition is written out here once more, from the paper and the docstring, with nothing of seewhy in it: one plain
forward of one whole photo per mask. Random networks say little of this: their scores hardly depend on the photo.
"""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import seewhy
from nets import cifar_resnet
from seewhy.methods import Occlusion

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"
TOLERANCE = 5e-5
"""In units of the map's largest value. float32 rounds a score to 6e-8 of it, and more in each of fifty layers; a map's
largest value may be a twentieth of the score. Measured: up to 1.0e-5 on the embedded model, 6e-6 on the checkpoint."""


def spans(length, window, stride):
    """Windows start at 0, stride, 2 stride, ..., until one reaches the far edge, where it ends."""
    start, found = 0, []
    while start < length:
        found.append((start, min(start + window, length)))
        if start + window >= length:
            break
        start += stride
    return found


def by_definition(model, x, target, window, stride, baseline):
    """(H, W) float64: the mean of f(x) - f(x with a window replaced) over the windows that cover a pixel."""

    @torch.no_grad()
    def f(image):
        return float(model(image[None])[0, target])

    height, width = x.shape[1:]
    total, count, whole = np.zeros((height, width)), np.zeros((height, width)), f(x)
    for top, bottom in spans(height, window, stride):
        for left, right in spans(width, window, stride):
            hidden = x.clone()
            for channel, value in enumerate(baseline):
                hidden[channel, top:bottom, left:right] = value
            total[top:bottom, left:right] += whole - f(hidden)
            count[top:bottom, left:right] += 1
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0)


def is_the_definition(model, x, method, targets, window, stride, baseline=(0, 0, 0)):
    """One map per photo of ``x``, made together, each against its photo's own."""
    a = seewhy.attribute(model, x, method, targets)
    assert a.notes["engine"] == "incremental"
    for values, photo, target in zip(a.values, x, a.target.tolist(), strict=True):
        expected = by_definition(model, photo, target, window, stride, baseline)
        largest = np.abs(expected).max()
        assert largest > 0.3, "logits: something on the photo matters"
        assert np.abs(values[0].numpy() - expected).max() <= TOLERANCE * largest


@pytest.fixture(scope="module")
def embedded():
    return seewhy.load("efficientnet_lite0")


@pytest.fixture(scope="module")
def photos(embedded):
    """(2, 3, 224, 224): a cat, and a cup of coffee."""
    return torch.cat([embedded.preprocess(Image.open(PHOTOS / name)) for name in ("chelsea.png", "coffee.png")])


@pytest.fixture
def resnet20(shared_data):
    """Built and filled by hand; in evaluation mode, since the guest's own forward is compared with."""
    model = cifar_resnet.resnet20()
    kept = torch.load(shared_data / "cifar_resnet" / "resnet20-12fca82f.th", map_location="cpu", weights_only=True)
    model.load_state_dict({name.removeprefix("module."): value for name, value in kept["state_dict"].items()})
    return model.eval()


@pytest.fixture
def cifar(shared_data):
    """(2, 3, 32, 32): the first photos of two classes of CIFAR-10's test set."""
    found, mean, std = {}, torch.tensor(cifar_resnet.MEAN), torch.tensor(cifar_resnet.STD)
    with tarfile.open(shared_data / "cifar10" / "cifar10-test.tar.xz") as archive:
        for member in archive:
            kind = Path(member.name).parent.name
            if member.isfile() and member.name.endswith((".jpg", ".png", ".jpeg")) and kind not in found:
                pixels = torch.tensor(np.array(Image.open(archive.extractfile(member)).convert("RGB")))
                found[kind] = ((pixels / 255 - mean) / std).permute(2, 0, 1)
            if len(found) == 2:
                return torch.stack(list(found.values()))
    pytest.skip("no photos of CIFAR-10 are here")


def test_the_embedded_model_with_all_defaults(embedded, photos):
    """169 masks of 32 x 32, 16 apart, of the cat."""
    is_the_definition(embedded.model, photos[:1], Occlusion(), None, 32, 16)


@pytest.mark.parametrize(
    ("window", "stride", "baseline"),
    [(80, 56, (0.0, 0.0, 0.0)), (70, 90, (0.9, -0.4, 0.1)), (56, 56, (-1.0, -1.0, -1.0))],
    ids=["overlapping and clipped", "apart, in orange", "side by side, in black"],
)
def test_the_embedded_model_on_two_photos_at_once(embedded, photos, window, stride, baseline):
    method = Occlusion(window, stride, baseline=baseline)
    is_the_definition(embedded.model, photos, method, [embedded.index("Egyptian cat"), 967], window, stride, baseline)


def test_the_cifar_checkpoint_with_all_defaults(resnet20, cifar):
    """225 masks of 4 x 4, 2 apart, on two photos at once; the predicted class of each."""
    is_the_definition(resnet20, cifar, Occlusion(), None, 4, 2)


@pytest.mark.parametrize(("window", "stride"), [(9, 7), (8, 8), (5, 11)])
def test_the_cifar_checkpoint_by_other_windows(resnet20, cifar, window, stride):
    is_the_definition(resnet20, cifar, Occlusion(window, stride), [3, 8], window, stride)
