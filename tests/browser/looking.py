"""What a test sees of a viewer on a page, and how it touches it."""

import base64
import time
from types import SimpleNamespace

import numpy as np

VIEWER = "document.querySelector('seewhy-viewer')"
_TOLD = """(id) => {
  const viewer = document.querySelector("seewhy-viewer");
  const pane = viewer.panes.find((each) => each.view.id === id);
  const text = (bytes) => {
    let found = "";
    for (let at = 0; at < bytes.length; at += 8192) found += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return btoa(found);
  };
  const pixels = (canvas) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height);
    const context = copy.getContext("2d", { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    return text(context.getImageData(0, 0, copy.width, copy.height).data);
  };
  const sized = (canvas) => [canvas.height, canvas.width];
  const { grid, view } = pane;
  const grey = viewer.ground.grey;
  return {
    box: viewer.ground.box, high: viewer.highOf(view), diverging: view.scale.diverging, fine: view.fine,
    step: view.plane.step, kind: view.plane.kind,
    ground: pixels(viewer.ground.canvas),
    grey: text(new Uint8Array(grey.buffer)), pixels: pixels(pane.canvas), size: sized(pane.canvas),
    bar: pixels(pane.bar), barSize: sized(pane.bar),
    values: text(new Uint8Array(grid.values.buffer)), grid: [grid.height, grid.width],
  };
}"""


def until(page, expression, *given, seconds=20):
    """What an expression of the page gives, as soon as it is something; no policy of the page forbids it."""
    end = time.monotonic() + seconds
    while not (found := page.evaluate(expression, *given)):
        assert time.monotonic() < end, f"not in {seconds} s: {expression}"
        time.sleep(0.02)
    return found


def settled(page):
    """When all maps of what was chosen last are drawn."""
    page.evaluate(f"{VIEWER}.refreshed")
    until(page, f"{VIEWER}.panes.length > 0 && {VIEWER}.panes.every((pane) => pane.view && pane.isConnected)")


def opened(page, run, number=None):
    """The report, at one of its photos."""
    page.goto(run.report.as_uri() + ("" if number is None else f"#photo-{number}"))
    settled(page)
    return page


def map_ids(page):
    return page.evaluate(f"{VIEWER}.panes.filter((pane) => pane.view.kind === 'map').map((pane) => pane.view.id)")


def stage(page, view):
    """The part of a pane that answers to the pointer."""
    return page.locator(f"seewhy-pane[data-view='{view}'] .stage")


def field(page, label, within="seewhy-viewer .tools"):
    """The control of a label."""
    return page.locator(f"{within} label.field", has_text=label).locator("input, select")


def slide(page, locator, value):
    """A slider, moved as a person's hand moves it: the page hears of it."""
    locator.evaluate("(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", str(value))


def drawn(page, view):
    """A map as it is drawn: ``pixels`` and ``bar`` (h, w, 3) uint8, the ``ground`` below it, the
    same in ``grey``, the ``values`` that the page read, and how.
    """
    told = SimpleNamespace(**page.evaluate(_TOLD, view))
    box = told.box
    told.pixels = _array(told.pixels, np.uint8, (*told.size, 4))[..., :3]
    told.ground = _array(told.ground, np.uint8, (*told.size, 4))[..., :3]
    told.bar = _array(told.bar, np.uint8, (*told.barSize, 4))[..., :3]
    told.grey = _array(told.grey, np.uint8, (box["height"], box["width"]))
    told.values = _array(told.values, np.float32, tuple(told.grid))
    return told


def pictures(page):
    """The id of each map -> something that changes with any of its pixels."""
    return page.evaluate(f"""Object.fromEntries({VIEWER}.panes.filter((pane) => pane.view.kind === "map")
        .map((pane) => [pane.view.id, pane.canvas.toDataURL()]))""")


def _array(text, dtype, shape):
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)
