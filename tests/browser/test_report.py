"""The report, opened from disk without a network, looked at and touched as a person would."""

import json
import re
import shlex

import numpy as np
import pytest
from PIL import Image

from browser.axe import violations
from browser.looking import (
    VIEWER,
    drawn,
    field,
    map_ids,
    opened,
    pictures,
    settled,
    slide,
    stage,
    until,
)  # fmt: skip
from browser.made import HOSTILE, Run, command, options, photo
from seewhy.pictures.colormaps import Scale, position
from seewhy.pictures.overlay import blended, one_channel, stretched, upsample

TRANSFORMS = """[...document.querySelectorAll(".stage canvas")].map((canvas) => {
    const { a, d, e, f } = new DOMMatrix(getComputedStyle(canvas).transform);
    return [a, d, e / canvas.offsetWidth, f / canvas.offsetHeight].map((each) => each.toFixed(2)).join();
})"""  # in shares of each pane, which may be of different sizes
VIEWS = ["saliency", "deconvnet", "guided_backprop", "cam", "grad_cam", "guided_grad_cam", "occlusion"]


@pytest.fixture
def page(offline, run):
    """The report at a photo that is taken for another class."""
    return opened(offline, run, run.number("red/g0<b>.png"))


@pytest.fixture
def number(run):
    return run.number("red/g0<b>.png")


def test_it_says_what_it_is(page):
    assert page.locator("seewhy-viewer h2").inner_text() == "Why red?"
    assert page.locator(".truth.wrong").inner_text() == "wrong: truly red"
    assert map_ids(page) == VIEWS
    assert page.locator("seewhy-pane img.plain").count() == 1, "the image of the class"
    cards = page.locator("seewhy-pane details.card")
    assert cards.count() == 8
    for card in cards.all():
        card.locator("summary").click()
        assert card.locator(".formula").inner_text()
        assert card.locator(".misleads").inner_text()
        assert re.search(r"\d{4}", card.locator(".source").inner_text()), "a paper, with its year"


def test_the_policy_lets_nothing_in(page, run):
    """The guard sees what is asked for; this asks for what a label with a hole in it would."""
    page.guard.expect("content security policy: img-src")
    page.guard.expect("content security policy: script-src")
    page.guard.expect("Refused to|violates the following Content Security Policy")
    page.guard.expect("external request: https://example.org")
    blocked = page.evaluate("""() => new Promise((done) => {
        const seen = [];
        document.addEventListener("securitypolicyviolation", (event) => {
            seen.push(event.effectiveDirective);
            if (seen.length === 2) done(seen);
        });
        const script = document.createElement("script");
        script.textContent = "document.title = 'taken'";
        document.body.append(script);
        new Image().src = "https://example.org/a.png";
    })""")
    assert sorted(blocked) == ["img-src", "script-src-elem"]
    assert page.title() != "taken"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave(open_page, run, scheme):
    page = opened(open_page(offline=True, color_scheme=scheme, reduced_motion="reduce"), run)
    for box in page.locator("details").all():
        box.evaluate("(box) => { box.open = true; }")
    until(page, "document.querySelector('table.confusion')")
    assert violations(page) == []


