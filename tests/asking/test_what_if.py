"""What the model says of a photo with a patch is what it says of that picture."""

import json
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import seewhy
from nets import tiny
from seewhy import Patch
from seewhy.core.gaussian import blur
from seewhy.errors import InputError, TargetError
from seewhy.models.preprocessing import BorrowedPreprocessing, Preprocessing
from seewhy.patch import disc
from seewhy.patched import WhatIfs

SIZE = (48, 64)  # height and width, so that they cannot be swapped unseen
NAMES = ["ant", "bee", "cat", "dog"]


def photo(seed=0, size=(90, 80)):
    """A photo with structure at several scales, (W, H)."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 255, (9, 8, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    noise = random.integers(-20, 20, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(coarse).astype(int) + noise).clip(0, 255).astype(np.uint8))


def classifier(model=None, **transform):
    made = seewhy.classifier(tiny.make() if model is None else model, labels=NAMES, size=SIZE)
    if not transform:
        return made
    return _with(made, Preprocessing(SIZE, **transform))


def _with(made, transform):
    from dataclasses import replace

    return replace(made, transform=transform)


class Stateful(nn.Module):
    """Cannot be followed: it counts."""

    def __init__(self):
        super().__init__()
        self.body = tiny.make()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen += 1
        return self.body(x)


PATCHES = [
    Patch((5, 30, 20, 11)),
    Patch((5, 30, 20, 11), "disc", sigma=4.0),
    Patch((0, 0, 48, 64), "disc", "colour", colour=(200, 30, 90)),
    Patch((47, 63, 1, 1), "box", "colour"),
    Patch((20, 2, 17, 9), "box", "patch", source_corner=(3, 50)),
    Patch((20, 2, 17, 9), "disc", "patch", source=photo(1), source_corner=(31, 55)),
]


def by_hand(clf, image, patch):
    """What the model sees, and takes, drawn by the definition, pixel by pixel."""
    seen = np.array(clf.crop(image))
    source = np.array(clf.crop(image if patch.source is None else patch.source))
    sigma = patch.sigma or max(seen.shape) / 20
    blurred = blur(torch.tensor(seen).permute(2, 0, 1)[None].float(), sigma)[0].round().byte().permute(1, 2, 0).numpy()
    mean = [round(255 * part) for part in clf.mean]
    top, left, height, width = patch.box
    result = seen.copy()
    for row in range(height):
        for column in range(width):
            down, across = (row + 0.5) / height * 2 - 1, (column + 0.5) / width * 2 - 1
            if patch.shape == "disc" and down**2 + across**2 > 1:
                continue
            y, x = top + row, left + column
            if patch.fill == "blur":
                result[y, x] = blurred[y, x]
            elif patch.fill == "colour":
                result[y, x] = patch.colour or mean
            else:
                corner = patch.source_corner
                result[y, x] = source[corner[0] + row, corner[1] + column]
    return result


@pytest.mark.parametrize("patch", PATCHES, ids=str)
@pytest.mark.parametrize("model", [tiny.make, tiny.make_flat, Stateful], ids=lambda model: model.__name__)
def test_the_answer_is_the_models_own(model, patch):
    if model is tiny.make_flat:
        model = lambda: nn.Sequential(nn.AdaptiveAvgPool2d(32), tiny.make_flat())  # noqa: E731
    clf, image = classifier(model()), photo()
    found = seewhy.what_if(image, patch, clf, classes="all")
    seen = by_hand(clf, image, patch)
    assert np.array_equal(np.asarray(found.to_image()), seen)
    with torch.no_grad():
        before = clf.model(clf.preprocess(image))[0]
        after = clf.model(clf.normalised(Image.fromarray(seen)))[0]
    (answer,) = found.answers
    assert [each.name for each in answer.classes] == NAMES
    for kind, expected in (("before", before), ("after", after)):
        got = [getattr(each, kind) for each in answer.classes]
        assert [each.score for each in got] == pytest.approx(expected.tolist(), abs=1e-5)
        assert [each.probability for each in got] == pytest.approx(expected.softmax(0).tolist(), abs=1e-5)
    assert [each.index for each in answer.top] == after.argsort(descending=True).tolist()
    assert [each.index for each in answer.top_before] == before.argsort(descending=True).tolist()
    assert answer.changed == (before.argmax() != after.argmax())
    assert (found.engine, found.reason is None) == (("dense", False) if model is Stateful else ("incremental", True))


@pytest.mark.parametrize(("order", "count"), [("BGR", 3), ("L", 1)])
def test_channels_as_the_model_takes_them(order, count):
    model = nn.Sequential(nn.Conv2d(count, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4))
    mean = (0.3, 0.5, 0.6)[:count]
    clf = classifier(model, order=order, mean=mean, std=(0.2,) * count)
    asked = WhatIfs(clf, photo())
    for patch in (PATCHES[1], PATCHES[2], Patch((3, 4, 9, 9), "box", "colour")):
        answer = asked.ask(patch, "all")
        with torch.no_grad():
            expected = model(clf.normalised(answer.to_image()))[0]
        assert [each.after.score for each in answer.classes] == pytest.approx(expected.tolist(), abs=1e-5)
        assert count == 3 or (np.ptp(answer.pixels, axis=2) == 0).all(), "it sees grey"
    shown = np.asarray(answer.to_image())[5, 5]  # the mean colour, in RGB
    assert shown.tolist() == [round(255 * part) for part in (mean[::-1] if count == 3 else mean * 3)]


def test_what_lies_outside_a_disc_is_the_models_input_bit_for_bit():
    """Another library's transform gives an input between two grey levels; only under the patch it is rounded."""

    def transform(image):
        return torch.from_numpy(np.array(image.resize(SIZE[::-1]))).permute(2, 0, 1) / 255 * 0.99 + 0.0017

    clf = _with(classifier(), BorrowedPreprocessing(transform, SIZE, (0.0,) * 3, (1.0,) * 3))
    asked, patch = WhatIfs(clf, photo()), Patch((4, 6, 20, 30), "disc", "colour", colour=(0, 255, 0))
    inputs, _ = asked._canvas.laid(patch)
    inside = torch.from_numpy(disc(20, 30))
    own = clf.preprocess(photo())[0, :, 4:24, 6:36]
    assert torch.equal(inputs[:, ~inside], own[:, ~inside])
    assert torch.equal(inputs[:, inside], torch.tensor([0.0, 1.0, 0.0])[:, None].expand(3, int(inside.sum())))


