"""Edits do what their formulas say, leave the rest of the photo alone, and are undone by their removal."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from seewhy.auditing.edits.global_edits import Global
from seewhy.auditing.edits.stamp import Stamp
from seewhy.errors import InputError


def _rng(seed=0):
    return np.random.default_rng(seed)


def _photo(seed=0, height=20, width=24):
    return _rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _stamp(**other):
    rng = _rng(9)
    return Stamp(3, 5, other.pop("alpha", np.ones((4, 6))), rng.integers(0, 256, (4, 6, 3)).astype(float), **other)


def test_a_stamp_is_blended_in_its_box_alone():
    photo, alpha = _photo(), _rng(1).random((4, 6))
    stamp = _stamp(alpha=alpha)
    before = photo.copy()
    with_it = stamp.added(photo, _rng())
    assert (photo == before).all()
    for row in range(20):
        for column in range(24):
            inside = 3 <= row < 7 and 5 <= column < 11
            a = alpha[row - 3, column - 5] if inside else 0
            colour = stamp.colour[row - 3, column - 5] if inside else 0
            assert np.abs(with_it[row, column] - ((1 - a) * photo[row, column] + a * colour)).max() <= 0.5 + 1e-9


def test_a_control_shows_the_other_photo_there_under_the_same_alpha():
    photo, other = _photo(), _photo(1)
    whole = _stamp().control(photo, other, _rng())
    assert (whole[3:7, 5:11] == other[3:7, 5:11]).all()
    whole[3:7, 5:11] = photo[3:7, 5:11]
    assert (whole == photo).all()
    assert (_stamp(alpha=np.zeros((4, 6))).control(photo, other, _rng()) == photo).all()


def test_a_moving_stamp_goes_anywhere_its_control_with_it_and_it_is_found_again():
    stamp, places = _stamp(moving=True), set()
    for seed in range(200):
        photo, other = _photo(seed), _photo(seed + 1000)
        with_it, control = stamp.added(photo, _rng(seed)), stamp.control(photo, other, _rng(seed))
        top, left = stamp.found(with_it)
        assert (with_it[top : top + 4, left : left + 6] == stamp.colour).all()
        assert (control[top : top + 4, left : left + 6] == other[top : top + 4, left : left + 6]).all()
        for without in stamp.removed(with_it):
            outside = np.ones(photo.shape[:2], bool)
            outside[top : top + 4, left : left + 6] = False
            assert (without[outside] == photo[outside]).all()
        places.add((top, left))
    assert {0, 16} <= {top for top, _ in places}
    assert {0, 18} <= {left for _, left in places}


def test_a_moving_stamp_goes_only_where_it_was_seen():
    stamp = _stamp(moving=True, places=((0, 3), (11, 18)))
    places = set()
    for seed in range(40):
        with_it, control = (
            stamp.added(_photo(seed), _rng(seed)),
            stamp.control(_photo(seed), _photo(seed + 50), _rng(seed)),
        )
        top, left = stamp.found(with_it)
        assert (control[top : top + 4, left : left + 6] == _photo(seed + 50)[top : top + 4, left : left + 6]).all()
        places.add((top, left))
    assert places == {(0, 3), (11, 18)}


def test_removal_fills_a_hole_in_a_flat_or_smooth_photo_as_if_nothing_had_been_there():
    flat = np.full((20, 24, 3), (10, 120, 250), np.uint8)
    without = _stamp().removed(_stamp().added(flat, _rng()))
    assert [(each == flat).all() for each in without] == [True, True]
    slope = np.repeat((np.arange(24) * 10)[None, :, None].astype(np.uint8), 20, 0).repeat(3, 2)
    by_blur, beside = _stamp().removed(_stamp().added(slope, _rng()))
    assert np.abs(by_blur.astype(int) - slope)[3:7, 5:11].max() <= 20
    assert (beside[3:7, 5:11] == slope[7:11, 5:11]).all()


def test_a_frame_is_filled_with_what_is_inside_and_a_stamp_on_everything_cannot_be_removed():
    alpha = np.ones((20, 24))
    alpha[3:-3, 3:-3] = 0
    inside = np.full((20, 24, 3), 200, np.uint8)
    frame = Stamp(0, 0, alpha, np.zeros((20, 24, 3)))
    framed = frame.added(inside, _rng())
    assert framed.min() == 0
    assert all((each == inside).all() for each in frame.removed(framed))
    assert Stamp(0, 0, np.ones((20, 24)), np.zeros((20, 24, 3))).removed(framed) == []


def test_a_stamp_says_in_words_where_it_is():
    for (top, left), words in {
        (0, 0): "top left", (8, 9): "in the middle", (16, 18): "bottom right", (8, 0): "left",
    }.items():  # fmt: skip
        said = Stamp(top, left, np.ones((4, 6)), np.full((4, 6, 3), 7.0), of=(20, 24)).describe()
        assert said["name"] == f"an opaque black 4 × 6 stamp {words}"
        assert json.loads(json.dumps(said)) == said
    assert _stamp(alpha=np.full((4, 6), 0.3), moving=True).describe()["name"] == (
        "a translucent grey 4 × 6 stamp at any place"
    )


def test_what_is_no_stamp_is_refused():
    with pytest.raises(InputError, match="each pixel"):
        Stamp(0, 0, np.ones((2, 2)), np.zeros((2, 3, 3)))
    with pytest.raises(InputError, match="alpha"):
        Stamp(0, 0, np.full((2, 2), 1.5), np.zeros((2, 2, 3)))
    with pytest.raises(InputError, match="beyond"):
        _stamp().added(_photo(height=5), _rng())


def test_tint_and_brightness_are_added_and_taken_off():
    photo = _photo() // 2 + 60
    tint = Global("tint", (20, 0, -30))
    assert (tint.added(photo, _rng()).astype(int) - photo == (20, 0, -30)).all()
    assert (tint.removed(tint.added(photo, _rng()))[0] == photo).all()
    assert (Global("brightness", 300).added(photo, _rng()) == 255).all()
    control = tint.control(photo, _photo(1), _rng()).astype(int) - photo
    assert (control == control[0, 0]).all()
    assert np.linalg.norm(control[0, 0]) == pytest.approx(np.hypot(20, 30), abs=1)


def test_blur_is_scipys_and_jpeg_is_pillows():
    photo = _photo()
    theirs = gaussian_filter(photo.astype(float), (1.5, 1.5, 0), mode="nearest", radius=(5, 5, 0))
    assert np.abs(Global("blur", 1.5).added(photo, _rng()) - theirs).max() <= 0.51
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=20)
    stored = Global("jpeg", 20)
    assert (stored.added(photo, _rng()) == np.asarray(Image.open(file))).all()
    assert stored.removed(photo) == []
    grey = photo // 4 + 100
    changes = [each.astype(float) - grey for each in (stored.added(grey, _rng()), stored.control(grey, photo, _rng()))]
    assert changes[1].std() == pytest.approx(np.sqrt((changes[0] ** 2).mean()), rel=0.05)


@pytest.mark.parametrize(("name", "amount"), [("sepia", 1), ("tint", 3), ("blur", 0), ("jpeg", 0), ("jpeg", (1, 2, 3))])
def test_what_is_no_global_change_is_refused(name, amount):
    with pytest.raises(InputError):
        Global(name, amount)
