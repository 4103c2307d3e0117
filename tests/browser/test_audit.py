"""The page of an audit, opened from disk without a network: its photos open in the viewer, and it grows."""

import re

import numpy as np
import planted
import pytest

import seewhy
from browser.axe import violations
from browser.looking import VIEWER, drawn, field, pictures, settled, slide, stage, until
from browser.made import HOSTILE, audit_all
from seewhy.auditing.pages.growing import Growing
from seewhy.auditing.passing.shards import read_rows
from seewhy.auditing.stages import Passed, Plan, Proposed
from seewhy.events import Event
from seewhy.legible import in_one_line
from seewhy.pictures.overlay import blended

DIALOG = "document.querySelector('dialog')"


@pytest.fixture(scope="module")
def audited(chromium, tmp_path_factory):
    """The page, as the command writes it."""
    return audit_all(tmp_path_factory.mktemp("audit"))


@pytest.fixture(scope="module")
def found(audited):
    return seewhy.Audit.load(audited.parent)


@pytest.fixture
def page(offline, audited):
    offline.goto(audited.as_uri())
    return offline


CARRIERS = "article .strip:not(.pair)"


def opened(page, number=0, within=CARRIERS):
    page.locator(f"{within} button.open").nth(number).click()
    settled(page)
    return page


def is_open(page):
    return page.evaluate(f"Boolean({DIALOG}?.open)")


def test_it_says_what_was_found(page, found):
    headline = page.locator("h1").inner_text().replace("\u00a0", " ")
    assert headline[1:] == found.headline[1:]
    shown = page.locator("article h3").all_text_contents()
    assert sorted(each[1:] for each in shown) == sorted(in_one_line(each.sentence, 999)[1:] for each in found.findings)
    assert page.title() == "Audit of photos", "no name acts"
    assert in_one_line(HOSTILE, 99) in page.locator("main").inner_text()


def test_a_photo_opens_large_with_its_map(page, found, audited):
    """The map is the row's: what the pass kept of this photo."""
    assert not is_open(page)
    opened(page)
    stamp = found.findings[0]
    path = stamp.carriers[0]
    assert is_open(page)
    assert page.locator("dialog .crumb").inner_text() == path.rpartition("/")[2]
    assert page.locator("dialog h2").inner_text() == f"Why {stamp.class_name}?"
    shown = drawn(page, "cam")
    rows = read_rows(audited.parent / "rows")
    values = rows.maps[rows.paths.index(path)].astype(np.float32)
    np.testing.assert_allclose(shown.values, values, atol=2e-3 * np.abs(values).max())  # rows are float16
    width = page.locator("dialog seewhy-pane .stage").bounding_box()["width"]
    assert width > 400


def test_the_value_under_the_crosshair_is_told(page):
    opened(page)
    box = stage(page, "cam").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.6 * box["height"])
    values = drawn(page, "cam").values
    at = values[int(0.6 * values.shape[0]), int(0.3 * values.shape[1])]
    told = page.locator("dialog seewhy-pane .value").inner_text().replace("−", "-")
    assert float(told) == pytest.approx(at, rel=0.06)  # two digits
    stage(page, "cam").focus()
    page.keyboard.press("ArrowRight")
    assert re.fullmatch(r"x \d+, y \d+: \S+", page.locator("seewhy-viewer > .unseen").inner_text())


def test_opacity_and_colours_are_the_viewers(page):
    opened(page)
    before = pictures(page)
    slide(page, field(page, "Opacity"), 0.4)
    thinner = pictures(page)
    field(page, "Colours").select_option("viridis")
    coloured = pictures(page)
    assert len({before["cam"], thinner["cam"], coloured["cam"]}) == 3
    shown = drawn(page, "cam")
    known = {tuple(each) for each in blended("diverging", False, "viridis", 0.4).reshape(-1, 3).tolist()}
    assert all(
        min(max(abs(a - b) for a, b in zip(pixel, each, strict=True)) for each in known) <= 1
        for pixel in shown.pixels[::40, ::40].reshape(-1, 3).tolist()
    )


def test_errors_open_the_most_confident_first_with_both_classes(page, found):
    wrong = found.photos["errors"]
    assert len(wrong) > 1
    captions = page.locator("section:has(#errors) figcaption")
    assert captions.first.inner_text().split("\n")[1] == f"truly {wrong[0]['class']}"
    opened(page, within="section:has(#errors)")
    assert page.locator("dialog .truth").inner_text().startswith("wrong: truly")
    chips = page.locator("dialog header.photo .choice button")
    assert chips.count() == 2
    chips.nth(1).click()
    settled(page)
    assert page.evaluate(f"{VIEWER}.target.name") == page.evaluate(f"{VIEWER}.shown.targets[1].name")


def test_the_photo_before_a_change_opens_with_its_map_and_what_it_became_stands_beside_it(page, found):
    example = next(each.detail["example"] for each in found.findings if each.detail.get("example"))
    pair = page.locator(".pair").first
    assert pair.locator("img").nth(1).get_attribute("src") == example["picture"]
    assert example["after"]["class"] in pair.inner_text()
    opened(page, within="article .pair")
    assert page.locator("dialog .count").inner_text() == "1 of 1"


