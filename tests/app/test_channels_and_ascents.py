"""Channels, the photos that excite them, and images that form."""

import io

import numpy as np
import pytest
import torch
from pages import OnDemand, classifier, entered, opened, picture
from PIL import Image

import seewhy
from nets import tiny
from seewhy.app import ascents
from seewhy.app.live import Live
from seewhy.exemplars import Unit, exemplars
from seewhy.viewer.planes import values_of


def test_effects_of_the_channels_are_the_score_but_for_the_bias(page, live):
    """All that follows the last ReLU is linear: mean, then weights."""
    (told, done) = page.ask(type="channels", id=1, photo="p1", model=0, layer="3", target=2, count=12)
    model = live.models[0].classifier
    assert done["type"] == "done"
    assert told["shape"][0] == 12
    effects = sum(channel["effect"] for channel in told["channels"])
    assert np.isclose(effects, told["score"] - float(model.model[-1].bias[2].detach()), atol=1e-4)
    with torch.no_grad():
        maps = model.model[:4](model.preprocess(picture(0)))[0].numpy()
    for channel in told["channels"]:
        assert np.allclose(values_of(channel["plane"]), maps[channel["channel"]], atol=1e-4)
        assert np.isclose(channel["activation"], maps[channel["channel"]].max(), atol=1e-4)
    sizes = [abs(channel["effect"]) for channel in told["channels"]]
    assert sizes == sorted(sizes, reverse=True)


def test_under_one_place_effects_are_those_of_its_cell(page):
    whole = page.ask(type="channels", id=1, photo="p1", model=0, layer="3", count=12)[0]
    _, height, width = whole["shape"]
    total = np.zeros(12)
    for row in range(height):
        for column in range(width):
            at = [int((row + 0.5) * 40 / height), int((column + 0.5) * 40 / width)]
            id = 2 + row * width + column
            told = page.ask(type="channels", id=id, photo="p1", model=0, layer="3", at=at, count=12)[0]
            for channel in told["channels"]:
                total[channel["channel"]] += channel["effect"]
    for channel in whole["channels"]:
        assert np.isclose(total[channel["channel"]], channel["effect"], atol=1e-4)


@pytest.mark.parametrize("more", [{"layer": "none"}, {"target": 9}, {"at": [40, 0]}, {"photo": "p3"}, {"layer": "5"}])
def test_channels_that_there_are_not(page, more):
    last = page.ask(**{"type": "channels", "id": 1, "photo": "p1", "model": 0, **more})[-1]
    assert last["type"] in ("error", "done")
    assert page.ask(type="channels", id=2, photo="p1", model=0)[-1]["type"] == "done"


def test_exemplars_are_those_of_the_folder(page, live, folder):
    told, done = page.ask(type="exemplars", id=1, model=0, layer="2", channel=3, count=5)
    assert done["type"] == "done"
    files = [photo.path for photo in folder]
    unit = Unit(3, "2")
    found = exemplars(live.models[0].classifier, files, [unit], count=5)[unit]
    assert [(each["photo"], each["value"]) for each in told["top"]] == [
        (f"p{files.index(str(each.path)) + 1}", each.value) for each in found.top
    ]
    assert [tuple(each["box"]) for each in told["top"]] == [each.box for each in found.top]
    assert page.ask(type="exemplars", id=2, model=0, layer="2", channel=99)[-1]["type"] == "error"


def test_without_a_folder_there_are_no_exemplars():
    live = Live([classifier()])
    with entered(live) as client, opened(client) as page:
        assert "folder" in page.ask(type="exemplars", id=1, model=0, layer="2", channel=3)[-1]["message"]
    assert live.close(20)


ASCENT = {"type": "ascend", "model": 0, "preset": "simonyan", "steps": 30, "l2": 0.01, "seed": 3}


def course(messages):
    return [point for message in messages for point in message.get("course", ())]


def test_an_ascent_is_the_one_that_visualize_makes(page, live, client):
    *frames, ascended, done = page.ask(id=1, target=2, **ASCENT)
    assert done["type"] == "done"
    points = course([*frames, ascended])
    made = seewhy.visualize(live.models[0].classifier, 2, preset="simonyan", steps=30, l2=0.01, seed=3, attempts=1)
    assert [point[0] for point in points] == list(range(30)), "no point is lost, whatever frames are"
    assert np.allclose([point[1] for point in points], made.history[:, 0])
    assert np.allclose([point[1] - point[2] for point in points], made.objective[:, 0], atol=1e-4)
    assert np.isclose(ascended["score"], float(made.score[0]))
    assert np.isclose(ascended["probability"], float(made.probability[0]))
    assert (ascended["steps"], ascended["stopped"]) == (30, False)
    image = client.get(f"/ascents/{ascended['ascent']}/image.png")
    assert np.array_equal(np.array(Image.open(io.BytesIO(image.content))), np.array(made.to_image()))
    assert frames[-1]["step"] == 30


