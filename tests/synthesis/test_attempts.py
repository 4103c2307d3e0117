"""A picture that is not top-1 under its own network is tried again, and says so."""

import json

import pytest
import torch
from torch import nn

import seewhy
from nets.tiny import make
from seewhy import events
from seewhy.synthesis import transforms as t
from seewhy.synthesis.ascending import Course, Step
from seewhy.synthesis.attempts import APART, ATTEMPTS, Made, attempt_of, best_of, seed_of
from seewhy.synthesis.receipts import receipts

UNITS = {"mean": (0.5,) * 3, "std": (0.25,) * 3}


def _course(seed, rows, complete=True, interrupted=False):
    history = torch.tensor([[float(seed + row) for row in rows]] * 2)
    return Course(history, -history, {1: history[0].view(-1, 1, 1, 1)}, complete, interrupted)


def _make(ranks, **course):
    """Attempt k gives row r the rank ranks[k][r]; its picture is a number that tells seed and row."""
    asked = []

    def make(rows, seed, shown):
        asked.append(list(rows))
        attempt = seed // APART
        rank = torch.tensor([ranks[attempt][row] for row in rows])
        x = torch.tensor([float(seed + row) for row in rows]).view(-1, 1, 1, 1)
        events.progress(1, 1, shown(Step(0, x.flatten(), x)))
        options = course if attempt == len(ranks) - 1 else {}
        return Made(x, None, _course(seed, rows, **options), x.flatten(), 1 / rank, rank, rank * 0)

    return make, asked


def test_only_what_is_not_first_is_tried_again_and_the_best_is_kept():
    make, asked = _make([[1, 5, 3, 2], [9, 4, 8, 1], [9, 7, 2, 9]])
    made, seeds, tries = best_of(make, 4, 0, 3)
    assert asked == [[0, 1, 2, 3], [1, 2, 3], [1, 2]]
    assert made.rank.tolist() == [1, 4, 2, 1]
    assert seeds == [0, APART, 2 * APART, APART]
    assert tries == [1, 3, 3, 2]
    assert made.x.flatten().tolist() == [seed + row for row, seed in enumerate(seeds)]
    assert made.course.history[0].tolist() == made.course.frames[1].flatten().tolist() == made.x.flatten().tolist()


def test_of_equal_ranks_the_more_probable_is_kept():
    probabilities = iter([[0.2, 0.3], [0.4, 0.1]])

    def make(rows, seed, shown):
        rank = torch.tensor([2] * len(rows))
        x = torch.full((len(rows), 1, 1, 1), float(seed))
        return Made(x, None, _course(seed, rows), x.flatten(), torch.tensor(next(probabilities)), rank, rank)

    assert best_of(make, 2, 0, 2)[1] == [APART, 0]


@pytest.mark.parametrize("stopped", [{"complete": False}, {"complete": False, "interrupted": True}])
def test_a_stop_ends_the_attempts_and_what_was_begun_is_left_out(stopped):
    make, asked = _make([[2, 1]], **stopped)
    assert best_of(make, 2, 0, 3)[2] == [1, 1]
    assert asked == [[0, 1]]
    make, asked = _make([[2, 1], [1, 1], [1, 1]][:2], **stopped)
    made, seeds, tries = best_of(make, 2, 0, 3)
    assert (made.rank.tolist(), seeds, tries) == ([2, 1], [0, 0], [1, 1])
    assert made.course.interrupted == stopped.get("interrupted", False)


def test_all_images_are_told_of_while_some_are_made_again():
    make, _ = _make([[1, 2, 1], [1, 1, 1]])
    heard = []
    with events.job("pictures", listener=heard.append):
        best_of(make, 3, 0, 2)
    told = [(event.path, event.value) for event in heard if event.kind == "progress"]
    assert [path for path, _ in told] == [("pictures",), ("pictures", "attempt 2")]
    assert [step.score.tolist() for _, step in told] == [[0, 1, 2], [0, APART + 1, 2]]
    assert [step.images.flatten().tolist() for _, step in told] == [[0, 1, 2], [0, APART + 1, 2]]


def _never():
    """Class 1 never comes first."""
    model = make()
    with torch.no_grad():
        model[-1].bias.copy_(torch.tensor([9.0, 0.0, 0.0, 0.0]))
    return model


def _place(model, v, target):
    with torch.no_grad():
        logits = model((v.images - 0.5) / 0.25)[0]
    return int((logits > logits[target]).sum()), -float(logits.softmax(0)[target])


OPTIONS = {"steps": 4, "size": 20, **UNITS}


