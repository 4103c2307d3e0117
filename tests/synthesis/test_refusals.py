"""What cannot be visualized is said in one line that names the way out, and the guest is as it was."""

import pytest
import torch
from torch import nn

import seewhy
from nets.tiny import make
from seewhy.checks import fingerprint
from seewhy.synthesis import Ascent, Fourier, Phase, SmallNorm, presets
from seewhy.synthesis import objectives as o
from seewhy.synthesis import transforms as t

UNITS = {"mean": (0.5,) * 3, "std": (0.25,) * 3}


class Ends(nn.Module):
    """A small network whose answers go through a function."""

    def __init__(self, function):
        super().__init__()
        self.body, self.function = make(), function

    def forward(self, x):
        return self.function(self.body(x))


class Inferring(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = make()

    @torch.inference_mode()
    def forward(self, x):
        return self.body(x)


class Gradientless(Inferring):
    @torch.no_grad()
    def forward(self, x):
        return self.body(x)


class Skipping(nn.Module):
    """One of its layers does not run."""

    def __init__(self):
        super().__init__()
        self.body, self.spare = make(), nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.body(x)


LAZY = (nn.LazyConv2d(8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(4))
NETWORKS = {
    "lazy": (lambda: nn.Sequential(*LAZY), "lazy layers"),
    "one dimension": (lambda: nn.Sequential(nn.Conv1d(3, 8, 3), nn.Flatten()), "mean= and std="),
    "three dimensions": (lambda: nn.Sequential(nn.Conv3d(1, 2, 3), nn.BatchNorm3d(2), nn.Flatten()), "mean= and std="),
    "words": (lambda: nn.Sequential(nn.Embedding(9, 4)), "mean= and std="),
    "whole numbers": (lambda: Ends(lambda y: (100 * y).long()), "whole numbers.*scores"),
    "decisions": (lambda: Ends(lambda y: y.argmax(1, keepdim=True)), "whole numbers.*scores"),
    "detached": (lambda: Ends(lambda y: y.detach()), "does not depend on the image.*detach"),
    "rounded": (lambda: Ends(lambda y: y.round()), "does not change with the image"),
    "times zero": (lambda: Ends(lambda y: 0 * y), "does not change with the image"),
    "constant": (lambda: Ends(lambda y: torch.ones(len(y), 4)), "does not depend on the image"),
    "infinite": (lambda: Ends(lambda y: y / 0), "NaN or infinite"),
    "inference mode": (Inferring, "inference_mode"),
    "no_grad": (Gradientless, "does not depend on the image.*no_grad"),
    "maps": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3)), "one row of class scores"),
    "no tensor": (lambda: Ends(lambda y: "a cat"), "no tensor"),
    "nothing at all": (lambda: Ends(lambda y: None), "no tensor"),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("preset", ["default", "simonyan", "olah"])
def test_networks_that_cannot_be_ascended(name, preset):
    make_network, match = NETWORKS[name]
    model = make_network()
    before = None if name == "lazy" else fingerprint(model)
    with pytest.raises(seewhy.SeewhyError, match=match) as error:
        seewhy.visualize(model, 0, preset=preset, start="noise", steps=20, size=20)
    assert "\n" not in str(error.value)
    assert before is None or fingerprint(model) == before


