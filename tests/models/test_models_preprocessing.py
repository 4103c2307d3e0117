"""Our preprocessing is the libraries' own, pixel for pixel, and what is drawn is what the model sees."""

from __future__ import annotations

import time

import numpy as np
import pytest
import timm
import torch
import transformers
from PIL import Image
from torchvision import models as vision

from seewhy.errors import InputError
from seewhy.models import BorrowedPreprocessing, Preprocessing
from seewhy.models.from_hf import transform_of as of_hf
from seewhy.models.from_timm import transform_of as of_timm
from seewhy.models.from_torchvision import transform_of as of_torchvision

# Both sides resize with Pillow, so nothing but the order of float32 operations is left to differ.
TOLERANCE = 1e-5

VISION = {
    repr(weights.transforms()): weights
    for name in vision.list_models(module=vision)
    for weights in vision.get_model_weights(name)
}


def photos(cat, tall):
    return [cat, tall, cat.resize((40, 23)), cat.resize((225, 224))]


def assert_same(ours, theirs, photo):
    np.testing.assert_allclose(ours(photo), theirs.reshape(1, *theirs.shape[-3:]), atol=TOLERANCE)


@pytest.mark.parametrize("weights", VISION.values(), ids=str)
def test_every_transform_of_torchvision(weights, cat, tall):
    theirs = weights.transforms()
    ours = of_torchvision(theirs)
    assert isinstance(ours, Preprocessing)
    for photo in photos(cat, tall):
        assert_same(ours, theirs(photo), photo)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"crop_pct": 1.0, "interpolation": "bilinear"},
        {"crop_mode": "squash", "crop_pct": 0.9},
        {"crop_mode": "border", "crop_pct": 0.9},
        {"crop_mode": "border", "crop_pct": 1.0},
        {"input_size": (3, 192, 288)},
        {"input_size": (3, 288, 192), "crop_pct": 0.8},
        {"interpolation": "lanczos", "mean": (0.5,) * 3, "std": (0.5,) * 3},
    ],
    ids=str,
)
def test_every_kind_of_timm(change, cat, tall):
    config = {**timm.data.resolve_model_data_config(timm.create_model("resnet18")), **change}
    theirs = timm.data.create_transform(**config, is_training=False)
    ours = of_timm(config, timm)
    assert isinstance(ours, Preprocessing)
    for photo in photos(cat, tall):
        assert_same(ours, theirs(photo), photo)


def test_a_grey_model_of_timm(cat):
    config = {"input_size": (1, 28, 28), "mean": (0.13,), "std": (0.31,), "crop_pct": 0.875}
    config |= {"interpolation": "bilinear", "crop_mode": "center"}
    ours, theirs = of_timm(config, timm), timm.data.create_transform(**config, is_training=False)
    assert ours(cat).shape == (1, 1, 28, 28)
    grey = cat.convert("L")
    # Converting before the resize or after it differs by a rounding of grey levels.
    np.testing.assert_allclose(ours(grey), theirs(grey)[None], atol=TOLERANCE)
    assert np.ptp(np.asarray(ours.crop(cat)), axis=-1).max() == 0


@pytest.mark.parametrize(
    ("processor", "options"),
    [
        ("ViTImageProcessorPil", {}),
        ("ConvNextImageProcessorPil", {}),
        ("ConvNextImageProcessorPil", {"size": {"shortest_edge": 224}}),
        ("BitImageProcessorPil", {"crop_size": {"height": 217, "width": 219}}),
        ("CLIPImageProcessorPil", {}),
        ("MobileNetV2ImageProcessorPil", {}),
        ("MobileViTImageProcessorPil", {}),
        ("EfficientNetImageProcessorPil", {}),
        ("EfficientNetImageProcessorPil", {"rescale_factor": 1 / 127.5, "rescale_offset": True}),
        ("ViTImageProcessorPil", {"do_rescale": False}),
        ("ViTImageProcessorPil", {"do_normalize": False}),
    ],
    ids=str,
)
def test_image_processors_of_transformers(processor, options, cat, tall):
    theirs = getattr(transformers, processor)(**options)
    ours = of_hf(theirs)
    assert isinstance(ours, Preprocessing)
    for photo in photos(cat, tall):
        expected = theirs(photo, return_tensors="pt")["pixel_values"]
        np.testing.assert_allclose(ours(photo), expected, atol=TOLERANCE, rtol=1e-5)


def test_a_processor_with_a_rule_of_its_own_is_borrowed(cat):
    theirs = transformers.LevitImageProcessorPil()  # resizes to 8/7 of the size that its configuration says
    ours = of_hf(theirs)
    assert isinstance(ours, BorrowedPreprocessing)
    expected = theirs(cat, return_tensors="pt")["pixel_values"]
    np.testing.assert_allclose(ours(cat), expected, atol=TOLERANCE)
    assert ours.crop(cat).size == (224, 224)
    equivalent = Preprocessing((224, 224), resize=(256, 256), interpolation="bicubic", offset="floor")
    np.testing.assert_array_equal(ours.crop(cat), equivalent.crop(cat))


