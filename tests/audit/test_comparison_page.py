"""The page of a comparison: all that was compared is there, nothing in it acts, and its maps have one scale."""

import base64
import hashlib
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_audit_page import HOSTILE, Parsed

from seewhy.auditing.comparing.comparison import Changed, Comparison, Paired, short
from seewhy.auditing.comparing.paired_maps import drawn, scale_of
from seewhy.auditing.comparing.parts import Part, measured
from seewhy.auditing.comparing.repeating import Repeated
from seewhy.auditing.finding import Finding
from seewhy.auditing.pages.axis import EDGE, WIDTH, axis_of
from seewhy.auditing.pages.comparison_page import render
from seewhy.errors import OutputError

GREY = Image.new("RGB", (200, 200), "#888")


def parts(count, broken, name="stripes"):
    """All photos, a class of half of them, and a slice; A alone is right on the first ``broken``."""
    every = np.ones(count, bool)
    some = np.arange(count) < count // 2
    groups = [Part("all", every, "all"), Part(name, some, "class"), Part(f"photos with {name}", some, "slice")]
    return measured(groups, every, np.arange(count) >= broken)[0]


def comparison(name="stripes", count=40, broken=20, **given):
    every, own, piece = parts(count, broken, name)
    changed = [Changed(f"{name}/{i}.png", name, name, 0.9, "rings", 0.8 - i / 100, "a") for i in range(broken)]
    values = np.linspace(-1, 3, 16, dtype=np.float32).reshape(4, 4)
    maps = {each.path: Paired(GREY, GREY, values, values / 2) for each in changed[:3]}
    about = {"audit": None, "model": name, "weights": "0" * 64, "preprocessing": "plain"}
    usual = {
        "a": about, "b": about, "parts": (every, own), "slices": (piece,), "fixed": (), "broken": tuple(changed),
        "maps": maps, "scale": scale_of(maps), "notes": (),
        "repeated": (Repeated("s", "a tag", name, 30, 0.5, (0.4, 0.6), 0.0, (0, 0), 0.46, 0.0, -0.46, (-0.5, -0.4),
                              1e-4, 1e-4),),
    }  # fmt: skip
    return Comparison(**{**usual, **given})


def test_it_asks_for_nothing_and_runs_nothing():
    page = render(comparison())
    parsed = Parsed(page)
    assert not parsed.all("script")
    for _, given in parsed.tags:
        assert not any(name.startswith("on") or name == "style" for name in given)
        for name in ("src", "href"):
            assert given.get(name, "data:").startswith("data:")
    (policy,) = [each["content"] for each in parsed.all("meta") if "http-equiv" in each]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "url(" not in style
    assert "@import" not in style


def test_names_from_outside_are_text():
    effect = Finding(id=HOSTILE, kind="stamp", sentence=HOSTILE, class_name=HOSTILE, effect=0.4, ci=(0.3, 0.5))
    lost = {f"{HOSTILE}/0.png": Paired(None, None, None, None, HOSTILE)}
    hostile = comparison(HOSTILE, notes=(HOSTILE,), effects={HOSTILE: (effect, effect)})
    hostile = replace(hostile, maps={**hostile.maps, **lost})
    parsed, plain = Parsed(page := render(hostile)), Parsed(render(comparison(notes=("x",))))
    assert not parsed.all("script")
    assert {tag for tag, _ in parsed.tags} <= {tag for tag, _ in plain.tags} | {"b"}
    assert all(each["src"].startswith("data:") for each in parsed.all("img"))
    assert "\u202e" not in page
    assert "{{ 7*7 }}" in page
    assert len([text for text in parsed.texts if "<script>alert(1)</script>" in text]) >= 12


def test_the_headline_can_be_quoted():
    found = comparison()
    assert found.headline == (
        "B decides 50.0 points worse than A [31.1, 64.1]; stripes 100.0 → 0.0 % right; "
        "a tag in class stripes: effect .46 → .00"
    )
    assert found.headline in " ".join(Parsed(render(found)).texts)
    same = comparison(broken=0, repeated=())
    assert same.headline == (
        "B is neither better nor worse than A as far as 40 photos tell: 0.0 points [−6.6, +6.6]"
    )  # fmt: skip
    assert "Nothing got significantly worse" in render(same)
    assert [short(each) for each in (0.456, -0.03, 0.001, -0.001, 1.0)] == [".46", "−.03", ".00", ".00", "1.00"]


