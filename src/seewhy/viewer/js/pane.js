// <seewhy-pane>: one view of a photo, with what it is, its scale, and the value under the crosshair.
import { drawBar, outline, overlaid } from "./drawing.js";
import { h, shape, slider } from "./dom.js";
import { number, percentage } from "./numbers.js";

/**
 * @typedef {import("./planes.js").Grid} Grid
 * @typedef {import("./ground.js").Ground} Ground
 * @typedef {object} View of a photo, see viewed.py
 * @property {string} id
 * @property {string} kind "map", "picture" or "error"
 * @property {string} title
 * @property {string} formula
 * @property {string} source
 * @property {string} misleads
 * @property {Record<string, string>} params
 * @property {string} caption
 * @property {string[]} facts
 * @property {string[]} notes
 * @property {import("./planes.js").Plane} [plane]
 * @property {{high: number, diverging: boolean}} [scale]
 * @property {boolean} [fine]
 * @property {{most: number, perUnit: boolean, root: boolean} | null} [share]
 * @property {string} [picture]
 * @property {string} [error]
 */

export class SeewhyPane extends HTMLElement {
  constructor() {
    super();
    /** @type {View | null} */
    this.view = null;
    /** @type {Grid | null} */
    this.grid = null;
    this.largest = 0;
    /** What is shown, as text: the same is not shown again. */
    this.is = "";
    /** Of this map alone, 0..1; beside the viewer's own. */
    this.opacity = 1;
    /** @type {() => void} */
    this.redraw = () => {};
    this.canvas = h("canvas", { width: 1, height: 1 });
    this.bar = h("canvas", { class: "bar", width: 256, height: 12 });
    this.ends = h("div", { class: "ends" });
    this.value = h("output", { class: "value" });
    this.stage = h("div", { class: "stage", role: "img", tabindex: "0" }, this.canvas, h("i", { class: "across" }), h("i", { class: "down" }));
  }

  /**
   * @param {View} view
   * @param {Grid | null} grid
   * @param {string} of what is explained
   */
  show(view, grid, of) {
    [this.view, this.grid] = [view, grid];
    const told = JSON.stringify([view, of]);
    if (told === this.is) return;
    this.is = told;
    const [focused, open] = [document.activeElement, this.querySelector("details")?.open ?? false];
    const [onStage, within] = [focused === this.stage, this.contains(focused)];
    this.fill(view, grid, of);
    this.querySelector("details")?.toggleAttribute("open", open);
    if (onStage && this.stage.isConnected) this.stage.focus({ preventScroll: true });
    else if (within) this.querySelector("summary")?.focus({ preventScroll: true });
  }

  /** @param {View} view @param {Grid | null} grid @param {string} of */
  fill(view, grid, of) {
    this.dataset.view = view.id;
    const title = h("h3", {}, view.title);
    if (view.kind === "error") {
      this.replaceChildren(title, h("p", { class: "error" }, view.error ?? ""), this.card(view));
      return;
    }
    if (view.kind === "picture") {
      const image = h("img", { class: "plain", src: view.picture, alt: `${view.title} for ${of}` });
      this.replaceChildren(title, image, this.caption(view), this.card(view));
      return;
    }
    if (grid) {
      this.largest = grid.values.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
      this.stage.setAttribute("aria-label", this.described(of, grid));
    }
    this.replaceChildren(h("header", {}, title, this.value), this.stage, this.bar, this.ends, this.caption(view), this.card(view));
  }

  /** @param {View} view */
  caption(view) {
    const parts = [view.caption, ...view.facts].filter(Boolean);
    return parts.length ? h("p", { class: "caption" }, parts.join(" · ")) : null;
  }

