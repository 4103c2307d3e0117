"""Every panel of the figure, and every map of the report, is its own: drawn here once more, in numpy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import seewhy
from seewhy.methods import METHODS
from seewhy.pictures.colormaps import table
from seewhy.report import Item, RunInfo, render_report
from taken_apart import Page, maps_of, picture_of

SIDE = 448  # pixels of a picture in the figure
FIRST, NEXT = 80, 504  # where the figure's columns begin, and how far they are apart


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    y, x = np.mgrid[0:48, 0:48] / 6.0
    photo = np.uint8(127 + 60 * np.stack([np.sin(x + y), np.cos(x) * np.sin(y), np.sin(x * y / 4)], -1))
    path = tmp_path_factory.mktemp("photo") / "waves.png"
    Image.fromarray(photo).save(path)
    classifier = seewhy.load("nets.tiny:make", input_size=32)
    return seewhy.explain(path, classifier, targets=[1, 3], steps=4)


def drawn_again(values, crop, signed, at_least):
    """(448, 448, 3) in 0..255: a map over the photo, as ``overlay`` describes it."""
    strongest = np.abs(values).argmax(0)
    native = np.take_along_axis(values, strongest[None], 0)[0].astype(np.float64)
    limit = np.abs(native).max()
    if native.size >= 64 * 64 and 0 < 1.5 * np.percentile(np.abs(native), 99.5) < limit:
        limit = np.percentile(np.abs(native), 99.5)
    limit = max(limit, at_least)  # a faint map
    full = F.interpolate(torch.tensor(native)[None, None], size=(SIDE, SIDE), mode="bilinear")[0, 0].numpy()
    diverging = signed or (native < 0).any()
    share = np.rint(np.clip(full / (limit or 1.0), -1 if diverging else 0, 1) * 255) / 255
    colours = table("diverging")[np.rint((share + 1) * 255).astype(int)] if diverging else None
    colours = table("sequential")[np.rint(share * 255).astype(int)] if colours is None else colours
    times = SIDE // crop.width  # few pixels keep their edges
    grey = np.asarray(crop.convert("L"), np.float64)
    ordered = np.sort(grey.reshape(-1))
    low, high = (ordered[np.ceil(share * grey.size).astype(int) - 1] for share in (0.01, 0.99))
    grey = np.rint((grey - low) / (high - low) * 255).clip(0, 255) / 255
    light = grey.repeat(times, 0).repeat(times, 1)[..., None]
    opacity = 0.85 * np.sqrt(np.abs(share))[..., None]
    ink = colours / 255 * (0.65 + 0.7 * light)
    return 255 * np.clip(ink * opacity + (0.56 + 0.44 * light) * (1 - opacity), 0, 1)


def pictures_of(explanation, found):
    """Title -> what its panel has to show, in the order of the panels."""
    wanted = {
        view.title: drawn_again(
            view.attribution.values[0].numpy(), explanation.photo.crop, view.signed,
            0.0 if view.amount is None else view.amount.at_least,
        )
        for view in found.views.values() if view.attribution is not None
    }  # fmt: skip
    made = found.views["class_visualization"].visualization.images[0].permute(1, 2, 0).numpy() * 255
    wanted["Class visualization"] = made.repeat(SIDE // 32, 0).repeat(SIDE // 32, 1)
    return wanted


def places(sheet, picture):
    """Where a picture lies in the figure, (row of pixels, column of panels), but for its outline."""
    inside = picture[1:-1, 1:-1]
    for column, left in enumerate(range(FIRST, sheet.shape[1] - SIDE, NEXT)):
        strip = sheet[:, left + 1 : left + SIDE - 1].astype(np.float64)
        line = np.lib.stride_tricks.sliding_window_view(strip[1:, 222, 0], SIDE - 2)
        for top in np.flatnonzero(np.abs(line - inside[:, 222, 0]).mean(1) < 1).tolist():  # worth a whole look
            if np.abs(strip[top + 1 : top + SIDE - 1] - inside).mean() < 0.4:  # 0.25 is rounding
                yield top, column


def in_order(wanted, sheet):
    """Whether each picture is in the figure exactly once, and all of them in their order."""
    found = [list(places(sheet, picture)) for picture in wanted.values()]
    return all(len(each) == 1 for each in found) and found == sorted(found)


def test_the_maps_differ_so_that_a_wrong_one_would_show(explained):
    explanation = explained
    wanted = pictures_of(explanation, explanation.targets[0])
    assert len(wanted) == len(METHODS) + 1
    many = list(wanted.items())
    for number, (title, picture) in enumerate(many):
        for other_title, other in many[:number]:
            assert np.abs(picture - other).mean() > 2, (title, other_title)


@pytest.mark.parametrize("target", [0, 1])
def test_every_panel_of_the_figure_shows_its_own_map(explained, target):
    explanation = explained
    found = explanation.targets[target]
    wanted = pictures_of(explanation, found)
    assert in_order(wanted, np.asarray(explanation.figure(found)))


def test_two_maps_that_are_swapped_would_be_seen(explained):
    explanation = explained
    found = explanation.targets[0]
    wanted = pictures_of(explanation, found)
    first, second = METHODS[3].id, METHODS[4].id
    swapped = replace(found, views={**found.views, first: found.views[second], second: found.views[first]})
    assert not in_order(wanted, np.asarray(explanation.figure(swapped)))
    alike = replace(found, views=dict.fromkeys(found.views, found.views[first]))
    assert not in_order(wanted, np.asarray(explanation.figure(alike)))


def test_every_map_of_the_report_is_its_own(explained):
    """Drawn as the viewer draws it, from what the page holds alone."""
    page = Page(render_report([Item(explained)], run=RunInfo("m", "w", "v", "d", "c")))
    shown = page.photos[1]
    crop = picture_of(shown["photo"]["crop"])
    assert np.abs(np.asarray(crop, np.float64) - np.asarray(explained.photo.crop)).mean() < 12, "it is encoded small"
    for found, told in zip(explained.targets, shown["targets"], strict=True):
        assert told["name"] == found.target.name
        wanted = pictures_of(explained, found)
        drawn = {
            view["title"]: drawn_again(
                maps_of(told["views"])[view["id"]][None], explained.photo.crop, view["scale"]["diverging"],
                view["scale"]["high"],
            )
            for view in told["views"] if view["kind"] == "map"
        }  # fmt: skip
        made = np.asarray(picture_of(told["views"][-1]["picture"]).resize((SIDE, SIDE), Image.Resampling.NEAREST))
        drawn["Class visualization"] = made.astype(np.float64)
        assert list(drawn) == list(wanted)
        for title, picture in drawn.items():
            off = {other: np.abs(picture - each).mean() for other, each in wanted.items()}
            assert off[title] < (12 if title == "Class visualization" else 0.5), title
            assert min(off, key=off.get) == title, off


def test_what_is_saved_is_what_is_drawn(explained, tmp_path):
    explanation = explained
    explanation.save(tmp_path / "waves")
    with np.load(tmp_path / "waves" / "maps.npz") as maps:
        for row, found in enumerate(explanation.targets):
            for method in METHODS:
                assert np.array_equal(maps[method.id][row], found.views[method.id].attribution.values[0].numpy())
    for name, found in (("figure.png", explanation.targets[0]), ("figure-3.png", explanation.targets[1])):
        wanted = pictures_of(explanation, found)
        assert in_order(wanted, np.asarray(Image.open(tmp_path / "waves" / name)))
