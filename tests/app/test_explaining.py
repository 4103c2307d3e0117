"""What the page shows is what ``Session.explain`` gives, in the order in which it is quick."""

import numpy as np
import pytest
import torch
from pages import LABELS, OnDemand, classifier, entered, opened, picture, png, upload

import seewhy
from nets import tiny
from seewhy.app.explaining import Explaining, stages
from seewhy.app.jobs import Job
from seewhy.app.live import Live
from seewhy.app.messages import Explain
from seewhy.app.priority import Priority
from seewhy.legible import legible
from seewhy.methods import METHODS
from seewhy.pictures.in_memory import as_photo
from seewhy.results.viewed import viewed

IDS = [method.id for method in METHODS]


def explain(page, id=1, photo="p1", **more):
    return page.ask(type="explain", id=id, photo=photo, model=0, **more)


def views(message):
    return [[view["id"] for view in target["views"]] for target in message["explanation"]["targets"]]


def test_grad_cam_comes_first_then_gradients_then_occlusion_from_coarse_to_fine(page):
    *explained, done = explain(page)
    assert done == {"type": "done", "id": 1}
    assert {message["type"] for message in explained} == {"explained"}
    assert [views(message) for message in explained] == [
        [["grad_cam"]],
        [[id for id in IDS if id != "occlusion"]],
        [IDS], [IDS], [IDS],
    ]  # fmt: skip
    assert [message["final"] for message in explained] == [False] * 4 + [True]
    windows = [view["params"].get("window") for message in explained[2:]
               for view in message["explanation"]["targets"][0]["views"] if view["id"] == "occlusion"]  # fmt: skip
    assert windows == ["13 × 13", "8 × 8", "default"]


class Told:
    """A job's outbox that keeps everything."""

    def __init__(self):
        self.messages = []

    def put(self, message):
        self.messages.append(message)

    def latest(self, key, message, merge=None):
        self.messages.append(message)

    def forget(self, key):
        pass


def run(model, asked, photo):
    told = Told()
    Job(asked.id, told, Priority()).run(lambda job: Explaining(asked, model, photo, "red").run(job, lambda: None))
    return told.messages


def test_in_the_end_it_is_what_the_session_gives(live):
    """Value by value, for two classes and one rather than the other."""
    photo = as_photo(picture(5))
    model = live.models[0]
    asked = Explain(1, "p1", 0, None, (0, 1), (2,), ("0", "2"))
    made = Explaining(asked, model, photo, "red")
    Job(1, Told(), Priority()).run(lambda job: made.run(job, lambda: None))
    methods = [each for stage in stages(None, ("0", "2"), (40, 40)) for each in stage]
    usual = [each for each in methods if each.id != "occlusion"] + [seewhy.methods.Occlusion()]
    whole = model.session.explain(photo, usual, [0, 1], [2], truth="red")
    assert [found.key for found in made.found.targets] == [found.key for found in whole.targets]
    for ours, theirs in zip(made.found.targets, whole.targets, strict=True):
        assert set(ours.views) == set(theirs.views)
        for id, view in ours.views.items():
            if view.attribution is not None:
                assert torch.equal(view.attribution.values, theirs.views[id].attribution.values), id
            else:
                assert view.error == theirs.views[id].error
    assert made.found.truth == "red"
    assert viewed(made.found)["targets"][0]["views"][0] == viewed(whole)["targets"][0]["views"][
        list(whole.views).index(next(iter(made.found.views)))
    ]  # fmt: skip


@pytest.mark.parametrize("wanted", [None, *([id] for id in IDS), ["occlusion", "cam"], ["cam", "saliency"], []])
def test_every_method_is_in_one_stage_and_the_last_occlusion_is_the_usual_one(wanted):
    plan = stages(wanted, (), (224, 160))
    ids = [each.id for stage in plan for each in stage]
    assert set(ids) == set(IDS if wanted is None else wanted)
    assert all(ids.count(id) == (3 if id == "occlusion" else 1) for id in ids)
    if "occlusion" in ids:
        assert plan[-1] == [seewhy.methods.Occlusion()]
        coarse = [stage[0].window for stage in plan[-3:-1]]
        assert coarse == [(74, 53), (44, 32)]


def test_class_pictures_are_made_only_when_they_are_asked_for(page):
    *explained, done = explain(page, methods=["grad_cam", "class_visualization"])
    assert views(explained[0]) == [["grad_cam"]]
    assert views(explained[-1]) == [["grad_cam", "class_visualization"]]
    (picture,) = [view for view in explained[-1]["explanation"]["targets"][0]["views"] if view["kind"] == "picture"]
    assert picture["picture"].startswith("data:image/")
    assert done["type"] == "done"


def test_classes_are_switched(page):
    *explained, _ = explain(page, methods=["saliency"], targets=[3, 1], versus=[2])
    names = [target["target"]["index"] for target in explained[-1]["explanation"]["targets"]]
    assert names == [3, 1, 3]
    assert explained[-1]["explanation"]["targets"][2]["against"]["index"] == 2


def test_truth_comes_from_the_folder(page):
    for number, (id, truth) in enumerate((("p1", "red"), ("p2", "green"))):
        explanation = explain(page, number, photo=id, methods=["cam"])[0]["explanation"]
        assert explanation["truth"] == truth
        assert explanation["right"] == (explanation["top"][0]["name"] == truth)


