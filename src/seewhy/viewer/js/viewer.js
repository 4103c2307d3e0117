// <seewhy-viewer>: a photo with its views in a grid that moves as one. Set `explanation` to what viewed.py gives.
import { colourMaps } from "./colours.js";
import { arrange, choice, copyButton, h, select, shape, slider } from "./dom.js";
import { outline } from "./drawing.js";
import { groundOf, hasWhole } from "./ground.js";
import { number, percentage } from "./numbers.js";
import { SeewhyPane } from "./pane.js";
import { gridsOf } from "./planes.js";
import { pythonFor, commandFor } from "./code.js";
import { Zoom } from "./zoom.js";

/**
 * @typedef {import("./pane.js").View} View
 * @typedef {import("./ground.js").Ground} Ground
 * @typedef {{index: number, name: string, score: number | null, probability: number | null}} Ranked
 * @typedef {{key: string, name: string, target: Ranked, against: Ranked | null, score: number | null, views: View[]}} Target
 * @typedef {object} Explanation see viewed.py
 * @property {{name: string, path: string, size: [number, number], crop: string, cropSize: [number, number],
 *   whole: string | null, box: [number, number, number, number] | null, notes: string[]}} photo
 * @property {string | null} truth
 * @property {boolean | null} right
 * @property {Ranked[]} top
 * @property {string} probabilities
 * @property {{spec: string, weights: string, preprocessing: string, notes: string[]}} model
 * @property {boolean} sharedScale
 * @property {Target[]} targets
 * @property {{seewhy: string, created: string, command: string}} made
 * @property {Record<string, string>} [figures] links to the figures in full, by the key of a target
 * @property {{python: string[], command: string, views: Record<string, string>, targets: Record<string, string>}} code
 *
 * @typedef {object} Settings what a person chose; kept from photo to photo
 * @property {string} colours
 * @property {number} opacity 0..1
 * @property {string} scale "own", "shared" or "share"
 * @property {string} ground "crop" or "whole"
 */

/** @type {Settings} */
export const settings = { colours: "", opacity: 1, scale: "", ground: "crop" };

const SCALES = /** @type {[string, string][]} */ ([
  ["own", "each map its own"],
  ["shared", "shared over classes"],
  ["share", "share of the score"],
]);

export class SeewhyViewer extends HTMLElement {
  constructor() {
    super();
    /** @type {Explanation | null} */
    this.shown = null;
    /** @type {SeewhyPane[]} */
    this.panes = [];
    /** @type {Ground | null} */
    this.ground = null;
    this.grounds = 0;
    /** What the ground is of. @type {{crop: string, whole: boolean} | null} */
    this.on = null;
    /** What is laid out beside the views, as text. @type {string} */
    this.laid = "";
    /** The code that is looked at is that of what is on the screen. @type {() => void} */
    this.retell = () => {};
    this.key = "";
    /** All that were needed so far: one is kept for each view, with its opacity and what is open. @type {Map<string, SeewhyPane>} */
    this.known = new Map();
    /** Whether a class can be asked for by its row: then "seewhy-class" is told. */
    this.acting = false;
    this.turn = 0;
    this.zoom = new Zoom(this, () => this.read());
    this.picture = h("canvas", { width: 1, height: 1 });
    this.place = h("output", { class: "value" });
    this.live = h("p", { class: "unseen", "aria-live": "polite" });
  }

  connectedCallback() {
    this.zoom.write();
  }

  get explanation() {
    return this.shown;
  }

  /** @param {Explanation | null} explanation */
  set explanation(explanation) {
    this.shown = explanation;
    if (!explanation) {
      this.laid = "";
      this.turn += 1;
      this.replaceChildren();
      return;
    }
    settings.colours ||= colourMaps()[0];
    settings.scale ||= explanation.sharedScale ? "shared" : "own";
    if (!explanation.targets.some((each) => each.key === this.key)) this.key = explanation.targets[0]?.key ?? "";
    // What fills in view by view stays as it is: whoever reads a map, or drags a slider, goes on.
    const frame = this.frame(explanation);
    if (frame !== this.laid) this.lay(explanation);
    this.laid = frame;
    this.refreshed = this.refresh();
  }

  /** @returns {Target | undefined} the one that is looked at */
  get target() {
    return this.shown?.targets.find((each) => each.key === this.key);
  }

