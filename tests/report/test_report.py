"""The report is one safe page that says everything."""

import numpy as np
import pytest
import torch
from PIL import Image

from seewhy import Attribution, Visualization
from seewhy.models.prediction import Ranked
from seewhy.report import Failure, Item, RunInfo, render_report
from seewhy.results import Explained, Explanation, Made, ModelFacts, SeenPhoto, View
from seewhy.viewer.page import stylesheet
from seewhy.viewer.planes import values_of
from taken_apart import Page, picture_of, texts

EVIL = "<img src=x onerror=alert(1)>"
CROP = Image.new("RGB", (48, 32), (10, 120, 60))
RUN = RunInfo("efficientnet_lite0", "sha256 ab12", "0.1.0", "2025-01-01", "seewhy explain a.jpg", {"torch": "2.13.0"})


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
        "params": {text: text, "data": text},
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
        ModelFacts(text, "0" * 64, text, (text,), {"arguments": {text: text}}), top, text,
        (Explained(top[0], 9.25, {view.id: view for view in views}),),
        Made(text, {}, text, 1.0, text), truth,
    )  # fmt: skip


def report(*shown, run=RUN):
    items = [each if isinstance(each, Item) else Item(each) for each in shown]
    return render_report(items, run=run)


def test_everything_that_is_passed_is_shown():
    page = Page(report(explained("TOKEN"), Failure("gone.jpg", "gone.jpg does not exist")))
    said = list(texts(page.blocks))
    head = ["efficientnet_lite0", "sha256 ab12", "0.1.0", "2025-01-01", "seewhy explain a.jpg", "2.13.0"]
    body = ["needs pooling TOKEN", "ReLU(Σ αA) TOKEN", "gone.jpg does not exist", "dog"]
    for text in head + body:
        assert text in said, text
    assert said.count("TOKEN") >= 20
    photo = page.photos[1]
    assert [entry["probability"] for entry in photo["top"]] == [0.5, 0.25]
    assert [view["kind"] for view in photo["targets"][0]["views"]] == ["map", "map", "map", "picture", "error"]
    strongest, signed, nothing = photo["targets"][0]["views"][:3]
    assert values_of(strongest["plane"])[0, 5] == 2.5
    assert strongest["scale"] == {"high": 2.5, "diverging": False}
    assert signed["scale"] == {"high": 1.5, "diverging": True}
    assert nothing["scale"] == {"high": 0.0, "diverging": False}, "all zero"
    assert "needs no other file" not in page.text
    assert "TOKEN 50.0 %" in page.text, "where no script runs, what was predicted is told"
    assert "gone.jpg does not exist" in page.text


def test_html_in_any_text_is_text():
    """The script makes text of it; before that, it is JSON, or escaped."""
    run = RunInfo(EVIL, EVIL, EVIL, EVIL, EVIL, {EVIL: EVIL})
    hostile = f'{EVIL}" onload="alert(1)</script></noscript><script>alert(1)</script>'
    page = Page(report(explained(hostile), Failure(hostile, hostile), run=run))
    assert sum(text.count(EVIL) for text in texts(page.blocks)) > 20
    assert EVIL in page.text
    assert not page.all("img")
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    kinds = [script.get("type") for script in page.all("script")]
    assert sorted(kinds, key=str) == [None, *["application/json"] * len(page.blocks)]


def test_nothing_is_fetched():
    html = report(explained())
    page = Page(html)
    assert not page.all("iframe", "object", "embed", "img", "a", "base", "form")
    icons = page.all("link")  # an empty one keeps browsers from asking a server for it
    assert all(icon == {"rel": "icon", "href": "data:,"} for icon in icons)
    sources = [{"src", "href", "action", "srcset"} & set(attributes) for tag, attributes in page.tags if tag != "link"]
    assert not any(sources)
    assert "url(" not in page.style
    assert "@import" not in page.style
    sources = page.policy
    assert sources["default-src"] == sources["base-uri"] == sources["form-action"] == ["'none'"]
    assert sources["img-src"] == ["data:", "blob:"]
    assert set(sources) == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}
    shown = page.photos[1]
    pictures = [shown["photo"]["crop"], page.rows[0]["thumbnail"], shown["targets"][0]["views"][3]["picture"]]
    assert [picture_of(each).size for each in pictures] == [(48, 32), (48, 32), (8, 8)]


