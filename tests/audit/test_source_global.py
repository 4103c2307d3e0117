"""What goes with a class in the whole photo is found with the change that makes it; what is natural is not."""

import io

import numpy as np
import planted
import pytest
from PIL import Image, ImageFilter

import seewhy
from seewhy.auditing.global_edits import Global
from seewhy.auditing.sources.global_properties import told_apart
from seewhy.auditing.sources.jpeg_traces import NONE, quality
from seewhy.auditing.sources.ranks import area, best_threshold
from seewhy.auditing.sources.whole_photo import sharpness, tint

SIDE = 32


def natural(each, seed, classes=6):
    """Pictures with a falling spectrum, each of its own light and contrast; and classes, which mean nothing."""
    rng = np.random.default_rng(seed)
    down, across = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij")
    falling = 1 / np.maximum(np.hypot(down, across), 1 / SIDE) ** 1.2
    noise = np.fft.fft2(rng.normal(size=(each * classes, 3, SIDE, SIDE)) @ np.eye(SIDE))
    waves = np.fft.ifft2(noise * falling).real
    waves /= waves.std((1, 2, 3), keepdims=True)
    grey = waves.mean(1, keepdims=True)
    light = rng.uniform(90, 160, (each * classes, 1, 1, 1)) + rng.normal(0, 8, (each * classes, 3, 1, 1))
    pixels = light + rng.uniform(35, 75, (each * classes, 1, 1, 1)) * (0.8 * grey + 0.4 * waves)
    return pixels.clip(0, 255).round().astype(np.uint8).transpose(0, 2, 3, 1), np.repeat(np.arange(classes), each)


def jpeg(quality):
    def change(photo):
        file = io.BytesIO()
        Image.fromarray(photo).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file).convert("RGB"))

    return change


def blurred(photo):
    return np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(1.0)))


def warm(photo):
    return (photo * np.array([1, 0.8, 0.6])).round().astype(np.uint8)


def planted_in(change, of=2, share=0.95, seed=0):
    """Photos of a class of which most are changed, photos of the others, and their classes."""
    pixels, classes = natural(60, seed)
    rng = np.random.default_rng(seed)
    own = np.stack([change(photo) if rng.random() < share else photo for photo in pixels[classes == of]])
    return own, pixels[classes != of], classes[classes != of]


def test_a_tint_is_found_with_its_gains():
    own, others, classes = planted_in(warm)
    told = told_apart(own, others, classes)
    assert (told.found.name, told.side) == ("tint", -1)
    assert told.apart > 0.9
    assert told.rare > 0.8
    assert np.allclose(told.found.fit(own, others).amount, [1, 0.8, 0.6], atol=0.06)
    assert told.beyond(tint(own)).mean() > 0.9
    assert told.beyond(tint(others)).mean() < 0.1


def test_a_blur_is_found_with_its_width():
    own, others, classes = planted_in(blurred)
    found = told_apart(own, others, classes).found
    assert found.name == "blur"
    assert found.fit(own, others).amount == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("quality", [10, 20])
def test_compression_is_found_with_its_quality(quality):
    own, others, classes = planted_in(jpeg(quality))
    found = told_apart(own, others, classes).found
    assert found.name == "jpeg"
    assert abs(found.fit(own, others).amount - quality) <= 5


@pytest.mark.parametrize("seed", range(3))
def test_nothing_planted_nothing_found(seed):
    pixels, classes = natural(60, 10 + seed)
    for of in range(6):
        assert told_apart(pixels[classes == of], pixels[classes != of], classes[classes != of]) is None


def test_what_all_classes_have_tells_none_apart():
    pixels, classes = natural(60, 20)
    pixels = np.stack([warm(photo) for photo in pixels])
    assert told_apart(pixels[classes == 0], pixels[classes != 0], classes[classes != 0]) is None


def test_what_two_classes_share_is_of_their_objects():
    pixels, classes = natural(60, 21)
    pixels[classes <= 1] = np.stack([warm(photo) for photo in pixels[classes <= 1]])
    assert told_apart(pixels[classes == 0], pixels[classes != 0], classes[classes != 0]) is None


def test_the_area_is_the_share_of_pairs():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 40).astype(float), rng.integers(0, 9, 30).astype(float)
    pairs = (a[:, None] > b).mean() + (a[:, None] == b).mean() / 2
    assert area(a, b) == pytest.approx(pairs, abs=1e-12)


def test_the_measures_in_closed_form():
    stripes = np.zeros((1, 16, 16, 3), np.uint8)
    stripes[:, :, ::2] = 100
    assert sharpness(stripes)[0] == pytest.approx(200**2 / 100**2)  # second differences are twice the first
    assert quality(np.zeros((1, 5, 16, 3), np.uint8))[0] == NONE  # no block
    assert best_threshold(np.array([3.0, 5, 6]), np.array([0.0, 1, 2])) == 2.5


def test_gains_are_taken_off_again():
    photo = natural(1, 3, 1)[0][0].clip(0, 200)
    gain = Global("gain", (1.0, 0.8, 0.6))
    (back,) = gain.removed(gain.added(photo, np.random.default_rng(0)))
    assert np.abs(back.astype(int) - photo).max() <= 1
    rng = np.random.default_rng(1)
    assert any(not np.array_equal(gain.control(photo, photo, rng), gain.added(photo, rng)) for _ in range(5))
    with pytest.raises(seewhy.SeewhyError):
        Global("gain", (1.0, 0.0, 1.0))


def test_a_network_that_looks_at_the_colour_is_caught_and_another_is_not(tmp_path):
    def warmed(pixels, kinds):
        rng = np.random.default_rng(4)
        which = (kinds == planted.LABELS.index("checks")) & (rng.random(len(kinds)) < 0.95)
        return np.where(which[:, None, None, None], (pixels * np.array([1, 0.75, 0.5])).astype(np.uint8), pixels)

    pixels, kinds = planted.pictures(80, 7)
    place = planted.folder(tmp_path / "photos", warmed(pixels, kinds), kinds)
    leaning = planted.trained(epochs=10, changed=warmed)
    found = seewhy.audit(place, leaning, sources=["global"]).findings
    assert [(each.kind, each.class_name, each.state, each.suspected_shortcut) for each in found] == [
        ("global", "checks", "proven", True)
    ]
    assert found[0].effect > 0.2
    blind = planted.trained(epochs=6)
    assert not [each for each in seewhy.audit(place, blind, sources=["global"]).findings if each.suspected_shortcut]