  /** All that is shown beside the views. @param {Explanation} e @returns {string} */
  frame({ photo, truth, right, top, probabilities, model, targets, figures, made }) {
    const asked = targets.map(({ key, name, score }) => [key, name, score]);
    return JSON.stringify([photo, truth, right, top, probabilities, model, asked, figures, made.seewhy, this.acting, this.key]);
  }

  /** @param {Explanation} e */
  lay(e) {
    const { photo, model } = e;
    const wrong = e.right === false;
    const truth = e.truth === null ? null : h("span", { class: wrong ? "truth wrong" : "truth" }, wrong ? "wrong: truly " : "rightly ", h("bdi", {}, e.truth));
    this.saw = h("h3", {});
    this.heading = h("h2", {});
    this.said = h("p", { class: "said" });
    this.chips = this.targetChips(e);
    this.grid = h("div", { class: "grid" });
    this.top = this.topClasses(e);
    this.notes = h("ul", { class: "notes" });
    const notes = [...model.notes, ...photo.notes, ...(e.probabilities ? [e.probabilities] : [])];
    for (const note of new Set(notes)) this.notes.append(h("li", {}, note));
    this.stage = h("div", { class: "stage", role: "img", tabindex: "0", "aria-label": `What the model saw of ${photo.name}` }, this.picture, h("i", { class: "across" }), h("i", { class: "down" }));
    this.zoom.listenOn(this.stage, () => this.step(null));
    const saw = h(
      "section",
      { class: "saw", "aria-label": "Photo and prediction" },
      h("div", { class: "pane" }, h("header", {}, this.saw, this.place), this.stage, h("p", { class: "caption" }, `${e.photo.cropSize.join(" × ")} of ${photo.size.join(" × ")}`)),
      this.top,
      notes.length ? this.notes : null,
    );
    this.replaceChildren(
      h("header", { class: "photo" }, h("p", { class: "crumb" }, h("bdi", {}, photo.name), truth), this.heading, this.said, this.chips),
      this.tools(e),
      h("div", { class: "body" }, saw, this.grid),
      this.codeBox(e),
      this.live,
    );
  }

  /** @param {Explanation} e */
  targetChips(e) {
    if (e.targets.length < 2) return null;
    const shared = (/** @type {string} */ name) => e.targets.filter((each) => each.name === name).length > 1;
    const options = e.targets.map(({ key, name }) => ({ value: key, text: shared(name) ? `${name} (${key})` : name }));
    return choice("Explained class", options, this.key, (key) => this.switchTo(key));
  }

  /** @param {string} key of a target */
  switchTo(key) {
    this.key = key;
    if (this.shown) {
      const row = this.top?.contains(document.activeElement) ? document.activeElement?.closest("tr")?.dataset.index : undefined;
      const top = this.topClasses(this.shown);
      this.top?.replaceWith(top);
      this.top = top;
      if (row !== undefined) top.querySelector(`tr[data-index="${row}"] button`)?.focus();
      this.laid = this.frame(this.shown);
    }
    for (const [i, button] of [...(this.chips?.children ?? [])].entries()) {
      button.setAttribute("aria-pressed", String(this.shown?.targets[i].key === key));
    }
    this.figure?.setAttribute("href", this.shown?.figures?.[key] ?? "");
    this.refreshed = this.refresh();
    this.dispatchEvent(new CustomEvent("seewhy-target", { bubbles: true, detail: key }));
  }

  /** @param {Explanation} e */
  topClasses(e) {
    const body = h("tbody");
    for (const each of e.top) {
      const of = e.targets.find((target) => target.against === null && target.target.index === each.index);
      const ask = (/** @type {boolean} */ rather) => this.dispatchEvent(new CustomEvent("seewhy-class", { bubbles: true, detail: { index: each.index, rather } }));
      const choose = of && e.targets.length > 1 ? () => this.switchTo(of.key) : this.acting && !of ? () => ask(false) : null;
      const name = choose ? h("button", { type: "button", class: "plain", title: `Why ${each.name}?`, onclick: choose }, h("bdi", {}, each.name)) : h("bdi", {}, each.name);
      const rather = this.acting && each.index !== this.target?.target.index ? h("button", { type: "button", class: "plain why", title: `Why ${this.target?.target.name} rather than ${each.name}?`, onclick: () => ask(true) }, "rather than this") : null;
      const bar = h("i");
      bar.style.setProperty("width", `${100 * (each.probability ?? 0)}%`);
      body.append(
        h("tr", { "data-index": each.index, "data-key": of?.key, "data-explained": of?.key === this.key }, h("th", { scope: "row" }, name, rather), h("td", { class: "share" }, percentage(each.probability)), h("td", { class: "track" }, h("span", {}, bar))),
      );
    }
    const head = h("thead", {}, h("tr", {}, h("th", {}, "class"), h("th", {}, "probability"), h("th", {}, "as a bar")));
    return h("table", { class: "top" }, h("caption", {}, `Top ${e.top.length}`), head, body);
  }