def test_every_map_has_a_name_and_every_picture_its_size():
    shown = Page(report(explained())).photos[1]
    assert shown["photo"]["cropSize"] == [48, 32]
    assert shown["photo"]["size"] == [96, 64]
    for view in shown["targets"][0]["views"]:
        assert view["title"]
        assert view["kind"] != "map" or (view["plane"]["width"], view["plane"]["height"]) == (6, 4)


def test_where_no_script_runs_there_is_a_page_all_the_same():
    page = Page(report(explained("a"), explained("b")))
    assert len(page.all("main")) == len(page.all("h1")) == len(page.all("title")) == 1
    assert [tag for tag, _ in page.tags if tag in ("h1", "h2", "h3")] == ["h1"]
    assert dict(page.tags)["html"] == {"lang": "en"}
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert ids == ["seewhy-colours", "seewhy-run", "photo-1", "photo-2"]


@pytest.mark.parametrize("path", ["a\udcff.jpg", "a\x1b[0m.jpg", "猫 ‮.jpg"])
def test_any_path_can_be_written_as_utf8(path):
    html = report(Failure(path, "no"), Item(explained(path), path))
    assert html.encode("utf-8")
    assert "\x1b" not in html
    assert Page(html).rows[0]["path"] == Page(html).photos[2]["photo"]["path"] or "猫" not in path


def test_a_run_without_photos_is_a_page():
    page = Page(report())
    assert page.run["rows"] == page.run["means"] == []
    assert page.run["summary"] is None
    assert "No photo was given." in page.script


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


TEXT_ON = {
    "paper": ("ink", "quiet", "link", "accent"), "card": ("ink", "quiet", "link", "accent"), "wash": ("ink", "quiet"),
    "accent-wash": ("ink",), "ink": ("paper",),
}  # fmt: skip
"""Colours of text by the colours below them, as the style sheets pair them."""


