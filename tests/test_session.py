"""A session: who may touch the model, when; what is told; and how it is cancelled."""

import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

import seewhy
from nets.tiny import make
from seewhy import events
from seewhy.errors import InputError, MethodError, ModelError, PhotoError, TargetError
from seewhy.methods import GradCAM
from seewhy.synthesis.cache import Cache

METHODS = ["saliency", "guided_backprop", "cam", "grad_cam", "occlusion"]


def photos(count, seed=0):
    draws = np.random.default_rng(seed)
    return [draws.integers(0, 255, (36, 44, 3), dtype=np.uint8) for _ in range(count)]


def maps(explanation):
    return [
        view.attribution.values
        for found in explanation.targets for view in found.views.values() if view.attribution is not None
    ]  # fmt: skip


class Counted(nn.Module):
    """Counts its forwards in a list, which no guest keeps or puts back."""

    def __init__(self):
        super().__init__()
        self.inner, self.ran = make(), []

    def forward(self, x):
        self.ran.append(len(x))
        return self.inner(x)


@pytest.fixture
def counted():
    return Counted().eval()


def state(model):
    return {
        "training": [module.training for module in model.modules()],
        "gradients": [parameter.requires_grad for parameter in model.parameters()],
        "values": [tensor.clone() for tensor in model.state_dict().values()],
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
    }


def unchanged(before, after):
    return (
        before["training"] == after["training"] and before["gradients"] == after["gradients"]
        and before["hooks"] == after["hooks"] and all(map(torch.equal, before["values"], after["values"]))
    )  # fmt: skip


def test_four_threads_with_fifty_photos_each_get_what_one_thread_gets():
    """The flags of a model are switched while it is explained: two at once would see each other's."""
    model = make().train()
    before = state(model)
    clf = seewhy.classifier(model, size=32)
    session = seewhy.Session(clf)
    given = photos(50)
    alone = [maps(session.explain(photo, ["saliency", "grad_cam", "guided_backprop"])) for photo in given]
    found, failed = {}, []

    def work(number):
        try:
            for place, photo in enumerate(given):
                found[number, place] = maps(session.explain(photo, ["saliency", "grad_cam", "guided_backprop"]))
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert not failed
    assert len(found) == 200
    for (_, place), views in found.items():
        assert all(map(torch.equal, views, alone[place]))
    assert unchanged(before, state(model))


