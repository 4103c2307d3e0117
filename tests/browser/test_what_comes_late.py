"""What arrives while a person is at work, or after something else was asked for."""

import pytest
from PIL import Image

from browser.at_app import APP, IDLE, VIEWER, arrived, choose, explained, tab
from browser.looking import opened, until
from browser.made import Served, options, photo

PARTLY = "{ ...e, targets: e.targets.map((each) => ({ ...each, views: each.views.slice(0, 3) })) }"


@pytest.fixture
def page(open_page, served):
    return arrived(open_page(), served)


def test_what_stays_keeps_its_focus_while_views_fill_in(offline, run):
    page = opened(offline, run)
    told = page.evaluate(f"""async () => {{
        const viewer = {VIEWER}, e = viewer.explanation;
        viewer.explanation = {PARTLY};
        await viewer.refreshed;
        const [first, second] = viewer.panes, shown = viewer.panes.length;
        const slider = viewer.querySelector(".tools input");
        second.querySelector("details").open = true;
        first.stage.focus();
        const kept = () => [first.stage === document.activeElement, first === viewer.panes[0], viewer.contains(slider)];
        viewer.explanation = structuredClone(e);
        await viewer.refreshed;
        const filled = kept(), open = second.querySelector("details").open;
        const changed = structuredClone(e);
        for (const target of changed.targets) target.views[0].caption = "another";
        viewer.explanation = changed;
        await viewer.refreshed;
        return [shown, viewer.panes.length > shown, filled, open, kept(), first.textContent.includes("another")];
    }}""")
    assert told == [3, True, [True, True, True], True, [True, True, True], True]


def test_of_two_photos_on_their_way_the_last_one_counts(offline, run):
    page = opened(offline, run)
    told = page.evaluate(f"""async () => {{
        const viewer = {VIEWER}, report = document.querySelector("seewhy-report"), read = (number) =>
            JSON.parse(document.getElementById(`photo-${{number}}`).textContent);
        const [slow, fast, third] = report.run.rows.filter((row) => row.error === null).map((row) => read(row.number));
        viewer.explanation = fast;
        await viewer.refreshed;
        const alone = viewer.ground.grey.join();
        viewer.explanation = slow;
        await viewer.refreshed;
        const other = viewer.ground.grey.join();
        viewer.explanation = third;
        await viewer.refreshed;
        const decode = HTMLImageElement.prototype.decode;
        HTMLImageElement.prototype.decode = async function () {{
            if (this.src === slow.photo.crop) await new Promise((done) => setTimeout(done, 200));
            return decode.call(this);
        }};
        viewer.explanation = slow;
        const first = viewer.refreshed;
        viewer.explanation = fast;
        await Promise.all([first, viewer.refreshed]);
        return [alone !== other, viewer.ground.grey.join() === alone];
    }}""")
    assert told == [True, True]


def test_an_answer_to_an_older_question_is_not_shown(page):
    choose(page, "r0<b>.png")
    page.evaluate(f"""() => {{
        const app = {APP}, before = app.explanation;
        app.views.explain();
        window.late = () => handlers.explained({{ explanation: before }});
        const handlers = app.link.waiting.get(app.views.jobs[0]);
        app.views.want({{ targets: [2] }});
    }}""")
    until(page, f"{IDLE} && {APP}.explanation?.targets[0].target.index === 2")
    page.evaluate("late()")
    assert page.evaluate(f"{VIEWER}.explanation.targets[0].target.index") == 2
    assert page.locator("seewhy-viewer h2").inner_text() == "Why blue?"


def test_no_other_photo_is_shown_in_the_place_of_one_that_cannot_be(page):
    choose(page, "r0<b>.png")
    page.guard.expect("status of 404")
    gone = "{ id: 'p99999', name: 'gone.png', size: null, truth: null, folder: false, notes: [] }"
    page.evaluate(f"{APP}.rail.add({gone}); {APP}.choose('p99999')")
    until(page, f"document.querySelector('p.state.wrong')?.textContent.includes('not kept any more') && {IDLE}")
    assert page.locator("seewhy-pane").count() == 0
    for name, said in (("What if?", "seewhy-what-if .source"), ("Channels", "seewhy-channels .caption")):
        tab(page, name)
        until(page, f"document.querySelector({said!r}).textContent === 'The photo cannot be shown.'")
    tab(page, "Why?")
    choose(page, "r0<b>.png")
    assert page.locator("seewhy-pane").count() == 7


def test_channels_and_their_pictures_are_those_of_the_chosen_model(open_page, tmp_path):
    photo(0, 2).save(tmp_path / "a.png")
    given = options(tmp_path)
    second = ["--model", "nets.tiny:make_flat", "--input-size", 32, "--labels", given[-1]]
    with Served(tmp_path / "a.png", *given, *second) as served:
        page = arrived(open_page(), served)
        until(page, f"document.querySelectorAll('seewhy-viewer')[1]?.panes.length === 7 && {IDLE}", seconds=60)
        tab(page, "Channels")
        until(page, IDLE)
        page.locator("seewhy-channels select").first.select_option("1")
        until(page, f"{IDLE} && document.querySelector('seewhy-channels .tile')")
        assert "nets.tiny:make_flat" in page.evaluate("document.querySelector('seewhy-channels').command()")
        page.locator("seewhy-channels .tile").first.click()
        ascent = "document.querySelector('seewhy-channels seewhy-ascent')"
        assert page.evaluate(f"{ascent}.asked.model") == 1
        assert "nets.tiny:make_flat" in page.evaluate(f"{ascent}.python()")
        page.get_by_role("button", name="Stop here").first.click()
        until(page, IDLE, seconds=60)
        page.goto("about:blank")


def test_a_pinned_result_brings_its_photo_back(page):
    choose(page, "r0<b>.png")
    what_if = "document.querySelector('seewhy-what-if')"
    newest = f"{what_if}.dataset.answered === String({what_if}.newest[0]) && {what_if}.answers[0]"
    tab(page, "What if?")
    until(page, newest)
    page.get_by_role("button", name="Pin this").click()
    box = until(page, f"{what_if}.pins.children.length === 1 && JSON.stringify({what_if}.question(0).box)")
    assert page.evaluate(f"{what_if}.pins.querySelector('canvas').title") == "r0<b>.png"
    page.locator("seewhy-rail button.photo", has_text="g0<b>.png").click()
    page.get_by_label("Size").fill("9")
    until(page, newest)
    page.get_by_role("button", name="back to it").click()
    until(page, f"{APP}.photo.name === 'r0<b>.png' && {newest}")
    assert page.evaluate(f"JSON.stringify({what_if}.question(0).box)") == box
    explained(page, "r0<b>.png")


def test_two_classes_of_one_name_are_both_to_be_had(open_page, tmp_path):
    Image.new("RGB", (40, 40), "red").save(tmp_path / "a.png")
    (tmp_path / "cranes.txt").write_text("crane\nCrane\ntiger\nlion\n")
    given = ["--model", "nets.tiny:make", "--input-size", 32, "--labels", tmp_path / "cranes.txt"]
    with Served(tmp_path / "a.png", *given) as served:
        page = arrived(open_page(), served)
        explained(page)
        for index, name in ((0, "crane (0)"), (1, "Crane (1)")):
            page.get_by_label("Explain", exact=True).fill(name)
            page.get_by_label("Explain", exact=True).press("Enter")
            until(page, f"{IDLE} && {APP}.explanation?.targets[0].target.index === {index}")
        page.goto("about:blank")
