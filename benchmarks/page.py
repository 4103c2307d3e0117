"""How quick the pages are in a real Chromium, from what a person does to what is drawn:

    python benchmarks/page.py [--photos N] [--moves N] [--many N]

- a photo is dropped on the live page, to its Grad-CAM on the screen;
- a patch is moved on the live page, to the new scores on the screen: moves that a hand makes while the eyes read the
  numbers (10 a second), and a drag without a stop (60 a second), where only the newest place counts;
- a report with 500 photos is opened, to its first photo on the screen; and its index is scrolled from end to end.

Drawn is the frame after the one in which the page changed. Prints JSON, in milliseconds.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # the same Chromium, guard and server as the tests'

from browser.at_app import APP, IDLE, WHAT_IF, arrived, explained, tab  # noqa: E402
from browser.chromium import executable, running  # noqa: E402
from browser.guard import guarded  # noqa: E402
from browser.looking import until  # noqa: E402
from browser.made import Served, command, multiplied  # noqa: E402

PHOTOS = [ROOT / "examples" / "photos" / name for name in ("chelsea.png", "coffee.png")]

DROP = """([name, data]) => new Promise((done) => {
    const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
    const held = new DataTransfer();
    held.items.add(new File([bytes], name, { type: "image/png" }));
    const viewer = document.querySelector("seewhy-viewer");
    const begun = performance.now();
    const look = () => {
        const pane = viewer.shown?.photo.name === name && viewer.panes.find((each) => each.view?.id === "grad_cam");
        if (pane && pane.isConnected && pane.canvas.width > 1) {
            requestAnimationFrame(() => done(performance.now() - begun));
        } else requestAnimationFrame(look);
    };
    document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: held }));
    look();
})"""

WATCH = """() => {
    const element = document.querySelector("seewhy-what-if");
    const stage = element.querySelector(".stage");
    window.told = { moves: 0, asked: 0, drawn: [], last: 0 };
    let moved = 0;
    const asked = new Map();
    stage.addEventListener("pointermove", (event) => { moved = event.timeStamp; told.moves += 1; });
    const ask = element.ask;
    element.ask = function () {
        ask.call(this);
        asked.set(this.newest[0], moved);
        told.asked += 1;
    };
    new MutationObserver(() => {
        const id = Number(element.dataset.answered);
        requestAnimationFrame(() => {
            if (!asked.has(id)) return;
            told.drawn.push(performance.now() - asked.get(id));
            told.last = id;
        });
    }).observe(element, { attributes: true, attributeFilter: ["data-answered"] });
}"""

OPENING = """
    window.longest = [];
    new PerformanceObserver((list) => {
        for (const each of list.getEntries()) longest.push([each.startTime, each.duration]);
    }).observe({ type: "longtask", buffered: true });
    const look = () => {
        const viewer = document.querySelector("seewhy-viewer");
        if (viewer?.panes.length && viewer.panes.every((pane) => !pane.grid || pane.canvas.width > 1)) {
            requestAnimationFrame(() => { window.drawn = performance.now(); });
        } else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
"""

SCROLL = """() => new Promise((done) => {
    const begun = performance.now();
    const list = document.querySelector("ol.index");
    let box = list;
    while (box.parentElement && box.scrollHeight <= box.clientHeight + 1) box = box.parentElement;
    const scrolls = box.scrollHeight > box.clientHeight + 1 ? box : document.scrollingElement;
    let frames = 0;
    let before = -1;
    const step = () => {
        frames += 1;
        scrolls.scrollTop += 400;
        if (scrolls.scrollTop === before) {
            setTimeout(() => done({
                frames, pixels: Math.round(before), ms: Math.round(performance.now() - begun),
                longest: Math.max(0, ...longest.filter(([start]) => start >= begun).map(([, took]) => took)),
            }), 300);
            return;
        }
        before = scrolls.scrollTop;
        requestAnimationFrame(step);
    };
    step();
})"""


def dropped(page: Any, times: int) -> dict[str, Any]:
    """Photos alternate, and each is a new one to the server."""
    taken = []
    contents = [base64.b64encode(path.read_bytes()).decode() for path in PHOTOS]
    for number in range(times):
        taken.append(page.evaluate(DROP, [f"{number}.png", contents[number % 2]]))
        explained(page, f"{number}.png")
    return about(taken)


def moved(page: Any, moves: int, per_second: float) -> dict[str, Any]:
    """A patch, along a spiral."""
    tab(page, "Why?")
    tab(page, "What if?")
    until(page, f"{WHAT_IF}.newest[0] && {WHAT_IF}.dataset.answered === String({WHAT_IF}.newest[0])")
    box = page.locator("seewhy-what-if .stage").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.wait_for_timeout(400)
    page.evaluate("() => Object.assign(told, { moves: 0, asked: 0, drawn: [] })")
    begun = time.perf_counter()
    for move in range(moves):
        share = 0.25 + 0.5 * move / moves
        x, y = box["x"] + share * box["width"], box["y"] + (0.3 + 0.4 * (move % 7) / 7) * box["height"]
        page.mouse.move(x, y)
        time.sleep(max(0.0, begun + (move + 1) / per_second - time.perf_counter()))
    until(page, f"told.last === {WHAT_IF}.newest[0]")
    page.mouse.up()
    told = page.evaluate("told")
    return {**about(told["drawn"]), "moves": told["moves"], "asked": told["asked"], "drawn": len(told["drawn"]),
            "the last was drawn": True}  # fmt: skip


def live(browser: Any, times: int, moves: int) -> dict[str, Any]:
    """The live page of the embedded model."""
    with Served(PHOTOS[0]) as served, guarded(browser, viewport={"width": 1280, "height": 800}) as page:
        arrived(page, served)
        explained(page)
        dropped(page, 2)  # what is only done once
        found = {"drop to Grad-CAM": dropped(page, times)}
        tab(page, "What if?")
        until(page, f"{WHAT_IF}.dataset.answered && {IDLE}")
        page.evaluate(WATCH)
        found["move to scores, 10 a second"] = moved(page, moves, 10)
        found["move to scores, 60 a second"] = moved(page, 4 * moves, 60)
        assert page.evaluate(f"{APP}.photo.name")
        return found


def report(browser: Any, count: int) -> dict[str, Any]:
    """A report of the example photos, over and over: seven maps each, at 224 pixels."""
    with tempfile.TemporaryDirectory() as folder:
        maps = ["saliency", "deconvnet", "guided_backprop", "cam", "grad_cam", "guided_grad_cam", "occlusion"]
        asked = [part for id in maps for part in ("--method", id)]
        command("explain", *PHOTOS, *asked, "--no-figure", "--output-dir", f"{folder}/run")
        path = Path(folder, "many.html")
        path.write_text(multiplied(Path(folder, "run", "report.html").read_text("utf-8"), count), "utf-8")
        opened, scrolled = [], []
        for _ in range(5):
            with guarded(browser, offline=True, viewport={"width": 1280, "height": 800}) as page:
                page.add_init_script(OPENING)
                page.goto(path.as_uri(), wait_until="commit")
                drawn = until(page, "window.drawn")
                ready = until(page, "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
                opening = page.evaluate("Math.max(0, ...longest.map(([, took]) => took))")
                opened.append({"dom": ready, "drawn": drawn, "longest task": opening})
                scrolled.append(page.evaluate(SCROLL))
        return {
            "megabytes": round(path.stat().st_size / 1e6, 1),
            "opened": {key: about([each[key] for each in opened]) for key in opened[0]},
            "scrolled": {"longest task": max(each["longest"] for each in scrolled), "each": scrolled},
        }


def about(taken: list[float]) -> dict[str, Any]:
    """Median, 95th percentile and worst, in milliseconds."""
    ordered = sorted(taken)
    return {
        "median": round(statistics.median(ordered), 1),
        "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 1),
        "worst": round(ordered[-1], 1), "of": len(ordered),
    }  # fmt: skip


def main() -> None:
    """All of it, with how busy the machine was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=15)
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--many", type=int, default=500)
    given = parser.parse_args()
    busy = os.getloadavg()[0]
    with running(executable()) as browser:
        found = {**live(browser, given.photos, given.moves), "report": report(browser, given.many)}
    print(json.dumps({"busy before and after": [busy, os.getloadavg()[0]], **found}, indent=2))


if __name__ == "__main__":
    main()