  /** @param {Explanation} e */
  tools(e) {
    const tell = () => this.dispatchEvent(new CustomEvent("seewhy-drawing", { bubbles: true }));
    const redraw = () => (this.draw(), tell());
    const grounds = [
      { value: "crop", text: "What the model saw" },
      { value: "whole", text: "Whole photo" },
    ];
    const zooms = h("div", { class: "choice", role: "group", "aria-label": "Zoom" });
    for (const [text, label, act] of /** @type {[string, string, () => void][]} */ ([
      ["−", "Zoom out", () => this.zoom.by(1 / 1.5)],
      ["+", "Zoom in", () => this.zoom.by(1.5)],
      ["All", "All of the picture", () => this.zoom.reset()],
    ])) {
      zooms.append(h("button", { type: "button", "aria-label": label, title: label, onclick: act }, text));
    }
    const ground = hasWhole(e.photo) ? settings.ground : "crop";
    return h(
      "div",
      { class: "tools", role: "group", "aria-label": "How the maps are drawn" },
      slider("Opacity", { min: 0, max: 1, step: 0.05, value: settings.opacity }, (value) => ((settings.opacity = value), redraw())),
      select("Colours", colourMaps().map((name) => [name, name]), settings.colours, (value) => ((settings.colours = value), redraw())),
      select("Scale", SCALES, settings.scale, (value) => ((settings.scale = value), redraw())),
      hasWhole(e.photo) ? choice("Maps lie on", grounds, ground, (value) => ((settings.ground = value), void this.reground(), tell())) : null,
      zooms,
    );
  }

  /** @param {Explanation} e */
  codeBox(e) {
    const box = h("details", { class: "code" });
    const pre = h("pre", { tabindex: "0", "aria-label": "Code" });
    const buttons = h("div", { class: "choice", role: "group", "aria-label": "Copy" });
    /** @type {typeof pythonFor} what was looked at last */
    let made = pythonFor;
    this.retell = () => {
      if (box.open && this.shown) pre.textContent = made(this.shown, this, settings);
    };
    for (const [name, each] of /** @type {[string, typeof pythonFor][]} */ ([["Copy as Python", pythonFor], ["Copy as command", commandFor]])) {
      buttons.append(copyButton(name, () => each(this.shown ?? e, this, settings), () => ((made = each), (box.open = true), this.retell())));
    }
    box.append(h("summary", {}, "Make this again"), pre);
    box.addEventListener("toggle", () => this.retell());
    const figure = e.figures?.[this.key];
    this.figure = figure ? h("a", { href: figure }, "The figure in full") : null;
    const about = h("p", { class: "source" }, `${e.model.spec} · weights sha256 ${e.model.weights.slice(0, 12)} · ${e.model.preprocessing} · seewhy ${e.made.seewhy}`);
    return h("footer", { class: "again" }, buttons, box, this.figure, about);
  }

  /** Everything that depends on the target. */
  async refresh() {
    const [e, target, turn] = [this.shown, this.target, ++this.turn];
    if (!e || !target) return;
    this.heading.replaceChildren("Why ", h("bdi", {}, target.name), "?");
    this.said.textContent =
      target.against === null
        ? `${percentage(target.target.probability)} · score ${number(target.target.score ?? NaN)}`
        : `score ${number(target.target.score ?? NaN)} rather than ${number(target.against.score ?? NaN)}: a difference of ${number(target.score ?? NaN)}`;
    const grids = await gridsOf(target.views);
    await this.prepare(e);
    if (turn !== this.turn) return;
    this.panes = target.views.map((view) => this.paneOf(view, grids.get(view.id) ?? null, target.name));
    arrange(this.grid, this.panes);
    this.draw();
    this.retell();
  }

