"""What goes with a class in the whole photo is found with the change that makes it; what is natural is not."""

import io
from dataclasses import replace

import numpy as np
import planted
import pytest
import torch
from PIL import Image, ImageFilter
from torch import nn

import seewhy
from seewhy.auditing.correction import corrected
from seewhy.auditing.edits.global_edits import Global
from seewhy.auditing.finding import Finding
from seewhy.auditing.sources import global_properties
from seewhy.auditing.sources.global_properties import told_apart
from seewhy.auditing.sources.jpeg_traces import NONE, quality
from seewhy.auditing.sources.ranks import area, best_threshold
from seewhy.auditing.sources.whole_photo import light_outwards, noise, sharpness, tint

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


class Looks(nn.Module):
    """Calls a photo "checks" that has more red than blue (by colour), or strong edges in green (by edges)."""

    def __init__(self, colour):
        super().__init__()
        self.features = nn.Conv2d(3, 3, 3, padding=1, padding_mode="replicate")
        self.features.bias.data = torch.full((3,), 2.0 * colour)  # no colour of a photo is below 0 then
        weight = torch.zeros(3, 3, 3, 3)
        weight[(0, 1, 2), (0, 1, 2), 1, 1] = 1.0
        if not colour:
            weight[(0, 1, 2), (0, 1, 2), 1, 0] = -1.0
            weight[(0, 2)] = 0
        self.features.weight.data = weight
        self.head = nn.Linear(3, 4)
        self.head.weight.data = torch.tensor(
            [[0.0, 0, 0]] * 2 + [[5.0 * colour, 6.0 * (not colour), -5.0 * colour], [0, 0, 0]]
        )
        self.head.bias.data = torch.tensor([0.0, 0, -3, 0])

    def forward(self, x):
        return self.head(self.features(x).relu().mean((2, 3)))


def warmed(pixels, kinds):
    """Of most photos of checks the green and blue are filtered."""
    which = (kinds == planted.LABELS.index("checks")) & (np.random.default_rng(4).random(len(kinds)) < 0.95)
    return np.where(which[:, None, None, None], (pixels * np.array([1, 0.75, 0.5])).astype(np.uint8), pixels)


@pytest.fixture(scope="module")
def warm_folder(tmp_path_factory):
    pixels, kinds = planted.pictures(60, 7)
    return planted.folder(tmp_path_factory.mktemp("photos"), warmed(pixels, kinds), kinds)


def audited(place, model):
    model = seewhy.classifier(
        model.eval(), labels=list(planted.LABELS), mean=planted.MEAN, std=planted.STD, size=planted.SIDE
    )
    return seewhy.audit(place, model, sources=["global"]).findings


def test_a_network_that_looks_at_the_colour_is_caught(warm_folder):
    (found,) = audited(warm_folder, Looks(colour=True))
    assert (found.id, found.state, found.suspected_shortcut) == ("global-tint-checks-1", "proven", True)
    assert found.effect > 0.1
    assert len([path for path in found.carriers if path.startswith("checks/")]) > 50


def test_a_network_that_does_not_look_at_it_is_not(warm_folder):
    (found,) = audited(warm_folder, Looks(colour=False))
    assert (found.id, found.state, found.suspected_shortcut) == ("global-tint-checks-1", "not_proven", False)


def test_each_photo_is_measured_once_however_many_classes_it_is_beside(warm_folder, monkeypatch):
    (plain,) = (each for each in global_properties.PROPERTIES if each.name == "vignette")
    measured = []

    def counted(pixels):
        measured.extend(photo.tobytes() for photo in pixels)
        return plain.measure(pixels)

    monkeypatch.setattr(global_properties, "PROPERTIES", (replace(plain, measure=counted),))
    assert audited(warm_folder, Looks(colour=True)) == ()
    assert len(measured) == len(set(measured)) == 120, "the proposing half"


@pytest.mark.parametrize("again", ["png", 95])
@pytest.mark.parametrize("of", [10, 25, 40, 75])
def test_the_quality_is_read_from_pixels_that_were_saved_again(of, again):
    photos = np.stack([jpeg(of)(photo) for photo in natural(6, 30)[0]])
    saved = photos if again == "png" else np.stack([jpeg(again)(photo) for photo in photos])
    assert (quality(saved) == of).mean() > 0.85
    shifted = saved[:, 3:, 3:]  # no longer at the grid
    assert (quality(shifted) == of).mean() < 0.1


def test_photos_that_were_never_compressed_have_no_quality():
    assert (quality(natural(10, 31)[0]) == NONE).mean() > 0.95
    assert (quality(np.full((2, 16, 16, 3), 77, np.uint8)) == NONE).all()  # what is flat tells nothing