def test_params_say_which_seed_and_a_picture_comes_out_again_from_it():
    model = _never()
    v = seewhy.visualize(model, [0, 1], seed=3, **OPTIONS)
    assert v.params["attempts"] == [1, ATTEMPTS]
    assert v.params["seeds"][0] == v.params["seed"] == 3
    attempt = attempt_of(v, 1)
    assert v.params["seeds"][1] == seed_of(3, attempt)
    every = [seewhy.visualize(model, 1, seed=seed_of(3, k), attempts=1, **OPTIONS) for k in range(ATTEMPTS)]
    assert torch.allclose(every[attempt].images[0], v.images[1], atol=1e-4)
    places = [_place(model, each, 1) for each in every]
    assert places[attempt] == min(places)
    assert torch.allclose(every[attempt].history[:, 0], v.history[:, 1], atol=1e-4)
    assert every[0].params["attempts"] == [1]


def test_nothing_is_tried_again_where_it_would_not_help_or_was_not_asked_for():
    model, forwards = _never(), []
    model.register_forward_hook(lambda *_: forwards.append(1))

    def count(**options):
        forwards.clear()
        v = seewhy.visualize(model, 1, **{**OPTIONS, **options})
        return len(forwards), v.params.get("attempts")

    # One forward for the channels and one for the score, and the looks between.
    assert count(preset="simonyan") == (6, None)  # chance has no part
    assert count(callback=lambda step, score, x: step == 1) == (4, [1])  # stopped
    assert count(objective=seewhy.synthesis.objectives.channel("2", 3)) == (6, [1])  # made for more than a class
    assert count(attempts=1) == (6, [1])
    assert count(attempts=2) == (11, [2])
    assert count(preset="simonyan", transforms=(t.Noise(0.1),)) == (16, [3])


def test_ctrl_c_in_a_later_attempt_keeps_the_best_so_far():
    seen = []

    def stop(step, score, x):
        seen.append(step)
        if len(seen) == 6:
            raise KeyboardInterrupt

    model = _never()
    v = seewhy.visualize(model, 1, callback=stop, **OPTIONS)
    first = seewhy.visualize(model, 1, attempts=1, **OPTIONS)
    assert v.interrupted
    assert torch.equal(v.images, first.images)
    assert len(v.history) == 4
    assert (v.params["seeds"], v.params["attempts"]) == ([0], [1])


def test_the_receipt_says_how_often_it_was_tried():
    from dataclasses import replace

    (receipt,) = receipts(make(), torch.rand(1, 3, 20, 20), 1, mean=UNITS["mean"], std=UNITS["std"])
    assert "attempt" not in str(receipt)
    again = replace(receipt, seed=APART, attempts=2)
    assert "the best of 2 attempts, from seed 1000000" in str(again)
    assert again.describe()["attempts"] == 2


def test_the_command_tells_each_pictures_own_seed(tmp_path):
    from seewhy.gallery import Gallery, wanted_class
    from seewhy.models.preprocessing import Preprocessing

    transform = Preprocessing(input_size=(20, 20), mean=UNITS["mean"], std=UNITS["std"])
    classifier = seewhy.Classifier(_never().eval(), None, transform, "never", "", {})
    gallery = Gallery(classifier, tmp_path, {"steps": 4, "seed": 0}, "seewhy visualize", filmed=True)
    wanted = [wanted_class(classifier, name) for name in (0, 1)]
    heard = []
    with events.job("gallery", listener=heard.append):
        written = list(gallery(wanted))
    about = [json.loads((tmp_path / f"class-{each}.json").read_text()) for each in (0, 1)]
    assert [each["params"]["attempts"] for each in about] == [1, ATTEMPTS]
    assert about[0]["params"]["seed"] == 0
    assert about[1]["params"]["seed"] == about[1]["receipt"]["seed"]
    assert f"best of {ATTEMPTS} attempts" in about[1]["receipt"]["in_words"]
    assert [event.value for event in heard if event.kind == "result"] == written
    assert max(event.share for event in heard if event.kind == "progress") == 1
    assert ("gallery", "class 0 and 1 more", "attempt 3") in {event.path for event in heard}
    gallery.write_film(tmp_path / "film.gif", written)
    assert json.loads((tmp_path / "film.gif.json").read_text())["frames"] == 5


def test_a_network_that_calls_everything_first_is_never_asked_twice():
    v = seewhy.visualize(nn.Sequential(*make()[:-1], nn.Linear(12, 1)), 0, **OPTIONS)
    assert v.params["attempts"] == [1]