  /** @param {View} view @param {import("./planes.js").Grid | null} grid @param {string} of what is explained */
  paneOf(view, grid, of) {
    let pane = this.known.get(view.id);
    if (!pane) {
      const made = /** @type {SeewhyPane} */ (document.createElement("seewhy-pane"));
      made.redraw = () => this.draw();
      this.zoom.listenOn(made.stage, () => this.step(made.grid));
      this.known.set(view.id, made);
      pane = made;
    }
    pane.show(view, grid, of);
    return pane;
  }

  /** The end of a map's scale. @param {View} view */
  highOf(view) {
    const own = view.scale?.high ?? 0;
    /** Of this method's maps of all targets. @type {[score: number, high: number][]} */
    const ends = (this.shown?.targets ?? []).flatMap(({ score, views }) => views.filter((each) => each.id === view.id && each.scale).map((each) => /** @type {[number, number]} */ ([Math.abs(score ?? 0), each.scale?.high ?? 0])));
    if (settings.scale === "shared") return Math.max(own, ...ends.map(([, high]) => high));
    const score = Math.abs(this.target?.score ?? 0);
    if (settings.scale !== "share" || !view.share || !score) return own;
    // A square of a gradient grows with the square of the score.
    const power = view.share.root ? 2 : 1;
    const parts = ends.filter(([of]) => of).map(([of, high]) => high / of ** power);
    return parts.length ? Math.max(...parts) * score ** power : own;
  }

  /** What the maps are drawn over; of several that are asked for at once the last one counts. @param {Explanation} e */
  async prepare({ photo }) {
    const whole = settings.ground === "whole" && hasWhole(photo);
    const turn = ++this.grounds;
    if (this.on?.crop === photo.crop && this.on.whole === whole) return;
    const ground = await groundOf(photo, whole);
    if (turn !== this.grounds) return;
    [this.ground, this.on] = [ground, { crop: photo.crop, whole }];
  }

  async reground() {
    if (!this.shown) return;
    const before = this.ground;
    await this.prepare(this.shown);
    if (this.ground !== before) this.zoom.reset();
    this.draw();
  }

  draw() {
    const { ground } = this;
    if (!ground) return;
    const { original } = ground;
    [this.picture.width, this.picture.height] = [original.width, original.height];
    shape(this.stage, original);
    this.picture.getContext("2d").drawImage(original, 0, 0);
    outline(this.picture, ground.box);
    this.saw.textContent = ground.canvas === original ? "What the model saw" : "The photo, and what the model saw";
    for (const pane of this.panes) {
      if (pane.view) pane.draw(ground, settings.colours, settings.opacity, this.highOf(pane.view), settings.scale === "share");
    }
    this.read();
  }

  /** The crosshair on the crop, in shares of it. */
  get at() {
    const [at, ground] = [this.zoom.at, this.ground];
    if (!at || !ground) return null;
    const { canvas, box } = ground;
    return { x: (at.x * canvas.width - box.x) / box.width, y: (at.y * canvas.height - box.y) / box.height };
  }

  read() {
    const [at, e] = [this.at, this.shown];
    const shares = settings.scale === "share";
    for (const pane of this.panes) pane.read(at, shares);
    if (!e) return;
    const inside = at && at.x >= 0 && at.y >= 0 && at.x < 1 && at.y < 1;
    const [x, y] = inside ? [Math.floor(at.x * e.photo.cropSize[0]), Math.floor(at.y * e.photo.cropSize[1])] : [0, 0];
    this.place.textContent = inside ? `x ${x}, y ${y}` : "";
    const pane = this.panes.find((each) => each.stage === document.activeElement);
    const read = pane ? `: ${pane.value.textContent}` : "";
    this.live.textContent = inside && (pane || this.stage === document.activeElement) ? `x ${x}, y ${y}${read}` : "";
  }

  /**
   * The step of an arrow key: a cell of the map.
   * @param {import("./planes.js").Grid | null} grid
   * @returns {[number, number]}
   */
  step(grid) {
    const { ground } = this;
    const [across, down] = ground ? [ground.box.width / ground.canvas.width, ground.box.height / ground.canvas.height] : [1, 1];
    return [across / Math.min(grid?.width ?? 28, 56), down / Math.min(grid?.height ?? 28, 56)];
  }
}