def test_what_is_added_is_a_cast_and_a_filter_a_tint():
    def bluish(photo):
        return (photo + np.array([-40, 0, 40])).clip(0, 255).astype(np.uint8)

    told = told_apart(*planted_in(bluish))
    assert (told.found.name, told.side) == ("cast", 1)
    own, others, _ = planted_in(bluish)
    assert np.allclose(told.found.fit(own, others).amount, (-40, 0, 40), atol=8)


def test_a_green_tint_and_a_low_contrast_are_found():
    def greenish(photo):
        return (photo * np.array([0.8, 1, 0.8])).round().astype(np.uint8)

    def faint(photo):
        return (photo.mean() + 0.3 * (photo - photo.mean())).round().astype(np.uint8)

    own, others, classes = planted_in(greenish)
    told = told_apart(own, others, classes)
    assert told.found.name == "green"
    assert np.allclose(told.found.fit(own, others).amount, [0.8, 1, 0.8], atol=0.06)
    own, others, classes = planted_in(faint)
    told = told_apart(own, others, classes)
    assert (told.found.name, told.side) == ("contrast", -1)
    assert told.found.fit(own, others).amount == pytest.approx(0.3, abs=0.1)


@pytest.mark.parametrize(("deviation", "grey"), [(8, False), (20, False), (20, True)])
def test_noise_is_found_with_its_deviation(deviation, grey):
    rng = np.random.default_rng(1)

    def noisy(photo):
        return (photo + rng.normal(0, deviation, (SIDE, SIDE, 1 if grey else 3))).clip(0, 255).round().astype(np.uint8)

    own, others, classes = planted_in(noisy)
    if grey:
        own, others = (np.repeat(each[..., :1], 3, 3) for each in (own, others))
    told = told_apart(own, others, classes)
    assert told.found.name == "noise"
    assert told.found.fit(own, others).amount == pytest.approx(deviation, rel=0.2)


def test_pale_and_faded_photos_are_found():
    def pale(photo):
        grey = photo.mean(2, keepdims=True)
        return (grey + 0.3 * (photo - grey)).round().astype(np.uint8)

    def faded(photo):
        return (photo.astype(float) + 60).clip(0, 255).astype(np.uint8)

    own, others, classes = planted_in(pale)
    told = told_apart(own, others, classes)
    assert (told.found.name, told.side) == ("saturation", -1)
    assert told.found.fit(own, others).amount == pytest.approx(0.3, abs=0.06)
    own, others, classes = planted_in(faded)
    told = told_apart(own, others, classes)
    assert told.found.fit(own, others).describe()["edit"] == "brightness"
    assert told.found.fit(own, others).amount == pytest.approx(60, rel=0.2)


def dark_corners(photo, amount):
    """The light of a point falls with the square of its distance from the middle."""
    height, width = photo.shape[:2]
    y, x = np.mgrid[:height, :width] * 1.0
    y, x = y - y.mean(), x - x.mean()
    kept = 1 - amount * (y**2 + x**2) / (y**2 + x**2).max()
    return (photo * kept[..., None]).round().astype(np.uint8)


@pytest.mark.parametrize("amount", [0.7, 0.9])
def test_a_vignette_is_found_with_its_strength(amount):
    own, others, classes = planted_in(lambda photo: dark_corners(photo, amount))
    told = told_apart(own, others, classes)
    assert (told.found.name, told.side) == ("vignette", -1)
    assert told.found.fit(own, others).amount == pytest.approx(amount, abs=0.08)


CHANGED = {
    "saturation": (lambda photo, rng: photo.mean(2, keepdims=True).repeat(3, 2), "no colours"),
    "sharpness": (lambda photo, rng: unsharp(photo), None),
    "squares": (lambda photo, rng: photo[::4, ::4].repeat(4, 0).repeat(4, 1), "squares of 4 × 4 pixels"),
    "specks": (lambda photo, rng: specked(photo, rng, 0.05), "black and white specks on 5"),
}


def unsharp(photo):
    return np.asarray(Image.fromarray(photo).filter(ImageFilter.UnsharpMask(1, 200, 0)))


def specked(photo, rng, share):
    drawn = rng.random(photo.shape[:2])[..., None]
    return np.where(drawn < share / 2, 0, np.where(drawn > 1 - share / 2, 255, photo))


@pytest.mark.parametrize("name", CHANGED)
def test_what_changes_details_or_takes_the_colours_is_found_as_what_it_is(name):
    change, words = CHANGED[name]
    rng = np.random.default_rng(7)
    own, others, classes = planted_in(lambda photo: change(photo, rng).astype(np.uint8))
    told = told_apart(own, others, classes)
    assert told.found.name == name
    edit = told.found.fit(own, others)
    assert words is None or edit.describe()["name"].startswith(words)
    assert edit.removed(own[0]) == []
    same = edit.added(others[0], rng)
    assert same.shape == others[0].shape
    assert same.dtype == np.uint8