def test_all_panes_zoom_as_one(page):
    def scales():
        found = set(page.evaluate(TRANSFORMS))
        assert len(page.evaluate(TRANSFORMS)) == 8
        assert len(found) == 1, "all alike"
        return found.pop()

    whole = scales()
    stage(page, "grad_cam").hover(position={"x": 30, "y": 20})
    page.mouse.wheel(0, -100)
    assert scales() == whole, "a plain wheel scrolls the page"
    page.evaluate("scrollTo(0, 0)")
    stage(page, "grad_cam").hover(position={"x": 30, "y": 20})
    scrolled = page.evaluate("scrollY")
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    near = scales()
    assert page.evaluate("scrollY") == scrolled, "the page stays where it is"
    assert near != whole
    assert page.evaluate(f"{VIEWER}.zoom.scale") == pytest.approx(np.e), "by as much as the wheel turned"
    box = stage(page, "grad_cam").bounding_box()
    where = page.evaluate(f"[{VIEWER}.zoom.x, {VIEWER}.zoom.y]")
    at = [(share - offset) / np.e for share, offset in zip((30 / box["width"], 20 / box["height"]), where, strict=True)]
    assert at == pytest.approx([30 / box["width"], 20 / box["height"]], abs=0.01), "what is under the pointer stays"
    page.mouse.down()
    page.mouse.move(box["x"] + 10, box["y"] + 5, steps=3)
    page.mouse.up()
    assert scales() != near, "dragged"
    page.get_by_role("button", name="All of the picture").click()
    assert scales() == whole
    page.get_by_role("button", name="Zoom in").click()
    assert page.evaluate(f"{VIEWER}.zoom.scale") == 1.5
    page.get_by_role("button", name="Zoom out").click()
    assert scales() == whole


def test_keys_zoom_and_read(page, run, number):
    grad_cam = stage(page, "grad_cam")
    grad_cam.focus()
    page.keyboard.press("+")
    assert page.evaluate(f"{VIEWER}.zoom.scale") == 1.5
    page.keyboard.press("-")
    page.keyboard.press("+")
    before = page.evaluate(TRANSFORMS)
    page.keyboard.press("Shift+ArrowRight")
    after = page.evaluate(TRANSFORMS)
    assert before != after
    assert len(set(after)) == 1
    page.keyboard.press("0")
    assert page.evaluate(f"{VIEWER}.zoom.scale") == 1
    # From the middle, one cell of Grad-CAM's map to the right and one down, with each arrow.
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    height, width = run.values(number, "grad_cam").shape[-2:]
    at = page.evaluate(f"{VIEWER}.at")
    assert [at["x"], at["y"]] == pytest.approx([0.5 + 1 / width, 0.5 + 1 / height])
    said = page.locator("seewhy-viewer > .unseen").inner_text()
    assert re.fullmatch(r"x \d+, y \d+: \S+", said), "read out for those who do not see it"
    page.keyboard.press("Escape")
    assert page.evaluate(f"{VIEWER}.at") is None


def test_another_class_changes_every_map_the_title_and_the_scale(page, run, number):
    chips = page.get_by_role("group", name="Explained class")
    assert chips.locator("button").all_inner_texts() == ["red", "green", "red rather than blue"]
    field(page, "Scale").select_option("own")
    before = pictures(page), page.locator("seewhy-pane .ends").all_inner_texts()
    chips.get_by_text("green", exact=True).click()
    settled(page)
    after = pictures(page), page.locator("seewhy-pane .ends").all_inner_texts()
    assert page.locator("seewhy-viewer h2").inner_text() == "Why green?"
    assert before[0].keys() == after[0].keys()
    assert all(before[0][id] != after[0][id] for id in VIEWS)
    assert before[1] != after[1]
    assert page.locator("tr[data-explained] th").inner_text() == "green"
    assert page.locator("seewhy-pane img.plain").get_attribute("alt").endswith("for green")
    assert_values(page, run, number, target=1)
    page.locator("table.top button", has_text="red").click()  # its row does the same
    settled(page)
    assert pictures(page) == before[0]


def test_one_class_rather_than_another(page, run, number):
    page.get_by_role("group", name="Explained class").get_by_text("red rather than blue").click()
    settled(page)
    explanation = run.explanations[number]
    assert page.locator("seewhy-viewer h2").inner_text() == "Why red rather than blue?"
    by_name = {entry.name: entry.score for entry in explanation.top}
    told = float(re.search(r"difference of (\S+)", page.locator("header .said").inner_text())[1].replace("−", "-"))
    assert told == pytest.approx(by_name["red"] - by_name["blue"], rel=0.05)
    assert_values(page, run, number, target=2)


