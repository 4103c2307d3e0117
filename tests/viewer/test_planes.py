"""Maps arrive in the browser as they were sent: exactly, or within half a step."""

import base64
import json
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from node import in_node, module, needs_node
from seewhy.pictures.overlay import upsample
from seewhy.viewer.planes import EXACT, LARGEST, bytes_of, plane, sent, text, values_of

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
MAPS = arrays(np.float32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=FINITE)
MANY = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def noise(side, signed, magnitude=1.0, seed=0):
    """What deflates worst: every pixel by itself."""
    drawn = np.random.default_rng(seed).normal(size=(side, side)) * magnitude
    return np.float32(drawn if signed else np.abs(drawn))


@MANY
@given(MAPS)
def test_a_small_map_arrives_exactly(values):
    about = json.loads(json.dumps(plane(values), allow_nan=False))
    assert (about["kind"], about["step"], about["width"], about["height"]) == ("f32", 1.0, *values.shape[::-1])
    back = values_of(about)
    assert back.dtype == np.float32
    assert back.tobytes() == values.tobytes(), "bit for bit, zeros with their sign too"


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("magnitude", [1e-44, 1e-38, 1e-20, 1.0, 1e20, 5e37])
@pytest.mark.parametrize("side", [80, 120, 224])
def test_a_large_map_arrives_within_half_a_step(side, magnitude, signed):
    values = noise(side, signed, magnitude)
    if magnitude == 1e-44:  # the smallest numbers that there are; so few that they would deflate to nothing
        values = noise(side, signed) * np.float32(2e-42)
    assert np.isfinite(values).all()
    about = json.loads(json.dumps(plane(values), allow_nan=False))
    assert about["kind"] == ("i8" if signed else "u8")
    back, largest = values_of(about).astype(np.float64), float(np.abs(values).max())
    step = about["step"]
    levels = largest / step
    assert round(levels) in ((127, 63) if signed else (255, 127))
    assert levels == pytest.approx(round(levels))
    ulp = np.spacing(np.abs(values)).astype(np.float64)
    assert (np.abs(back - values) <= step / 2 * (1 + 1e-9) + ulp).all()
    assert np.abs(back).max() == pytest.approx(largest, rel=1e-6, abs=1e-45), "the end of the scale is exact"
    zero = values == 0
    assert (back[zero] == 0).all()
    assert (np.sign(back) * np.sign(values) >= 0).all(), "no value changes its sign"


@MANY
@given(st.integers(60, 160), st.booleans(), st.floats(1e-30, 1e30), st.floats(0, 1), st.integers(0, 1 << 30))
def test_any_large_map_arrives_within_half_a_step(side, signed, magnitude, zeros, seed):
    values = noise(side, signed, magnitude, seed)
    values[np.random.default_rng(seed).random(values.shape) < zeros] = 0
    about = plane(values)
    assert sent(values)[1].tobytes() == values_of(about).tobytes(), "who sends it knows what arrives"
    error = np.abs(values_of(about).astype(np.float64) - values)
    rounding = float(np.spacing(np.abs(values).max()))  # of float32, on both ends of the way
    assert error.max() <= (0 if about["kind"] == "f32" else about["step"] / 2 + rounding)


def test_a_map_of_zeros_is_one_however_large():
    for side in (1, 224, 4000):
        about = plane(np.zeros((side, side), np.float32))
        assert len(about["data"]) < 90_000
        assert np.isfinite(about["step"])
        assert not values_of(about).any()


@pytest.mark.parametrize("signed", [False, True])
def test_no_map_of_224_pixels_is_larger_than_a_bound(signed):
    """Noise, which compresses worst, has half as many steps, and what repeats stays exact."""
    deflated = len(plane(noise(224, signed))["data"]) * 4 / 5
    assert EXACT < deflated < 1.25 * LARGEST + 64
    windows = np.kron(np.random.default_rng(0).normal(size=(28, 28)), np.ones((8, 8)))
    assert plane(windows)["kind"] == "f32"


