// <seewhy-ascent>: the image of a class, or of a channel, while it forms.
import { copyButton, h, select } from "../../viewer/js/dom.js";
import { number, percentage } from "../../viewer/js/numbers.js";
import { classBox } from "./class_box.js";
import { SeewhyCurve } from "./curve.js";
import { quoted } from "./link.js";

/** @typedef {import("./app.js").SeewhyApp} SeewhyApp */

export class SeewhyAscent extends HTMLElement {
  job = 0;
  paused = false;

  /** @param {SeewhyApp} app @param {{layer: string, channel: number, model: number} | null} [unit] a channel instead of a class */
  use(app, unit = null) {
    this.app = app;
    this.unit = unit;
    /** @type {{target: number | null, preset: string, steps: number, l2: string, seed: number, model: number}} */
    this.asked = { target: null, preset: app.hello.presets[0], steps: 256, l2: "", seed: 0, model: unit?.model ?? 0 };
    this.job = 0;
    this.paused = false;
    /** @type {[number, number | null, number | null][]} */
    this.course = [];
    this.image = h("img", { alt: "", class: "plain forming", width: 448, height: 448, hidden: true });
    this.blank = h("p", { class: "blank" }, unit ? "" : "Choose a class, and start: the image is moved, step by step, to where the score is higher.");
    this.curve = new SeewhyCurve();
    this.said = h("p", { class: "said", "aria-live": "polite" });
    this.files = h("p", { class: "row" });
    this.startButton = h("button", { type: "button", class: "main", onclick: () => this.start() }, "Start");
    this.pauseButton = h("button", { type: "button", disabled: true, onclick: () => this.pause() }, "Pause");
    this.stopButton = h("button", { type: "button", disabled: true, onclick: () => app.link?.control("stop", this.job) }, "Stop here");
    this.box = classBox("Class", (index) => this.aim(index), "name or number");
    this.box.use(app.hello.models[0]);
    const count = (/** @type {string} */ label, /** @type {"steps" | "seed"} */ name, /** @type {number} */ least) => {
      const input = h("input", { type: "number", min: least, max: name === "steps" ? 2048 : 2 ** 31 - 1, value: this.asked?.[name], onchange: () => this.asked && (this.asked[name] = Math.max(least, Math.round(Number(input.value) || 0))) });
      return h("label", { class: "field" }, h("span", {}, label), input);
    };
    const l2 = h("input", { type: "number", min: 0, step: "any", placeholder: "preset's", onchange: () => this.asked && (this.asked.l2 = l2.value) });
    const models = app.hello.models.map((/** @type {any} */ model, /** @type {number} */ i) => [String(i), model.spec]);
    this.replaceChildren(
      h("div", { class: "asked" }, unit ? null : this.box.field, models.length > 1 && !unit ? select("Model", models, "0", (value) => this.turnTo(Number(value))) : null, select("Preset", app.hello.presets.map((/** @type {string} */ name) => [name, name]), app.hello.presets[0], (value) => this.asked && (this.asked.preset = value)), count("Steps", "steps", 1), h("label", { class: "field" }, h("span", {}, "λ"), l2), count("Seed", "seed", 0)),
      h("div", { class: "row" }, this.startButton, this.pauseButton, this.stopButton, copyButton("Copy as Python", () => this.python()), copyButton("Copy as command", () => this.command())),
      h("div", { class: "forming" }, h("div", {}, this.blank, this.image), h("div", {}, this.curve, this.said, this.files)),
    );
    if (unit) this.start();
  }

  /** Another class: a running ascent starts anew for it. @param {number | null} index */
  aim(index) {
    if (!this.asked) return;
    this.asked.target = index;
    if (this.job && index !== null) this.start();
  }

  /** Another model, whose classes may be others. @param {number} model */
  turnTo(model) {
    const { app, asked, box } = this;
    if (!app || !asked || !box) return;
    Object.assign(asked, { model, target: null });
    box.use(app.hello.models[model]);
    box.say("");
    const target = app.views.viewers?.[model].target;
    if (target) this.suggest(target.target, model);
  }

  /** What is explained at the moment. @param {{index: number, name: string}} target @param {number} [model] */
  suggest(target, model = 0) {
    if (!this.asked || this.unit || this.asked.target !== null || this.asked.model !== model) return;
    this.asked.target = target.index;
    this.box?.say(target.name);
  }

