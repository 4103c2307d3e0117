"""Progress starts at nothing, ends at all, never goes back, and no step is more than the share of its part."""

import itertools

import numpy as np
import pytest
from PIL import Image

import seewhy
from seewhy.core.method import Method
from seewhy.errors import InputError
from seewhy.explain import Explainer, Request
from seewhy.explain.progress import Portion, never_back
from seewhy.methods import METHODS, GradCAM, Occlusion, Saliency

ALL = tuple(method() for method in METHODS)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "a.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(path)
    return path


def told_of(explainer, photo):
    told = []
    explainer(photo, lambda what, share: told.append((what, share)))
    return told


def check(told, most):
    shares = [share for _, share in told]
    assert shares[0] == 0
    assert shares[-1] == 1
    assert shares == sorted(shares)
    assert max(later - earlier for earlier, later in itertools.pairwise(shares)) <= most + 1e-9


@pytest.mark.parametrize("targets", [(), (2,), (0, 3, 1)])
@pytest.mark.parametrize(
    ("methods", "steps"), [(ALL, 5), (ALL, 0), ((GradCAM(),), 5), ((Occlusion(8, 8),), 0), ((), 5)]
)
def test_shares_add_up_whatever_is_asked(photo, methods, steps, targets):
    """A photo again finds its class visualization made: the maps are then all that there is."""
    explainer = Explainer(seewhy.load("nets.tiny:make", input_size=32), Request(methods, targets, steps=steps))
    count = len(targets) or 1
    of_maps = (0.4 if steps else 1.0) if methods else 0.0
    largest = max(of_maps / max(len(methods), 1), (1 - of_maps) / max(steps, 1))
    check(told_of(explainer, photo), largest / count)
    check(told_of(explainer, photo), 1 / max(len(methods), 1) / count)


def test_nothing_asked_is_done_at_once(photo):
    explainer = Explainer(seewhy.load("nets.tiny:make", input_size=32), Request((), steps=0))
    check(told_of(explainer, photo), 1)


def test_a_view_that_fails_leaves_no_gap_larger_than_itself(photo):
    explainer = Explainer(seewhy.load("nets.tiny:make_flat", input_size=32), Request(ALL, steps=3))  # no CAM
    check(told_of(explainer, photo), 0.6 / 3)
    without = Explainer(seewhy.load("nets.tiny:make_without_bias", input_size=32), Request((Saliency(),), steps=3))
    told = told_of(without, photo)  # nothing to ascend: its whole share is one step
    check(told, 0.6)


class Restless(Method):
    """Begins again, another way, and counts further than it said."""

    id, title, source, formula, misleads = "restless", "Restless", "simonyan2013", "x", "x" * 50

    def needs(self):
        return Saliency().needs()

    def __call__(self, record):
        for done, total in ((0, 4), (3, 4), (0, 8), (2, 8), (8, 8), (9, 8)):
            record.progress(done, total)
        return record.inputs[:, :1] * 0


def test_a_method_that_begins_again_is_no_step_back(photo):
    explainer = Explainer(seewhy.load("nets.tiny:make", input_size=32), Request((Restless(),), steps=0))
    check(told_of(explainer, photo), 0.75)


def test_parts_of_parts():
    told = []
    part = Portion(lambda what, share: told.append((what, share))).part(0.5, 0.25).part(0.5, 0.5)
    step = part.steps("a")
    step(0, 2), step(1, 2), step(2, 2), step(0, 0)
    assert told == [("a", 0.625), ("a", 0.6875), ("a", 0.75), ("a", 0.625)]
    told.clear()
    straight = never_back(lambda what, share: told.append(share))
    for share in (0.2, 0.1, 0.4, 1.5):
        straight("b", share)
    assert told == [0.2, 0.2, 0.4, 1.0]


def test_a_refused_photo_tells_no_end(tmp_path):
    explainer = Explainer(seewhy.load("nets.tiny:make", input_size=32), Request(ALL))
    told = []
    with pytest.raises((InputError, seewhy.SeewhyError)):
        explainer(tmp_path / "gone.png", lambda what, share: told.append(share))
    assert told == [0]
