"""The report's index: many photos to search, filter and sort, the errors first, each read when it is looked at."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from browser.looking import VIEWER, field, opened, settled, slide, until
from browser.made import HOSTILE, PHOTOS, multiplied
from seewhy.pictures.overlay import one_channel, upsample

INDEX = "[...document.querySelectorAll('ol.index > li')]"
SHOWN = HOSTILE[:-1]


@pytest.fixture
def page(offline, run):
    return opened(offline, run)


def names(page):
    """Of the photos in the index, from the top."""
    return page.locator("ol.index .name").all_text_contents()


def looked_at(page):
    return page.evaluate(f"{VIEWER}.explanation.photo.name")


def confidences(run):
    """The photos' names -> how sure the model is, and whether it is right."""
    return {found.photo.name: (found.top[0].probability, found.right) for found in run.explanations.values()}


def test_errors_come_first_then_what_was_not_explained(page, run):
    known = confidences(run)
    wrong = sorted((name for name in known if known[name][1] is False), key=lambda name: -known[name][0])
    right = sorted((name for name in known if known[name][1]), key=lambda name: known[name][0])
    assert len(wrong) == 3
    assert names(page) == [*wrong, "broken.png", *right]
    assert looked_at(page) == wrong[0], "it opens with the most confident error"
    assert page.locator(".summary h2").inner_text() == "7 of 10 right"


def test_order_and_filters(page, run):
    known = confidences(run)
    everything = [*known, "broken.png"]
    order = field(page, "Order", "nav")
    order.select_option("sure")
    assert names(page)[: len(known)] == sorted(known, key=lambda name: -known[name][0])
    order.select_option("unsure")
    assert names(page)[1:] == sorted(known, key=lambda name: known[name][0])
    order.select_option("given")
    assert names(page) == [path.rpartition("/")[2] for path, _ in run.photos.values()]
    order.select_option("name")
    assert sorted(names(page)) == sorted(everything)
    order.select_option("errors")
    show = field(page, "Show", "nav")
    show.select_option("wrong")
    assert {known[name][1] for name in names(page)} == {False}
    show.select_option("right")
    assert {known[name][1] for name in names(page)} == {True}
    show.select_option("failed")
    assert names(page) == ["broken.png"]
    show.select_option("all")
    field(page, "Class", "nav").select_option("blue")
    assert set(names(page)) == {"b0<b>.png", "b1<b>.png", "b2<b>.png"}
    assert page.locator("seewhy-mean").count() == 1, "what it is seen by"
    page.get_by_role("button", name="show all").click()
    assert sorted(names(page)) == sorted(everything)
    least = sorted(probability for probability, _ in known.values())[4]
    share = round(20 * least) / 20
    slide(page, field(page, "Confidence", "nav"), share)
    assert set(names(page)) == {name for name in known if known[name][0] >= share}
    page.get_by_role("button", name="show all").click()
    search = page.get_by_label("Search photos")
    search.fill("ONERROR")
    told = {found.photo.name for found in run.explanations.values() if SHOWN in (found.truth or "") + found.top[0].name}
    assert set(names(page)) == told, "a class's name"
    search.fill("broken")
    assert names(page) == ["broken.png"]
    page.locator("ol.index a").click()
    assert "cannot be read" in page.locator("main .error").inner_text()


def test_a_click_in_the_confusion_matrix_shows_those_photos_and_their_mean_map(page, run):
    page.get_by_text("What is taken for what").click()
    truths = {truth: sum(casts.count(cast) for cast in casts) for truth, casts in PHOTOS.items()}
    table = page.get_by_role("region", name="Confusion matrix")
    table.locator("tbody button").first.wait_for()
    assert table.locator("tbody button").count() > len(truths)
    table.get_by_label("1 of red called green", exact=True).click()
    settled(page)
    assert names(page) == ["g0<b>.png"]
    assert looked_at(page) == "g0<b>.png"
    assert "Of 1 photo" in until(page, "document.querySelector('seewhy-mean .caption')?.textContent")
    # Of red ones called red there are two: their mean, each in shares of its score, is what is drawn.
    table.get_by_label("2 of red called red", exact=True).click()
    until(page, "document.querySelector('seewhy-mean .caption')?.textContent.includes('Of 2 photos')")
    shares = []
    for found in run.explanations.values():
        if found.truth == "red" and found.right:
            view = found.views["grad_cam"]
            values = one_channel(view.attribution.values[0].numpy())
            shares.append(upsample(values, values.shape[::-1]) * view.amount.share / np.abs(values).max())
    mean = np.mean(shares, 0)
    told = until(page, "document.querySelector('seewhy-mean .ends span:last-child')?.textContent")
    assert float(re.match(r"[\d.]+", told)[0]) == pytest.approx(100 * np.abs(mean).max(), abs=0.06)
    colours = page.evaluate("""(() => {
        const canvas = document.querySelector("seewhy-mean canvas");
        return Array.from(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data);
    })()""")
    seen = np.array(colours, float).reshape(224, 224, 4)[..., :3].sum(-1)
    strength = upsample(mean.astype(np.float32), (224, 224))
    assert np.corrcoef(seen.ravel(), strength.ravel())[0, 1] < -0.9, "darker where it is stronger"


