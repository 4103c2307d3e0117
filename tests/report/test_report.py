"""The report is one safe page that says everything."""

import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from seewhy import Attribution, Visualization
from seewhy.models.prediction import Ranked
from seewhy.report import Failure, Item, RunInfo, render_report
from seewhy.results import Explained, Explanation, Made, ModelFacts, SeenPhoto, View

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


def attribution(values):
    return Attribution(values, "m", {}, torch.tensor([7]), torch.tensor([9.25]), (32, 48))


def visualization(size=8):
    numbers = torch.ones(3, 1)
    return Visualization(torch.full((1, 3, size, size), 0.5), None, None, numbers, numbers, None, {"preset": "p"}, {})


def explained(text="a.jpg", name=None, truth=None, probability=0.5):
    """Every text of it is ``text``."""
    values = torch.zeros(1, 1, 4, 6)
    values[0, 0, 0, 5] = 2.5
    about = {
        "formula": f"ReLU(Σ αA) {text}",
        "source": text,
        "misleads": text,
        "params": {text: text},
        "notes": (text,),
    }
    views = [
        View(text, text, caption=text, signed=False, attribution=attribution(values), **about),
        View("signed", "signed", attribution=attribution(values - 1)),
        View("nothing", "nothing", signed=False, attribution=attribution(values * 0)),
        View("class picture", "class picture", caption=text, visualization=visualization()),
        View("cam", "CAM", error=f"needs pooling {text}"),
    ]
    name = text if name is None else name
    top = (Ranked(7, name, 9.25, probability), Ranked(1, "dog", 3.0, 0.25))
    return Explanation(
        SeenPhoto(text, "0" * 64, (96, 64), CROP, None, (text,)),
        ModelFacts(text, "0" * 64, text, (text,)), top, text,
        (Explained(top[0], 9.25, {view.id: view for view in views}),),
        Made(text, {}, text, 1.0, text), truth,
    )  # fmt: skip


def report(*shown, run=RUN):
    items = [each if isinstance(each, Item) else Item(each) for each in shown]
    return render_report(items, run=run)


def test_everything_that_is_passed_is_shown():
    page = Page(report(explained("TOKEN"), Failure("gone.jpg", "gone.jpg does not exist")))
    head = ["efficientnet_lite0", "sha256 ab12", "0.1.0", "2025-01-01", "seewhy explain a.jpg", "2.13.0"]
    body = ["needs pooling TOKEN", "ReLU(Σ αA) TOKEN", "gone.jpg does not exist", "all zero", "50.0 %", "dog"]
    for text in head + body:
        assert text in page.text, text
    assert page.text.count("TOKEN") >= 14


def test_html_in_any_text_is_escaped():
    run = RunInfo(EVIL, EVIL, EVIL, EVIL, EVIL, {EVIL: EVIL})
    hostile = f'{EVIL}" onload="alert(1)'
    page = Page(report(explained(hostile), Failure(hostile, hostile), run=run))
    assert all(image["src"].startswith("data:image/webp;base64,") for image in page.all("img"))
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text.count(EVIL) > 20


def test_nothing_is_fetched_and_nothing_runs():
    page = Page(report(explained()))
    assert not page.all("script", "link", "iframe", "object", "embed")
    sources = [attributes[name] for _, attributes in page.tags for name in ("src", "href") if name in attributes]
    assert all(source.startswith(("data:image/", "#")) for source in sources)
    assert all(url.startswith('"data:image/') for url in "".join(page.words).split("url(")[1:])
    assert any("default-src 'none'" in meta.get("content", "") for meta in page.all("meta"))


def test_every_picture_has_alternative_text_and_a_size():
    images = Page(report(explained())).all("img")
    assert len(images) == 5
    assert all(image["alt"] for image in images)
    assert {(image["width"], image["height"]) for image in images} == {("448", "299"), ("448", "448")}
    assert "strongest at the top right" in images[1]["alt"]


