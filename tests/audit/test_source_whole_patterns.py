"""A pattern that is added to the whole photo is found where photos of a class carry it, and nowhere else."""

import json

import numpy as np
import planted
import pytest

import seewhy
from seewhy.auditing.edits.added_pattern import AddedPattern
from seewhy.auditing.fixing import fix
from seewhy.auditing.remedies.snippets import snippet
from seewhy.auditing.sources.whole_patterns import agreed, likeness, whole_pattern
from seewhy.errors import InputError

CLASS = planted.LABELS.index("checks")
AREA = np.mgrid[: planted.SIDE, : planted.SIDE]
PATTERNS = {
    "scan lines": np.where(AREA[0] % 2, 14.0, -14.0)[..., None] * np.ones(3),
    "a wave": 24 * np.sin((AREA[0] + AREA[1]) * 2 * np.pi / 5)[..., None] * np.array([1.0, 0.5, -0.5]),
    "a sensor": np.random.default_rng(0).normal(0, 14, (planted.SIDE, planted.SIDE, 3)),
}


def with_pattern(values, share, seed=1):
    return planted.on(lambda photo: (photo + values).clip(0, 255).round().astype(np.uint8), share, seed)


def parted(pixels, kinds):
    return pixels[kinds == CLASS], pixels[kinds != CLASS], kinds[kinds != CLASS], np.random.default_rng(3)


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("share", [1.0, 0.95])
def test_it_is_found_pixel_by_pixel(name, share):
    values = PATTERNS[name]
    pixels, kinds = planted.pictures(60, 7)
    found = whole_pattern(*parted(with_pattern(values, share)(pixels, kinds), kinds))
    assert found.edit.strength == pytest.approx(np.sqrt((values**2).mean()), rel=0.35)
    same = np.corrcoef(found.edit.values.ravel(), values.ravel())[0, 1]
    assert same > 0.85
    fresh, fresh_kinds = planted.pictures(40, 99)
    shown = found.shown(with_pattern(values, 1.0)(fresh, fresh_kinds))
    assert shown[fresh_kinds == CLASS].mean() > 0.9
    assert shown[fresh_kinds != CLASS].mean() < 0.1


@pytest.mark.parametrize("seed", range(5))
def test_there_is_none_in_photos_without_one(seed):
    pixels, kinds = planted.pictures(60, seed)
    assert whole_pattern(*parted(pixels, kinds)) is None


def test_objects_that_are_aligned_are_none():
    """All photos of the class show the same thing in the middle, at the same place; the corners are of anything."""
    pixels, kinds = planted.pictures(60, 5)
    face = 40 * np.sin(AREA[1] * 0.9)[..., None] * (np.hypot(*(AREA - 15.5)) < 12)[..., None] * np.ones(3)
    assert whole_pattern(*parted(with_pattern(face, 1.0)(pixels, kinds), kinds)) is None


def test_a_pattern_that_another_class_has_as_well_is_of_neither():
    pixels, kinds = planted.pictures(60, 5)
    other = kinds == 0
    changed = with_pattern(PATTERNS["scan lines"], 1.0)(pixels, kinds)
    changed[other] = (changed[other] + PATTERNS["scan lines"]).clip(0, 255).round().astype(np.uint8)
    assert whole_pattern(*parted(changed, kinds)) is None


def test_what_two_estimates_agree_on_is_kept_and_noise_is_not():
    rng = np.random.default_rng(4)
    values = PATTERNS["a wave"]
    one, other = (values + rng.normal(0, 12, values.shape) for _ in range(2))
    kept = agreed(one, other)
    assert np.square(kept - values).mean() < np.square((one + other) / 2 - values).mean() / 2
    np.testing.assert_allclose(agreed(values, values), values, atol=1e-9)
    assert np.square(agreed(one - values, other - values)).mean() < 12**2 / 2 / 3


def test_likeness_is_the_cosine_of_the_steps():
    values = np.random.default_rng(2).integers(100, 110, (1, 16, 16, 3)).astype(np.uint8)
    photo = values[0].astype(float)
    steps = np.zeros((2, 16, 16, 3))
    steps[0, :-1], steps[1, :, :-1] = np.diff(photo, axis=0), np.diff(photo, axis=1)
    energy = (steps**2).sum()
    assert likeness(values, steps) == pytest.approx(energy / np.sqrt(energy + 1), rel=1e-9)
    assert likeness(values, -steps) == pytest.approx(-energy / np.sqrt(energy + 1), rel=1e-9)


def test_it_is_added_and_taken_off_beside_controls_as_strong():
    pattern = AddedPattern(PATTERNS["a sensor"])
    rng = np.random.default_rng(1)
    photo, other = rng.integers(60, 190, (2, planted.SIDE, planted.SIDE, 3)).astype(np.uint8)
    put = pattern.added(photo, rng)
    assert np.abs(put - (photo + pattern.values)).max() <= 0.5
    (back,) = pattern.removed(put)
    assert np.abs(back.astype(int) - photo).max() <= 1
    for content in (other, np.full_like(other, 9)):  # a photo of one colour has no detail
        change = pattern.control(photo, content, np.random.default_rng(0)).astype(float) - photo
        assert np.sqrt((change**2).mean()) == pytest.approx(pattern.strength, rel=0.05)
    json.dumps(pattern.describe())
    with pytest.raises(InputError, match="finite value for each pixel"):
        AddedPattern(np.zeros((4, 4)))


def test_a_network_that_learned_it_is_told_and_mended(tmp_path):
    values = PATTERNS["scan lines"]
    classifier = planted.trained(epochs=10, changed=with_pattern(values, 0.95))
    pixels, kinds = planted.pictures(80, 7)
    audit, photos = planted.audited(
        tmp_path, classifier, with_pattern(values, 0.95, 2)(pixels, kinds), kinds, ["stamps"]
    )
    found = seewhy.Audit.load(audit)
    (finding,) = (each for each in found.findings if each.suspected_shortcut)
    assert (finding.class_name, finding.state) == ("checks", "proven")
    assert "over the whole photo are called checks" in finding.sentence
    fresh, fresh_kinds = planted.pictures(60, 99)
    others = fresh[fresh_kinds != CLASS]
    put = (others + values).clip(0, 255).round().astype(np.uint8)
    before, after = (classifier.model(planted.inputs(each)).softmax(1)[:, CLASS].detach() for each in (others, put))
    low, high = finding.ci
    true = float((after - before).mean())
    assert low - 0.1 <= true <= high + 0.1  # the pattern that is put in is an estimate
    compile(snippet(found), "augment.py", "exec")
    fixed = fix(audit, photos, classifier)
    assert fixed.again.after.effect < fixed.again.before.effect
    assert [each.kind for each in fixed.again.others if each.kind == "stamp"] == []  # it is not tested twice