def test_the_keyboard_alone_goes_through_the_photos(page):
    order = names(page)
    page.locator("main#photo").focus()
    page.keyboard.press("j")
    settled(page)
    assert looked_at(page) == order[1]
    assert page.evaluate("location.hash").startswith("#photo-")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.locator("main h2").inner_text() == "broken.png"
    page.keyboard.press("k")
    page.keyboard.press("k")
    page.keyboard.press("k")
    page.keyboard.press("k")
    settled(page)
    assert looked_at(page) == order[0], "and not beyond"
    page.get_by_label("Search photos").focus()
    page.keyboard.type("jk")
    assert looked_at(page) == order[0], "letters that are written are no commands"
    assert names(page) == []


def test_every_control_can_be_reached_by_the_tab_key(page):
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(150):
        page.keyboard.press("Tab")
        tag = page.evaluate("""(() => { const at = document.activeElement;
            return at === document.body ? "" : `${at.tagName} ${at.className} ${at.textContent.slice(0, 20)}`; })()""")
        if not tag:
            break
        reached.add(tag)
    for wanted in ("INPUT", "SELECT", "A ", "SUMMARY", "BUTTON  red", "DIV stage", "BUTTON  Copy as Python"):
        assert any(each.startswith(wanted) for each in reached), (wanted, reached)
    assert (
        page.evaluate("""(() => { const stage = document.querySelector("seewhy-pane .stage"); stage.focus();
        return getComputedStyle(stage).outlineStyle; })()""")
        != "none"
    ), "where one is can be seen"


def test_settings_stay_from_photo_to_photo(page):
    field(page, "Colours").select_option("magma")
    page.locator("main#photo").focus()
    page.keyboard.press("j")
    page.keyboard.press("k")
    settled(page)
    assert field(page, "Colours").input_value() == "magma"


def test_an_address_leads_to_its_photo(offline, run):
    number = run.number("blue/b1<b>.png")
    page = opened(offline, run, number)
    assert looked_at(page) == "b1<b>.png"
    page.evaluate("(number) => { location.hash = `#photo-${number}`; }", run.number("blue/b2<b>.png"))
    until(page, f"{VIEWER}.explanation.photo.name === 'b2<b>.png'")


def test_of_five_hundred_photos_only_the_one_that_is_looked_at_is_read(offline, run, tmp_path):
    path = tmp_path / "many.html"
    path.write_text(multiplied(run.report.read_text("utf-8"), 500), "utf-8")
    offline.add_init_script("""
        window.parsed = [];
        const parse = JSON.parse;
        JSON.parse = (text, ...more) => { parsed.push(text.length); return parse(text, ...more); };
    """)
    offline.goto(path.as_uri())
    settled(offline)
    assert offline.locator("ol.index > li").count() == 500
    assert len(offline.evaluate("parsed")) == 3, "the colours, the run, and one photo"
    drawn = offline.evaluate("document.querySelectorAll('canvas').length")
    assert drawn < 30
    undecoded = """[...document.querySelectorAll("ol.index img")].filter((image) => !image.complete).length"""
    assert offline.evaluate(undecoded) > 300, "thumbnails beyond the window wait"
    offline.locator("ol.index li:nth-child(400) a").click()
    settled(offline)
    assert len(offline.evaluate("parsed")) == 4
    assert offline.evaluate("document.querySelectorAll('canvas').length") == drawn


def test_thumbnails_are_the_photos(page, run):
    sources = page.evaluate(
        f"{INDEX}.map((li) => [li.querySelector('.name').textContent, li.querySelector('img')?.src])"
    )
    by_name = dict(sources)
    assert by_name.pop("broken.png") is None
    import base64
    import io

    for found in run.explanations.values():
        data = base64.b64decode(by_name[found.photo.name].partition(",")[2])
        small = Image.open(io.BytesIO(data)).convert("RGB")
        wanted = found.photo.crop.convert("RGB").resize(small.size, Image.Resampling.BOX)
        assert np.abs(np.asarray(small).astype(int) - np.asarray(wanted)).mean() < 8, found.photo.name
    assert json.dumps(by_name)