  start() {
    const { app, asked, unit } = this;
    if (!app || !asked) return;
    if (!unit && asked.target === null) {
      this.tell("Choose a class first.");
      return;
    }
    if (this.job) app.stop(this.job);
    this.course = [];
    this.paused = false;
    this.files?.replaceChildren();
    const what = unit ? `channel ${unit.channel} of ${unit.layer}` : app.nameOf(asked.target ?? 0, asked.model);
    const given = { model: asked.model, target: unit ? null : asked.target, layer: unit?.layer ?? null, channel: unit?.channel ?? null, preset: asked.preset, steps: asked.steps, l2: asked.l2 === "" ? null : Number(asked.l2), seed: asked.seed };
    const job = app.start("ascend", given, `Ascent, ${what}`, {
      frame: (frame) => {
        if (this.job !== job) return;
        this.picture(frame.image, what);
        this.course.push(...frame.course);
        this.curve?.show(this.course, frame.steps);
        this.said.ariaLive = "off"; // a step is told twelve times a second
        this.tell(`Step ${frame.step} of ${frame.steps}${this.paused ? ", paused" : ""}`);
        this.dataset.step = String(frame.step);
        app.advance(job, frame.step / frame.steps);
      },
      ascended: (made) => {
        if (this.job !== job) return;
        this.picture(made.image, what);
        this.course.push(...(made.course ?? []));
        this.curve?.show(this.course, asked.steps);
        const share = made.probability === null ? "" : ` · ${percentage(made.probability)}`;
        this.said.ariaLive = "polite";
        this.tell(`${what}: score ${number(made.score ?? NaN)}${share} after ${made.steps} steps${made.stopped ? ", stopped" : ""}`);
        const files = [["image.png", "PNG"], ["film.gif", "GIF"], ...(app.hello.video ? [["film.mp4", "MP4"]] : [])];
        this.files?.replaceChildren("Save as ", ...files.map(([name, text]) => h("a", { href: `/ascents/${made.ascent}/${name}`, download: `${what.replace(/\W+/g, "-").slice(0, 60)}.${name.split(".")[1]}` }, text)));
        this.dataset.ascent = made.ascent;
      },
      ended: () => {
        if (this.job === job) this.running(0);
      },
    });
    this.running(job);
  }

  /** @param {number} job */
  running(job) {
    this.job = job;
    this.pauseButton.disabled = this.stopButton.disabled = !job;
    this.pauseButton.textContent = "Pause";
    this.startButton.textContent = job ? "Start again" : "Start";
  }

  pause() {
    this.hold(!this.paused);
    this.app?.link?.control(this.paused ? "pause" : "resume", this.job, (why) => {
      this.hold(false);
      this.app?.say(why, true);
    });
  }

  /** @param {boolean} paused */
  hold(paused) {
    this.paused = paused;
    this.pauseButton.textContent = paused ? "Go on" : "Pause";
  }

  /** @param {string} source @param {string} what */
  picture(source, what) {
    this.image.src = source;
    this.image.alt = `What raises ${what}, as far as it has formed`;
    this.image.hidden = false;
    this.blank.hidden = true;
  }

  /** @param {string} text */
  tell(text) {
    this.said.textContent = text;
  }

  python() {
    const { app, asked, unit } = this;
    if (!app || !asked) return "";
    const options = [`preset=${JSON.stringify(asked.preset)}`, `steps=${asked.steps}`, ...(asked.l2 === "" ? [] : [`l2=${asked.l2}`]), `seed=${asked.seed}`, "attempts=1"];
    const what = unit ? `objective=channel(${JSON.stringify(unit.layer)}, ${unit.channel})` : JSON.stringify(app.meant(asked.target ?? 0, asked.model));
    const lines = app.modelLines(asked.model);
    if (unit) lines.splice(1, 0, "from seewhy.synthesis.objectives import channel");
    return [...lines, `v = seewhy.visualize(model, ${[what, ...options].join(", ")})`, "v.show()"].join("\n");
  }

  command() {
    const { app, asked, unit } = this;
    if (!app || !asked) return "";
    const what = unit ? `--layer ${quoted(unit.layer)} --channel ${unit.channel}` : `--target ${quoted(String(app.meant(asked.target ?? 0, asked.model)))}`;
    const l2 = asked.l2 === "" ? [] : [`--l2 ${asked.l2}`];
    return ["seewhy visualize", ...app.modelFlags(asked.model), what, `--preset ${asked.preset}`, `--steps ${asked.steps}`, ...l2, `--seed ${asked.seed}`].join(" ");
  }
}
