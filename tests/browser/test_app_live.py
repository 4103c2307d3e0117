"""What moves on the live page: a dragged patch, channels, ascents."""

import io
import re

import numpy as np
import pytest
from PIL import Image

import seewhy
from browser.at_app import APP, IDLE, VIEWER, WHAT_IF, arrived, choose, explained, tab
from browser.looking import field, slide, until
from browser.made import MODEL, ROOT, Served, options
from nets import colours
from seewhy.exemplars import Unit, exemplars
from seewhy.pictures.overlay import one_channel

NEWEST = f"{WHAT_IF}.dataset.answered === String({WHAT_IF}.newest[0])"
CHANNELS = "document.querySelector('seewhy-channels')"
ASCENT = "document.querySelector('seewhy-ascent')"


@pytest.fixture
def page(open_page, served):
    return arrived(open_page(), served)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    labels = options(tmp_path_factory.mktemp("labels"))[-1]
    return seewhy.load(MODEL, input_size=colours.SIDE, labels=labels)


@pytest.fixture
def photo_at(served):
    """The path of a photo of the server's folder."""
    return lambda name: next(served.photos.rglob(name))


@pytest.fixture(scope="module")
def embedded(chromium):
    """The live page of the embedded model."""
    with Served(ROOT / "examples" / "photos" / "chelsea.png") as found:
        yield found


def answered(page):
    """The newest question, answered: the patch as Python has it, and the answer."""
    until(page, f"!{WHAT_IF}.drawing && {NEWEST}")
    question, answer = page.evaluate(f"[{WHAT_IF}.question(0), {WHAT_IF}.answers[0]]")
    fill = question["fill"]
    own = {"sigma": question["sigma"]} if fill == "blur" else {"colour": tuple(question["colour"])}
    if fill == "patch":
        source = question["source"]
        own = {"source_corner": (source["top"], source["left"])}
    return seewhy.Patch(tuple(question["box"]), question["shape"], fill, **own), answer


def assert_python_says_so(page, classifier, photo):
    patch, answer = answered(page)
    (wanted,) = seewhy.what_if(photo, patch, classifier).answers
    assert [entry["index"] for entry in answer["classes"]] == [entry.index for entry in wanted.classes]
    told = [[entry["score"] for entry in answer[key]] for key in ("classes", "before")]
    scores = [[getattr(each, when).score for each in wanted.classes] for when in ("after", "before")]
    np.testing.assert_allclose(told, scores, rtol=1e-4, atol=1e-4)
    rows = page.locator("seewhy-bars").first.locator("tbody tr")
    for row, entry in zip(rows.all(), wanted.classes, strict=False):
        share = float(re.search(r"[\d.]+", row.locator(".share").inner_text())[0])
        assert share == pytest.approx(100 * entry.after.probability, abs=0.06)
        if abs(entry.after.probability - entry.before.probability) > 0.001:
            change = float(row.locator(".change").inner_text().replace("−", "-"))
            assert change == pytest.approx(100 * (entry.after.probability - entry.before.probability), abs=0.06)


def drag(page, moves=12):
    """The patch, from corner to corner; gives how many questions were asked."""
    box = page.locator("seewhy-what-if .stage").first.bounding_box()
    before = page.evaluate(f"{WHAT_IF}.newest[0]")
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    for move in range(1, moves + 1):
        share = 0.2 + 0.5 * move / moves
        page.mouse.move(box["x"] + share * box["width"], box["y"] + (0.9 - share) * box["height"])
        page.wait_for_timeout(30)
    page.mouse.up()
    return page.evaluate(f"{WHAT_IF}.newest[0]") - before


@pytest.mark.parametrize("fill", ["Blur", "Colour", "Piece of a photo"])
@pytest.mark.parametrize("shape", ["Box", "Disc"])
def test_scores_under_a_dragged_patch_are_pythons(page, classifier, photo_at, fill, shape):
    choose(page, "r0<b>.png")
    tab(page, "What if?")
    controls = page.locator("seewhy-what-if .asked")
    controls.get_by_role("button", name=fill).click()
    controls.get_by_role("button", name=shape).click()
    slide(page, controls.locator("label.field", has_text="Size").locator("input"), 24)
    assert drag(page) > 3, "asked on the way"
    assert_python_says_so(page, classifier, photo_at("r0<b>.png"))
    page.locator("seewhy-what-if .stage").first.focus()
    page.keyboard.press("ArrowLeft")
    assert_python_says_so(page, classifier, photo_at("r0<b>.png"))