def test_with_the_keyboard_alone(page):
    button = page.locator(f"{CARRIERS} button.open").first
    button.focus()
    page.keyboard.press("Enter")
    settled(page)
    assert is_open(page)
    assert page.evaluate("document.activeElement.textContent") == "Close"
    name = page.locator("dialog .crumb")
    first = name.inner_text()
    page.keyboard.press("j")
    until(page, "document.querySelector('dialog .count').textContent.startsWith('2 of')")
    assert name.inner_text() != first
    page.keyboard.press("k")
    page.keyboard.press("k")
    assert name.inner_text() == first, "before the first there is none"
    for _ in range(40):  # nothing behind it has the focus
        page.keyboard.press("Tab")
        assert page.evaluate(f"document.activeElement === document.body || {DIALOG}.contains(document.activeElement)")
    page.keyboard.press("Escape")
    until(page, f"!{DIALOG}.open")
    assert button.evaluate("(each) => each === document.activeElement"), "where it was before"


def test_escape_on_a_map_takes_the_crosshair_then_closes(page):
    opened(page)
    stage(page, "cam").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    assert is_open(page)
    page.keyboard.press("Escape")
    until(page, f"!{DIALOG}.open")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_grave(open_page, audited, scheme, width):
    size = {"width": width, "height": 900}
    page = open_page(offline=True, color_scheme=scheme, viewport=size, reduced_motion="reduce")
    page.goto(audited.as_uri())
    for box in page.locator("details").all():
        box.evaluate("(box) => { box.open = true; }")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing hangs over"
    opened(page)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_all_of_it_can_be_read(open_page, audited, found):
    page = open_page(offline=True, java_script_enabled=False)
    page.goto(audited.as_uri())
    assert page.locator("article h3").count() == len(found.findings)
    assert page.locator("article img").count() > 0
    assert page.locator("button").count() == 0, "nothing that would do nothing"
    assert page.locator("h1").inner_text()


def grown(path, root, net):
    """A page as it is in the middle of an audit."""
    page = Growing(path, root, net, ["seewhy", "audit", "photos"])
    page.listen(Event("result", ("Audit",), 0, value=Plan(("Photos", "Stamps", "Interventions"))))
    return page


def test_one_that_grows_loads_itself_again_until_it_is_finished(open_page, audited, found, tmp_path, monkeypatch):
    monkeypatch.setattr("seewhy.auditing.pages.growing.RELOADED", 1)
    monkeypatch.setattr("seewhy.auditing.pages.growing.EVERY", 0)
    monkeypatch.setattr("seewhy.auditing.pages.growing.SHARE", 0)
    net = seewhy.classifier(planted.Net().eval(), mean=planted.MEAN, std=planted.STD, size=planted.SIDE)
    growing = grown(tmp_path / "audit.html", audited.parent.parent / "photos", net)
    growing.listen(Event("progress", ("Audit", "Photos"), 0.1, 16, 64))
    page = open_page(offline=True)
    page.goto((tmp_path / "audit.html").as_uri())
    assert page.locator("h1").inner_text() == "The audit is running: 10 % done"
    growing.listen(Event("progress", ("Audit", "Photos"), 0.2, 32, 64))
    page.locator("h1", has_text="20 % done").wait_for()
    about = Passed(found.model, found.photos)
    candidates = tuple(each for each in found.findings if each.kind == "stamp")
    for value in (about, Proposed((), candidates)):
        growing.listen(Event("result", ("Audit", "Stamps"), 0.5, value=value))
    page.locator("#waiting").wait_for()
    assert page.locator("#waiting").inner_text() == f"Not tested yet {len(candidates)}"
    page.get_by_role("button", name="Stop loading it again").click()
    assert violations(page) == []
    growing.finish(audited.read_text("utf-8"))
    page.wait_for_timeout(1500)
    assert page.locator("h1").inner_text() == "The audit is running: 50 % done", "it was told to stop"
    page.get_by_role("button", name="Load it again").click()
    page.locator("#proven").wait_for()
    page.evaluate("window.kept = true")
    page.wait_for_timeout(1500)
    assert page.evaluate("window.kept"), "a finished page stays"


def test_one_that_grows_loads_itself_again_without_scripts(open_page, audited, tmp_path, monkeypatch):
    monkeypatch.setattr("seewhy.auditing.pages.growing.RELOADED", 1)
    net = seewhy.classifier(planted.Net().eval(), mean=planted.MEAN, std=planted.STD, size=planted.SIDE)
    growing = grown(tmp_path / "audit.html", tmp_path, net)
    growing.listen(Event("progress", ("Audit", "Photos"), 0.1, 16, 64))
    page = open_page(offline=True, java_script_enabled=False)
    page.goto((tmp_path / "audit.html").as_uri())
    growing.finish(audited.read_text("utf-8"))
    page.locator("#proven").wait_for()