def test_two_sessions_of_one_model_are_both_answered():
    model = make()
    sessions = [seewhy.Session(seewhy.classifier(model, size=32)) for _ in range(2)]
    given = photos(6)
    alone = [maps(sessions[0].explain(photo, METHODS)) for photo in given]
    found = [[], []]

    def work(number):
        found[number].extend(maps(sessions[number].explain(photo, METHODS)) for photo in given)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    for each in found:
        assert len(each) == len(alone)
        for views, wanted in zip(each, alone, strict=True):
            for one, other in zip(views, wanted, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_turns_are_in_the_order_of_asking():
    session, order, waiting = seewhy.Session(seewhy.classifier(make(), size=32)), [], threading.Barrier(2)
    (photo,) = photos(1)
    held = threading.Event()

    def first():
        def listener(event):
            if event.kind == "progress" and not held.is_set():
                waiting.wait(30)
                held.wait(30)

        session.explain(photo, "saliency", listener=listener)

    def later(number):
        session.explain(photo, "saliency", listener=lambda event: event.kind == "done" and order.append(number))

    threads = [threading.Thread(target=first)]
    threads[0].start()
    waiting.wait(30)
    for number in range(4):
        threads.append(threading.Thread(target=later, args=(number,)))
        threads[-1].start()
        while len(session._queue._waiting) < number + 2:
            time.sleep(0.001)
    held.set()
    for thread in threads:
        thread.join(60)
    assert order == [0, 1, 2, 3]


def test_many_targets_cost_one_forward(counted):
    session = seewhy.Session(seewhy.classifier(counted, size=32))
    (photo,) = photos(1)
    session.explain(photo, METHODS)  # what is found out the first time is remembered
    costs = []
    for targets in ([0], [0, 1, 2, 3]):
        counted.ran.clear()
        found = session.explain(photo, METHODS, targets)
        costs.append(list(counted.ran))
        assert len(found.targets) == len(targets)
    assert costs[0] == costs[1]
    alone = session.explain(photo, METHODS, [2])
    for one, other in zip(maps(alone), maps(found)[2 * len(METHODS) :][: len(METHODS)], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_rather_than_is_the_difference():
    session = seewhy.Session(seewhy.classifier(make(), size=32, labels=["cat", "dog", "owl", "fox"]))
    (photo,) = photos(1)
    found = session.explain(photo, ["saliency", "cam", "occlusion", seewhy.methods.GradCAM(relu=False)], "cat", "owl")
    assert [each.title for each in found.targets] == ["Why cat?", "Why cat rather than owl?"]
    assert found.shared_scale
    other = session.explain(photo, ["cam", "occlusion"], "owl")
    for id in ("cam", "occlusion"):
        a, b = (each.views[id].attribution.values for each in (found.targets[0], other.targets[0]))
        torch.testing.assert_close(found.targets[1].views[id].attribution.values, a - b, rtol=1e-4, atol=1e-5)
    assert found.targets[1].score == pytest.approx(found.targets[0].score - other.targets[0].score, abs=1e-5)
    limits = {found.panel(each.views["cam"]).scale.high for each in found.targets}
    assert len(limits) == 1


def test_maps_come_before_the_image_of_the_class(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEWHY_CACHE_DIR", str(tmp_path))
    session = seewhy.Session(seewhy.classifier(make(), size=32), preset="simonyan", steps=3)
    heard = []
    (photo,) = photos(1)
    found = session.explain(photo, ["cam", "class_visualization"], listener=heard.append)
    explanations = [
        event.value for event in heard if event.kind == "result" and isinstance(event.value, seewhy.Explanation)
    ]
    first, last = explanations
    assert first.views["cam"].attribution is not None
    assert "not made yet" in first.views["class_visualization"].error
    assert last is found
    assert list(found.views) == ["cam", "class_visualization"]
    assert found.views["class_visualization"].visualization is not None
    steps = [event for event in heard if event.kind == "progress" and "Class visualization" in event.path]
    assert len(steps) >= 3
    shares = [event.share for event in heard]
    assert shares == sorted(shares)
    assert (heard[0].kind, heard[-1].kind) == ("started", "done")
    again = session.explain(photo, ["cam", "class_visualization"], listener=heard.clear and heard.append)
    assert again.views["class_visualization"].visualization.images.equal(
        found.views["class_visualization"].visualization.images
    )  # from the cache
    assert Cache().entries()


@pytest.mark.parametrize("when", ["saliency", "Occlusion", "Class visualization"])
def test_cancelling_takes_effect_within_one_forward(counted, when, tmp_path, monkeypatch):
    monkeypatch.setenv("SEEWHY_CACHE_DIR", str(tmp_path))
    counted.train()
    before = state(counted)
    session = seewhy.Session(seewhy.classifier(counted, size=32), preset="simonyan", steps=400)
    cancellation, heard, ran = events.Cancellation(), [], []

    def listener(event):
        heard.append(event.kind)
        if when.lower() in " ".join(event.path).lower() and event.kind == "progress" and not cancellation.asked:
            cancellation.cancel()
            ran.append(len(counted.ran))

    (photo,) = photos(1)
    with pytest.raises(events.Cancelled):
        session.explain(photo, ["saliency", seewhy.methods.Occlusion(engine="dense", stride=2), "class_visualization"],
                        batch_size=1, listener=listener, cancellation=cancellation)  # fmt: skip
    assert len(counted.ran) - ran[0] <= 1
    assert heard[-1] == "cancelled"
    assert unchanged(before, state(counted))
    assert session.explain(photo, "saliency").views["saliency"].attribution is not None  # it can be used again


def test_who_waits_for_a_turn_can_be_cancelled():
    session = seewhy.Session(seewhy.classifier(make(), size=32))
    (photo,) = photos(1)
    cancellation, outcome, held = events.Cancellation(), [], threading.Event()

    def listener(event):
        if event.kind == "progress":
            held.wait(30)

    def waits():
        try:
            session.explain(photo, "saliency", cancellation=cancellation)
        except events.Cancelled:
            outcome.append("cancelled")

    holder = threading.Thread(target=session.explain, args=(photo, "saliency"), kwargs={"listener": listener})
    holder.start()
    waiter = threading.Thread(target=waits)
    waiter.start()
    cancellation.cancel()
    waiter.join(30)
    assert outcome == ["cancelled"]
    held.set()
    holder.join(30)


def test_a_session_that_is_used_from_its_own_listener_says_so():
    session = seewhy.Session(seewhy.classifier(make(), size=32))
    (photo,) = photos(1)
    for nested in (lambda: session.explain(photo, "saliency"), lambda: session.predict(photo)):
        with pytest.raises(ModelError, match="at work in this thread already"):
            session.explain(photo, "saliency", listener=lambda event, nested=nested: nested())
    assert session.predict(photo).top


def test_an_error_of_a_listener_is_raised_and_leaves_the_session_free():
    session = seewhy.Session(seewhy.classifier(make(), size=32))
    (photo,) = photos(1)

    def listener(event):
        if event.kind == "result":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        session.explain(photo, METHODS, listener=listener)
    assert session.explain(photo, "cam")


def test_what_is_asked_for_is_checked_before_any_forward(counted):
    session = seewhy.Session(seewhy.classifier(counted, size=32, labels=["cat", "dog", "owl", "fox"]))
    (photo,) = photos(1)
    counted.ran.clear()
    for arguments, error, match in [
        ({"methods": "grad_camm"}, MethodError, "grad_cam"),
        ({"methods": []}, MethodError, "at least one"),
        ({"methods": ["cam", "CAM"]}, InputError, "twice"),
        ({"targets": "owll"}, TargetError, "owl"),
        ({"targets": ["cat", 0]}, InputError, "twice"),
        ({"targets": 4}, TargetError, "0 to 3"),
        ({"targets": lambda outputs: outputs[:, 0]}, TargetError, "seewhy.attribute"),
        ({"versus": "wolf"}, TargetError, "wolf"),
        ({"targets": "cat", "versus": "cat"}, TargetError, "against itself"),
    ]:
        with pytest.raises(error, match=match):
            session.explain(photo, **arguments)
    assert not counted.ran
    for bad in (photo[..., :2], photo.astype(float), "missing.png", object()):
        with pytest.raises(PhotoError):
            session.explain(bad, "cam")
    with pytest.raises(ModelError, match="not a model"):
        seewhy.Session(3)


def test_methods_of_one_kind_stand_side_by_side():
    found = seewhy.explain(photos(1)[0], seewhy.classifier(make(), size=32), [GradCAM(), GradCAM(layer="1")])
    assert [view.title for view in found.views.values()] == ["Grad-CAM, default", "Grad-CAM, 1"]
    assert len({id(view) for view in found.views.values()}) == 2


def test_the_hash_is_of_the_weights_as_they_are():
    model = make()
    session = seewhy.Session(seewhy.classifier(model, size=32))
    (photo,) = photos(1)
    before = session.explain(photo, "saliency").model.weights_sha256
    assert session.explain(photo, "saliency").model.weights_sha256 == before
    with torch.no_grad():
        model[0].weight.mul_(1.5)
    after = session.explain(photo, "saliency").model.weights_sha256
    assert after != before
    assert after == seewhy.classifier(model, size=32).weights_hash


def test_a_turn_is_for_whatever_else_needs_the_model():
    session = seewhy.Session(seewhy.classifier(make(), size=32))
    with session.turn() as classifier:
        assert classifier is session.classifier
        with pytest.raises(ModelError, match="already"):
            session.predict(photos(1)[0])
    assert session.predict(photos(1)[0])


def test_how_images_are_made_is_checked_at_once_and_told_once():
    clf = seewhy.classifier(make(), size=32)
    with pytest.raises(InputError, match="simonyan"):
        seewhy.Session(clf, preset="simonyann")
    with pytest.raises(InputError, match="steps"):
        seewhy.explain(photos(1)[0], clf, steps=0)
    with pytest.raises(InputError, match="session's own"):
        seewhy.explain(photos(1)[0], seewhy.Session(clf), preset="simonyan")


def test_two_sessions_whose_listeners_ask_each_other_do_not_wait_for_ever():
    (photo,) = photos(1)
    sessions = [seewhy.Session(seewhy.classifier(make(), size=32)) for _ in range(2)]
    both, outcome = threading.Barrier(2), []

    def work(number):
        def listener(event):
            if event.kind == "progress" and not outcome_of:
                outcome_of.append(1)
                both.wait(30)
                sessions[1 - number].predict(photo)

        outcome_of = []
        try:
            sessions[number].explain(photo, "saliency", listener=listener)
            outcome.append("done")
        except ModelError as error:
            outcome.append("come to an end" in str(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert True in outcome
    assert len(outcome) == 2


def test_what_was_predicted_is_not_held_against_itself():
    clf = seewhy.classifier(make(), size=32, labels=["cat", "dog", "owl", "fox"])
    (photo,) = photos(1)
    name = clf.predict(photo).name
    found = seewhy.explain(photo, clf, "saliency", versus=name)
    assert [each.name for each in found.targets] == [name]
    assert any("not held against itself" in note for note in found.notes)


def test_the_truth_is_a_class():
    clf = seewhy.classifier(make(), size=32, labels=["cat", "dog", "owl", "fox"])
    (photo,) = photos(1)
    first = clf.predict(photo)
    assert seewhy.explain(photo, clf, "saliency", truth=first.index).right is True
    assert seewhy.explain(photo, clf, "saliency", truth=first.name.upper()).truth == first.name
    with pytest.raises(TargetError, match="cat"):
        seewhy.explain(photo, clf, "saliency", truth="catt")


def test_a_mistake_in_a_method_of_ones_own_is_its_own():
    class Broken(seewhy.Method):
        id, title, source, formula, misleads = "broken", "Broken", "simonyan2013", "", ""

        def needs(self):
            return seewhy.methods.Needs()

        def __call__(self, record):
            raise RuntimeError("boom")

    found = seewhy.explain(photos(1)[0], seewhy.classifier(make(), size=32), [Broken(), "saliency"])
    assert "the method broken failed" in found.views["broken"].error
    assert "boom" in found.views["broken"].error
    assert found.views["saliency"].attribution is not None


def test_an_error_that_a_listener_raises_is_nobody_elses():
    clf = seewhy.classifier(make(), size=32)

    def listener(event):
        if "Class visualization" in event.path or event.name == "Saliency":
            raise InputError("mine")

    for methods in ("saliency", "class_visualization"):
        with pytest.raises(InputError, match="mine"):
            seewhy.explain(photos(1, seed=9)[0], clf, methods, preset="simonyan", steps=5, listener=listener)


def test_an_explanation_can_be_pickled_and_copied():
    import copy
    import pickle

    from seewhy.results.saved import describe

    found = seewhy.explain(photos(1)[0], seewhy.classifier(make(), size=32), ["cam", "occlusion"], versus=2)
    for other in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert describe(other) == describe(found)
        assert other.figure().tobytes() == found.figure().tobytes()
