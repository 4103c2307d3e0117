"""An ascent tells its steps as events; a listener stops it, and a cancellation leaves the model as it was."""

import pytest
import torch

import seewhy
from nets.tiny import make
from seewhy import events
from seewhy.checks import fingerprint
from seewhy.synthesis import Step, presets

OPTIONS = {"steps": 5, "size": 20, "mean": (0.5,) * 3, "std": (0.25,) * 3}


def test_each_step_is_told_with_its_score_and_its_images():
    heard, called = [], []
    with events.job("picture", listener=heard.append):
        v = seewhy.visualize(make(), [1, 2], attempts=1, callback=lambda *step: called.append(step), **OPTIONS)
    steps = [event for event in heard if event.kind == "progress"]
    assert [(event.done, event.total) for event in steps] == [(done, 5) for done in range(1, 6)]
    assert [event.value.number for event in steps] == list(range(5))
    assert torch.equal(torch.stack([event.value.score for event in steps]), v.history)
    assert all(event.value.images.shape == (2, 3, 20, 20) for event in steps)
    for event, (number, score, images) in zip(steps, called, strict=True):  # a callback hears the same
        assert number == event.value.number
        assert torch.equal(score, event.value.score)
        assert torch.equal(images, event.value.images)


def test_images_that_are_told_are_those_before_the_step():
    start = torch.rand(3, 20, 20)
    heard = []
    with events.job("picture", listener=heard.append):
        seewhy.visualize(make(), 1, preset="simonyan", start=start, **OPTIONS)
    first = next(event.value for event in heard if event.kind == "progress")
    assert torch.allclose(first.images[0] * 0.25 + 0.5, start, atol=1e-6)


def test_a_listener_that_says_true_stops_and_the_image_so_far_is_kept():
    with events.job("picture", listener=lambda event: event.done == 3):
        v = seewhy.visualize(make(), 1, **OPTIONS)
    assert len(v.history) == 3
    assert not v.interrupted
    assert v.params["attempts"] == [1]
    whole = seewhy.visualize(make(), 1, attempts=1, ascent=presets.default(steps=5), size=20, mean=OPTIONS["mean"],
                             std=OPTIONS["std"])  # fmt: skip
    assert torch.equal(v.history, whole.history[:3])


@pytest.mark.parametrize("steps", [6, 24])
def test_a_cancelled_ascent_leaves_the_model_as_it_was(steps):
    model = make().train()
    before, cancellation, told = fingerprint(model), events.Cancellation(), []

    def listen(event):
        told.append(event.kind)
        if isinstance(event.value, Step) and event.value.number == 2:
            cancellation.cancel()

    with (
        pytest.raises(events.Cancelled),
        events.job("picture", listener=listen, cancellation=cancellation),
    ):
        seewhy.visualize(model, 1, **{**OPTIONS, "steps": steps})
    assert told.count("progress") == 3
    assert told[-1] == "cancelled"
    assert fingerprint(model) == before


def test_a_callback_is_heard_no_longer_than_its_ascent():
    called = []
    with events.job("pictures"):
        seewhy.visualize(make(), 1, attempts=1, callback=lambda *step: called.append(1), **OPTIONS)
        seewhy.visualize(make(), 1, attempts=1, **OPTIONS)
    assert len(called) == 5