@pytest.mark.parametrize("order", ["RGB", "BGR", "L"])
@pytest.mark.parametrize("fit", ["cover", "stretch", "contain"])
def test_the_crop_is_what_the_model_sees(order, fit, cat):
    channels = len(order)
    mean, std = (0.1, 0.2, 0.3)[:channels], (0.4, 0.5, 0.6)[:channels]
    transform = Preprocessing((96, 160), mean, std, resize=(100, 170), fit=fit, order=order)
    crop, inputs = transform.crop(cat), transform(cat)
    assert crop.mode == "RGB"
    assert crop.size == (160, 96)
    assert inputs.shape == (1, channels, 96, 160)
    assert inputs.dtype == torch.float32
    seen = inputs[0] * torch.tensor(std).view(-1, 1, 1) + torch.tensor(mean).view(-1, 1, 1)
    pixels = np.asarray(crop).transpose(2, 0, 1) / 255
    pixels = {"RGB": pixels, "BGR": pixels[::-1], "L": pixels[:1]}[order]
    np.testing.assert_allclose(seen, pixels, atol=1e-6)


def test_by_hand(stripes):
    """No resize, no rounding: the middle 2 x 3 pixels, exactly."""
    transform = Preprocessing((2, 3), (0.0, 0.5, 0.0), (1.0, 0.5, 0.25), resize=(48, 64))
    expected = np.asarray(stripes)[23:25, 30:33].transpose(2, 0, 1) / 255  # (64 - 3) / 2 rounds to 30
    expected = (expected - np.reshape([0, 0.5, 0], (3, 1, 1))) / np.reshape([1, 0.5, 0.25], (3, 1, 1))
    np.testing.assert_allclose(transform(stripes)[0], expected, atol=1e-6)


def test_other_modes_are_read_as_rgb(cat):
    transform = Preprocessing((32, 32))
    grey = transform(cat.convert("L"))
    assert grey.shape == (1, 3, 32, 32)
    transform(cat.convert("CMYK")), transform(cat.convert("P")), transform(cat.convert("RGBA"))


@pytest.mark.parametrize("size", [(60000, 1), (1, 60000)])
def test_a_very_long_photo_is_not_blown_up(size):
    started = time.monotonic()
    photo = Image.linear_gradient("L").resize(size).convert("RGB")
    transform = Preprocessing((224, 224), resize=(256, 256), interpolation="bicubic")
    assert transform.crop(photo).size == (224, 224)
    assert time.monotonic() - started < 5


def test_the_two_ways_to_resize_agree(cat, monkeypatch):
    transform = Preprocessing((200, 210), resize=(256, 256), interpolation="bicubic")
    expected = np.asarray(transform.crop(cat), dtype=int)
    monkeypatch.setattr("seewhy.models.preprocessing.MOST_PIXELS", 1)
    assert abs(np.asarray(transform.crop(cat), dtype=int) - expected).max() <= 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mean": (0.5,)}, "3 values each; got 1 and 3"),
        ({"std": (1.0, 0.0, 1.0)}, "std must be positive"),
        ({"input_size": (0, 224)}, "at least 1 x 1"),
        ({"interpolation": "cubic-ish"}, "unknown interpolation"),
    ],
)
def test_impossible_parameters(options, said):
    with pytest.raises(InputError, match=said):
        Preprocessing(**{"input_size": (224, 224), **options})


def test_not_a_picture():
    with pytest.raises(InputError, match=r"expected a PIL\.Image\.Image; got ndarray"):
        Preprocessing((8, 8))(np.zeros((8, 8, 3)))
    with pytest.raises(InputError, match="no pixels; got 0 x 3"):
        Preprocessing((8, 8)).crop(Image.new("RGB", (0, 3)))


@pytest.mark.parametrize("order", ["RGB", "BGR", "L"])
def test_several_are_normalised_at_once_as_one_by_one(order):
    rng = np.random.default_rng(0)
    count = len(order)
    transform = Preprocessing((9, 7), mean=(0.45, 0.5, 0.41)[:count], std=(0.2, 0.3, 0.27)[:count], order=order)
    seen = rng.integers(0, 256, (5, 9, 7, 3), np.uint8)
    together = transform.normalised_pixels(seen)
    assert together.shape == (5, count, 9, 7)
    for one, each in zip(together, seen, strict=True):
        assert torch.equal(one[None], transform.normalised(Image.fromarray(each)))
    # the definition, by numpy
    expected = (seen[..., ::-1] if order == "BGR" else seen)[..., :count] / 255
    expected = (expected - np.array(transform.mean)) / np.array(transform.std)
    assert np.allclose(together.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-5)
