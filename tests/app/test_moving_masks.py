"""A mask that is dragged: the newest place is answered, with the scores that whole forwards give."""

import threading

import numpy as np
import pytest
import torch
from pages import LABELS, OnDemand, classifier, entered, opened, picture, png, upload
from PIL import Image
from torch import nn

from nets import tiny
from seewhy.app.live import Live
from seewhy.app.what_ifs import MOST_KEPT
from seewhy.legible import legible


def what_if(page, id=1, **more):
    message = {"type": "what_if", "id": id, "photo": "p1", "model": 0, "box": [4, 6, 12, 10], "classes": [0, 2]}
    page.send(**{**message, **more})
    return page.until(id, "scores", "error")[-1]


class Noisy(nn.Module):
    """Cannot be followed: it goes another way for other numbers."""

    def __init__(self):
        super().__init__()
        self.body = tiny.make()

    def forward(self, x):
        return self.body(x) * (1.0 if float(x.detach().mean()) > -100 else 2.0)


def softmax(model, pixels):
    """What the network says of a crop, in float64, without anything of the server's."""
    inputs = model.preprocess(Image.fromarray(pixels))
    with torch.no_grad():
        logits = model.model(inputs)[0].double()
    return logits.numpy(), logits.softmax(0).numpy()


@pytest.mark.parametrize("shape", ["box", "disc"])
@pytest.mark.parametrize("network", [tiny.make, Noisy])
def test_scores_are_those_of_the_network_with_the_patch_on_the_photo(folder, network, shape):
    model = classifier(network())
    live = Live([model], folder)
    with entered(live) as client, opened(client) as page:
        told = what_if(page, shape=shape, fill="colour", colour=[250, 3, 128])
    before = np.array(model.crop(picture(0)))
    after, rows, columns = before.copy(), np.arange(12) + 0.5, np.arange(10) + 0.5
    inside = ((rows[:, None] / 6 - 1) ** 2 + (columns / 5 - 1) ** 2 <= 1) | (shape == "box")
    after[4:16, 6:16][inside] = (250, 3, 128)
    scores, shares = softmax(model, after)
    assert told["engine"] == ("incremental" if network is tiny.make else "dense")
    assert (told["reason"] is None) == (network is tiny.make)
    assert told["exact"] is True
    assert [entry["index"] for entry in told["top"]] == list(np.argsort(-scores))
    for entry in (*told["top"], *told["classes"]):
        assert np.isclose(entry["score"], scores[entry["index"]], atol=1e-4)
        assert np.isclose(entry["probability"], shares[entry["index"]], atol=1e-4)
    assert [entry["index"] for entry in told["classes"]] == [0, 2] == [entry["index"] for entry in told["before"]]
    scores, _ = softmax(model, before)
    for entry in told["before"]:
        assert np.isclose(entry["score"], scores[entry["index"]], atol=1e-4)
        assert entry["name"] == legible(LABELS[entry["index"]])
    assert live.close(20)


def test_a_patch_is_cut_from_another_photo(client, live, page):
    id = upload(client, png(8)).json()["id"]
    told = what_if(page, fill="patch", source={"photo": id, "top": 20, "left": 25})
    model = live.models[0].classifier
    pixels, source = (np.array(model.crop(picture(seed))) for seed in (0, 8))
    pixels[4:16, 6:16] = source[20:32, 25:35]
    scores, _ = softmax(model, pixels)
    assert np.isclose(told["classes"][0]["score"], scores[0], atol=1e-4)


@pytest.mark.parametrize("more", [
    {"box": [35, 6, 12, 10]}, {"box": [-1, 0, 5, 5]}, {"box": [0, 0, 0, 5]}, {"classes": [4]}, {"photo": "p9"},
    {"photo": "p3"}, {"fill": "patch"}, {"fill": "patch", "source": {"photo": "p2", "top": 39, "left": 0}},
    {"sigma": 0}, {"sigma": 900}, {"fill": "patch", "source": {"photo": "p9", "top": 0, "left": 0}},
])  # fmt: skip
def test_a_patch_that_does_not_fit_is_told(page, more):
    assert what_if(page, **more)["type"] == "error"
    assert what_if(page, id=2)["type"] == "scores"


def test_of_many_places_the_newest_is_answered_and_few_of_the_others(folder):
    module = OnDemand()
    live = Live([classifier(module)], folder)
    with entered(live) as client, opened(client) as page:
        module.gate.clear()  # the photo cannot be followed yet
        for id in range(1, 41):
            page.send(type="what_if", id=id, photo="p1", model=0, box=[4, id % 20, 12, 10], classes=[])
        page.send(type="no such message", id=99)
        assert page.until(99)[-1]["type"] == "error", "all forty were read"
        module.gate.set()
        told = [page.receive()]
        while told[-1]["id"] != 40:
            told.append(page.receive())
    answered = [message["id"] for message in told]
    assert {message["type"] for message in told} == {"scores"}
    assert [entry["index"] for entry in told[-1]["before"]] == [entry["index"] for entry in told[-1]["classes"]]
    assert answered == sorted(answered)
    assert len(answered) <= 2, "the one that was begun, and the newest"
    assert live.close(20)


def test_it_does_not_wait_for_an_explanation(folder):
    """Once a photo was followed, its answers need the network no more."""
    module = OnDemand()
    live = Live([classifier(module)], folder)
    with entered(live) as client, opened(client) as page:
        page.ask(type="explain", id=1, photo="p1", model=0, methods=["grad_cam"])
        calls = module.calls
        module.gate.clear()
        page.send(type="explain", id=2, photo="p2", model=0)
        while module.calls == calls:
            pass
        assert what_if(page, id=3)["type"] == "scores"
        module.gate.set()
        assert page.until(2)[-1]["type"] == "done"
    assert live.close(20)


def test_few_photos_are_kept_followed(client, live, page):
    for seed in range(MOST_KEPT + 2):
        id = upload(client, png(seed)).json()["id"]
        page.ask(type="explain", id=seed, photo=id, model=0, methods=["cam"])
    assert len(live.answers._kept) == MOST_KEPT


def test_answers_come_from_several_pages_at_once(live):
    answers = {}
    with entered(live) as client:

        def drag(number):
            with opened(client) as page:
                answers[number] = [what_if(page, id=k, box=[number, k, 9, 9])["classes"] for k in range(15)]

        threads = [threading.Thread(target=drag, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with opened(client) as page:
            for number, found in answers.items():
                for k, classes in enumerate(found):
                    assert what_if(page, id=k, box=[number, k, 9, 9])["classes"] == classes
    assert len(answers) == 3


def test_everything_else_gives_way_meanwhile(live, page, monkeypatch):
    from seewhy.patched import WhatIfs

    urgent, original = [], WhatIfs.ask

    def ask(self, *arguments):
        urgent.append(live.priority._urgent)
        return original(self, *arguments)

    monkeypatch.setattr(WhatIfs, "ask", ask)
    assert what_if(page)["type"] == "scores"
    assert urgent == [1]
    assert live.priority._urgent == 0
