// <seewhy-channels>: the strongest channels of a layer, for a photo or for a place on it, and what they add to the score.
import { copyButton, h, select } from "../../viewer/js/dom.js";
import { colourMaps } from "../../viewer/js/colours.js";
import { drawnSize, overlaid, pictureOf, sheet, stretched } from "../../viewer/js/drawing.js";
import { number } from "../../viewer/js/numbers.js";
import { gridOf } from "../../viewer/js/planes.js";
import { SeewhyAscent } from "./ascent.js";
import { quoted } from "./link.js";

/** @typedef {import("./app.js").SeewhyApp} SeewhyApp */

export class SeewhyChannels extends HTMLElement {
  model = 0;
  layer = "";
  /** Of what was asked for: only what was asked for last is shown. */
  turn = 0;

  /** @param {SeewhyApp} app */
  use(app) {
    this.app = app;
    this.model = 0;
    this.layer = "";
    /** @type {[number, number] | null} row and column of the model's input */
    this.at = null;
    this.canvas = h("canvas", { width: 1, height: 1 });
    this.stage = h("div", { class: "stage", role: "application", tabindex: "0", "aria-label": "The photo. Click a place to see the channels there; Escape looks at the whole photo again." }, this.canvas, h("i", { class: "across" }), h("i", { class: "down" }));
    this.stage.addEventListener("click", (/** @type {MouseEvent} */ event) => this.point(event));
    this.stage.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.key(event));
    this.said = h("p", { class: "caption" });
    const copies = h("div", { class: "row" }, copyButton("Copy as Python", () => this.python()), copyButton("Copy as command", () => this.command()));
    this.list = h("div", { class: "grid channels" });
    this.detail = h("div", { class: "detail" });
    this.controls = h("div", { class: "asked" });
    this.replaceChildren(this.controls, h("div", { class: "body" }, h("div", { class: "saw pane" }, h("header", {}, h("h3", {}, "Where to look")), this.stage, this.said, copies), h("div", {}, this.list, this.detail)));
    this.lay();
  }

  lay() {
    const { app } = this;
    if (!app) return;
    const { models } = app.hello;
    const names = models[this.model ?? 0].layers.filter((/** @type {any} */ each) => each.shape?.length >= 2);
    const layers = /** @type {[string, string][]} */ ([["", "the last"], ...names.map((/** @type {any} */ each) => [each.name, `${each.name} · ${each.shape.join(" × ")}`])]);
    const back = h("button", { type: "button", onclick: () => this.move(null) }, "Whole photo");
    this.controls?.replaceChildren(
      ...(models.length > 1 ? [select("Model", models.map((/** @type {any} */ each, /** @type {number} */ i) => [String(i), each.spec]), String(this.model), (/** @type {string} */ value) => ((this.model = Number(value)), (this.layer = ""), this.lay(), void this.fresh()))] : []),
      select("Layer", layers, this.layer, (/** @type {string} */ layer) => ((this.layer = layer), this.find())),
      back,
    );
  }

  /** @param {MouseEvent} event */
  point(event) {
    const box = /** @type {HTMLElement} */ (this.stage).getBoundingClientRect();
    const [height, width] = this.app?.hello.models[this.model ?? 0].input_size ?? [1, 1];
    const within = (/** @type {number} */ share, /** @type {number} */ most) => Math.min(Math.max(Math.floor(share * most), 0), most - 1);
    this.move([within((event.clientY - box.top) / box.height, height), within((event.clientX - box.left) / box.width, width)]);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const [height, width] = this.app?.hello.models[this.model ?? 0].input_size ?? [1, 1];
    if (event.key === "Escape") return this.move(null);
    const dx = Number(event.key === "ArrowRight") - Number(event.key === "ArrowLeft");
    const dy = Number(event.key === "ArrowDown") - Number(event.key === "ArrowUp");
    if (!dx && !dy) return;
    event.preventDefault();
    const [row, column] = this.at ?? [height >> 1, width >> 1];
    const within = (/** @type {number} */ at, /** @type {number} */ most) => Math.min(Math.max(at, 0), most - 1);
    this.move([within(row + (dy * height) / 14, height), within(column + (dx * width) / 14, width)].map(Math.floor));
  }

  /** @param {number[] | null} at */
  move(at) {
    this.at = /** @type {[number, number] | null} */ (at);
    const [height, width] = this.app?.hello.models[this.model ?? 0].input_size ?? [1, 1];
    if (at) {
      this.style.setProperty("--cross-y", `${(100 * (at[0] + 0.5)) / height}%`);
      this.style.setProperty("--cross-x", `${(100 * (at[1] + 0.5)) / width}%`);
    }
    this.dataset.cross = String(at !== null);
    this.find();
  }

  /** Another photo, or another target. */
  async fresh() {
    const { app, canvas } = this;
    if (!app?.photo || !canvas) return;
    const turn = ++this.turn;
    if (this.ascent?.job) app.stop(this.ascent.job);
    if (this.looking) app.stop(this.looking);
    this.ascent = undefined;
    this.detail?.replaceChildren();
    this.list.replaceChildren();
    const crop = await pictureOf(`/photos/${app.photo.id}/crop/${this.model}`).catch(() => null);
    if (turn !== this.turn) return; // another photo, or another model, was chosen meanwhile
    if (!crop) {
      canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
      this.said.textContent = "The photo cannot be shown.";
      return;
    }
    const [width, height] = drawnSize(crop.naturalWidth, crop.naturalHeight);
    const context = sheet(crop, width, height);
    this.ground = { grey: stretched(context), width, height };
    [canvas.width, canvas.height] = [width, height];
    /** @type {HTMLElement} */ (this.stage).style.setProperty("aspect-ratio", `${width} / ${height}`);
    canvas.getContext("2d").drawImage(context.canvas, 0, 0);
    this.find();
  }

  find() {
    const { app } = this;
    if (!app?.photo || this.hidden) return;
    if (this.job) app.stop(this.job);
    const [turn, at] = [++this.turn, this.at];
    const asked = { photo: app.photo.id, model: this.model, layer: this.layer || null, target: app.targetIndex(this.model), at, count: 12 };
    this.job = app.start("channels", asked, "Channels", { channels: (found) => void this.show(found, at, turn) });
  }

  python() {
    const { app } = this;
    if (!app) return "";
    const target = app.targetIndex(this.model);
    const given = [JSON.stringify(app.path()), ...(this.layer ? [`layer=${JSON.stringify(this.layer)}`] : []), ...(target === null ? [] : [`target=${target}`]), ...(this.at ? [`at=(${this.at.join(", ")})`] : [])];
    return [...app.modelLines(this.model), `seewhy.channels(model, ${given.join(", ")})`].join("\n");
  }

  command() {
    const { app } = this;
    if (!app) return "";
    const target = app.targetIndex(this.model);
    return [...app.command("channels", this.model), ...(this.layer ? [`--layer ${quoted(this.layer)}`] : []), ...(target === null ? [] : [`--target ${target}`]), ...(this.at ? [`--at ${this.at.join(",")}`] : [])].join(" ");
  }

  /** @param {any} found @param {[number, number] | null} at @param {number} turn */
  async show(found, at, turn) {
    const { ground } = this;
    if (!ground || !this.list) return;
    const [channels] = found.shape;
    const where = at ? `at row ${at[0]}, column ${at[1]}` : "over the whole photo";
    const said = `${found.layer}: ${channels} channels. What each adds to the score, ${number(found.score ?? NaN)}: activation × gradient, ${where}.`;
    const tiles = await Promise.all(
      found.channels.map(async (/** @type {any} */ each) => {
        const grid = await gridOf(each.plane);
        const high = grid.values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const diverging = grid.values.some((value) => value < 0);
        const canvas = h("canvas", { width: ground.width, height: ground.height });
        const ink = { colours: colourMaps()[0], opacity: 1, fine: false };
        canvas.getContext("2d").putImageData(overlaid(ground.grey, ground.width, ground.height, grid, { high, diverging }, ink), 0, 0);
        const effect = `${each.effect > 0 ? "+" : ""}${number(each.effect)}`;
        const button = h("button", { type: "button", class: "tile", title: "Its picture, and its photos", onclick: () => this.open(found.layer, each.channel, button) }, canvas, h("span", {}, h("b", {}, h("span", { class: "unseen" }, "Channel "), `${each.channel}`), h("span", { class: each.effect < 0 ? "less" : "more" }, effect)));
        return button;
      }),
    );
    if (turn !== this.turn) return; // something else was asked for meanwhile
    this.said.textContent = said;
    this.list.replaceChildren(...tiles);
    this.dataset.layer = found.layer;
  }

  /** A channel's picture, and its photos. @param {string} layer @param {number} channel @param {HTMLElement} tile */
  open(layer, channel, tile) {
    const { app } = this;
    if (!app) return;
    for (const other of this.list?.children ?? []) other.setAttribute("aria-current", String(other === tile));
    if (this.ascent?.job) app.stop(this.ascent.job);
    if (this.looking) app.stop(this.looking);
    this.ascent = new SeewhyAscent();
    const photos = h("div", { class: "exemplars" });
    const said = h("p", { class: "caption" }, "Looking through the folder…");
    this.detail?.replaceChildren(h("h3", {}, `Channel ${channel} of ${layer}`), h("div", { class: "beside" }, this.ascent, h("section", { "aria-label": "Photos that excite it most" }, h("h3", {}, "Photos that excite it most"), photos, said)));
    this.ascent.use(app, { layer, channel, model: this.model });
    if (![...app.rail.items.values()].some((item) => item.photo.folder)) {
      said.textContent = "Start the page with a folder of photos to see which of them excite this channel most.";
      return;
    }
    this.looking = app.start("exemplars", { model: this.model, layer, channel, count: 8 }, "Photos of a channel", {
      exemplars: async ({ top }) => {
        said.textContent = "The part of each photo that the channel answers to.";
        const found = await Promise.all(top.map((/** @type {any} */ each) => this.exemplar(each).catch(() => "")));
        photos.replaceChildren(...found);
      },
      error: ({ message }) => (said.textContent = message),
    });
  }

  /** @param {any} each */
  async exemplar(each) {
    const crop = await pictureOf(`/photos/${each.photo}/crop/${this.model}`);
    const [left, top, right, bottom] = each.box;
    const canvas = h("canvas", { width: 112, height: 112, role: "img", "aria-label": `${each.name}: ${number(each.value)}` });
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = right - left > 28;
    context.drawImage(crop, left, top, right - left, bottom - top, 0, 0, 112, 112);
    return h("button", { type: "button", class: "tile", title: each.name, onclick: () => this.app?.choose(each.photo) }, canvas, h("span", {}, h("span", { class: "name" }, each.name), number(each.value)));
  }
}
