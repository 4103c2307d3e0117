"""Preprocessing and sensitivity, on networks whose answers are known in closed form."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import seewhy
from seewhy.auditing.correction import corrected
from seewhy.auditing.evidence import Evidence
from seewhy.auditing.eye import Eye
from seewhy.auditing.passing.rows import UNKNOWN, Rows
from seewhy.auditing.sources.paired import compared, stratified
from seewhy.auditing.sources.preprocessing import preprocessing, ways
from seewhy.auditing.sources.sensitivity import sensitivity
from seewhy.models import Preprocessing

SIZE = 16
LEVELS = (20, 90, 160, 230)
"""Mean grey of each of four classes."""
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


class Nearest(nn.Module):
    """The class whose colour (K, 3), normalised as ``mean`` and ``std`` say, is nearest to the picture's mean."""

    def __init__(self, colours, mean, std):
        super().__init__()
        self.register_buffer("centres", (torch.tensor(colours, dtype=torch.float32) / 255 - mean) / std)

    def forward(self, x):
        return -((x.mean((2, 3))[:, None] - self.centres) ** 2).sum(2)


class Channel(nn.Module):
    """Whether a picture has more red than blue; and with ``left``, more light on the left than on the right."""

    def __init__(self, left=False):
        super().__init__()
        self.left = left

    def forward(self, x):
        if self.left:
            score = x[..., : SIZE // 2].mean((1, 2, 3)) - x[..., SIZE // 2 :].mean((1, 2, 3))
        else:
            score = x[:, 0].mean((1, 2)) - x[:, 2].mean((1, 2))
        return torch.stack([score, -score], 1)


def rows_of(paths, truth):
    count = len(paths)
    nothing = np.zeros((count, 2), np.float16)
    return Rows(
        paths=tuple(paths), truth=np.asarray(truth), predicted=np.zeros(count, np.int64),
        top_classes=np.tile(np.array([0, 1], np.int32), (count, 1)), top_probabilities=nothing.astype(np.float32),
        truth_probability=np.full(count, np.nan, np.float32), features=nothing, maps=nothing[:, None],
        facts={}, hashes=np.zeros(count, np.uint64), digests=("",) * count,
        loss=np.full(count, np.nan, np.float32), margin=np.full(count, np.nan, np.float32),
        predicted_maps=nothing[:, None],
    )  # fmt: skip


def folder(at, pictures):
    """Writes pictures (H, W, 3) and gives their names."""
    names = [f"{index:03}.png" for index in range(len(pictures))]
    for name, pixels in zip(names, pictures, strict=True):
        Image.fromarray(pixels).save(at / name)
    return names


def evidence_of(at, names, truth, model, transform):
    made = seewhy.classifier(model, size=SIZE)
    return Evidence(rows_of(names, truth), Eye(replace(made, transform=transform), at), np.ones(len(names), bool))


def greys(random, count):
    truth = np.arange(count) % len(LEVELS)
    level = np.array(LEVELS)[truth] + random.integers(-20, 20, count)
    return truth, [np.full((SIZE, SIZE, 3), each, np.uint8) for each in level]


def colours_of(levels=LEVELS):
    return [[level] * 3 for level in levels]


def test_a_network_for_minus_one_to_one_with_imagenets_normalisation_is_found(tmp_path):
    truth, pictures = greys(np.random.default_rng(0), 60)
    wrapped = Preprocessing((SIZE, SIZE), **IMAGENET)
    evidence = evidence_of(tmp_path, folder(tmp_path, pictures), truth, Nearest(colours_of(), 0.5, 0.5), wrapped)
    (found,) = preprocessing(evidence)
    assert found.transform["id"] == "minus-one-to-one"
    assert found.effect == pytest.approx(1 - found.controls["its own"])
    assert found.p < 1e-3
    assert found.ci[0] > 0
    assert "with the pixels scaled as (v - 127.5) / 127.5 instead of ImageNet's mean and deviation" in found.sentence
    assert "mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5]" in found.remedy[0]
    assert found.remedy[1] == "on the command line: --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5"
    assert preprocessing(evidence) == [found]

    right = evidence_of(tmp_path, evidence.rows.paths, truth, Nearest(colours_of(), 0.5, 0.5), replace(
        wrapped, mean=(0.5,) * 3, std=(0.5,) * 3))  # fmt: skip
    (none,) = preprocessing(right)
    assert none.effect <= 0
    assert (none.p, none.remedy, none.explained, none.carriers) == (1.0, (), 0, ())


class Templates(nn.Module):
    """The class whose picture is most like the input, in pixels scaled to [-1, 1]."""

    def __init__(self, pictures):
        super().__init__()
        self.register_buffer("templates", torch.from_numpy(pictures).flatten(1).float() / 127.5 - 1)

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1) @ self.templates.T