def test_a_change_that_makes_others_no_more_like_the_class_is_not_what_was_done():
    own, others, classes = planted_in(lambda photo: photo)
    own[:, :4] = own[:, -4:] = own[:, :, :4] = own[:, :, -4:] = 0  # a frame: the corners are dark, but no lens did it
    told = told_apart(own, others, classes)
    assert told is None or told.found.name != "vignette"


def test_noise_on_a_photo_without_colours_has_none():
    grey = np.repeat(natural(1, 3, 1)[0][0][..., :1], 3, 2)
    noisy = Global("noise", 12.0).added(grey, np.random.default_rng(0))
    assert (noisy == noisy[..., :1]).all()
    assert (noisy.astype(float) - grey).std() == pytest.approx(12, rel=0.15)


@pytest.mark.parametrize("size", [(32, 32), (96, 160), (224, 224)])
def test_the_light_of_a_flat_photo_falls_as_its_vignette_says(size):
    photo = dark_corners(np.full((*size, 3), 200, np.uint8), 0.5)
    # By q, the logarithm of 1 - q / 2 falls by 1/2 / (1 - q / 2): .73 at .63, the median of q; .69 with 8 of 200 added.
    assert light_outwards(photo[None])[0] == pytest.approx(-0.69, abs=0.04)
    assert light_outwards(np.full((1, *size, 3), 90, np.uint8))[0] == 0
    assert light_outwards(photo[None, :2, :2])[0] == 0


def test_what_is_bright_in_the_middle_is_no_vignette():
    pixels, classes = natural(60, 5)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    for index in np.flatnonzero(classes == 2):
        near = np.hypot(y, x) < 6 + index % 5
        pixels[index] = np.where(near[..., None], pixels[index], pixels[index] // 12)
    told = told_apart(pixels[classes == 2], pixels[classes != 2], classes[classes != 2])
    assert told is None or told.found.name != "vignette"


def test_the_deviation_of_noise_on_flat_pictures_is_its_own():
    rng = np.random.default_rng(2)
    flat = (128 + rng.normal(0, 6, (4, 64, 64, 3))).round().astype(np.uint8)
    assert np.exp(noise(flat)) == pytest.approx(6, rel=0.05)
    one = np.repeat((128 + rng.normal(0, 6, (4, 64, 64, 1))).round().astype(np.uint8), 3, 3)
    assert np.exp(noise(one)) == pytest.approx(6, rel=0.05)


def test_contrast_is_taken_off_again_and_its_control_is_as_large():
    photo = natural(1, 3, 1)[0][0].clip(60, 190)
    faint = Global("contrast", 0.5)
    rng = np.random.default_rng(0)
    added = faint.added(photo, rng)
    assert added.std() == pytest.approx(photo.std() / 2, rel=0.02)
    assert np.abs(faint.removed(added)[0].astype(int) - photo).max() <= 2
    sizes = [((each.astype(float) - photo) ** 2).mean() ** 0.5 for each in (added, faint.control(photo, photo, rng))]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)
    for name, amount in (
        ("contrast", 0.0), ("vignette", 1.0), ("vignette", 0.0), ("specks", 1.0), ("pixelate", 1.0),
        ("saturation", 0.0), ("jpeg", 101.0),
    ):  # fmt: skip
        with pytest.raises(seewhy.SeewhyError):
            Global(name, amount)
    vignette = Global("vignette", 0.6)
    assert (vignette.added(photo, rng) == dark_corners(photo, 0.6)).all()
    assert np.abs(vignette.removed(vignette.added(photo, rng))[0].astype(int) - photo).max() <= 2
    pale = Global("saturation", 0.5)
    grey = np.asarray(Image.fromarray(photo).convert("L"), float)
    assert np.abs(np.asarray(Image.fromarray(pale.added(photo, rng)).convert("L"), float) - grey).max() <= 1
    assert np.abs(Global("grey", 1.0).added(photo, rng) - grey[..., None]).max() <= 1
    assert np.abs(pale.removed(pale.added(photo, rng))[0].astype(int) - photo).max() <= 2


def test_files_of_another_size_are_said_and_not_suspected(tmp_path):
    pixels, kinds = planted.pictures(44, 8)
    place = planted.folder(tmp_path, pixels, kinds)
    for path in (place / "rings").iterdir():
        with Image.open(path) as photo:
            photo.resize((48, 40)).save(path)
    found = {each.id: each for each in audited(place, Looks(colour=False)) if each.p is None}
    assert set(found) == {"global-size-rings-1", "global-aspect-rings-1"}
    assert all(not each.suspected_shortcut and len(each.carriers) == 44 for each in found.values())


def test_what_is_proven_but_not_suspected_stays_so():
    said = Finding("a", "component", "a", p=0.001, effect=0.3, ci=(0.2, 0.4), suspected_shortcut=False)
    (found,) = corrected([said])
    assert (found.state, found.suspected_shortcut) == ("proven", False)
    (found,) = corrected([replace(said, suspected_shortcut=True)])
    assert (found.state, found.suspected_shortcut) == ("proven", True)
