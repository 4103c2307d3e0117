"""Random weights are noted, in whatever way they are drawn; learned ones are not; and nothing else changes."""

from __future__ import annotations

import random

import numpy as np
import pytest
import timm
import torch
import transformers
from conftest_nets import Small
from torch import nn
from torch.nn import init

from seewhy.models import load
from seewhy.models.untrained import note_on, outermost, random_modules

LEARNED = {key: value + 0.25 for key, value in Small().state_dict().items()}


def learned(model=None):
    model = Small() if model is None else model
    model.load_state_dict(LEARNED)
    return model


def _seeded():
    torch.manual_seed(3)
    return Small()


def _seeded_like_the_second_build():
    torch.manual_seed(1)
    return Small()


def _forked():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Small()


def _own_generator():
    model, generator = Small(), torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def _initialised():
    model = learned()
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            init.trunc_normal_(module.weight, std=0.02, generator=torch.Generator().manual_seed(1))
            init.zeros_(module.bias)
    model.features[1].reset_parameters()
    return model


def _orthogonal():
    model = Small()
    for module in (model.features[0], model.features[3], model.fc):
        init.orthogonal_(module.weight)
    return model


def _numpy():
    model = Small()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.from_numpy(np.random.standard_normal(parameter.shape)))
    return model


def _bfloat16():
    return Small().bfloat16()


@pytest.mark.parametrize(
    "factory",
    [
        Small,
        _seeded,
        _seeded_like_the_second_build,
        _forked,
        _own_generator,
        _initialised,
        _orthogonal,
        _numpy,
        _bfloat16,
    ],
)
def test_weights_that_nobody_learned(factory):
    assert random_modules(factory, factory()) == [""]


def _from_state():
    return learned()


def _assigned():
    model = Small()
    model.load_state_dict({key: value.clone() for key, value in LEARNED.items()}, assign=True)
    return model


def _by_hand():
    """A filter by hand, written row by row over what was drawn."""
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for row in range(2):
        model[0].weight.data[row] = torch.arange(27.0).view(3, 3, 3) * (row + 1)
    model[0].bias.data.zero_()
    return model


def _whole():
    import io

    buffer = io.BytesIO()
    torch.save(learned(), buffer)
    return torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)


def _trained_here():
    model = Small()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model(torch.randn(4, 3, 16, 16)).logsumexp(1).sum().backward()
    optimizer.step()
    return model


def _without_weights():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize("factory", [_from_state, _assigned, _by_hand, _whole, _trained_here, _without_weights])
def test_weights_that_somebody_chose(factory):
    assert random_modules(factory, factory()) == []


def _new_head():
    model = learned()
    model.fc = nn.Linear(6, 3)
    return model


def _new_heads():
    model = learned()
    model.head = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2)))
    return model


def _strict_is_false():
    """A checkpoint in which a layer has another name, loaded so that nobody complains."""
    model = Small()
    state = {key.replace("features.3", "conv2"): value for key, value in LEARNED.items()}
    model.load_state_dict(state, strict=False)
    return model


def _new_token():
    model = learned()
    model.features.token = nn.Parameter(torch.randn(4))
    return model


@pytest.mark.parametrize(
    ("factory", "where"),
    [
        (_new_head, ["fc"]),
        (_new_heads, ["head"]),
        (_strict_is_false, ["features.3"]),
        (_new_token, ["features.token"]),
    ],
)
def test_a_part_that_nobody_learned_is_named(factory, where):
    assert random_modules(factory, factory()) == where
    (note,) = note_on(factory, factory(), "mine:net")
    assert note.startswith(f"the weights of {where[0]} in mine:net are random")


def test_few_are_named():
    many = [f"block{number}.weight" for number in range(9)]
    assert outermost(many, ["stem.weight"]) == [name.partition(".")[0] for name in many]
    assert outermost(many, []) == [""]
    assert outermost(["a.b.weight", "a.c.weight"], ["a.d.weight"]) == ["a.b", "a.c"]
    assert outermost(["a.weight"], ["a.bias"]) == ["a.weight"]


def test_a_second_call_is_nobodys_business(capsys):
    """It fails, prints, seeds, draws and ends Python: the first network, and everybody's numbers, stay."""
    calls = []

    def rude():
        calls.append(1)
        if len(calls) > 1:
            print("again?")
            torch.manual_seed(9), np.random.seed(9), random.seed(9)
            raise SystemExit(4)
        return Small()

    model = rude()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    assert random_modules(rude, model) == []
    assert len(calls) == 2
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1] == np.random.get_state()[1]).all()
    assert states[2] == random.getstate()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert capsys.readouterr() == ("", "")


def test_a_network_that_is_the_same_each_time_is_put_back():
    model = learned()

    def again():
        for parameter in model.parameters():
            init.normal_(parameter)
        model.features[1].running_mean.fill_(7)
        return model

    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_modules(again, model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_ctrl_c_while_it_is_built_again_goes_through():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        random_modules(interrupted, Small())


def test_the_note_is_where_readers_look(project, small):
    clf = load("mine:network")
    (note,) = clf.notes
    assert note.startswith("the weights of mine:network are random, so nothing that is shown was learned")
    assert "--weights FILE" in note
    assert "\n" not in note
    assert clf.provenance["notes"] == [note]
    torch.save(small.state_dict(), "w.pth")
    assert load("mine:network", weights="w.pth").notes == ()
    assert load("mine:network", weights="w.pth").provenance["notes"] == []
    assert load().notes == ()


def test_a_factory_behind_functools_cache(project):
    (project / "mine.py").write_text(
        (project / "mine.py").read_text() + "import functools\n@functools.lru_cache\ndef cached(): return Small()\n"
    )
    assert "mine:cached are random" in load("mine:cached").notes[0]


@pytest.mark.parametrize("spec", ["torchvision:resnet18", "timm:resnet10t", "efficientnet_lite0"])
def test_random_weights_that_were_asked_for(spec):
    assert "as asked for" in load(spec, weights="random").notes[0]


def _hf(folder, model):
    model.save_pretrained(folder)
    transformers.ConvNextImageProcessorPil(size={"shortest_edge": 32}, crop_pct=0.8).save_pretrained(folder)
    return f"hf:{folder}"


def test_a_checkpoint_of_transformers_without_a_head(tmp_path):
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic", num_labels=3
    )
    whole = _hf(tmp_path / "whole", transformers.ResNetForImageClassification(config))
    bare = _hf(tmp_path / "bare", transformers.ResNetModel(config))
    assert load(whole).notes == ()
    assert load(bare).notes[0].startswith(f"the weights of classifier in {bare} are random")
    assert "as asked for" in load(whole, weights="random").notes[0]


def test_weights_from_files_and_downloads_are_not_noted(tmp_path, monkeypatch):
    tuned = timm.create_model("resnet10t", num_classes=4)
    torch.save(tuned.state_dict(), tmp_path / "tuned.pth")
    assert load("timm:resnet10t", weights=tmp_path / "tuned.pth").notes == ()