def of_templates(tmp_path, transform, count=24):
    """Photos of 8 classes, one of them brighter, each a picture in noise; and the network that knows these pictures."""
    random = np.random.default_rng(3)
    light = np.array([127] * 7 + [150])[:, None, None, None]
    pictures = (light + random.uniform(-70, 70, (8, SIZE, SIZE, 3))).astype(np.uint8)
    truth = np.arange(count) % 8
    photos = (pictures[truth] + random.normal(0, 30, (count, SIZE, SIZE, 3))).clip(0, 255).astype(np.uint8)
    return evidence_of(tmp_path, folder(tmp_path, photos), truth, Templates(pictures), transform)


def test_few_and_easy_photos_tell_by_the_lead_of_the_true_class(tmp_path):
    own = Preprocessing((SIZE, SIZE), mean=(0.3,) * 3, std=(0.5,) * 3)
    evidence = of_templates(tmp_path, own)
    (found,) = preprocessing(evidence)
    tried = {each["id"]: each for each in found.detail["tried"]}
    assert tried["minus-one-to-one"]["p"] * len(tried) > 0.05, "decisions alone tell nothing"
    assert (found.transform["id"], found.detail["of"], found.controls) == ("minus-one-to-one", "lead", {})
    assert found.p < 0.05
    assert found.effect > 0.5
    assert "the true class leads by more in" in found.sentence
    assert "mean=[0.5, 0.5, 0.5]" in found.remedy[0]
    assert corrected([found])[0].state == "proven"


def test_scores_that_are_only_larger_are_no_lead(tmp_path):
    (found,) = preprocessing(of_templates(tmp_path, Preprocessing((SIZE, SIZE), mean=(0.5,) * 3, std=(1.5,) * 3)))
    (sharper,) = (each for each in found.detail["tried"] if each["id"] == "minus-one-to-one")
    assert sharper["lead"] == pytest.approx(0, abs=1e-3)
    assert (found.p, found.detail["of"], found.remedy) == (1.0, "accuracy", ())


def test_the_wrong_order_of_channels_is_found(tmp_path):
    random = np.random.default_rng(1)
    truth = np.arange(40) % 2
    pictures = random.integers(60, 90, (40, SIZE, SIZE, 3)).astype(np.uint8)
    pictures[truth == 0, ..., 0] += 100
    pictures[truth == 1, ..., 2] += 100
    own = Preprocessing((SIZE, SIZE), order="BGR", mean=(0.5,) * 3, std=(0.5,) * 3)
    (found,) = preprocessing(evidence_of(tmp_path, folder(tmp_path, pictures), truth, Channel(), own))
    assert (found.transform["id"], found.effect) == ("rgb", 1.0)
    assert found.p == pytest.approx(2**-39 * len(found.detail["tried"]))
    assert "order='RGB'" in found.remedy[0]


def test_a_crop_that_cuts_off_what_decides_is_found(tmp_path):
    random = np.random.default_rng(2)
    truth = np.arange(40) % 2
    pictures = random.integers(60, 90, (40, SIZE, 3 * SIZE, 3)).astype(np.uint8)
    pictures[truth == 0, :, :SIZE] += 100  # the centre square is the same in both classes
    pictures[truth == 1, :, -SIZE:] += 100
    own = Preprocessing((SIZE, SIZE), mean=(0.5,) * 3, std=(0.5,) * 3)
    (found,) = preprocessing(evidence_of(tmp_path, folder(tmp_path, pictures), truth, Channel(left=True), own))
    assert found.transform["id"] == "stretch"
    assert found.controls["its own"] + found.effect == pytest.approx(1)
    assert found.p < 0.01


def test_the_classifiers_own_way_is_none_of_the_others():
    rounded = Preprocessing((224, 224), mean=(127 / 255,) * 3, std=(128 / 255,) * 3, resize=(256, 256))
    assert {way.id for way in ways(rounded)} == {"zero-to-one", "as-they-are", "imagenet", "bgr", "stretch", "whole"}
    grey = Preprocessing((28, 28), mean=(0.5,), std=(0.5,), order="L", fit="stretch")
    assert {way.id for way in ways(grey)} == {"zero-to-one", "as-they-are", "centre", "whole"}