def test_a_film_has_every_step_of_a_short_ascent(page, client):
    ascended = page.ask(id=1, target=1, **ASCENT)[-2]
    film = Image.open(io.BytesIO(client.get(f"/ascents/{ascended['ascent']}/film.gif").content))
    # Pillow joins frames that are alike, and this network's image hardly changes in some.
    assert 2 <= film.n_frames <= 31
    assert film.size == (40, 40)


@pytest.mark.parametrize("name", ["image.jpg", "film.avi", "..", "image.png%00", "film.mp4x"])
def test_ascents_have_three_files(page, client, name):
    ascended = page.ask(id=1, target=1, **ASCENT)[-2]
    assert client.get(f"/ascents/{ascended['ascent']}/{name}").status_code == 404
    assert client.get(f"/ascents/a99/{name}").status_code == 404


def test_mp4_without_its_extra(page, client, monkeypatch):
    from seewhy.errors import MissingExtraError
    from seewhy.gallery import video

    def missing(package, extra):
        raise MissingExtraError(f"the package {package} is not installed", expected=f'pip install "seewhy[{extra}]"')

    monkeypatch.setattr(video, "need", missing)
    ascended = page.ask(id=1, target=1, **ASCENT)[-2]
    answer = client.get(f"/ascents/{ascended['ascent']}/film.mp4")
    assert answer.status_code == 501
    assert "seewhy[video]" in answer.json()["error"]


def test_a_channel_has_an_image_too(page):
    ascended = page.ask(id=1, layer="2", channel=4, **{**ASCENT, "l2": None})[-2]
    assert ascended["type"] == "ascended"
    assert ascended["probability"] is None


def test_only_the_last_ones_are_kept(page, client, monkeypatch):
    monkeypatch.setattr(ascents, "MOST_KEPT", 2)
    names = [page.ask(id=id, target=1, **{**ASCENT, "steps": 2})[-2]["ascent"] for id in range(3)]
    assert [client.get(f"/ascents/{name}/image.png").status_code for name in names] == [404, 200, 200]


@pytest.mark.parametrize("more", [
    {"target": 4}, {"layer": "2", "channel": 12}, {"layer": "none", "channel": 1}, {"target": 1, "preset": "none"},
    {"target": 1, "preset": "olah", "l2": -1}, {}, {"layer": "2"}, {"target": 1, "steps": 0}, {"channel": 1},
])  # fmt: skip
def test_what_cannot_be_made_is_told(page, more):
    (error,) = page.ask(**{**ASCENT, "id": 1, **more})
    assert error["type"] == "error"
    assert page.ask(id=2, target=1, **ASCENT)[-1]["type"] == "done"


def test_an_ascent_is_paused_resumed_and_stopped(page, live):
    page.send(id=1, target=2, **{**ASCENT, "steps": 2000})
    page.until(1, "frame")
    page.send(type="pause", id=2, job=1)
    job = next(iter(live._running))
    while not job.control._paused:
        pass
    assert page.ask(type="explain", id=3, photo="p1", model=0, methods=["cam"])[-1]["type"] == "done", (
        "a pause holds a copy, and nobody waits for it"
    )
    page.send(type="resume", id=4, job=1)
    page.send(type="stop", id=5, job=1)
    *rest, done = page.until(1)
    assert done["type"] == "done"
    assert rest[-1]["stopped"]
    assert 0 < rest[-1]["steps"] < 2000


def test_a_paused_ascent_is_cancelled(page):
    page.send(id=1, target=2, **{**ASCENT, "steps": 2000})
    page.until(1, "frame")
    page.send(type="pause", id=2, job=1)
    page.send(type="cancel", id=1)
    assert page.until(1)[-1]["type"] == "cancelled"


class Uncopyable(OnDemand):
    def __deepcopy__(self, memo):
        raise TypeError("cannot pickle this")


def test_a_network_that_cannot_be_copied_is_lent_and_not_paused(folder):
    module = Uncopyable()
    live = Live([classifier(module)], folder)
    with entered(live) as client, opened(client) as page:
        page.send(id=1, target=2, **{**ASCENT, "steps": 2000})
        page.until(1, "frame")
        page.send(type="pause", id=2, job=1)
        assert "copied" in page.until(2)[-1]["message"]
        page.send(type="stop", id=3, job=1)
        assert page.until(1)[-1]["type"] == "done"
    assert live.close(20)


def test_the_network_is_as_it_was(folder):
    module = tiny.make().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    live = Live([classifier(module)], folder)
    module.train()
    with entered(live) as client, opened(client) as page:
        page.ask(type="explain", id=1, photo="p1", model=0)
        page.ask(id=2, target=1, **ASCENT)
        page.ask(type="channels", id=3, photo="p1", model=0)
    assert live.close(20)
    assert all(part.training for part in module.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