@MANY
@given(st.binary(max_size=3000))
def test_no_character_of_the_text_acts_in_html_or_json(content):
    written = text(content)
    assert bytes_of(written) == content
    assert written == base64.b85encode(content).decode().replace("<", ",")
    assert not re.search(r"[<\"'\\&\s]", written.replace("&", "")), (
        "an ampersand is one of the 85, and is text in scripts"
    )
    assert json.dumps(written) == f'"{written}"'
    assert len(written) == len(content) * 5 // 4 + (len(content) % 4 > 0)
    assert written.isascii()


def test_the_85_characters():
    """All of them occur, and none is one that ends an element or a string."""
    used = set(text(bytes(range(256)) * 64 + np.random.default_rng(0).bytes(40_000)))
    assert len(used) == 85
    assert not used & set("<\"'\\ \n:./[]")


@needs_node
def test_the_browser_reads_what_was_written():
    draws = np.random.default_rng(3)
    maps = [
        noise(7, True), noise(1, False), noise(100, True), noise(100, False), noise(224, True, 1e-40),
        noise(224, False, 3e37), np.zeros((5, 9), np.float32), np.float32(draws.normal(size=(3, 11))),
        np.float32(draws.normal(size=(90, 130))),
    ]  # fmt: skip
    planes = [plane(values) for values in maps]
    assert {about["kind"] for about in planes} == {"f32", "u8", "i8"}
    program = f"""
    import {{ bytesOf, gridOf }} from {module("planes")};
    const grids = await Promise.all(given.planes.map(gridOf));
    const hex = (bytes) => Buffer.from(bytes).toString("hex");
    console.log(JSON.stringify({{
      grids: grids.map((g) => [g.width, g.height, hex(new Uint8Array(g.values.buffer))]),
      bytes: given.texts.map((text) => hex(bytesOf(text))),
    }}));
    """
    contents = [draws.bytes(length) for length in (0, 1, 2, 3, 4, 5, 7, 64, 65, 66, 67)] + [b"\xff" * 9, b"\0" * 9]
    found = in_node(program, {"planes": planes, "texts": [text(content) for content in contents]})
    for about, (width, height, shown) in zip(planes, found["grids"], strict=True):
        read = np.frombuffer(bytes.fromhex(shown), "<f4").reshape(height, width)
        assert read.tobytes() == values_of(about).tobytes(), "bit for bit"
    assert [bytes.fromhex(each) for each in found["bytes"]] == contents


@needs_node
def test_the_browser_enlarges_as_the_figure_does_and_multiplies():
    """Bilinear with half-pixel centres; guided Grad-CAM is the product of what was sent."""
    coarse, fine = noise(7, False), noise(90, True, seed=1)
    views = [
        {"id": "b", "kind": "map", "plane": {"kind": "product", "width": 90, "height": 90, "of": ["a", "c"]}},
        {"id": "a", "kind": "map", "plane": plane(coarse)},
        {"id": "x", "kind": "error", "error": "no"},
        {"id": "c", "kind": "map", "plane": plane(fine)},
    ]  # fmt: skip
    program = f"""
    import {{ gridOf, gridsOf, upsampled }} from {module("planes")};
    const grids = await gridsOf(given.views);
    const coarse = await gridOf(given.views[1].plane);
    const sizes = given.sizes.map(([w, h]) => [...upsampled(coarse, w, h)]);
    console.log(JSON.stringify({{ product: [...grids.get("b").values], ids: [...grids.keys()].sort(), sizes }}));
    """
    sizes = [[7, 7], [90, 90], [448, 21], [10, 300], [8, 9]]
    found = in_node(program, {"views": views, "sizes": sizes})
    assert found["ids"] == ["a", "b", "c"]
    wanted = upsample(coarse, (90, 90)) * values_of(views[3]["plane"])
    assert np.reshape(found["product"], (90, 90)) == pytest.approx(wanted, abs=1e-5)
    for (width, height), shown in zip(sizes, found["sizes"], strict=True):
        assert np.reshape(shown, (height, width)) == pytest.approx(upsample(coarse, (width, height)), abs=1e-5)
