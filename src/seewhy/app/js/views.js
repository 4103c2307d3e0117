// <seewhy-views>: a photo explained as it comes: Grad-CAM at once, the rest fills in. One viewer per model.
import { h, select } from "../../viewer/js/dom.js";
import { SeewhyViewer } from "../../viewer/js/viewer.js";
import { classBox } from "./class_box.js";

/** @typedef {import("./app.js").SeewhyApp} SeewhyApp */

export class SeewhyViews extends HTMLElement {
  /** @param {SeewhyApp} app */
  use(app) {
    this.app = app;
    const { models } = app.hello;
    /** @type {{targets: number[], versus: number[], layer: string, methods: Set<string> | null, picture: boolean}} */
    this.asked = { targets: [], versus: [], layer: "", methods: null, picture: false };
    /** @type {number[]} */
    this.jobs = models.map(() => 0);
    this.first = classBox("Explain", (index) => this.want({ targets: index === null ? [] : [index], versus: [] }), "the predicted class");
    this.other = classBox("rather than", (index) => this.want({ versus: index === null ? [] : [index] }), "no other");
    for (const box of [this.first, this.other]) box.use(models[0]);
    const names = models[0].layers.filter((/** @type {any} */ layer) => layer.shape?.length === 3).map((/** @type {any} */ layer) => layer.name);
    const layers = /** @type {[string, string][]} */ ([["", "the last"], ...names.map((/** @type {string} */ name) => [name, name])]);
    this.picture = h("button", { type: "button", onclick: () => this.want({ picture: true }) }, "Make the class picture");
    /** @type {SeewhyViewer[]} */
    this.viewers = models.map(() => new SeewhyViewer());
    this.columns = this.viewers.map((viewer, i) => h("section", { class: "model" }, models.length > 1 ? h("h2", { class: "model-name" }, `${i + 1}. `, h("bdi", {}, models[i].spec)) : null, viewer));
    const own = h("div", { class: "asked" }, this.first.field, this.other.field, select("Grad-CAM at layer", layers, "", (layer) => this.want({ layer })), this.methods(), this.picture);
    this.replaceChildren(own, h("div", { class: models.length > 1 ? "models side" : "models" }, ...this.columns));
    for (const viewer of this.viewers) {
      const others = this.viewers.filter((each) => each !== viewer);
      viewer.zoom.others = others.map((each) => each.zoom);
      viewer.addEventListener("seewhy-drawing", () => {
        for (const other of others) void other.reground();
      });
      viewer.addEventListener("seewhy-class", (event) => {
        const { index, rather } = /** @type {CustomEvent} */ (event).detail;
        if (rather) {
          const current = viewer.target?.against ? viewer.target.target.index : (viewer.target?.target.index ?? index);
          this.want({ targets: [current], versus: [index] });
        } else this.want({ targets: [index], versus: [] });
      });
    }
  }

  methods() {
    const box = h("details", { class: "menu" }, h("summary", {}, "Views"));
    const list = h("div", { class: "list" });
    for (const { id, title } of this.app?.hello.methods ?? []) {
      if (id === "class_visualization") continue;
      const check = h("input", { type: "checkbox", checked: true });
      check.addEventListener("change", () => {
        const all = [...list.querySelectorAll("input")].map((each) => /** @type {HTMLInputElement} */ (each));
        const on = all.filter((each) => each.checked).map((each) => each.value);
        this.want({ methods: on.length === all.length ? null : new Set(on) });
      });
      check.value = id;
      list.append(h("label", {}, check, title));
    }
    box.append(list);
    return box;
  }

  /** @param {Partial<{targets: number[], versus: number[], layer: string, methods: Set<string> | null, picture: boolean}>} change */
  want(change) {
    Object.assign(this.asked ?? {}, change);
    if ("targets" in change || "versus" in change) {
      const name = (/** @type {number[] | undefined} */ list) => (list?.length ? (this.app?.nameOf(list[0]) ?? "") : "");
      this.first?.say(name(this.asked?.targets));
      this.other?.say(name(this.asked?.versus));
      for (const viewer of this.viewers ?? []) viewer.key = "";
    }
    this.explain();
  }

  /** Another photo. */
  fresh() {
    Object.assign(this.asked ?? {}, { targets: [], versus: [], picture: false });
    this.first?.say("");
    this.other?.say("");
    for (const viewer of this.viewers ?? []) {
      viewer.key = "";
      viewer.zoom.reset();
      viewer.toggleAttribute("data-old", viewer.explanation !== null);
    }
    this.explain();
  }

  explain() {
    const { app, asked, jobs, viewers } = this;
    if (!app?.photo || !asked || !jobs || !viewers) return;
    const photo = app.photo.id;
    const all = app.hello.methods.map((/** @type {any} */ each) => each.id).filter((/** @type {string} */ id) => id !== "class_visualization");
    const maps = asked.methods ? [...asked.methods] : all;
    const methods = asked.picture ? [...maps, "class_visualization"] : asked.methods ? maps : null;
    if (methods && !methods.length) return;
    viewers.forEach((viewer, model) => {
      if (jobs[model]) app.stop(jobs[model]);
      const given = { photo, model, methods, targets: asked.targets, versus: asked.versus, layers: asked.layer ? [asked.layer] : [] };
      const job = app.start("explain", given, `Explaining${viewers.length > 1 ? ` by model ${model + 1}` : ""}`, {
        explained: ({ explanation }) => {
          if (app.photo?.id !== photo || jobs[model] !== job) return;
          viewer.removeAttribute("data-old");
          const versus = asked.versus.length ? explanation.targets.find((/** @type {any} */ each) => each.against) : null;
          if (versus && !viewer.key) viewer.key = versus.key;
          viewer.acting = true;
          viewer.explanation = explanation;
          if (model === 0) app.explained(explanation);
        },
        ended: () => {
          // What is still there is of the photo before.
          if (jobs[model] === job && viewer.hasAttribute("data-old")) viewer.explanation = null;
        },
      });
      jobs[model] = job;
    });
  }
}