def assert_values(page, run, number, target):
    for id in VIEWS:
        seen = drawn(page, id)
        wanted = one_channel(run.values(number, id, target))
        tolerance = 0 if seen.kind == "f32" else 0.51 * seen.step
        np.testing.assert_allclose(seen.values, wanted, rtol=1e-6, atol=tolerance, err_msg=id)


@pytest.mark.parametrize("whole", [False, True])
def test_the_value_under_the_crosshair_is_the_one_in_maps_npz(page, run, number, whole):
    explanation = run.explanations[number]
    if whole:
        page.get_by_role("button", name="Whole photo").click()
        until(page, f"{VIEWER}.ground.box.x > 0")
    left, top, right, bottom = explanation.photo.box if whole else (0, 0, 1, 1)
    wide, high = explanation.photo.size if whole else (1, 1)
    rng = np.random.default_rng(7)
    for id in VIEWS:
        values = one_channel(run.values(number, id))
        step = drawn(page, id).step
        box = stage(page, id).bounding_box()
        for _ in range(6):
            row, column = (int(rng.integers(side)) for side in values.shape)
            x = (left + (column + 0.5) * (right - left) / values.shape[1]) / wide
            y = (top + (row + 0.5) * (bottom - top) / values.shape[0]) / high
            stage(page, id).hover(position={"x": x * box["width"], "y": y * box["height"]})
            pane = f"{VIEWER}.panes.find((pane) => pane.view.id === '{id}')"
            assert page.evaluate(f"{pane}.valueAt({VIEWER}.at)") == pytest.approx(
                values[row, column], rel=1e-5, abs=0.51 * step
            ), (id, row, column)
            told = page.locator(f"seewhy-pane[data-view='{id}'] output").inner_text()
            assert float(told.replace("−", "-")) == pytest.approx(values[row, column], rel=0.051, abs=0.51 * step)
    assert len(set(page.locator("seewhy-pane output").all_inner_texts())) > 1, "each map tells its own"
    crosses = page.evaluate("""[...document.querySelectorAll(".stage i.across")].map((line) => {
        const [at, stage] = [line.getBoundingClientRect(), line.parentElement.getBoundingClientRect()];
        return [getComputedStyle(line).opacity !== "0" && getComputedStyle(line).display !== "none",
                ((at.top + at.height / 2 - stage.top) / stage.height).toFixed(2)].join();
    })""")
    assert len(set(crosses)) == 1, "one crosshair across all maps"
    assert crosses[0].startswith("true")
    if whole:
        stage(page, "grad_cam").hover(position={"x": 2, "y": 2})
        assert page.locator("seewhy-pane[data-view='grad_cam'] output").inner_text() == "", "the model did not see it"


CHANGES = {
    "as it is": {},
    "own scales": {"Scale": "own"},
    "shares": {"Scale": "share"},
    "viridis": {"Colours": "viridis"},
    "jet, half as opaque": {"Colours": "jet", "Opacity": 0.5},
    "magma on the whole photo": {"Colours": "magma", "Scale": "own", "ground": "Whole photo"},
    "nearly nothing": {"Opacity": 0.1},
}


def changed(page, changes):
    for label, value in changes.items():
        if label == "Opacity":
            slide(page, field(page, label), value)
        elif label == "ground":
            page.get_by_role("button", name=value).click()
            until(page, f"{VIEWER}.ground.box.x > 0")
        else:
            field(page, label).select_option(value)


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_what_is_drawn_is_what_python_draws(page, run, number, changes):
    """Pixel by pixel: the colours that overlay.py has for the grey photo below and the values above."""
    changed(page, changes)
    explanation = run.explanations[number]
    colours, opacity = changes.get("Colours", "seewhy"), changes.get("Opacity", 1)
    scale = changes.get("Scale", explanation.usual_scale)
    for id in VIEWS:
        seen = drawn(page, id)
        panel = explanation.panel(explanation.views[id], scale=scale)
        assert seen.high == pytest.approx(panel.scale.high, rel=1e-5)
        assert seen.diverging == (panel.scale.kind == "diverging")
        assert seen.fine == panel.fine
        x, y, width, height = (seen.box[key] for key in ("x", "y", "width", "height"))
        table = blended(panel.scale.kind, panel.fine, colours, opacity)
        ends = Scale(panel.scale.low, panel.scale.high, panel.scale.kind)
        place = position(upsample(seen.values, (width, height)), ends)
        wanted = table[seen.grey, place].astype(int)
        crop = seen.pixels[y : y + height, x : x + width].astype(int)
        if "ground" in changes:  # the crop's outline is drawn over its edge
            wanted, crop = wanted[3:-3, 3:-3], crop[3:-3, 3:-3]
        apart = np.abs(crop - wanted).max(-1)
        assert (apart <= 1).mean() > 0.98, id  # half a level is rounded either way; so is half a step of the value
        assert apart.max() <= 5, id