def test_a_patch_of_the_photo_itself_changes_nothing():
    found = seewhy.what_if(photo(), Patch((5, 6, 20, 21), "disc", "patch", source_corner=(5, 6)), classifier())
    (answer,) = found.answers
    assert np.array_equal(answer.pixels, np.array(classifier().crop(photo())))
    assert not answer.changed
    assert max(abs(each.change) for each in answer.classes) < 1e-5


def test_a_disc_is_the_ellipse_in_its_box():
    inside = disc(400, 300)
    assert inside.sum() / inside.size == pytest.approx(np.pi / 4, abs=1e-3)
    assert np.array_equal(inside, inside[::-1, ::-1])
    assert inside[200, 0]
    assert not inside[0, 0]
    assert disc(1, 1).all()


def test_several_patches_are_each_alone_on_the_photo():
    clf = classifier()
    together = seewhy.what_if(photo(), PATCHES, clf, classes="cat")
    for patch, answer in zip(PATCHES, together.answers, strict=True):
        (alone,) = seewhy.what_if(photo(), patch, clf, classes="cat").answers
        assert answer.classes == alone.classes
        assert np.array_equal(answer.pixels, alone.pixels)
    assert [each.name for each in together.answers[0].classes] == ["cat"]


@pytest.mark.parametrize(("wrong", "match"), [
    (lambda: Patch((1, 2, 3)), "4 whole numbers"),
    (lambda: Patch((1, 2, 3, 4.5)), "4 whole numbers"),
    (lambda: Patch((True, 2, 3, 4)), "4 whole numbers"),
    (lambda: Patch(7), "4 whole numbers"),
    (lambda: Patch((-1, 0, 4, 4)), "inside the photo"),
    (lambda: Patch((0, 0, 0, 4)), "height and width above 0"),
    (lambda: Patch((0, 0, 4, 4), "star"), "no such shape"),
    (lambda: Patch((0, 0, 4, 4), fill="fog"), "no such fill"),
    (lambda: Patch((0, 0, 4, 4), sigma=0.0), "above 0"),
    (lambda: Patch((0, 0, 4, 4), sigma=float("nan")), "above 0"),
    (lambda: Patch((0, 0, 4, 4), sigma="wide"), "above 0"),
    (lambda: Patch((0, 0, 4, 4), fill="colour", colour=(0, 0, 256)), "0 to 255"),
    (lambda: Patch((0, 0, 4, 4), fill="colour", colour="red"), "3 whole numbers"),
    (lambda: Patch((0, 0, 4, 4), colour=(0, 0, 1)), "belongs to another fill"),
    (lambda: Patch((0, 0, 4, 4), fill="colour", sigma=2.0), "belongs to another fill"),
    (lambda: Patch((0, 0, 4, 4), source="other.png"), "belongs to another fill"),
])  # fmt: skip
def test_a_patch_that_makes_no_sense(wrong, match):
    with pytest.raises(InputError, match=match):
        wrong()


