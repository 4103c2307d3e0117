// <seewhy-what-if>: a mask, or a piece of a photo, dragged over the photo, and the scores as it moves.
import { choice, copyButton, h, select, slider } from "../../viewer/js/dom.js";
import { pictureOf } from "../../viewer/js/drawing.js";
import { percentage } from "../../viewer/js/numbers.js";
import { SeewhyBars } from "./bars.js";
import { quoted } from "./link.js";

/** @typedef {import("./app.js").SeewhyApp} SeewhyApp */

const FILLS = [
  { value: "blur", text: "Blur" },
  { value: "colour", text: "Colour" },
  { value: "patch", text: "Piece of a photo" },
];
const SHAPES = [
  { value: "box", text: "Box" },
  { value: "disc", text: "Disc" },
];

export class SeewhyWhatIf extends HTMLElement {
  drawing = 0;
  turn = 0;
  /** What the model sees of the photo, and of the one that a piece is cut from. @type {HTMLImageElement | null} */
  crop = null;
  /** @type {HTMLImageElement | null} */
  cut = null;
  /** The photo that is worked on, by its id. */
  of = "";

  /** @param {SeewhyApp} app */
  use(app) {
    this.app = app;
    const [height, width] = app.hello.models[0].input_size;
    /** @type {[number, number]} */
    this.size = [width, height];
    const side = Math.round(Math.min(width, height) / 4);
    this.patch = { x: (width - side) / 2, y: (height - side) / 2, side, shape: "box", fill: "blur", sigma: Math.round(side / 3), colour: "#7f7f7f", source: "", sx: 0, sy: 0 };
    /** The newest question to each model, and whether it is still open. @type {number[]} */
    this.newest = app.hello.models.map(() => 0);
    /** Those that may still be answered. @type {number[][]} */
    this.open = app.hello.models.map(() => []);
    this.pinning = false;
    /** @type {any[]} */
    this.answers = app.hello.models.map(() => null);
    this.canvas = h("canvas", { width, height });
    this.stage = h("div", { class: "stage patching", role: "application", tabindex: "0", "aria-label": "The photo as the model sees it. Drag, or use the arrow keys, to move the patch; Enter pins the result." }, this.canvas);
    this.source = h("canvas", { width, height });
    this.sourceStage = h("div", { class: "stage patching", role: "application", tabindex: "0", "aria-label": "Where the piece is cut from. Drag, or use the arrow keys." }, this.source);
    this.bars = app.hello.models.map((/** @type {any} */ model) => {
      const bars = new SeewhyBars();
      bars.dataset.title = app.hello.models.length > 1 ? model.spec : "Top classes, with the patch";
      return bars;
    });
    this.pins = h("tbody");
    this.pinned = h("table", { class: "pins", hidden: true }, h("caption", {}, "What if"), h("thead", {}, h("tr", {}, h("th", {}, "patch"), h("th", {}, "says"), h("th", {}, "instead of"), h("th", {}, ""))), this.pins);
    this.said = h("p", { class: "source" });
    this.told = h("p", { class: "unseen", "aria-live": "polite" });
    for (const stage of [this.stage, this.sourceStage]) stage.style.setProperty("aspect-ratio", `${width} / ${height}`);
    this.controls = h("div", { class: "asked" });
    this.sourceBox = h("div", { class: "pane", hidden: true }, h("header", {}, h("h3", {}, "Cut from")), this.sourceStage);
    const pin = h("button", { type: "button", onclick: () => this.pin() }, "Pin this");
    this.replaceChildren(
      this.controls,
      h("div", { class: "bench" }, h("div", { class: "pane" }, h("header", {}, h("h3", {}, "Drag the patch")), this.stage), this.sourceBox, h("div", { class: "scores" }, ...this.bars, h("div", { class: "row" }, pin, copyButton("Copy as Python", () => this.python()), copyButton("Copy as command", () => this.command())), this.said, this.told)),
      this.pinned,
    );
    this.lay();
    this.listen(this.stage, "x", "y");
    this.listen(this.sourceStage, "sx", "sy");
    this.stage.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter") this.pin();
    });
  }

  lay() {
    const { patch, app, size } = this;
    if (!patch || !app || !size) return;
    const most = Math.min(...size);
    const change = (/** @type {Partial<typeof patch>} */ given) => {
      Object.assign(patch, given);
      this.moved();
    };
    const photos = /** @type {[string, string][]} */ ([["", "this photo"], ...[...app.rail.items.values()].filter((item) => item.photo.id !== app.photo?.id).slice(0, 200).map((item) => [item.photo.id, item.photo.name])]);
    const colour = h("input", { type: "color", value: patch.colour, oninput: () => change({ colour: colour.value }) });
    this.controls.replaceChildren(
      choice("What hides", FILLS, patch.fill, (fill) => (change({ fill }), this.lay(), void this.ground())),
      choice("Shape", SHAPES, patch.shape, (shape) => change({ shape })),
      slider("Size", { min: Math.max(2, Math.round(most / 32)), max: most, step: 1, value: patch.side }, (side) => {
        const middle = [patch.x + patch.side / 2, patch.y + patch.side / 2];
        change({ side, x: middle[0] - side / 2, y: middle[1] - side / 2 });
      }),
      ...(patch.fill === "blur" ? [slider("Blur", { min: 1, max: Math.round(most / 3), step: 1, value: patch.sigma }, (sigma) => change({ sigma }))] : []),
      ...(patch.fill === "colour" ? [h("label", { class: "field" }, h("span", {}, "Colour"), colour)] : []),
      ...(patch.fill === "patch" ? [select("From", photos, patch.source, (source) => (change({ source }), void this.ground()))] : []),
    );
    this.sourceBox.hidden = patch.fill !== "patch";
  }

  /** Dragging, and arrow keys. @param {HTMLElement} stage @param {"x" | "sx"} across @param {"y" | "sy"} down */
  listen(stage, across, down) {
    const { patch, size } = this;
    if (!patch || !size) return;
    let held = false;
    const go = (/** @type {PointerEvent} */ event) => {
      const box = stage.getBoundingClientRect();
      patch[across] = ((event.clientX - box.left) / box.width) * size[0] - patch.side / 2;
      patch[down] = ((event.clientY - box.top) / box.height) * size[1] - patch.side / 2;
      this.moved();
    };
    stage.addEventListener("pointerdown", (event) => {
      held = true;
      stage.setPointerCapture(event.pointerId);
      go(event);
    });
    stage.addEventListener("pointermove", (event) => {
      if (held) go(event);
    });
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => (held = false));
    stage.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 16 : 4;
      const dx = Number(event.key === "ArrowRight") - Number(event.key === "ArrowLeft");
      const dy = Number(event.key === "ArrowDown") - Number(event.key === "ArrowUp");
      if (!dx && !dy) return;
      event.preventDefault();
      patch[across] += dx * step;
      patch[down] += dy * step;
      this.moved();
    });
  }

  /** The pictures that everything is drawn on. */
  async ground() {
    const { app, patch } = this;
    if (!app?.photo || !patch) return;
    const [id, turn] = [app.photo.id, ++this.turn];
    const sources = patch.fill === "patch" ? [id, patch.source || id] : [id];
    try {
      const [crop, cut] = await Promise.all(sources.map((from) => pictureOf(`/photos/${from}/crop/0`)));
      if (turn !== this.turn) return; // another photo, or another source, was chosen meanwhile
      [this.crop, this.cut] = [crop, cut ?? null];
      this.moved();
    } catch {
      if (turn === this.turn) this.said.textContent = "The photo cannot be shown.";
    }
  }

  /** Another photo. */
  fresh() {
    if (this.patch && this.app?.photo?.id !== this.of) this.patch.source = "";
    if (this.app?.photo?.id !== this.of) this.clear();
    this.of = this.app?.photo?.id ?? "";
    this.lay();
    void this.ground();
  }

  /** Nothing is known yet. */
  clear() {
    [this.crop, this.cut] = [null, null];
    for (const canvas of [this.canvas, this.source]) canvas?.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    this.answers = this.answers?.map(() => null);
    this.newest = this.newest?.map(() => 0);
    this.pinning = false;
    for (const bars of this.bars ?? []) bars.replaceChildren();
    this.said.textContent = "";
  }

  moved() {
    const { patch, size } = this;
    if (!patch || !size) return;
    const [width, height] = size;
    const within = (/** @type {number} */ at, /** @type {number} */ most) => Math.round(Math.min(Math.max(at, 0), most - patch.side));
    Object.assign(patch, { x: within(patch.x, width), y: within(patch.y, height), sx: within(patch.sx, width), sy: within(patch.sy, height) });
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      this.draw();
      this.ask();
    });
  }

  draw() {
    const { patch, crop, cut, canvas, source } = this;
    if (!patch || !crop) return;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const { x, y, side } = patch;
    context.filter = "none";
    context.drawImage(crop, 0, 0, canvas.width, canvas.height);
    context.save();
    context.beginPath();
    if (patch.shape === "disc") context.ellipse(x + side / 2, y + side / 2, side / 2, side / 2, 0, 0, 2 * Math.PI);
    else context.rect(x, y, side, side);
    context.clip();
    if (patch.fill === "colour") {
      context.fillStyle = patch.colour;
      context.fillRect(x, y, side, side);
    } else if (patch.fill === "patch" && cut) {
      context.drawImage(cut, patch.sx, patch.sy, side, side, x, y, side, side);
    } else {
      context.filter = `blur(${patch.sigma}px)`;
      context.drawImage(crop, 0, 0, canvas.width, canvas.height);
    }
    context.restore();
    frame(context, patch, x, y);
    if (cut && patch.fill === "patch") {
      const other = source.getContext("2d");
      other.drawImage(cut, 0, 0, source.width, source.height);
      frame(other, patch, patch.sx, patch.sy);
    }
  }

  /** What is asked of a model: the patch in the pixels of its own input. @param {number} model */
  question(model) {
    const { patch, app, size } = this;
    if (!patch || !app?.photo || !size) return null;
    const { x, y, side, shape, fill, colour } = patch;
    const [height, width] = app.hello.models[model].input_size;
    const [across, down] = [width / size[0], height / size[1]];
    const [wide, high] = [Math.max(1, Math.round(side * across)), Math.max(1, Math.round(side * down))];
    const [left, top] = [Math.min(Math.round(x * across), width - wide), Math.min(Math.round(y * down), height - high)];
    const rgb = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    const from = { photo: patch.source || app.photo.id, top: Math.min(Math.round(patch.sy * down), height - high), left: Math.min(Math.round(patch.sx * across), width - wide) };
    return { photo: app.photo.id, model, box: [top, left, high, wide], shape, fill, sigma: patch.sigma * Math.sqrt(across * down), colour: rgb, source: fill === "patch" ? from : null, classes: [] };
  }

  ask() {
    const { app, newest } = this;
    if (!app?.photo || !newest || !this.crop || this.hidden) return;
    newest.forEach((_, model) => {
      const question = this.question(model);
      if (!question) return;
      const began = performance.now();
      newest[model] = app.ask("what_if", question, {
        once: () => {},
        error: ({ message }) => (this.said.textContent = message),
        scores: (answer) => this.show(answer, model, began),
      });
      this.open?.[model].push(newest[model]);
    });
  }

  /** @param {any} answer @param {number} model @param {number} began */
  show(answer, model, began) {
    const { answers, bars, newest } = this;
    if (!answers || !bars || !newest || answer.photo !== this.app?.photo?.id) return;
    // Some are never answered, since only the newest is computed. One that is not the newest any more is shown too:
    // while a hand moves there is always a newer one.
    const open = this.open?.[model] ?? [];
    for (const id of open.splice(0, open.findIndex((each) => each > answer.id) >>> 0)) this.app?.link?.forget(id);
    answers[model] = answer;
    const first = answer.top[0];
    const others = answer.classes.some((/** @type {any} */ each) => each.index === first.index) ? [] : [first];
    bars[model].show([...answer.classes, ...others], answer.before);
    this.dataset.answered = String(answer.id);
    this.dataset.took = (performance.now() - began).toFixed(1);
    this.told.textContent = `${first.name} ${percentage(first.probability)}`;
    this.said.textContent = answer.engine === "incremental" ? "Only what the patch changes is computed again, exactly." : `Whole forwards: ${answer.reason}`;
    if (this.pinning) this.pin();
  }

  /** Keep what is on the screen, once what is drawn is answered. */
  pin() {
    const { app, answers, patch, canvas } = this;
    if (!app?.photo || !answers || !patch || !answers[0]?.classes.length) return;
    this.pinning = this.drawing !== 0 || answers.some((each, model) => each && each.id !== this.newest?.[model]);
    if (this.pinning) return;
    const [kept, photo] = [{ ...patch }, app.photo];
    const small = h("canvas", { width: 72, height: 72, role: "img", "aria-label": `${photo.name} with the patch`, title: photo.name });
    small.getContext("2d").drawImage(canvas, 0, 0, 72, 72);
    const now = answers.map((each) => (each ? `${each.top[0].name} ${percentage(each.top[0].probability)}` : "")).join(" · ");
    const before = answers.map((each) => (each ? `${each.before[0].name} ${percentage(each.before[0].probability)}` : "")).join(" · ");
    const again = () => {
      if (app.photo?.id !== photo.id) app.choose(photo.id);
      Object.assign(patch, kept);
      this.lay();
      void this.ground();
    };
    const back = h("button", { type: "button", class: "plain", onclick: again }, "back to it");
    const row = h("tr", {}, h("td", {}, small), h("td", {}, h("bdi", {}, now)), h("td", {}, h("bdi", {}, before)), h("td", {}, back));
    row.lastChild.append(" · ", h("button", { type: "button", class: "plain", onclick: () => (row.remove(), (this.pinned.hidden = !this.pins.children.length)) }, "remove"));
    this.pins.prepend(row);
    this.pinned.hidden = false;
  }

  /** The parameters of the patch beside its place, and those for the command. @returns {[string, string][]} */
  get parameters() {
    const { patch, app } = this;
    if (!patch || !app) return [];
    const source = app.rail.items.get(patch.source || app.photo?.id || "")?.photo.name ?? "";
    const rgb = [1, 3, 5].map((at) => parseInt(patch.colour.slice(at, at + 2), 16)).join(", ");
    if (patch.fill === "colour") return [[`colour=(${rgb})`, `--colour ${quoted(patch.colour)}`]];
    if (patch.fill === "blur") return [[`sigma=${patch.sigma}`, `--sigma ${patch.sigma}`]];
    const from = patch.source ? source : app.path();
    return [[`source=${JSON.stringify(from)}`, `--source ${quoted(from)}`], [`source_corner=(${patch.sy}, ${patch.sx})`, `--source-corner ${patch.sy},${patch.sx}`]];
  }

  python() {
    const { patch, app } = this;
    if (!patch || !app) return "";
    const given = [`(${patch.y}, ${patch.x}, ${patch.side}, ${patch.side})`, `shape=${JSON.stringify(patch.shape)}`, `fill=${JSON.stringify(patch.fill)}`, ...this.parameters.map(([python]) => python)];
    return [...app.modelLines(), `patch = seewhy.Patch(${given.join(", ")})`, `seewhy.what_if(${JSON.stringify(app.path())}, patch, model)`].join("\n");
  }

  command() {
    const { patch, app } = this;
    if (!patch || !app) return "";
    const box = `--box ${[patch.y, patch.x, patch.side, patch.side].join(",")}`;
    return [...app.command("what-if"), box, `--shape ${patch.shape}`, `--fill ${patch.fill}`, ...this.parameters.map(([, command]) => command)].join(" ");
  }
}

/** @param {CanvasRenderingContext2D} context @param {{side: number, shape: string}} patch @param {number} x @param {number} y */
function frame(context, patch, x, y) {
  const { side } = patch;
  for (const [colour, width] of /** @type {[string, number][]} */ ([["#fff", 2], ["#17171c", 1]])) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    if (patch.shape === "disc") context.ellipse(x + side / 2, y + side / 2, side / 2, side / 2, 0, 0, 2 * Math.PI);
    else context.rect(x + 0.5, y + 0.5, side - 1, side - 1);
    context.stroke();
  }
}