def test_a_piece_of_another_photo(page, classifier, photo_at):
    choose(page, "r0<b>.png")
    tab(page, "What if?")
    page.get_by_role("button", name="Piece of a photo").click()
    field(page, "From", "seewhy-what-if").select_option(label="b0<b>.png")
    until(page, f"{WHAT_IF}.cut")
    slide(page, page.locator("seewhy-what-if label.field", has_text="Size").locator("input"), 60)
    patch, answer = answered(page)
    until(page, f"{WHAT_IF}.answers[0]?.top[0].name === 'blue'", seconds=10)
    patch, answer = answered(page)
    other = seewhy.Patch(
        patch.box, patch.shape, "patch", source=photo_at("b0<b>.png"), source_corner=patch.source_corner
    )
    (wanted,) = seewhy.what_if(photo_at("r0<b>.png"), other, classifier).answers
    assert answer["top"][0]["score"] == pytest.approx(wanted.top[0].score, rel=1e-4)
    assert page.locator("seewhy-what-if code, seewhy-what-if pre").count() == 0
    code = page.evaluate(f"{WHAT_IF}.python()")
    assert "b0<b>.png" in code


def test_the_latest_move_wins(open_page, embedded):
    page = arrived(open_page(), embedded)
    explained(page)
    tab(page, "What if?")
    until(page, f"{WHAT_IF}.dataset.answered")
    page.evaluate(f"""() => {{
        window.answers = [];
        new MutationObserver(() => answers.push(Number({WHAT_IF}.dataset.answered)))
            .observe({WHAT_IF}, {{ attributes: true, attributeFilter: ["data-answered"] }});
    }}""")
    first = page.evaluate(f"{WHAT_IF}.newest[0]")
    box = page.locator("seewhy-what-if .stage").first.bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    for move in range(2000):  # without a stop, so that there is always a newer question
        page.mouse.move(box["x"] + 60 + move % 100, box["y"] + 60 + move % 90)
        if move % 10 == 0 and page.evaluate("answers.length") >= 4:
            break
    page.mouse.up()
    assert page.evaluate("answers.length") >= 4, "shown while the hand moves"
    until(page, f"!{WHAT_IF}.drawing && {NEWEST}")
    answers = page.evaluate("answers")
    asked = page.evaluate(f"{WHAT_IF}.newest[0]") - first
    assert answers == sorted(answers)
    assert len(answers) <= asked
    assert answers[-1] == page.evaluate(f"{WHAT_IF}.newest[0]")
    assert_python_says_so(page, seewhy.load(), ROOT / "examples" / "photos" / "chelsea.png")
    assert "computed again, exactly" in page.locator("seewhy-what-if .source").inner_text()


def test_results_are_pinned_and_gone_back_to(page):
    choose(page, "g0<b>.png")
    tab(page, "What if?")
    until(page, f"{WHAT_IF}.dataset.answered")
    assert page.locator(".pins").is_hidden()
    page.get_by_role("button", name="Pin this").click()
    kept, _ = answered(page)
    drag(page)
    moved, answer = answered(page)
    assert moved.box != kept.box
    page.locator("seewhy-what-if .stage").first.focus()
    page.keyboard.press("Enter")
    rows = page.locator(".pins tbody tr")
    assert rows.count() == 2
    assert answer["top"][0]["name"] in rows.nth(0).inner_text(), "the newest first"
    rows.nth(1).get_by_role("button", name="back to it").click()
    until(page, f"{WHAT_IF}.question(0).box[0] === {kept.box[0]}")
    assert answered(page)[0] == kept
    rows.nth(0).get_by_role("button", name="remove").click()
    rows.nth(0).get_by_role("button", name="remove").click()
    assert page.locator(".pins").is_hidden()


def test_what_if_is_copied_as_python(page, classifier, photo_at):
    choose(page, "g1<b>.png")
    tab(page, "What if?")
    drag(page)
    _, answer = answered(page)
    code = page.evaluate(f"{WHAT_IF}.python()")
    code = code.replace(
        f"seewhy.what_if({page.evaluate(f'JSON.stringify({APP}.path())')}", "found = seewhy.what_if(PATH"
    )
    names = {"PATH": str(photo_at("g1<b>.png"))}
    exec(compile(code, "copied", "exec"), names)
    (wanted,) = names["found"].answers
    assert answer["top"][0]["score"] == pytest.approx(wanted.top[0].score, rel=1e-4)