@pytest.mark.parametrize(("patch", "match"), [
    (Patch((40, 0, 9, 9)), "does not lie inside what the model sees"),
    (Patch((0, 60, 9, 5)), "does not lie inside what the model sees"),
    (Patch((0, 0, 9, 9), sigma=65.0), "wider than what the model sees"),
    (Patch((0, 0, 9, 9), fill="patch", source_corner=(40, 0)), "what is cut out does not lie inside its source"),
    ([], "what is to be over the photo"),
    ((0, 0, 9, 9), "this is no patch"),
])  # fmt: skip
def test_a_patch_that_does_not_fit(patch, match):
    with pytest.raises(InputError, match=match):
        seewhy.what_if(photo(), patch, classifier())


def test_classes_that_there_are_not():
    for classes, match in [("cow", "unknown class"), (9, "0 to 3"), ([], "no class was asked for")]:
        with pytest.raises(TargetError, match=match):
            seewhy.what_if(photo(), PATCHES[0], classifier(), classes=classes)


@pytest.mark.parametrize("model", [tiny.make, Stateful])
def test_the_model_is_a_guest(model):
    clf = classifier(model())
    clf.model.train()
    state = {name: tensor.clone() for name, tensor in clf.model.state_dict().items()}
    seewhy.what_if(photo(), PATCHES, clf)
    assert clf.model.training
    assert all(torch.equal(tensor, state[name]) for name, tensor in clf.model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in clf.model.parameters())


def test_a_network_of_one_output():
    clf = seewhy.classifier(tiny.make_no(), labels=["cat"], size=SIZE)
    (answer,) = seewhy.what_if(photo(), PATCHES[2], clf).answers
    assert answer.top_before[0].name == "not cat"
    assert answer.classes[0].name == "cat"
    assert answer.classes[0].before.probability == pytest.approx(1 - answer.top_before[0].probability)


class Ruled(nn.Module):
    """Rules out a class."""

    def forward(self, logits):
        return logits.masked_fill(torch.arange(4) == 2, float("-inf"))


@pytest.mark.parametrize("model", [tiny.make, Stateful])
def test_scores_that_are_not_finite_are_null_in_json(model):
    found = seewhy.what_if(photo(), PATCHES[0], classifier(nn.Sequential(model(), Ruled())), classes=[2, "ant"])
    assert found.engine == ("dense" if model is Stateful else "incremental")
    described = json.loads(json.dumps(found.describe(), allow_nan=False))
    cat, ant = (each["after"] for each in described["answers"][0]["classes"])
    assert (cat["score"], cat["probability"]) == (None, 0)
    assert ant["score"] is not None
    assert "nan" not in repr(found)


