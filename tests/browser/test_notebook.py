"""An explanation below a cell, as a notebook embeds it: set as markup into a page that is somebody else's."""

import hashlib
from base64 import b64encode

import pytest

from browser.axe import violations
from browser.looking import until

COLOURS = """[...document.querySelectorAll("seewhy-pane canvas:not(.bar)")].map((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
})"""  # how many there are in each map
VIEWERS = "document.querySelectorAll('seewhy-viewer').length"
HOST = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A notebook</title>{head}</head>
<body><h1>A notebook</h1><main></main></body></html>"""


def embedded(page, host, *cells):
    """Puts cells into a page, as a notebook does: their markup becomes elements, and scripts in it do not run."""
    page.goto(host.as_uri())
    page.evaluate("""(cells) => {
        for (const cell of cells) {
            const box = document.createElement("div");
            box.innerHTML = cell;
            document.querySelector("main").append(box);
        }
    }""", list(cells))  # fmt: skip


@pytest.fixture
def host(tmp_path):
    def write(head=""):
        path = tmp_path / "notebook.html"
        path.write_text(HOST.format(head=head), "utf-8")
        return path

    return write


@pytest.fixture(scope="module")
def cells(run):
    """Of two photos."""
    return [run.explanations[run.number(name)]._repr_html_() for name in ("red/r0<b>.png", "green/b0<b>.png")]


def viewers(page):
    """The frames, in which a viewer has drawn all of its maps."""
    found = page.frames[1:]
    for frame in found:
        until(
            frame, "document.querySelector('seewhy-viewer')?.panes.length === 8 && !document.querySelector('#static')"
        )
        frame.evaluate("document.querySelector('seewhy-viewer').refreshed")
    return found


def test_two_cells_draw_and_none_touches_the_notebook_or_the_other(offline, host, cells):
    offline.goto(host().as_uri())
    before = offline.evaluate("Object.getOwnPropertyNames(window).sort()")
    offline.evaluate("window.seewhy = 'theirs'")
    embedded(offline, host(), *cells)
    frames = viewers(offline)
    assert len(frames) == 2
    assert offline.evaluate("Object.getOwnPropertyNames(window).sort()") == sorted([*before, *map(str, range(2))])
    assert offline.evaluate("customElements.get('seewhy-viewer') === undefined")
    assert offline.evaluate(f"document.title === 'A notebook' && {VIEWERS} === 0")
    titles = [frame.evaluate("document.querySelector('seewhy-viewer').explanation.photo.name") for frame in frames]
    assert titles == ["r0<b>.png", "b0<b>.png"]
    for frame in frames:
        shown = frame.evaluate(COLOURS)
        assert len(shown) == 7
        assert min(shown) > 50, "colours of a map on a photo"
    first, second = frames
    first.get_by_label("Colours").select_option("jet")
    assert second.get_by_label("Colours").input_value() == "seewhy"


def test_a_frame_can_reach_nothing_of_the_notebook(offline, host, cells):
    embedded(offline, host(), cells[0])
    (frame,) = viewers(offline)
    reached = frame.evaluate("(() => { try { return parent.document.title; } catch (error) { return error.name; } })()")
    assert reached == "SecurityError"


def test_the_static_picture_is_below_it(offline, host, cells):
    embedded(offline, host(), cells[0])
    viewers(offline)
    picture = offline.locator("details img")
    assert not picture.is_visible()
    offline.get_by_text("As a picture").click()
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 640
    assert picture.get_attribute("alt")


@pytest.mark.parametrize("strict", [False, True])
def test_under_a_strict_policy_the_picture_and_its_words_stay(open_page, host, cells, strict):
    """A frame of srcdoc inherits its page's policy: where no script may run, it says so, and the picture is there."""
    page = open_page(offline=True)
    if strict:
        page.guard.expect("(?i)content security policy")
    policy = "default-src 'none'; img-src data:; frame-src 'self'; style-src 'unsafe-inline'; script-src 'self'"
    loose = policy.replace("script-src 'self'", "script-src 'unsafe-inline'")
    written = host(f'<meta http-equiv="Content-Security-Policy" content="{policy if strict else loose}">')
    embedded(page, written, cells[0])
    if not strict:
        viewers(page)
        return
    frame = page.frames[1]
    assert "picture below" in until(frame, "document.querySelector('#static')?.textContent")
    page.get_by_text("As a picture").click()
    assert page.locator("details img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 640


def test_axe_finds_nothing_grave(offline, host, cells):
    embedded(offline, host(), cells[0])
    viewers(offline)
    assert violations(offline) == []


def test_the_frame_allows_exactly_its_own_script(cells):
    """By the hash of the policy; so the page around it need not allow any."""
    import html
    import re

    page = html.unescape(re.search(r'srcdoc="([^"]*)"', cells[0])[1])
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in page
    assert 'sandbox="allow-scripts"' in cells[0]
