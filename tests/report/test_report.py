"""The report is one safe page that says everything."""

import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from seewhy.pictures import ErrorPanel, MapPanel, PicturePanel
from seewhy.report import PhotoEntry, RunInfo, TargetEntry, ViewEntry, render_report

EVIL = "<img src=x onerror=alert(1)>"
CROP = Image.new("RGB", (48, 32), (10, 120, 60))
RUN = RunInfo("efficientnet_lite0", "sha256 ab12", "0.1.0", "2025-01-01", "seewhy explain a.jpg", {"torch": "2.13.0"})


class Page(HTMLParser):
    """The tags with their attributes, and the visible text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


def entry(text="a.jpg"):
    values = np.zeros((1, 4, 6), np.float32)
    values[0, 0, 5] = 2.5
    views = (
        ViewEntry(
            MapPanel(text, values, CROP, text),
            formula=f"ReLU(Σ αA) {text}", source=text, misleads=text, parameters={text: text}, notes=(text,),
        ),
        ViewEntry(MapPanel("signed", values - 1, CROP)),
        ViewEntry(MapPanel("nothing", values * 0, CROP)),
        ViewEntry(PicturePanel("class picture", CROP, text)),
        ViewEntry(ErrorPanel("CAM", f"needs pooling {text}")),
    )  # fmt: skip
    target = TargetEntry(text, 7, 9.25, 0.5, views)
    return PhotoEntry(text, CROP, ((text, 0.5), ("dog", 0.25)), (target,), text, (text,))


def test_everything_that_is_passed_is_shown():
    page = Page(render_report([entry("TOKEN"), PhotoEntry("gone.jpg", error="gone.jpg does not exist")], run=RUN))
    head = ["efficientnet_lite0", "sha256 ab12", "0.1.0", "2025-01-01", "seewhy explain a.jpg", "2.13.0"]
    body = ["needs pooling TOKEN", "ReLU(Σ αA) TOKEN", "gone.jpg does not exist", "all zero", "50.0 %", "dog"]
    for text in head + body:
        assert text in page.text, text
    assert page.text.count("TOKEN") >= 14


def test_html_in_any_text_is_escaped():
    run = RunInfo(EVIL, EVIL, EVIL, EVIL, EVIL, {EVIL: EVIL})
    hostile = f'{EVIL}" onload="alert(1)'
    page = Page(render_report([entry(hostile), PhotoEntry(hostile, error=hostile)], run=run))
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text.count(EVIL) > 20


def test_nothing_is_fetched_and_nothing_runs():
    page = Page(render_report([entry()], run=RUN))
    assert not page.all("script", "link", "iframe", "object", "embed")
    sources = [attributes[name] for _, attributes in page.tags for name in ("src", "href") if name in attributes]
    assert all(source.startswith(("data:image/", "#")) for source in sources)
    assert "url(" not in "".join(page.words)
    assert any("default-src 'none'" in meta.get("content", "") for meta in page.all("meta"))


def test_every_picture_has_alternative_text_and_a_size():
    images = Page(render_report([entry()], run=RUN)).all("img")
    assert len(images) == 5
    assert all(image["alt"] for image in images)
    assert {(image["width"], image["height"]) for image in images} == {("448", "299")}
    assert "strongest at the top right" in images[1]["alt"]


def test_headings_are_in_order_and_ids_are_unique():
    page = Page(render_report([entry("a"), entry("b")], run=RUN))
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [a["href"][1:] for a in page.all("a")] + [s["aria-labelledby"] for s in page.all("section")]
    assert set(targets) <= set(ids)
    assert [len(page.all(name)) for name in ("main", "nav", "footer")] == [1, 1, 1]


@pytest.mark.parametrize("path", ["a\udcff.jpg", "a\x1b[0m.jpg", "猫 ‮.jpg"])
def test_any_path_can_be_written_as_utf8(path):
    html = render_report([PhotoEntry(path, error="no", top=(("label \udcff", 0.5),))], run=RUN)
    assert html.encode("utf-8")
    assert "\x1b" not in html


def test_a_run_without_photos_is_a_page():
    assert "No photo" in Page(render_report([], run=RUN)).text


def contrast(one, other):
    def luminance(colour):
        unit = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        return np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4) @ [
            0.2126,
            0.7152,
            0.0722,
        ]

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_text_has_the_contrast_of_wcag_aa_in_both_schemes():
    html = render_report([], run=RUN)
    schemes = html.split(":root {")[1:3]
    for scheme in schemes:
        colours = {
            name.strip(): (value * 2 if len(value) == 3 else value)
            for name, _, value in (part.partition(": #") for part in scheme.split("}")[0].split("--")[1:])
            for value in [value.split(";")[0]]
        }
        for ink in ("ink", "quiet", "link"):
            assert contrast(f"#{colours[ink]}", f"#{colours['paper']}") >= 4.5
        assert contrast(f"#{colours['ink']}", f"#{colours['error-paper']}") >= 4.5


@pytest.mark.parametrize(
    "character",
    ["\0", "\x01", "\x08", "\x0b", "\x1b", "\x7f", "\x85", "\x9b", "\r", "\u202e", "\u2066", "\u2028", "\udcff"],
)
def test_no_character_of_any_text_acts(character):
    """In texts, in attributes, and in what a run says of itself: HTML knows no control characters but white space."""
    text = f"a{character}b</script><!--\"'>"
    panel = PicturePanel(text, Image.new("RGB", (8, 8)), text)
    view = ViewEntry(panel, text, text, text, {text: text}, (text,))
    error = ViewEntry(ErrorPanel(text, text))
    target = TargetEntry(text, 0, 1.0, 0.5, (view, error))
    entries = [PhotoEntry(text, Image.new("RGB", (8, 8)), ((text, 0.5),), (target,), text, (text,), text)] * 2
    page = render_report(entries, run=RunInfo(text, text, text, text, text, {text: text}))
    assert character not in page
    assert "</script>" not in page
    assert page.count("<!--") == 0
    assert ascii(character)[1:-1] in page


def test_a_megabyte_in_a_text_is_cut():
    long = "x" * 1_000_000
    entry = PhotoEntry(long, None, ((long, 0.5),), (TargetEntry(long, 0, 1.0, 0.5, ()),), long, (long,), long)
    assert len(render_report([entry], run=RunInfo(long, long, long, long, long))) < 300_000


def test_the_page_sends_nothing_anywhere():
    page = render_report([], run=RunInfo("m", "w", "v", "d", "c"))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert "default-src 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "form-action 'none'" in policy
