"""A cancelled job ends within one forward of the model, and hands it back as it came."""

import pytest
import torch

import seewhy
from seewhy import events
from seewhy.checks import awkward_networks, fingerprint
from seewhy.core.needs import Needs
from seewhy.core.record import recorded
from seewhy.methods import Occlusion

MANY = ["saliency", "guided_backprop", "cam", "grad_cam", Occlusion(6, 5, engine="dense"), Occlusion(4, 4)]


@pytest.mark.parametrize("name", ["residual", "stateful", "compared", "normalised_in_training", "writes_unseen"])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_at_most_one_forward_runs_after_the_end_was_asked_for(name, after):
    model, x = awkward_networks()[name]
    seewhy.attribute(model, x, "grad_cam", 1)
    before, given = fingerprint(model), x.clone()
    forwards, cancellation = [], events.Cancellation()

    def count(module, args):
        forwards.append(cancellation.asked)
        if len(forwards) == after:
            cancellation.cancel()

    handle = model.register_forward_pre_hook(count)
    heard = []
    try:
        with pytest.raises(events.Cancelled), events.job("all", listener=heard.append, cancellation=cancellation):
            seewhy.attribute(model, x, MANY, 1)
    finally:
        handle.remove()
    assert sum(forwards) == 0  # the one that ran when it was asked for is the last
    assert heard[-1].kind == "cancelled"
    assert fingerprint(model) == before
    assert torch.equal(x, given)


@pytest.mark.parametrize("engine", ["incremental", "dense"])
def test_masks_end_at_the_next_step(engine):
    model, x = awkward_networks()["residual"]
    cancellation, told = events.Cancellation(), []

    def listener(event):
        if event.kind == "progress":
            told.append(event.done)
            cancellation.cancel()

    with pytest.raises(events.Cancelled), events.job("all", listener=listener, cancellation=cancellation):
        seewhy.attribute(model, x, Occlusion(4, 2, engine=engine), 1, batch_size=4)
    assert len(told) == 1


def test_the_stream_tells_which_method_is_at_work_and_how_far_the_whole_is():
    model, x = awkward_networks()["residual"]
    heard, told = [], []
    with events.job("photo", listener=heard.append):
        seewhy.attribute(model, x, ["saliency", Occlusion(6, 5)], 1, progress=lambda *step: told.append(step))
    steps = [event for event in heard if event.kind == "progress"]
    assert {event.path for event in steps} == {("photo", "occlusion")}
    assert told == [("occlusion", event.done, event.total) for event in steps]
    assert steps[-1].done == steps[-1].total
    assert all(0.5 <= event.share <= 1 for event in steps)
    assert heard[-1].kind == "done"


def test_a_progress_that_asks_to_stop_early_is_a_callback_like_any_other():
    model, x = awkward_networks()["residual"]
    a = seewhy.attribute(model, x, Occlusion(6, 5), 1, progress=lambda *_: True)
    assert torch.equal(a.values, seewhy.attribute(model, x, Occlusion(6, 5), 1).values)


def test_a_method_of_ones_own_tells_its_steps():
    model, x = awkward_networks()["residual"]
    heard = []
    with events.also(lambda event: heard.append((event.done, event.total))), recorded(model, x, 1, Needs()) as record:
        record.progress(1, 3)
    assert heard == [(1, 3)]