def test_channels_of_a_photo_of_a_place_and_of_a_layer(page, classifier, photo_at):
    choose(page, "b0<b>.png")
    tab(page, "Channels")

    def told():
        until(page, f"{IDLE} && document.querySelectorAll('seewhy-channels .tile').length")
        tiles = page.locator("seewhy-channels .grid .tile").all()
        labels = [(tile.locator("b").text_content(), tile.locator(".more, .less").text_content()) for tile in tiles]
        return [(int(name.removeprefix("Channel ")), float(effect.replace("−", "-"))) for name, effect in labels]

    def compared(found):
        wanted = [(each.channel, each.effect) for each in found.channels]
        end = told()
        assert [each[0] for each in end] == [each[0] for each in wanted]
        np.testing.assert_allclose([each[1] for each in end], [each[1] for each in wanted], rtol=0.06)

    photo = photo_at("b0<b>.png")
    until(page, f"{CHANNELS}.dataset.layer")
    compared(seewhy.channels(classifier, photo))
    stage = page.locator("seewhy-channels .stage")
    box = stage.bounding_box()
    before = told()
    stage.click(position={"x": 0.3 * box["width"], "y": 0.7 * box["height"]})
    until(page, f"{CHANNELS}.said.textContent.includes('at row')")
    row, column = page.evaluate(f"{CHANNELS}.at")
    assert [row, column] == pytest.approx([0.7 * colours.SIDE, 0.3 * colours.SIDE], abs=1.5)
    compared(seewhy.channels(classifier, photo, at=(row, column)))
    stage.press("Escape")
    until(page, f"{CHANNELS}.said.textContent.includes('whole photo')")
    assert told() == before
    field(page, "Layer", "seewhy-channels").select_option("0.1")
    until(page, f"{CHANNELS}.dataset.layer === '0.1'")
    compared(seewhy.channels(classifier, photo, layer="0.1"))


def test_a_channel_is_opened_its_picture_forms_beside_the_photos_that_excite_it(page, classifier, served):
    choose(page, "b0<b>.png")
    tab(page, "Channels")
    tile = page.locator("seewhy-channels .grid .tile").first
    tile.click()
    assert tile.get_attribute("aria-current") == "true"
    detail = page.locator("seewhy-channels .detail")
    until(page, "document.querySelectorAll('.exemplars canvas').length === 8", seconds=60)
    until(page, f"Number({CHANNELS}.querySelector('seewhy-ascent').dataset.step) > 1", seconds=60)
    channel = int(re.search(r"Channel (\d+)", detail.locator("h3").first.inner_text())[1])
    unit = Unit(channel, page.evaluate(f"{CHANNELS}.dataset.layer"))
    found = exemplars(classifier, served.photos, [unit], count=8)[unit]
    best = [each.path.name for each in found.top]
    assert detail.locator(".exemplars .name").all_inner_texts() == best
    detail.locator(".exemplars button").first.click()
    until(page, f"{APP}.photo.name === {best[0]!r}")


def started(page, steps=2048, target="red"):
    tab(page, "Class picture")
    box = page.locator("seewhy-app > .desk seewhy-ascent").get_by_label("Class", exact=True)
    box.fill(target)
    steps_box = field(page, "Steps", "seewhy-ascent")
    steps_box.fill(str(steps))
    steps_box.press("Tab")
    page.get_by_role("button", name="Start").click()
    until(page, f"Number({ASCENT}.dataset.step) > 2", seconds=60)


def step(page):
    return page.evaluate(f"Number({ASCENT}.dataset.step)")