  /** @param {View} view */
  card(view) {
    const params = Object.entries(view.params);
    const list = params.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]);
    const opacity =
      view.kind === "map"
        ? slider("Opacity of this map", { min: 0, max: 1, step: 0.05, value: this.opacity }, (value) => {
            this.opacity = value;
            this.redraw();
          })
        : null;
    return h(
      "details",
      { class: "card" },
      h("summary", {}, "How to read it"),
      opacity,
      view.formula ? h("p", { class: "formula" }, view.formula) : null,
      view.misleads ? h("p", { class: "misleads" }, view.misleads) : null,
      ...view.notes.map((note) => h("p", {}, note)),
      view.source ? h("p", { class: "source" }, view.source) : null,
      list.length ? h("dl", {}, ...list) : null,
    );
  }

  /**
   * What the map shows, for people who do not see it.
   * @param {string} of @param {Grid} grid
   */
  described(of, grid) {
    const title = this.view?.title ?? "";
    if (!this.largest) return `${title} map for ${of}: all zero`;
    const at = grid.values.findIndex((each) => Math.abs(each) === this.largest);
    const across = ["left", "middle", "right"][Math.floor((3 * (at % grid.width)) / grid.width)];
    const down = ["top", "centre", "bottom"][Math.floor((3 * Math.floor(at / grid.width)) / grid.height)];
    return `${title} map for ${of}: strongest at the ${down} ${across}, ${number(grid.values[at])}. Arrow keys read values, plus and minus zoom.`;
  }

  /**
   * @param {Ground} ground
   * @param {string} colours
   * @param {number} opacity of all maps
   * @param {number} high the end of the scale
   * @param {boolean} shares whether values are told in shares of the score
   */
  draw(ground, colours, opacity, high, shares) {
    const { view, grid } = this;
    if (!view || !grid || !view.scale) return;
    const scale = { high, diverging: view.scale.diverging };
    const ink = { colours, opacity: opacity * this.opacity, fine: Boolean(view.fine) };
    const { canvas } = ground;
    [this.canvas.width, this.canvas.height] = [canvas.width, canvas.height];
    shape(this.stage, canvas);
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    const { x, y, width, height } = ground.box;
    context.drawImage(canvas, 0, 0);
    context.putImageData(overlaid(ground.grey, width, height, grid, scale, ink), x, y);
    outline(this.canvas, ground.box);
    drawBar(this.bar, scale, ink);
    this.tellEnds(scale, shares);
  }

  /** @param {{high: number, diverging: boolean}} scale @param {boolean} shares */
  tellEnds(scale, shares) {
    if (!scale.high) {
      this.ends.replaceChildren(h("span", {}, "all zero"));
      return;
    }
    const told = (/** @type {number} */ value) => this.told(value, shares);
    const beyond = this.largest > scale.high * 1.000001;
    const low = scale.diverging ? `${beyond ? "≤ " : ""}${told(-scale.high)}` : told(0);
    const faint = scale.high > 2 * this.largest ? h("span", { class: "faint" }, `faint: largest ${told(this.largest)}`) : h("span", {}, scale.diverging ? "0" : "");
    this.ends.replaceChildren(h("span", {}, low), faint, h("span", {}, `${beyond ? "≥ " : ""}${told(scale.high)}`));
  }

  /** @param {number} value @param {boolean} shares */
  told(value, shares) {
    const share = shares ? this.shareOf(value) : null;
    return share === null ? number(value) : percentage(share);
  }

  /**
   * A value in shares of the score; null where it is no amount of it.
   * @param {number} value
   */
  shareOf(value) {
    const about = this.view?.share;
    if (!about || !this.largest) return null;
    const part = value / this.largest;
    return about.most * (about.root ? Math.sign(part) * Math.sqrt(Math.abs(part)) : part);
  }

  /**
   * The raw value at a place of the crop, as it is in maps.npz; null beyond the crop.
   * @param {{x: number, y: number} | null} at in shares of the crop
   */
  valueAt(at) {
    const { grid } = this;
    if (!grid || !at || at.x < 0 || at.y < 0 || at.x >= 1 || at.y >= 1) return null;
    return grid.values[Math.floor(at.y * grid.height) * grid.width + Math.floor(at.x * grid.width)];
  }

  /** @param {{x: number, y: number} | null} at in shares of the crop @param {boolean} shares */
  read(at, shares) {
    const value = this.valueAt(at);
    this.value.textContent = value === null ? "" : this.told(value, shares);
  }
}
