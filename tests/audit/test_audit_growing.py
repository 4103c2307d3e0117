"""The page of an audit that goes on: it can be opened early, says how far the audit is, and what goes on with it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import planted
import pytest
from test_audit_page import Parsed, blocks

import seewhy
from seewhy import events
from seewhy.auditing.candidate import Candidate
from seewhy.auditing.circle import audit
from seewhy.auditing.finding import Finding
from seewhy.auditing.pages import growing
from seewhy.auditing.pages.growing import Growing, unfinished
from seewhy.auditing.pages.page import render
from seewhy.auditing.result import Audit
from seewhy.auditing.stages import Passed, Plan, Proposed
from seewhy.errors import OutputError, PhotoError

HOSTILE = "<script>alert(1)</script>\"'><img src=http://evil.example/x>\u202e{{ 7*7 }}"
ROOT = Path(__file__).parents[2]
REFRESH = '<noscript><meta http-equiv="refresh" content="5"></noscript>'


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    pixels, kinds = planted.pictures(16, 1, "checks")
    return planted.folder(tmp_path_factory.mktemp("photos"), pixels, kinds)


@pytest.fixture(scope="module")
def classifier():
    return planted.trained("checks", epochs=4)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def page(root, classifier, clock, tmp_path):
    return Growing(tmp_path / "audit.html", root, classifier, ["seewhy", "audit", "my photos"], clock=clock)


def text(growing):
    return " ".join("".join(Parsed(growing._path.read_text("utf-8")).texts).split())


def passed(**more):
    photos = {"count": 64, "labelled": 64, "accuracy": 0.5, "classes": {}, "notes": [], "unreadable": [], **more}
    return Passed({"spec": "net", "labels": {}}, photos)


def test_it_grows_with_the_events_of_an_audit(classifier, page, clock, tmp_path):
    """Each page says what is so when it is written, as the findings of the audit say it in the end."""
    root = planted.folder(tmp_path / "photos", *planted.pictures(60, 1, "checks"))
    pages, sources = [], ("stamps", "sensitivity", "duplicates")

    def listen(event):
        clock.now += growing.EVERY
        page.listen(event)
        if page._path.exists():
            pages.append((event, text(page)))

    found = audit(root, classifier, sources=sources, batch_size=48, listener=listen)
    photos = [(event.done, words) for event, words in pages if event.path[-1] == "Photos" and event.kind == "progress"]
    assert [done for done, _ in photos] == [0, 48, 96, 144, 192, 240, 240], "each batch is told"
    for done, words in photos:
        assert f"Photos {done} of 240" in words
    assert "about" in photos[2][1]
    assert "left" in photos[2][1]
    proposed = [words for event, words in pages if isinstance(event.value, Proposed)]
    assert len(proposed) == len(sources)
    measured = [each for each in found.findings if each.kind == "sensitivity"]
    candidates = [each for each in found.findings if each.kind == "stamp"]
    assert measured
    assert candidates
    for each in measured:
        assert each.sentence[1:] not in proposed[0]
        assert each.sentence[1:] in proposed[1]
    assert f"Not tested yet {len(candidates)}" in proposed[-1]
    decided = [words for event, words in pages if isinstance(event.value, Finding)]
    assert len(decided) == len(candidates)
    assert "Not tested yet" not in decided[-1]
    assert candidates[-1].sentence[1:] in decided[-1]
    assert "Proven" not in decided[-1], "nothing is, before all tests are corrected for each other"
    page.finish(render(found, root, classifier))
    assert not unfinished(page._path)


def test_a_running_page_loads_itself_again_and_a_finished_one_does_not(root, classifier, page):
    page.listen(events.Event("result", ("Audit", "Photos"), 0, value=Plan(("Photos", "Stamps", "Interventions"))))
    assert not page._path.exists(), "before the first photos nothing is known"
    page.listen(events.Event("progress", ("Audit", "Photos"), 0.1, 16, 64))
    running = page._path.read_text("utf-8")
    assert REFRESH in running
    assert "The audit is running: 10 % done" in text(page)
    assert "data-reload" in running
    assert unfinished(page._path)
    with pytest.raises(KeyboardInterrupt), page:
        raise KeyboardInterrupt
    ended = page._path.read_text("utf-8")
    assert "The audit was interrupted" in text(page)
    assert "seewhy audit 'my photos'" in text(page)
    assert unfinished(page._path)
    about = {"folder": "", "count": 0, "labelled": 0, "accuracy": None, "notes": [], "unreadable": []}
    finished = render(Audit({}, about, (), {}), root, classifier)
    for each in (ended, finished):
        assert "refresh" not in "".join(map(str, Parsed(each).all("meta")))
        assert "<noscript>" not in each
        assert not [given for _, given in Parsed(each).tags if "data-reload" in given]
    page.finish(finished)
    assert not unfinished(page._path)


def test_it_is_written_at_a_bounded_rate(page, clock, monkeypatch):
    times = []
    monkeypatch.setattr(growing, "write_text", lambda *_, **__: times.append(clock.now))
    for step in range(1000):
        clock.now = step / 10
        page.listen(events.Event("progress", ("Audit", "Photos"), step / 1000, step, 1000))
    assert times[0] == 0
    assert len(times) == 50
    assert min(np.diff(times)) >= growing.EVERY


def test_a_page_that_takes_long_to_write_is_written_less_often(page, clock, monkeypatch):
    times = []

    def slowly(*_, **__):
        times.append(clock.now)
        clock.now += 1

    monkeypatch.setattr(growing, "write_text", slowly)
    for step in range(100):
        clock.now += 1
        page.listen(events.Event("progress", ("Audit", "Photos"), 0, step, 100))
    assert min(np.diff(times)) >= growing.SHARE


def test_the_page_of_a_finished_audit_is_kept(root, classifier, tmp_path):
    path = tmp_path / "audit.html"
    path.write_text("mine")
    event = events.Event("progress", ("Audit", "Photos"), 0, 0, 64)
    with pytest.raises(OutputError, match="exists"):
        Growing(path, root, classifier).listen(event)
    with pytest.raises(OutputError, match="exists"):
        Growing(path, root, classifier).finish("other")
    assert path.read_text() == "mine"
    Growing(path, root, classifier, force=True).listen(event)
    assert unfinished(path)
    Growing(path, root, classifier).listen(event)  # an unfinished one may be replaced


def test_what_ended_it_is_told(page):
    with pytest.raises(PhotoError), page:
        raise PhotoError(HOSTILE)
    assert not page._path.exists(), "it ended before there was anything to tell"
    page.listen(events.Event("progress", ("Audit", "Photos"), 0, 0, 64))
    with pytest.raises(PhotoError), page:
        raise PhotoError(HOSTILE)
    assert "The audit ended with an error" in text(page)
    assert "<script>alert(1)</script>" in text(page)


def test_an_earlier_result_is_replaced_only_with_force(page):
    (page._path.with_name("findings.json")).write_text("{}")
    page.listen(events.Event("progress", ("Audit", "Photos"), 0, 0, 64))
    with pytest.raises(KeyboardInterrupt), page:
        raise KeyboardInterrupt
    assert "seewhy audit 'my photos' --force" in text(page)


def test_names_from_outside_are_text(root, classifier, clock, tmp_path):
    place = tmp_path / "<script>alert(2)<"
    hostile = Finding("s", "stamp", HOSTILE, class_name=HOSTILE, carriers=(HOSTILE,), detail={"why": HOSTILE})
    about = passed(
        classes={HOSTILE: {"photos": 9, "accuracy": 0.5}}, confused=[[HOSTILE, "b", 2]], notes=[HOSTILE]
    )  # fmt: skip
    page = Growing(tmp_path / "audit.html", place, classifier, ["seewhy", HOSTILE], clock=clock)
    path = ("Audit", "Stamps")
    for value in (Plan(("Photos", HOSTILE)), about, Proposed((hostile,), (hostile,))):
        clock.now += growing.EVERY
        page.listen(events.Event("result", path, 0.5, value=value))
    with pytest.raises(KeyboardInterrupt), page:
        raise KeyboardInterrupt
    written = page._path.read_text("utf-8")
    assert [each for each in Parsed(written).all("script") if each.get("type") != "application/json"] == [{}]
    assert text(page).count("<script>alert(1)</script>") >= 6
    assert not [each for each in Parsed(written).all("img") if not each["src"].startswith("data:")]
    assert "\u202e" not in written
    assert blocks(written) == {}


def test_a_candidate_is_told_as_what_it_may_do():
    class Edit:
        def describe(self):
            return {"name": "a tag"}

    class Rows:
        paths = tuple(f"{number}.png" for number in range(100))

    candidate = Candidate("c", "stamp", 0, "bag", Edit(), np.arange(80), True, "it repeats")
    (told,) = Proposed.of([candidate], Rows).candidates
    assert (told.id, told.effect, told.class_name, told.state) == ("c", None, "bag", "not_proven")
    assert told.sentence == "a tag may make photos bag"
    assert told.carriers == Rows.paths[:64]
    assert told.detail["carriers"] == 80


@pytest.fixture
def begun(tmp_path):
    """``seewhy audit`` of a slow network, in a process of its own, once its page says that it is running."""
    pixels, kinds = planted.pictures(40, 1)
    photos = planted.folder(tmp_path / "photos", pixels, kinds)
    (tmp_path / "labels.txt").write_text("\n".join(planted.LABELS))
    out = tmp_path / "out"
    paths = [str(ROOT / each) for each in ("src", "tests", "tests/audit")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

    def line(model):
        return [sys.executable, "-m", "seewhy", "audit", str(photos), "--model", f"{model}:build", "--labels",
                str(tmp_path / "labels.txt"), "--input-size", "32", "--batch-size", "8", "--source", "duplicates",
                "-o", str(out)]  # fmt: skip

    process = subprocess.Popen(line("slow_net"), env=environment, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not (out / "audit.html").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.05)
    process.page = out / "audit.html"
    process.again = lambda *more: subprocess.run(
        [*line("slow_net"), *more], env={**environment}, capture_output=True, text=True
    )  # fmt: skip
    yield process
    process.kill()
    process.stderr.close()


def test_killed_in_the_middle_it_says_that_it_is_running_and_the_same_command_goes_on(begun):
    begun.send_signal(signal.SIGKILL)
    begun.wait(30)
    written = begun.page.read_text("utf-8")
    assert "The audit is running" in written
    assert REFRESH in written
    assert re.search(r"Photos</b> \d+ of 160", written)
    assert not begun.page.with_name("findings.json").exists()
    done = begun.again()
    assert done.returncode == 0, done.stderr
    assert "The audit is running" not in begun.page.read_text("utf-8")
    assert "<noscript>" not in begun.page.read_text("utf-8")
    refused = begun.again()
    assert refused.returncode == 2
    assert "--force" in refused.stderr


def test_after_ctrl_c_it_says_how_to_go_on(begun):
    begun.send_signal(signal.SIGINT)
    assert begun.wait(30) == 1
    parsed = Parsed(begun.page.read_text("utf-8"))
    assert "The audit was interrupted" in parsed.texts
    assert any(each.startswith("seewhy audit ") and "slow_net:build" in each for each in parsed.texts)
    assert unfinished(begun.page)


def test_the_command_has_no_page_where_none_is_wanted(root, tmp_path, seewhy_command):
    (tmp_path / "labels.txt").write_text("\n".join(planted.LABELS))
    code, _, err = seewhy_command(
        "audit", root, "--model", "planted:build", "--labels", tmp_path / "labels.txt", "--input-size", 32,
        "--source", "duplicates", "--no-page", "-o", tmp_path / "out",
    )  # fmt: skip
    assert code == 0, err
    assert not (tmp_path / "out" / "audit.html").exists()
    assert seewhy.Audit.load(tmp_path / "out").photos["count"] == 64