def test_it_shows_itself_and_nothing_in_a_name_acts():
    clf = seewhy.classifier(tiny.make(), labels=["<script>x</script>", "b\x1b[31m", "c", "d"], size=SIZE)
    found = seewhy.what_if(photo(), PATCHES[:2], clf)
    assert "<script>" not in found._repr_html_()
    assert "&lt;script&gt;" in found._repr_html_()
    assert "\x1b" not in repr(found)
    for each in found.answers[0].classes:
        assert f"{each.change:+.2f}" in repr(found)


def test_a_session_follows_the_network_once(monkeypatch):
    from seewhy.incremental import followed

    traced, trace = [], followed.trace
    monkeypatch.setattr(followed, "trace", lambda *args: traced.append(1) or trace(*args))
    session, expected = seewhy.Session(classifier()), []
    asked = [session.what_ifs(photo(seed)) for seed in range(3)]
    assert len(traced) == 1
    for seed, each in enumerate(asked):
        (alone,) = seewhy.what_if(photo(seed), PATCHES[1], classifier(), "all").answers
        found = each.ask(PATCHES[1], "all")
        assert [c.after.score for c in found.classes] == pytest.approx([c.after.score for c in alone.classes], abs=1e-6)
        expected.append(found.classes)
    with torch.no_grad():
        for parameter in session.classifier.model.parameters():
            parameter.mul_(1.5)
    assert [each.ask(PATCHES[1], "all").classes for each in asked] == expected, "each has weights of its own"
    other = session.what_ifs(photo(0)).ask(PATCHES[1], "all")
    with torch.no_grad():
        scores = session.classifier.model(session.classifier.normalised(other.to_image()))[0]
    assert [c.after.score for c in other.classes] == pytest.approx(scores.tolist(), abs=1e-5)


def test_threads_share_what_was_followed():
    """Each asks its own photo, while the session explains another: none computes in another's memory."""
    session = seewhy.Session(classifier())
    asked = [session.what_ifs(photo(seed)) for seed in range(2)]
    expected = [[each.ask(patch, "all").classes for patch in PATCHES] for each in asked]
    found = [[], []]

    def work(number):
        for _ in range(8):
            found[number].append([asked[number].ask(patch, "all").classes for patch in PATCHES])

    threads = [threading.Thread(target=work, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for seed in range(3):
        session.explain(photo(seed), ["occlusion"])
    for thread in threads:
        thread.join()
    assert found == [[expected[number]] * 8 for number in range(2)]


def test_whole_forwards_keep_to_the_turns_of_their_session():
    session = seewhy.Session(classifier(Stateful()))
    asked = session.what_ifs(photo())
    assert asked.engine == "dense"
    with session.turn():
        done = []
        thread = threading.Thread(target=lambda: done.append(asked.ask(PATCHES[0])))
        thread.start()
        thread.join(0.2)
        assert not done
    thread.join()
    assert len(done) == 1


def test_a_session_and_a_file(tmp_path):
    photo().save(tmp_path / "a.png")
    photo(1).save(tmp_path / "b.png")
    session = seewhy.Session(classifier())
    patch = Patch((20, 2, 17, 9), "box", "patch", source=tmp_path / "b.png", source_corner=(31, 55))
    found = session.what_if(tmp_path / "a.png", patch, "bee")
    same = Patch((20, 2, 17, 9), "box", "patch", source=photo(1), source_corner=(31, 55))
    (expected,) = seewhy.what_if(photo(), same, session, "bee").answers
    assert found.answers[0].classes == expected.classes
    assert found.photo == str(tmp_path / "a.png")
    assert found.describe()["answers"][0]["patch"]["source"] == str(tmp_path / "b.png")
    assert expected.describe()["patch"]["source"] == "photo"