def schemes():
    """(name, variable -> colour) of the light and the dark scheme, and of print."""
    light, dark, printed = stylesheet("viewer").split(":root {")[1:4]
    found = []
    for part in (light, dark, printed):
        pairs = (line.split(":") for line in part.split("}")[0].split(";") if ": #" in line)
        colours = {name.strip().removeprefix("--"): value.strip() for name, value in pairs}
        whole = {name: "#" + "".join(2 * c for c in v[1:]) if len(v) == 4 else v for name, v in colours.items()}
        found.append({**(found[0] if found else {}), **whole})
    return dict(zip(("light", "dark", "print"), found, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_text_has_the_contrast_of_wcag_aa_in_every_scheme(scheme):
    colours = schemes()[scheme]
    for below, inks in TEXT_ON.items():
        for ink in inks:
            assert contrast(colours[ink], colours[below]) >= 4.5, (ink, below)
    for mark in ("accent", "bar"):
        assert contrast(colours[mark], colours["paper"]) >= 3, f"{mark}, which is no text"


@pytest.mark.parametrize(
    "character",
    ["\0", "\x01", "\x08", "\x0b", "\x1b", "\x7f", "\x85", "\x9b", "\r", "\u202e", "\u2066", "\u2028", "\udcff"],
)
@pytest.mark.parametrize("before", ["", "data:image/webp;base64,"])
def test_no_character_of_any_text_acts(character, before):
    """In texts, in names, and in what a run says of itself; also where a text pretends to be a picture."""
    text = f"{before}a{character}b</script><!--\"'>"
    html = report(explained(text), Failure(text, text), run=RunInfo(text, text, text, text, text, {text: text}))
    page = Page(html)
    assert character not in html
    assert not any(character in each for each in texts(page.blocks))
    assert html.count("</script>") == len(page.blocks) + 1
    assert "<!--" not in html
    assert sum(ascii(character)[1:-1] in each for each in texts(page.blocks)) > 19


@pytest.mark.parametrize("before", ["", "data:image/webp;base64,"])
def test_a_megabyte_in_a_text_is_cut(before):
    long = before + "x" * 1_000_000
    page = report(explained(long), run=RunInfo(long, long, long, long, long, {long: long}))
    assert len(page) < 500_000


def numbers_of(html):
    return [row["number"] for row in Page(html).rows]


def test_wrong_photos_come_first_then_what_failed_then_the_least_sure():
    shown = [
        explained(name="cat", truth="cat", probability=0.9), explained(name="cat", truth="dog", probability=0.4),
        Failure("x", "y"), explained(name="cat", truth="cat", probability=0.6),
        explained(name="cat", truth="dog", probability=0.8),
    ]  # fmt: skip
    html = report(*shown)
    assert numbers_of(html) == [5, 2, 3, 4, 1]
    page = Page(html)
    assert [row["right"] for row in page.rows] == [False, False, None, True, True]
    assert [row["truth"] for row in page.rows] == ["dog", "dog", None, "cat", "cat"]
    assert set(page.photos) == {1, 2, 4, 5}
    assert (page.run["summary"]["right"], page.run["summary"]["known"]) == (2, 4)
    assert page.photos[5]["right"] is False
    assert page.photos[5]["truth"] == "dog"
    assert "cat 80.0 %, truly dog" in page.text


def test_without_truth_the_order_is_the_given_one():
    html = report(explained("a"), explained("b", probability=0.9), explained("c"))
    page = Page(html)
    assert numbers_of(html) == [1, 2, 3]
    assert page.run["summary"] is None
    assert [row["truth"] for row in page.rows] == [None] * 3
    assert "truly" not in page.text


def test_the_table_of_confusions_counts_each_photo_once():
    pairs = [("cat", "cat"), ("cat", "dog"), ("dog", "dog"), ("dog", "cat"), ("dog", "cat"), ("Sea-Lion", "sea lion")]
    page = Page(report(*(explained(name=predicted, truth=truth) for truth, predicted in pairs)))
    summary = page.run["summary"]
    assert summary["classes"] == ["cat", "dog", "sea lion"]
    assert summary["table"] == [[1, 1, 0], [2, 1, 0], [0, 0, 1]]
    assert sum(map(sum, summary["table"])) == len(pairs)
    assert summary["confused"] == [["dog", "cat", 2], ["cat", "dog", 1]]
    # A click on a cell finds its photos by these names.
    for truth, predicted, count in [("sea lion", "sea lion", 1), *summary["confused"]]:
        assert sum((row["truth"], row["predicted"]) == (truth, predicted) for row in page.rows) == count


def test_many_classes_are_a_list_of_what_is_confused():
    shown = [explained(name=f"class {n}", truth=f"class {n}") for n in range(50)]
    summary = Page(report(*shown, *[explained(name="class 3", truth="class 4")] * 2)).run["summary"]
    assert summary["classes"] == summary["table"] == []
    assert summary["confused"] == [["class 4", "class 3", 2]]
    assert (summary["right"], summary["known"]) == (50, 52)


def test_a_photo_costs_the_same_however_many_there_are():
    empty, few, many = (len(report(*[explained("a")] * count)) for count in (0, 5, 60))
    assert (many - empty) / 60 == pytest.approx((few - empty) / 5, rel=0.02)


def test_each_photo_is_a_block_of_its_own():
    """Which is read when it is looked at; the index has a line of each, small."""
    page = Page(report(*(explained(str(n)) for n in range(20))))
    assert list(page.photos) == list(range(1, 21))
    assert all(page.photos[row["number"]]["photo"]["path"] == row["path"] for row in page.rows)


def test_links_lead_to_the_figures_in_full_and_nowhere_else():
    hostile = 'a" onclick="x/../%2e<>#?'
    page = Page(report(Item(explained("a"), hostile), Item(explained("b"), "b"), Item(explained("c"))))
    links = [photo["figures"] for photo in page.photos.values()]
    assert links == [
        {"7": "./a%22%20onclick%3D%22x%2F..%2F%252e%3C%3E%23%3F/figure.png"}, {"7": "./b/figure.png"}, {},
    ]  # fmt: skip