@pytest.mark.parametrize("changes", [{}, {"Colours": "viridis", "Scale": "own"}, {"Opacity": 0.4}], ids=repr)
def test_what_is_drawn_is_to_image_but_for_what_webp_takes(page, run, number, changes):
    changed(page, changes)
    given = {"scale": changes.get("Scale"), "colormap": changes.get("Colours", "seewhy")}
    for id in VIEWS:
        seen = drawn(page, id)
        picture = run.explanations[number].to_image(
            id, size=seen.size[::-1], opacity=changes.get("Opacity", 1), **given
        )
        apart = np.abs(np.asarray(picture).astype(int) - seen.pixels)
        assert apart.mean() < 6, id


def test_the_grey_photo_is_stretched_as_in_python(page):
    seen = drawn(page, "grad_cam")
    wanted = stretched(Image.fromarray(seen.ground)).astype(int)
    assert np.abs(seen.grey.astype(int) - wanted).max() <= 1
    assert np.ptp(seen.grey) > 200


def test_a_signed_map_is_centred_on_zero_and_a_bar_is_what_lies_on_the_photo(page):
    for id in VIEWS:
        seen = drawn(page, id)
        kind = "diverging" if seen.diverging else "sequential"
        table = blended(kind, seen.fine)
        across = table.shape[1]
        lights = [255 - round(255 * y / 11) for y in range(12)]
        if seen.diverging:
            zero = table[lights][:, (across - 1) // 2].astype(int)
            middle = seen.bar[:, 127:129].astype(int).mean(1)
            assert np.abs(middle - zero).max() <= 4, id
            ends = page.locator(f"seewhy-pane[data-view='{id}'] .ends span").all_inner_texts()
            assert ends[1] == "0" or ends[1].startswith("faint")
            assert ends[0].replace("≤ ", "").removeprefix("−") == ends[2].replace("≥ ", "")
        size = (seen.box["width"], seen.box["height"])
        scale = Scale(-seen.high if seen.diverging else 0.0, seen.high, kind)
        place = position(upsample(seen.values, size), scale)
        compared = 0
        for y, light in enumerate(lights):
            columns = np.arange(256)
            stands_for = np.floor((across - 1) * columns / 255 + 0.5).astype(int)
            for row, column in np.argwhere(seen.grey == light)[::37]:
                for at in columns[stands_for == place[row, column]]:
                    apart = np.abs(seen.bar[y, at].astype(int) - seen.pixels[row, column])
                    assert apart.max() <= 4, (id, light)
                    compared += 1
        assert compared > 20, id
    assert any(drawn(page, id).diverging for id in VIEWS)


def test_opacity_of_one_map_is_its_own(page):
    before = pictures(page)
    card = page.locator("seewhy-pane[data-view='occlusion'] details.card")
    card.locator("summary").click()
    slide(page, card.locator("input[type=range]"), 0.3)
    after = pictures(page)
    assert {id for id in VIEWS if before[id] != after[id]} == {"occlusion"}
    page.get_by_role("group", name="Explained class").get_by_text("green", exact=True).click()
    settled(page)
    kept = page.evaluate(f"{VIEWER}.panes.map((pane) => [pane.view.id, pane.opacity])")
    assert dict(kept) == {id: 0.3 if id == "occlusion" else 1 for id, _ in kept}


def test_what_is_copied_as_python_draws_what_is_seen(page, run, number, tmp_path, monkeypatch):
    changed(page, {"Colours": "viridis", "Scale": "own", "Opacity": 0.5})
    page.get_by_role("group", name="Explained class").get_by_text("green", exact=True).click()
    settled(page)
    page.get_by_role("button", name="Copy as Python").click()
    code = page.locator("details.code pre").inner_text()
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, "copied", "exec"), names)
    saved = {path.stem for path in tmp_path.glob("*.png")}
    assert saved == {*VIEWS, "class_visualization"}
    for id in VIEWS:
        made = _picture(tmp_path / f"{id}.png")
        wanted = run.explanations[number].to_image(id, target="green", colormap="viridis", scale="own", opacity=0.5)
        assert np.abs(made - _picture(wanted)).max() <= 2, id
        seen = drawn(page, id)
        given = {"target": "green", "colormap": "viridis", "scale": "own", "opacity": 0.5, "size": seen.size[::-1]}
        assert np.abs(_picture(names["e"].to_image(id, **given)) - seen.pixels).mean() < 6, id