def test_numbers_of_the_page_are_those_of_the_comparison():
    found = comparison()
    parsed = Parsed(render(found))
    dots = [float(each["data-value"]) for each in parsed.all("circle", "dot")]
    assert dots == [0.0, *(part.difference for part in (*found.parts, *found.slices))]
    axis = axis_of(value for part in found.parts for value in (part.difference, *part.ci))
    for each in parsed.all("line", "interval")[1:]:
        assert float(each["x1"]) == pytest.approx(axis.x(float(each["data-low"])))
        assert float(each["x2"]) == pytest.approx(axis.x(float(each["data-high"])))
    assert (axis.x(axis.low), axis.x(axis.high)) == (EDGE, WIDTH - EDGE)
    assert axis.x((axis.low + axis.high) / 2) == pytest.approx(WIDTH / 2)
    shown = [text for text in parsed.texts if text.strip().endswith(".png")]
    assert shown == [each.path for each in found.broken[:3]]


def colour_at(image, row, column, of):
    height, width = image.height // of, image.width // of
    return image.getpixel((column * width + width // 2, row * height + height // 2))


def test_the_same_number_has_the_same_colour_in_all_maps():
    """A's map and B's, of one photo and of another: where their numbers are equal, their colours are."""
    one = np.array([[0, 1, 2], [3, -1, 4], [5, 0, 8]], np.float32)
    other = np.array([[2, 1, 0], [-1, 3, 2], [8, 4, 0]], np.float32)
    maps = {"x": Paired(GREY, GREY, one, other), "y": Paired(GREY, GREY, other / 2, np.full((1, 1), 3, np.float32))}
    scale = scale_of(maps)
    big = Image.new("RGB", (300, 300), "#888")
    colours = {}
    for values in (one, other, np.full((3, 3), 3, np.float32)):
        grown = np.kron(values, np.ones((100, 100), np.float32))  # drawn without interpolation
        picture = drawn(big, grown, scale)
        for (row, column), value in np.ndenumerate(values):
            colours.setdefault(float(value), set()).add(colour_at(picture, row, column, 3))
    assert all(len(seen) == 1 for seen in colours.values())
    assert len({next(iter(seen)) for seen in colours.values()}) == len(colours)  # and others have others
    assert scale.kind == "diverging"
    everything = np.concatenate([m.ravel() for pair in maps.values() for m in (pair.map_a, pair.map_b)])
    assert scale.high == pytest.approx(np.quantile(np.abs(everything), 0.99))
    assert scale_of({"x": Paired(None, None, None, None)}) is None


def test_pictures_of_the_page_are_drawn_in_that_scale():
    found = comparison()
    sources = [each["src"] for each in Parsed(render(found)).all("img")]
    assert len(sources) == 1 + 3 * 3
    pictures = [Image.open(io.BytesIO(base64.b64decode(each.partition(",")[2]))).convert("RGB") for each in sources]
    pair = found.maps[found.broken[0].path]
    for picture, values in zip(pictures[2:4], (pair.map_a, pair.map_b), strict=True):
        off = np.abs(np.asarray(picture, int) - np.asarray(drawn(GREY, values, found.scale), int))
        assert off.mean() < 3  # levels: WebP


def test_it_is_saved_whole_and_never_overwritten(tmp_path):
    found = comparison()
    assert found.save(tmp_path / "a") == tmp_path / "a/compare.html"
    assert (tmp_path / "a/compare.html").read_text(encoding="utf-8") == render(found)
    about = json.loads((tmp_path / "a/compare.json").read_text())
    assert about["headline"] == found.headline
    assert [each["path"] for each in about["broken"]] == [each.path for each in found.broken]
    assert about["slices"][0]["difference"] == found.slices[0].difference
    for name, other in (("compare.json", "compare.html"), ("compare.html", "compare.json")):
        place = tmp_path / name.partition(".")[2]
        place.mkdir()
        (place / name).write_text("mine")
        with pytest.raises(OutputError, match=name):
            found.save(place)
        assert (place / name).read_text() == "mine"
        assert not (place / other).exists()
    assert found.save(tmp_path / "html", overwrite=True).read_text(encoding="utf-8") == render(found)
    assert found.save(tmp_path / "b", page=False) == tmp_path / "b/compare.json"
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["compare.json"]
