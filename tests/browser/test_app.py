"""The live page as a person uses it: a real server, a real browser."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

import seewhy
from browser.at_app import APP, IDLE, VIEWER, arrived, choose, explained, heard, shown, tab
from browser.axe import violations
from browser.looking import until
from browser.made import HOSTILE, MODEL, Served, options, photo
from nets import colours
from seewhy.pictures.overlay import one_channel
from seewhy.viewer.planes import values_of

WRONG = {"b0<b>.png", "g0<b>.png", "r2<b>.png"}
SHOWN = HOSTILE[:-1]
DROPPED = """([name, type, data]) => {
    const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
    const held = new DataTransfer();
    held.items.add(new File([bytes], name, { type }));
    return held;
}"""


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def page(open_page, served):
    return arrived(open_page(), served)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """What the server loaded, here."""
    labels = options(tmp_path_factory.mktemp("labels"))[-1]
    return seewhy.load(MODEL, input_size=colours.SIDE, labels=labels)


def give(page, how, name, content):
    """A file, as a person has it: chosen, dropped or pasted."""
    if how == "chosen":
        with page.expect_file_chooser() as chooser:
            page.locator("header").get_by_role("button", name="Choose a photo").click()
        chooser.value.set_files({"name": name, "mimeType": "image/png", "buffer": content})
        return
    event = {"dropped": ("DragEvent", "drop", "dataTransfer"), "pasted": ("ClipboardEvent", "paste", "clipboardData")}
    kind, type, holds = event[how]
    given = [name, "image/png", base64.b64encode(content).decode()]
    page.evaluate(
        f"(given) => document.body.dispatchEvent(new {kind}('{type}', "
        f"{{ bubbles: true, cancelable: true, {holds}: ({DROPPED})(given) }}))",
        given,
    )


def test_the_token_leaves_the_address_and_the_folder_is_there_with_its_errors_first(page, served):
    assert page.url.startswith(f"{served.origin}/#p")
    explained(page)
    until(page, "document.querySelector('seewhy-rail .count').textContent === '7 of 10 right'")
    until(page, "document.querySelectorAll('seewhy-rail li b.wrong').length === 3")
    names = page.locator("seewhy-rail .name").all_text_contents()
    assert set(names[:3]) == WRONG
    sure = page.evaluate(f"[...{APP}.rail.items.values()].filter((each) => each.right === false)"
                         ".map((each) => [each.photo.name, each.top[0].probability])")  # fmt: skip
    assert names[:3] == [name for name, _ in sorted(sure, key=lambda each: -each[1])]
    page.get_by_label("Show").select_option("wrong")
    assert set(page.locator("seewhy-rail .name").all_text_contents()) == WRONG
    page.get_by_label("Search photos").fill("b0")
    assert page.locator("seewhy-rail .name").all_text_contents() == ["b0<b>.png"]


@pytest.mark.parametrize("how", ["chosen", "dropped", "pasted"])
def test_a_photo_is_given_and_grad_cam_comes_first(page, classifier, how):
    explained(page)
    with heard(page) as messages:
        page.reload()  # so that its WebSocket is heard
        explained(page)
        messages.clear()
        given = photo(1, 40)
        give(page, how, f"{how}.png", png(given))
        explained(page, f"{how}.png")
    came = [message for message in messages if message["type"] == "explained"]
    assert list(shown(came[0])) == ["grad_cam"]
    assert set(shown(came[1])) == {"saliency", "deconvnet", "guided_backprop", "cam", "grad_cam", "guided_grad_cam"}
    windows = [shown(message)["occlusion"]["params"]["window"] for message in came[2:]]
    assert windows.pop().startswith("default")
    sizes = [*(int(re.search(r"\d+", window)[0]) for window in windows), colours.SIDE // 7]
    assert len(sizes) == 3
    assert sizes == sorted(sizes, reverse=True), "occlusion from coarse to fine"
    assert sizes[0] > sizes[-1]
    assert [message["final"] for message in came] == [False] * 4 + [True]
    assert page.locator("seewhy-viewer h2").inner_text() == "Why green?"
    # What arrives is what Python gives for this photo.
    wanted = seewhy.explain(given, model=classifier, methods=["saliency", "cam", "grad_cam", "occlusion"])
    for id, view in wanted.views.items():
        values = one_channel(view.attribution.values[0].numpy())
        plane = shown(came[-1])[id]["plane"]
        np.testing.assert_allclose(values_of(plane), values, rtol=1e-4, atol=0.51 * plane["step"], err_msg=id)


def test_another_class_and_one_rather_than_another(page):
    choose(page, "r0<b>.png")
    explain = page.get_by_label("Explain", exact=True)
    explain.fill("blue")
    until(page, f"{VIEWER}.target?.name === 'blue'")
    explained(page)
    assert page.locator("seewhy-viewer h2").inner_text() == "Why blue?"
    other = page.get_by_label("rather than", exact=True)
    other.fill("red")
    until(page, f"{VIEWER}.target?.name === 'blue rather than red'")
    explained(page)
    page.locator("seewhy-viewer table.top tr", has_text="green").get_by_role("button", name="green").click()
    until(page, f"{VIEWER}.target?.name === 'green'")
    assert explain.input_value() == "green"
    explained(page)
    row = page.locator("seewhy-viewer table.top tr", has_text=SHOWN)
    row.get_by_role("button", name="rather than this").click()
    until(page, f"{VIEWER}.target?.name.startsWith('green rather than')")
    explained(page)
    explain.fill("purple")
    explain.press("Enter")
    assert explain.evaluate("(input) => input.validationMessage") == "There is no such class."
    assert page.title() == "seewhy"


def test_the_image_of_a_class_is_made_when_it_is_asked_for(page):
    choose(page, "b0<b>.png")
    assert page.locator("seewhy-pane img.plain").count() == 0
    page.get_by_role("button", name="Make the class picture").click()
    until(page, "document.querySelector('seewhy-pane img.plain')?.naturalWidth > 0", seconds=90)
    assert page.locator("seewhy-pane img.plain").get_attribute("alt").endswith("for blue")


def test_only_the_views_that_are_wanted(page):
    choose(page, "b1<b>.png")
    page.get_by_text("Views", exact=True).click()
    for name in ("Deconvnet", "Occlusion"):
        page.locator(".menu").get_by_text(name, exact=True).click()
    explained(page, views=1)
    until(page, f"{VIEWER}.panes.length === 5 && {IDLE}")
    assert "occlusion" not in page.evaluate(f"{VIEWER}.panes.map((pane) => pane.view.id)")


def test_reload_keeps_the_photo(page):
    choose(page, "b1<b>.png")
    page.reload()
    explained(page, "b1<b>.png")
    assert page.locator("seewhy-rail [aria-current]").inner_text().endswith("b1<b>.png")


UNWANTED = {
    "no picture": (b"this is text", 415, "cannot be read as a photo"),
    "an empty one": (b"", None, "an empty file"),
    "too many pixels": (png(Image.new("1", (20_000, 20_000))), 413, "too large"),
    "too many bytes": (31 << 20, 413, "at most 30 MiB"),
}


@pytest.mark.parametrize(("content", "status", "said"), UNWANTED.values(), ids=UNWANTED)
def test_what_cannot_be_taken_is_said_kindly(page, content, status, said):
    explained(page)
    before = page.locator("seewhy-viewer h2").inner_text()
    if isinstance(content, int):  # made in the page: so much is slow to bring there
        page.evaluate(f"(size) => {APP}.take([new File([new Uint8Array(size)], 'broken.png')])", content)
    else:
        give(page, "chosen", "broken.png", content)
    if status is not None:  # it was sent
        page.guard.expect(f"status of {status}")
    told = until(page, "document.querySelector('p.state.wrong')?.textContent")
    assert told.startswith("broken.png: ")
    assert said in told
    assert not any(word in told for word in ("Traceback", "Error:", "/tmp", "Exception"))
    assert page.locator("seewhy-viewer h2").inner_text() == before, "what was there stays"
    until(page, IDLE)
    give(page, "chosen", "good.png", png(photo(2, 3)))
    explained(page, "good.png")
    assert page.locator("p.state.wrong").count() == 0


def test_the_line_breaks_and_comes_back(page):
    choose(page, "b0<b>.png")
    tab(page, "Class picture")
    page.evaluate(f"{APP}.ascent.asked.steps = 2048")
    page.get_by_role("button", name="Start").click()
    until(page, "Number(document.querySelector('seewhy-ascent').dataset.step) > 1", seconds=60)
    page.evaluate(f"{APP}.link.socket.close()")
    until(page, f"{APP}.dataset.link === 'waiting'")
    assert page.locator("p.state").inner_text() == "The connection was lost; trying again."
    until(page, f"{APP}.dataset.link === 'open'")
    explained(page, "b0<b>.png")
    assert page.locator("p.state").inner_text() == ""
    assert page.get_by_role("button", name="Pause").is_disabled(), "the ascent ended with the line"


@pytest.mark.parametrize("width", [360, 800])
def test_a_phone_shows_every_tab_without_scrolling_sideways(open_page, served, width):
    page = arrived(open_page(viewport={"width": width, "height": 740}), served)
    explained(page)
    for name in ("Why?", "What if?", "Channels", "Class picture"):
        tab(page, name)
        until(page, IDLE)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave_on_any_tab(open_page, served, scheme):
    page = arrived(open_page(color_scheme=scheme, reduced_motion="reduce"), served)
    explained(page)
    found = violations(page)
    for name in ("What if?", "Channels", "Class picture"):
        tab(page, name)
        if name == "What if?":
            until(page, "document.querySelector('seewhy-what-if').dataset.answered")
            page.get_by_role("button", name="Pin this").click()
        if name == "Channels":
            page.locator("seewhy-channels .tile").first.click()
            until(page, "document.querySelector('.exemplars canvas')", seconds=60)
        until(page, IDLE, seconds=60)
        found += violations(page)
    assert not found


def test_the_keyboard_is_enough(page):
    choose(page, "r0<b>.png")

    def reach(selector):
        for _ in range(120):
            if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"{selector} is not reached")

    page.evaluate("document.activeElement.blur()")
    reach(".status .choice button:nth-child(2)")
    page.keyboard.press("Enter")
    reach("seewhy-what-if .stage")
    until(page, "document.querySelector('seewhy-what-if').dataset.answered")
    before = page.evaluate("JSON.stringify(document.querySelector('seewhy-what-if').question(0).box)")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    until(page, f"JSON.stringify(document.querySelector('seewhy-what-if').question(0).box) !== {before!r}")
    page.keyboard.press("Enter")
    until(page, "document.querySelectorAll('.pins tbody tr').length === 1")  # when what is drawn is answered
    page.evaluate("document.activeElement.blur()")
    reach("seewhy-rail button.photo:not([aria-current])")
    page.keyboard.press("Enter")
    until(page, f"{APP}.photo.name !== 'r0<b>.png'")


def test_names_and_labels_do_nothing(page):
    choose(page, "n0<b>.png")
    assert page.locator("seewhy-viewer h2").inner_text() == f"Why {SHOWN}\\u202e?"
    assert page.title() == "seewhy"
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0


def test_two_models_stand_side_by_side(open_page, tmp_path):
    photo(0, 2).save(tmp_path / "a.png")
    given = options(tmp_path)
    second = ["--model", "nets.tiny:make_flat", "--input-size", 32, "--labels", given[-1]]
    with Served(tmp_path / "a.png", *given, *second) as served:
        page = arrived(open_page(viewport={"width": 1500, "height": 900}), served)
        until(page, f"document.querySelectorAll('seewhy-viewer')[1]?.panes.length === 7 && {IDLE}", seconds=60)
        assert page.locator(".model-name").all_inner_texts() == [f"1. {MODEL}", "2. nets.tiny:make_flat"]
        tops = [model.bounding_box()["y"] for model in page.locator("section.model").all()]
        assert tops[0] == tops[1]
        second = page.locator("seewhy-viewer").nth(1)
        assert "pool" in second.locator("seewhy-pane[data-view='cam'] .error").inner_text(), "why there is no CAM"
        tab(page, "What if?")
        until(page, "document.querySelector('seewhy-what-if').answers.every(Boolean)")
        assert page.locator("seewhy-bars").count() == 2
        page.goto("about:blank")  # before the server ends, which the page would say


def test_a_server_that_ended_is_missed_kindly_and_another_one_is_not_taken_for_it(open_page, tmp_path):
    photo(0, 2).save(tmp_path / "a.png")
    given = [tmp_path / "a.png", *options(tmp_path)]
    page = open_page()
    page.add_init_script("{ const wait = setTimeout; window.setTimeout = (act, ms) => wait(act, ms / 10); }")
    page.guard.expect("WebSocket connection to .* failed")
    with Served(*given) as served:
        arrived(page, served)
        explained(page)
    with Served(*given, port=served.port):
        until(page, f"{APP}.dataset.link === 'gone'", seconds=40)
        assert "open the address that it prints" in page.locator("p.state").inner_text()
        assert page.locator("seewhy-viewer h2").inner_text() == "Why red?", "what was shown stays"
        page.guard.expect("status of 403")
        page.reload()
        assert "terminal" in page.locator("body").inner_text()