def _picture(source):
    image = source if isinstance(source, Image.Image) else Image.open(source)
    return np.asarray(image.convert("RGB")).astype(int)


def test_what_is_copied_as_a_command_gives_the_same_maps(page, run, number, tmp_path):
    changed(page, {"Colours": "magma", "Opacity": 0.5})
    page.get_by_role("button", name="Copy as command").click()
    line = shlex.split(page.locator("details.code pre").inner_text())
    assert line[:2] == ["seewhy", "explain"]
    assert line[line.index("--colormap") + 1] == "magma"
    assert line[line.index("--opacity") + 1] == "0.5"
    command(*line[1:], "--output-dir", tmp_path / "again", "--steps", 1)
    again = Run(tmp_path / "again")
    for id in VIEWS:
        np.testing.assert_allclose(again.values(1, id), run.values(number, id), rtol=1e-4, atol=1e-6, err_msg=id)
    assert (again.photos[1][1] / "figure.png").is_file()


def test_on_paper_there_are_no_controls(page):
    page.emulate_media(media="print")
    assert page.locator(".tools").is_hidden()
    assert stage(page, "grad_cam").is_visible()
    assert page.pdf()[:5] == b"%PDF-"


def test_without_scripts_it_says_what_was_predicted(open_page, run):
    page = open_page(offline=True, java_script_enabled=False)
    page.goto(run.report.as_uri())
    said = page.locator("noscript").inner_text() or page.locator("body").inner_text()
    assert "green" in said
    assert "truly red" in said


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_width_scrolls_sideways(open_page, run, width):
    page = opened(open_page(offline=True, viewport={"width": width, "height": 740}), run)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_names_and_labels_do_nothing(page):
    assert "taken" not in page.title()
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0
    shown = page.locator("nav").inner_text()
    assert "<img src=x onerror=" in shown
    assert "\u202e" not in shown, "nothing turns the text around"
    assert HOSTILE[:-1] in json.dumps(shown, ensure_ascii=False).replace('\\"', '"')


def test_one_photo_stands_alone(offline, tmp_path):
    photo(1, 5).save(tmp_path / "one.png")
    asked = ["--method", "cam", "--method", "class_visualization", "--steps", 2]
    command("explain", tmp_path / "one.png", *options(tmp_path), *asked, "--output-dir", tmp_path / "run")
    run = Run(tmp_path / "run")
    page = opened(offline, run)
    assert page.locator("nav").count() == 0
    assert map_ids(page) == ["cam"]
    assert page.get_by_role("group", name="Explained class").count() == 0
    link = page.locator("footer a").get_attribute("href")
    assert (run.folder / link).is_file(), "the figure in full"