@pytest.mark.parametrize(("more", "kind"), [
    ({"photo": "p3"}, "PhotoError"), ({"photo": "p77"}, "PhotoError"), ({"targets": [4]}, "TargetError"),
    ({"targets": [1], "versus": [1]}, "TargetError"), ({"layers": ["nothing"], "methods": ["grad_cam"]}, None),
])  # fmt: skip
def test_what_cannot_be_done_is_said_in_a_line(page, more, kind):
    last = explain(page, **{"photo": "p1", **more})[-1]
    if kind is not None:
        assert (last["type"], last["kind"]) == ("error", kind)
        assert "\n" not in last["message"]
    assert explain(page, id=2, methods=["cam"])[-1]["type"] == "done"


def test_no_module_is_imported_for_a_message(page):
    """From Python "module:Class" is a method of one's own; from the page it would run any code."""
    import sys

    sys.modules.pop("antigravity", None)
    (error,) = explain(page, methods=["antigravity:Nothing"])
    assert error["type"] == "error"
    assert "antigravity" not in sys.modules


def test_a_newer_question_cancels_the_older_one_of_its_model(folder):
    module = OnDemand()
    live = Live([classifier(module), classifier()], folder)
    with entered(live) as client, opened(client) as page:
        module.gate.clear()
        page.send(type="explain", id=1, photo="p1", model=0, methods=["saliency"])
        page.send(type="explain", id=2, photo="p1", model=1, methods=["cam"])
        assert page.until(2)[-1]["type"] == "done", "the other model's is not"
        page.send(type="explain", id=3, photo="p2", model=0, methods=["saliency"])
        module.gate.set()
        assert page.until(1)[-1]["type"] == "cancelled"
        assert page.until(3)[-1]["type"] == "done"
    assert live.close(20)


def test_cancelled_by_the_page(folder):
    module = OnDemand()
    live = Live([classifier(module)], folder)
    with entered(live) as client, opened(client) as page:
        module.gate.clear()
        page.send(type="explain", id=1, photo="p1", model=0)
        page.send(type="cancel", id=1)
        page.send(type="cancel", id=99)
        module.gate.set()
        assert page.until(1)[-1] == {"type": "cancelled", "id": 1}
    assert live.close(20)


def test_a_model_that_raises_stops_nothing_else(folder, capfd):
    module = OnDemand()
    live = Live([classifier(module)], folder)
    with entered(live) as client, opened(client) as page:
        module.broken = True
        (error,) = explain(page)
        assert error == {"type": "error", "id": 1, "kind": "ModelError",
                         "message": "the model failed: RuntimeError: out of order \\x1b[2J"}  # fmt: skip
        module.broken = False
        assert explain(page, id=2, methods=["cam"])[-1]["type"] == "done"
    assert live.close(20)
    err = capfd.readouterr().err
    assert "out of order" in err
    assert "Traceback" not in err


def test_a_model_that_cannot_run_at_all_is_told(folder):
    module = OnDemand()
    made = classifier(module)
    module.broken = True
    live = Live([made, classifier(tiny.make_nan())], folder)
    with entered(live) as client, opened(client) as page:
        assert page.hello["models"][0]["layers"] == []
        assert any("failed" in note for note in page.hello["models"][0]["notes"])
        assert explain(page)[-1]["type"] == "error"
        said = page.ask(type="explain", id=2, photo="p1", model=1)
        assert said[-1]["type"] in ("error", "done")
    assert live.close(20)


def test_when_the_page_leaves_its_work_ends(folder):
    module = OnDemand()
    live = Live([classifier(module)], folder)
    with entered(live) as client:
        with opened(client) as page:
            calls = module.calls
            module.gate.clear()
            page.send(type="explain", id=1, photo="p1", model=0)
            page.send(type="ascend", id=2, model=0, target=1, preset="simonyan", steps=2000)
            while module.calls == calls or len(live._running) < 2:
                pass
        assert all(job.control.asked for job in live._running)
        module.gate.set()
        while live._running:
            pass
    assert live.close(20)
    assert module.calls <= calls + 3, "no forward after the one that was being made"


def test_predictions_of_the_folder(page):
    page.send(type="predict", id=1, photos=None, model=0)
    *told, done = page.until(1)
    assert done["type"] == "done"
    assert [message["photo"] for message in told] == ["p1", "p2", "p3"]
    for message, truth in zip(told[:2], ("red", "green"), strict=True):
        assert len(message["top"]) == 4
        assert message["right"] == (message["top"][0]["name"] == truth)
        assert np.isclose(sum(entry["probability"] for entry in message["top"]), 1)
    assert told[2]["top"] == []
    assert told[2]["right"] is None
    assert "broken.png" in told[2]["error"]


def test_no_name_that_the_page_is_told_acts(page):
    """Neither turns the direction of what stands behind it."""
    shown = [legible(label) for label in LABELS]
    assert page.hello["models"][0]["classes"] == shown
    top, _ = page.ask(type="predict", id=1, photos=["p1"], model=0)
    page.send(type="what_if", id=2, photo="p1", model=0, box=[4, 4, 9, 9])
    (scores,) = page.until(2, "scores")
    for entry in (*top["top"], *scores["classes"]):
        assert entry["name"] == shown[entry["index"]]


def test_a_photo_is_looked_at_once(folder):
    module = OnDemand()
    live = Live([classifier(module)], folder)
    with entered(live) as client, opened(client) as page:
        page.ask(type="predict", id=1, photos=None, model=0)
        calls = module.calls
        page.ask(type="predict", id=2, photos=["p2", "p1"], model=0)
        assert module.calls == calls
        id = upload(client, png(9)).json()["id"]
        page.ask(type="predict", id=3, photos=[id], model=0)
        assert module.calls == calls + 1
    assert live.close(20)