ARGUMENTS = {
    "no targets": ({"target": []}, "empty list"), "no targets, tensor": ({"target": torch.tensor([])}, "empty list"),
    "no such class": ({"target": 4}, "no such class"), "below": ({"target": -1}, "no such class"),
    "no number": ({"target": "cat"}, "not a target"), "half a class": ({"target": 1.5}, "integers"),
    "nested": ({"target": [[1, 2], [0, 1]]}, "one target per image"), "yes": ({"target": True}, "class index"),
    "no batch": ({"batch": 0}, "at least one image"), "half a batch": ({"batch": 1.5}, "at least one image"),
    "another batch": ({"target": [1, 2], "batch": 3}, "different numbers"),
    "as many starts": ({"target": [1, 2, 3], "start": torch.rand(2, 3, 20, 20)}, "different numbers"),
    "as many channels": ({"target": [1, 2], "objective": o.channel("2", [1, 2, 3])}, "different numbers"),
    "std zero": ({"std": (0.25, 0.0, 0.25)}, "std above zero"), "std below": ({"std": (-1,) * 3}, "std above zero"),
    "std nan": ({"std": (float("nan"),) * 3}, "std above zero"),
    "mean inf": ({"mean": (float("inf"),) * 3}, "mean and"),
    "one mean": ({"mean": (0.5,)}, "mean and std"), "no list": ({"mean": 0.5}, "mean is one number per channel"),
    "both two": ({"mean": (0.5,) * 2, "std": (0.5,) * 2}, "2 channels.*mean=.*--mean"),
    "words": ({"std": "abc"}, "std is one number per channel"),
    "too small": ({"size": 3}, "3 x 3 pixels.*size="), "no size": ({"size": 0}, "pixels"),
    "half a size": ({"size": (20, 20.5)}, "height and width"),
    "three sizes": ({"size": (20, 20, 3)}, "height and width"),
    "no steps": ({"steps": 0}, "above zero"), "half a step": ({"steps": 2.5}, "whole numbers"),
    "endless steps": ({"steps": float("nan")}, "above zero"), "l2 nan": ({"l2": float("nan")}, "l2 is not below"),
    "rate": ({"learning_rate": -1}, "above zero"), "seed": ({"seed": "a"}, "whole numbers"),
    "no callback": ({"callback": 3}, "called after each step"),
    "too late": ({"checkpoints": (9,)}, "1 to 4"), "too early": ({"checkpoints": (0,)}, "1 to 4"),
    "no patience": ({"patience": 0}, "one or more"), "no attempts": ({"attempts": 0}, "one or more"),
    "no layer": ({"objective": o.channel("nowhere", 1)}, "no layer"),
    "no position": ({"objective": o.position("2", 99, 0)}, "no such position"),
    "no neuron": ({"objective": o.neuron("2", 1, 0, 99)}, "no such position"),
    "no maps": ({"objective": o.position("6", 0, 0)}, "no such position"),
    "no channel": ({"objective": o.channel("2", 99)}, "no such channel"),
    "several numbers": ({"objective": o.Objective("all", lambda s: s.outputs)}, "one number per image"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_that_do_not_fit(name):
    given, match = ARGUMENTS[name]
    options = {"target": None if "objective" in given and "target" not in given else 1, "steps": 4, "size": 20, **UNITS}
    model = make()
    before = fingerprint(model)
    with pytest.raises(seewhy.SeewhyError, match=match) as error:
        seewhy.visualize(model, **{**options, **given})
    assert "\n" not in str(error.value)
    assert fingerprint(model) == before


def test_a_layer_that_does_not_run_is_named():
    for steps in (2, 20):
        with pytest.raises(seewhy.SeewhyError, match="'spare' did not run"):
            seewhy.visualize(Skipping(), objective=o.channel("spare", 1), steps=steps, size=20, **UNITS)


def test_what_a_callback_raises_is_the_callers_own():
    class Cancelled(Exception):
        pass

    def cancel(step, score, x):
        raise Cancelled

    model = make().train()
    before = fingerprint(model)
    with pytest.raises(Cancelled):
        seewhy.visualize(model, 1, steps=20, size=20, callback=cancel, **UNITS)
    assert fingerprint(model) == before


def test_numbers_that_break_on_the_way_are_found_at_the_end_at_the_latest():
    class Breaks(nn.Module):
        """Finite at first."""

        def __init__(self, after):
            super().__init__()
            self.body, self.left = make(), after

        def forward(self, x):
            self.left -= 1
            return self.body(x) if self.left > 0 else self.body(x) * float("nan")

    for after, steps in ((4, 6), (25, 40)):
        seen = []
        with pytest.raises(seewhy.SeewhyError, match="NaN or infinite"):
            seewhy.visualize(Breaks(after), 1, steps=steps, size=20, attempts=1, preset="olah",
                             callback=lambda step, *_, seen=seen: seen.append(step), **UNITS)  # fmt: skip
        assert len(seen) < after + 16


@pytest.mark.parametrize("preset", ["default", "simonyan", "maco"])
def test_inside_inference_mode_it_is_the_same(preset):
    model = make()
    start = torch.rand(3, 20, 20)
    options = {"preset": preset, "steps": 18, "size": 20, "attempts": 1, **UNITS}
    outside = [seewhy.visualize(model, [1, 2], **options), seewhy.visualize(model, 1, start=start, **options)]
    reference = torch.rand(1, 12, 7, 7)
    asked = seewhy.visualize(model, objective=o.match("2", reference), **options)
    with torch.inference_mode():
        inside = [seewhy.visualize(model, torch.tensor([1, 2]), **options),
                  seewhy.visualize(model, torch.tensor(1), start=start.clone(), **options)]  # fmt: skip
        again = seewhy.visualize(model, objective=o.match("2", reference.clone()), **options)
        towards = seewhy.visualize(model, objective=o.direction("2", torch.ones(12)), **options)
    assert not inside[0].images.is_inference()
    for a, b in zip((*outside, asked), (*inside, again), strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.history, b.history)
    assert towards.history.isfinite().all()
    with torch.no_grad():
        assert torch.equal(seewhy.visualize(model, [1, 2], **options).images, outside[0].images)


class Remembers(nn.Module):
    """Keeps grids from the first call; in a plain attribute, a list, and a buffer."""

    def __init__(self):
        super().__init__()
        self.body, self.grid = make(), None
        self.register_buffer("scale", None)

    def forward(self, x):
        ramp = torch.linspace(0.5, 1, x.shape[-1])
        if self.grid is None:
            self.grid, self.rows = ramp.expand(1, 1, *x.shape[2:]) * 1, [ramp * 1]
        if self.scale is None:
            self.scale = ramp[:, None] * 1
        return self.body(torch.stack([x * self.grid * self.scale, x * self.rows[0]]).mean(0))


def test_what_a_network_kept_from_inference_mode_does_no_harm():
    fresh, used = Remembers(), Remembers()
    with torch.inference_mode():
        used(torch.rand(1, 3, 20, 20))
    assert used.grid.is_inference()
    kept = used.grid
    for preset in ("simonyan", "olah"):
        options = {"preset": preset, "steps": 4, "size": 20, "attempts": 1, **UNITS}
        a, b = (seewhy.visualize(model, 1, **options) for model in (fresh, used))
        assert torch.equal(a.images, b.images)
    assert seewhy.visualize(used, 1, steps=4, size=20, **UNITS).history.isfinite().all()
    assert used.grid is kept


IGNORED = {
    "decay of pixels": ({"parameterization": "pixels", "decay": 1.0}, "decay"),
    "decay of phases": ({"preset": "maco", "decay": 1.0}, "decay"),
    "decay of the notes' own": ({"preset": "simonyan", "decay": 2.0}, "decay"),
    "blur of waves": ({"preset": "yosinski", "parameterization": "fourier"}, "blur_every"),
}


@pytest.mark.parametrize("name", IGNORED)
def test_what_would_change_nothing_is_refused(name):
    given, match = IGNORED[name]
    with pytest.raises(seewhy.SeewhyError, match=match):
        seewhy.visualize(make(), 1, steps=2, size=20, **UNITS, **given)


def test_a_part_that_would_change_nothing_is_refused_when_it_is_made():
    with pytest.raises(seewhy.SeewhyError, match=r"small_norm of preset 'mine' would change nothing.*'phase'"):
        Ascent("mine", image=Phase(), filters=(SmallNorm(0.1),))
    with pytest.raises(seewhy.SeewhyError, match="decay would change nothing"):
        Phase(decay=1.0)
    assert Phase(decay=1.0, alpha=0.0).decay == 1.0
    assert Fourier().decay == 1.3


PARTS = {
    "no steps": ({"steps": 0}, "above zero"), "no optimizer": ({"kind": "adamv"}, "did you mean adam"),
    "no schedule": ({"strength": "hilly"}, "no schedule"), "no share": ({"filters": (1,)}, "filters"),
    "no part": ({"optimizer": "sgd"}, "no optimizer of an ascent"), "unknown": ({"stepz": 4}, "did you mean steps"),
    "below": ({"ghosts": -0.1}, "ghosts"), "nan": ({"probability": float("nan")}, "probability"),
    "words": ({"l2": "much"}, "l2"), "no list": ({"transforms": 5}, "list of functions"),
    "image": ({"parameterization": "wavelet"}, "pixels, fourier, phase"), "decay": ({"decay": float("inf")}, "decay"),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_parts_check_themselves(name):
    given, match = PARTS[name]
    with pytest.raises(seewhy.SeewhyError, match=match) as error:
        presets.default(**given)
    assert "\n" not in str(error.value)


def test_an_ascent_is_a_value_and_but_changes_one_part():
    assert presets.simonyan(steps=7, l2=1e-3) == presets.simonyan().but(l2=1e-3, steps=7, decay=None)
    changed = presets.default(ghosts=0.0, learning_rate=0.3)
    assert (changed.network.ghosts, changed.optimizer.learning_rate) == (0.0, 0.3)
    assert changed.optimizer.shrink == presets.default().optimizer.shrink
    assert presets.default(parameterization="pixels", alpha=0.1).image.decay == presets.default().image.decay
    assert hash(presets.default()) == hash(presets.default())
    assert {make().name for make in presets.PRESETS.values()} == set(presets.PRESETS)


def test_an_ascent_gives_what_its_preset_gives_and_either_is_given_alone():
    options = {"size": 20, "steps": 3, **UNITS}
    a = seewhy.visualize(make(), 1, preset="olah", l2=1e-3, **options)
    b = seewhy.visualize(make(), 1, ascent=presets.olah(l2=1e-3), **options)
    assert torch.equal(a.images, b.images)
    assert a.params == b.params
    with pytest.raises(seewhy.SeewhyError, match="one of them"):
        seewhy.visualize(make(), 1, ascent=presets.olah(), preset="olah", **options)
    with pytest.raises(seewhy.SeewhyError, match="no ascent"):
        seewhy.visualize(make(), 1, ascent="olah", **options)


def test_params_tell_what_had_a_part_and_nothing_else():
    def params(**given):
        return seewhy.visualize(make(), 1, steps=2, size=20, **UNITS, **given).params

    always = {"preset", "parameterization", "steps", "learning_rate", "optimizer", "start", "size", "mean", "std"}
    chance = {"seed", "seeds", "attempts", "device"}
    assert set(params(preset="simonyan")) == always | {"l2", "normalize"}
    assert set(params(preset="yosinski")) == always | {"l2", "normalize", "blur_every", "blur"}
    assert set(params(preset="olah")) == always | chance | {"decay", "transforms"}
    assert set(params(preset="maco")) == always | chance | {"transforms"}
    default = {"decay", "transforms", "schedule", "strength", "shrink", "probability", "ghosts"}
    assert set(params()) == always | chance | default
    assert set(params(autocast=True, patience=9)) == always | chance | default | {"autocast", "patience"}
    assert params(alpha=0.0, preset="simonyan")["decay"] == 1.3
    assert "blur_every" not in params(alpha=0.0, preset="yosinski")  # behind an alpha channel nothing is filtered
    assert params(alpha=0.0)["alpha"] == 0.0
    assert params(preset="simonyan", l2=0.0)["l2"] == 0.0  # switched off: told, since the preset has it
    assert params(transforms=())["transforms"] == []
    assert "probability" not in seewhy.visualize(make(), lambda y: y[:, 1], steps=2, size=20, **UNITS).params
    assert "objective" in seewhy.visualize(make(), objective=o.logit(1), steps=2, size=20, **UNITS).params


def _differently(name, value):
    """Another value of the same parameter."""
    others = {"optimizer": "sgd", "start": "grey", "schedule": "constant", "mean": (0.4,) * 3,
              "strength": "constant", "std": (0.3,) * 3, "size": (20, 22), "transforms": (t.Noise(0.3),)}  # fmt: skip
    return others[name] if name in others else value * 2 or 0.5


def test_everything_that_the_default_tells_changes_the_picture():
    base = {"steps": 20, "size": 20, "attempts": 1, **UNITS}
    first = seewhy.visualize(make(), 1, **base)
    direct = {"steps", "learning_rate", "decay", "transforms", "start", "size", "mean", "std", "seed"}
    for name, value in first.params.items():
        if name in ("preset", "device", "seeds", "attempts", "seed", "parameterization"):
            continue
        other = _differently(name, value)
        given = (
            {name: other}
            if name in direct
            else {"ascent": presets.default(**{"kind" if name == "optimizer" else name: other})}
        )
        v = seewhy.visualize(make(), 1, **{**base, **given})
        assert v.images.shape != first.images.shape or not torch.equal(v.images, first.images), name
    assert not torch.equal(seewhy.visualize(make(), 1, seed=1, **base).images, first.images)