def test_headings_are_in_order_and_ids_are_unique():
    page = Page(report(explained("a"), explained("b")))
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
    html = report(Failure(path, "no"), Item(explained(path), path))
    assert html.encode("utf-8")
    assert "\x1b" not in html


def test_a_run_without_photos_is_a_page():
    assert "No photo" in Page(report()).text


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
    html = report()
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
    page = report(explained(text), Failure(text, text), run=RunInfo(text, text, text, text, text, {text: text}))
    assert character not in page
    assert "</script>" not in page
    assert page.count("<!--") == 0
    assert ascii(character)[1:-1] in page


def test_a_megabyte_in_a_text_is_cut():
    long = "x" * 1_000_000
    page = report(explained(long), run=RunInfo(long, long, long, long, long))
    assert len(page) < 500_000


def test_the_page_sends_nothing_anywhere():
    page = report()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert "default-src 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "form-action 'none'" in policy


def numbers_of(page):
    return re.findall(r'<section class="photo" id="photo-(\d+)"', page)


def test_wrong_photos_come_first_then_what_failed_then_the_least_sure():
    shown = [
        explained(name="cat", truth="cat", probability=0.9), explained(name="cat", truth="dog", probability=0.4),
        Failure("x", "y"), explained(name="cat", truth="cat", probability=0.6),
        explained(name="cat", truth="dog", probability=0.8),
    ]  # fmt: skip
    page = report(*shown)
    assert numbers_of(page) == ["5", "2", "3", "4", "1"]
    assert [link["href"] for link in Page(page).all("a")][:5] == [f"#photo-{n}" for n in (5, 2, 3, 4, 1)]
    text = Page(page).text
    assert "2 of 4 right" in text
    assert "Accuracy 50.0 %" in text
    assert "Predicted cat , truly dog" in text


def test_without_truth_the_order_is_the_given_one():
    page = report(explained("a"), explained("b", probability=0.9), explained("c"))
    assert numbers_of(page) == ["1", "2", "3"]
    assert "Accuracy" not in Page(page).text
    assert "truly" not in Page(page).text


def test_the_table_of_confusions_counts_each_photo_once():
    pairs = [("cat", "cat"), ("cat", "dog"), ("dog", "dog"), ("dog", "cat"), ("dog", "cat"), ("Sea-Lion", "sea lion")]
    page = report(*(explained(name=predicted, truth=truth) for truth, predicted in pairs))
    table = page[page.index('class="confusion"') : page.index("</table>")]
    rows = {
        re.search(r"<bdi>(.*?)</bdi>", row)[1]: re.findall(r"<td[^>]*>([^<]*)</td>", row)
        for row in table.split("<tr>")[2:]
    }
    assert rows == {"cat": ["1", "1", "·"], "dog": ["2", "1", "·"], "sea lion": ["·", "·", "1"]}


def test_many_classes_are_a_list_of_what_is_confused():
    shown = [explained(name=f"class {n}", truth=f"class {n}") for n in range(50)]
    page = report(*shown, *[explained(name="class 3", truth="class 4")] * 2)
    assert "confusion" not in page.split("</style>")[1]
    assert "2 × class 4 taken for class 3" in Page(page).text


def test_of_many_photos_pictures_are_smaller_and_methods_are_described_once():
    few, many = (len(report(*[explained(str(n)) for n in range(count)])) / count for count in (5, 60))
    assert many < few / 2
    text = Page(report(explained("a"), explained("a"))).text
    assert text.count("ReLU(Σ αA) a") == 1


def test_links_lead_to_the_figures_in_full_and_nowhere_else():
    hostile = 'a" onclick="x/../%2e<>#?'
    page = Page(report(Item(explained("a"), hostile), Item(explained("b"), "b")))
    links = [link["href"] for link in page.all("a") if not link["href"].startswith("#")]
    assert links == ["./a%22%20onclick%3D%22x%2F..%2F%252e%3C%3E%23%3F/figure.png", "./b/figure.png"]
