"""What the viewer copies makes what is on its screen: run as a person would, in Python and on the command line."""

import json
import shlex

import numpy as np
import pytest
import torch
from PIL import Image

import seewhy
from node import in_node, module, needs_node
from seewhy.methods import GradCAM, Occlusion
from seewhy.results.viewed import viewed

pytestmark = needs_node
USUAL = {"colours": "seewhy", "opacity": 1, "scale": "own", "ground": "crop"}


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)
    Image.fromarray(pixels).save('näh 🐈 "it\'s".png')
    (tmp_path / "labels.txt").write_text("猫\ntiger cat\nlynx's paw\ntiger cat\n", "utf-8")


def explained(targets, **given):
    model = seewhy.load("nets.tiny:make", input_size=32, labels="labels.txt")
    methods = ["saliency", "cam", GradCAM(relu=False), Occlusion(window=8, stride=4)]
    return seewhy.explain('näh 🐈 "it\'s".png', model, methods, targets, **given)


def copied(found, which, settings, opacities=None):
    """(Python, command) that the buttons copy while target ``which`` is looked at."""
    program = f"""
    import {{ pythonFor, commandFor }} from {module("code")};
    const {{ e, which, settings, opacities }} = given;
    const target = e.targets[which];
    const panes = target.views.map((view) => ({{ view, opacity: opacities[view.id] ?? 1 }}));
    const viewer = {{ target, panes }};
    console.log(JSON.stringify([pythonFor(e, viewer, settings), commandFor(e, viewer, settings)]));
    """
    given = {"e": json.loads(json.dumps(viewed(found))), "which": which, "settings": settings}
    return in_node(program, given | {"opacities": opacities or {}})


SETTINGS = {
    "usual": USUAL,
    "jet": USUAL | {"colours": "jet", "opacity": 0.35},
    "shared": USUAL | {"scale": "shared"},
    "share": USUAL | {"scale": "share", "opacity": 0.7},
    "whole": USUAL | {"ground": "whole", "colours": "viridis"},
}
TARGETS = {
    "one": ([1], {}, 0),
    "second of two": ([1, 0], {}, 1),
    "rather than": ([3], {"versus": "lynx's paw"}, 1),
    "the first of a comparison": ([3], {"versus": "lynx's paw"}, 0),
    "one scale": ([1, 2], {"shared_scale": True}, 0),
    "of one name": ([1, 3], {}, 1),
}


@pytest.mark.parametrize("drawn", SETTINGS)
@pytest.mark.parametrize("asked", TARGETS)
def test_the_python_draws_what_is_on_the_screen(asked, drawn):
    targets, given, which = TARGETS[asked]
    found, settings = explained(targets, **given), SETTINGS[drawn]
    python, _ = copied(found, which, settings, {"cam": 0.5})
    exec(compile(python, "<copied>", "exec"), {"__name__": "copied"})
    target = found.targets[which]
    for id in target.views:
        opacity = settings["opacity"] * (0.5 if id == "cam" else 1)
        photo = found.photo.path if settings["ground"] == "whole" else None
        wanted = found.to_image(
            id, photo, target=which, scale=settings["scale"], colormap=settings["colours"], opacity=opacity
        )
        assert np.array_equal(np.asarray(Image.open(f"{id}.png")), np.asarray(wanted)), id


@pytest.mark.parametrize("drawn", [name for name in SETTINGS if name != "whole"])
@pytest.mark.parametrize("asked", TARGETS)
def test_the_command_draws_what_is_on_the_screen(asked, drawn, seewhy_command, tmp_path):
    """As its figure."""
    targets, given, which = TARGETS[asked]
    found, settings = explained(targets, **given), SETTINGS[drawn]
    _, command = copied(found, which, settings)
    program, *words = shlex.split(command)
    assert program == "seewhy"
    code, _, err = seewhy_command(*words, "-o", "out")
    assert code == 0, err
    (folder,) = (path for path in (tmp_path / "out").iterdir() if path.is_dir())
    again = seewhy.Explanation.load(folder)
    key = found.targets[which].key
    (place,) = (number for number, each in enumerate(again.targets) if each.key == key)
    figure = Image.open(folder / ("figure.png" if place == 0 else f"figure-{key}.png"))
    # Of one target alone all scales are one.
    look = {
        "scale": settings["scale"] if len(found.targets) > 1 else "own",
        "colormap": settings["colours"],
        "opacity": settings["opacity"],
    }
    assert figure.tobytes() == again.figure(place, **look).tobytes()
    for id, view in found.targets[which].views.items():
        other = again.targets[place].views[id]
        # How many classes are scored at once shows in the last bits.
        assert torch.allclose(view.attribution.values, other.attribution.values, rtol=1e-4, atol=1e-7)
        ends = [e.panel(v, scale=look["scale"]).scale.high for e, v in ((again, other), (found, view))]
        assert ends[0] == pytest.approx(ends[1], rel=1e-5)