def test_an_ascent_is_watched_paused_and_stopped(page):
    explained(page)
    started(page)
    first = page.locator("seewhy-ascent img").get_attribute("src")
    until(page, f"{ASCENT}.image.src !== {first!r}")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(500)  # frames that were on their way
    at = step(page)
    page.wait_for_timeout(700)
    assert step(page) == at
    page.get_by_role("button", name="Go on").click()
    until(page, f"Number({ASCENT}.dataset.step) > {at}")
    page.get_by_role("button", name="Stop here").click()
    until(page, f"{ASCENT}.dataset.ascent && {IDLE}", seconds=30)
    assert page.locator("seewhy-ascent .said").inner_text().endswith(", stopped")
    course = page.evaluate(f"{ASCENT}.course")
    steps = [point[0] for point in course]
    assert steps == list(range(len(steps))), "no point of the curve is lost"
    assert course[-1][1] > course[0][1], "it ascended"
    assert page.locator("seewhy-curve path").count() == 2
    for name, kind in (("PNG", "PNG"), ("GIF", "GIF")):
        with page.expect_download() as got:
            page.locator("seewhy-ascent").get_by_role("link", name=name, exact=True).click()
        content = got.value.path().read_bytes()
        image = Image.open(io.BytesIO(content))
        assert image.format == kind
        assert image.size == (colours.SIDE, colours.SIDE)
        assert got.value.suggested_filename == f"red.{name.lower()}"
        assert (getattr(image, "n_frames", 1) > 2) == (kind == "GIF")


def test_another_class_begins_a_running_ascent_anew(page):
    explained(page)
    started(page)
    until(page, f"Number({ASCENT}.dataset.step) > 30")
    page.locator("seewhy-app > .desk seewhy-ascent").get_by_label("Class", exact=True).fill("green")
    until(page, f"{ASCENT}.image.alt.includes('green')")
    assert page.evaluate(f"{APP}.running.size") == 1
    page.get_by_role("button", name="Cancel").click()
    until(page, IDLE)
    assert page.get_by_role("button", name="Pause").is_disabled()
    assert page.locator("seewhy-ascent a").count() == 0


def test_a_finished_ascent_is_pythons(page, classifier):
    explained(page)
    started(page, 40, "blue")
    until(page, f"{ASCENT}.dataset.ascent && {IDLE}", seconds=30)
    names = {}
    exec(compile(page.evaluate(f"{ASCENT}.python()").replace("v.show()", ""), "copied", "exec"), names)
    made = names["v"]
    with page.expect_download() as got:
        page.locator("seewhy-ascent").get_by_role("link", name="PNG", exact=True).click()
    saved = np.asarray(Image.open(got.value.path()).convert("RGB")).astype(int)
    assert np.abs(saved - np.asarray(made.to_image())).max() <= 2


def test_what_runs_can_be_cancelled(open_page, embedded):
    page = arrived(open_page(), embedded)
    explained(page)
    page.get_by_label("Explain", exact=True).fill("tabby")
    until(page, f"{APP}.running.size")
    page.get_by_role("button", name="Cancel").click()
    until(page, IDLE, seconds=10)
    panes = page.evaluate(f"{VIEWER}.panes.length")
    page.wait_for_timeout(300)
    assert page.evaluate(f"{VIEWER}.panes.length") == panes


def test_the_embedded_model_shows_grad_cam_first_and_the_rest_fills_in(open_page, embedded):
    page = open_page()
    page.add_init_script("""
        window.seen = [];
        const look = () => {
            const ids = [...document.querySelectorAll("seewhy-pane")].map((pane) => pane.dataset.view).join();
            if (ids && ids !== seen.at(-1)) seen.push(ids);
        };
        document.addEventListener("DOMContentLoaded", () =>
            new MutationObserver(look).observe(document.body, { childList: true, subtree: true }));
    """)
    arrived(page, embedded)
    explained(page)
    seen = page.evaluate("seen")
    assert seen[0] == "grad_cam"
    assert seen[-1].split(",") == [
        "saliency", "deconvnet", "guided_backprop", "cam", "grad_cam", "guided_grad_cam", "occlusion",
    ]  # fmt: skip
    wanted = seewhy.explain(ROOT / "examples" / "photos" / "chelsea.png", methods=["grad_cam", "occlusion"])
    for id, view in wanted.views.items():
        values = page.evaluate(f"[...{VIEWER}.panes.find((pane) => pane.view.id === {id!r}).grid.values]")
        wanted_values = one_channel(view.attribution.values[0].numpy()).ravel()
        tolerance = 1e-3 * np.abs(wanted_values).max()
        np.testing.assert_allclose(values, wanted_values, rtol=1e-3, atol=tolerance, err_msg=id)