def test_only_what_a_network_reads_costs_accuracy(tmp_path):
    random = np.random.default_rng(3)
    truth = np.arange(60) % 2
    pictures = random.integers(60, 90, (60, SIZE, SIZE, 3)).astype(np.uint8)
    pictures[truth == 0, :, : SIZE // 2] += 100
    pictures[truth == 1, :, SIZE // 2 :] += 100
    own = Preprocessing((SIZE, SIZE), mean=(0.5,) * 3, std=(0.5,) * 3)
    evidence = evidence_of(tmp_path, folder(tmp_path, pictures), truth, Channel(left=True), own)
    by = {each.id.removeprefix("sensitivity-"): each for each in sensitivity(evidence)}
    assert by["mirror"].effect == -1.0
    assert by["mirror"].p == pytest.approx(2**-59)
    assert by["mirror"].detail["classes"]["class 0"]["accuracy_changed"] == 0
    assert "RandomHorizontalFlip" in by["mirror"].remedy[0]
    assert {name: each.effect for name, each in by.items() if name != "mirror"} == dict.fromkeys(
        ("jpeg", "blur", "darker", "brighter", "crop", "grey", "rotation"), 0.0
    )
    assert {each.p for name, each in by.items() if name != "mirror"} == {1.0}


def test_one_class_loses_and_the_sentence_names_it(tmp_path):
    truth = np.arange(40) % 2
    pictures = [np.full((SIZE, SIZE, 3), (100, 118)[each], np.uint8) for each in truth]
    own = Preprocessing((SIZE, SIZE), mean=(0.5,) * 3, std=(0.5,) * 3)
    model = Nearest(colours_of((100, 118)), 0.5, 0.5)
    by = {each.id: each for each in sensitivity(evidence_of(tmp_path, folder(tmp_path, pictures), truth, model, own))}
    darker = by["sensitivity-darker"]  # 80 and 94: both are nearer to 100
    assert darker.effect == -0.5
    assert darker.sentence.endswith(
        "accuracy is 50.0 % rather than 100 % (40 photos); of class 1 0.0 % rather than 100 %"
    )
    assert by["sensitivity-brighter"].detail["classes"]["class 0"]["effect"] == -1


def test_chance_gives_no_significant_finding(tmp_path):
    truth, pictures = greys(np.random.default_rng(4), 40)
    pictures = [np.random.default_rng(index).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8) for index in range(40)]
    names, own = folder(tmp_path, pictures), Preprocessing((SIZE, SIZE), **IMAGENET)
    torch.manual_seed(0)
    p = []
    for _ in range(12):
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 4))
        evidence = evidence_of(tmp_path, names, truth, model, own)
        p += [each.p for source in (preprocessing, sensitivity) for each in source(evidence)]
    assert len(p) == 12 * 9
    assert np.mean(np.array(p) <= 0.05) <= 0.05


@pytest.mark.parametrize("source", [preprocessing, sensitivity])
def test_little_is_known(tmp_path, source):
    _, pictures = greys(np.random.default_rng(5), 3)
    names, own = folder(tmp_path, pictures), Preprocessing((SIZE, SIZE), **IMAGENET)
    model = Nearest(colours_of(), 0.5, 0.5)
    assert source(evidence_of(tmp_path, names, [UNKNOWN] * 3, model, own)) == []
    assert source(evidence_of(tmp_path, ["gone.png"], [0], model, own)) == []
    for truth in ([0], [0, 0, 0]):
        found = source(evidence_of(tmp_path, names[: len(truth)], truth, model, own))
        assert found
        assert all(each.p >= 0.25 for each in found)
    (tmp_path / names[0]).unlink()
    found = source(evidence_of(tmp_path, names, [0, 1, 2], model, own))
    assert {each.detail["photos"] for each in found} == {2}
    nan = Nearest(colours_of(), torch.tensor(float("nan")), 0.5)
    assert {each.effect for each in source(evidence_of(tmp_path, names, [0, 1, 2], nan, own))} == {0.0}


def test_a_sample_has_each_class_in_proportion():
    truth = np.repeat([0, 1, 2, UNKNOWN], [600, 300, 100, 500])
    chosen = stratified(truth, 400, np.random.default_rng(0))
    assert len(set(chosen.tolist())) == 400
    assert (np.abs(np.bincount(truth[chosen]) - [240, 120, 40]) <= 1).all()
    assert stratified(truth, 5000, np.random.default_rng(0)).tolist() == list(range(1000))
    assert (stratified(truth, 400, np.random.default_rng(1)) != chosen).any()


def test_the_interval_of_a_change_holds_it_as_often_as_stated():
    random, held = np.random.default_rng(0), []
    for _ in range(2000):
        kind = random.choice(4, 80, p=[0.6, 0.15, 0.05, 0.2])
        held.append(compared(kind <= 1, (kind == 0) | (kind == 2)).ci)
    low, high = np.array(held).T
    assert 0.93 <= np.mean((low <= -0.1) & (high >= -0.1)) <= 0.98
