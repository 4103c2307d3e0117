// <seewhy-report>: the photos of a run, with an index to search, filter and sort; each is read when it is looked at.
import { h, select } from "./dom.js";
import { percentage } from "./numbers.js";
import { SeewhyMean } from "./mean.js";
import { SeewhyViewer } from "./viewer.js";

/**
 * @typedef {object} Row one photo of the index, see report/render.py
 * @property {number} number of its data
 * @property {string} name
 * @property {string} path
 * @property {string | null} predicted null where it could not be explained
 * @property {number | null} probability
 * @property {string | null} truth
 * @property {boolean | null} right
 * @property {string | null} thumbnail
 * @property {string | null} error
 *
 * @typedef {object} Run
 * @property {[string, string][]} facts
 * @property {Row[]} rows the wrong ones first
 * @property {{right: number, known: number, classes: string[], table: number[][],
 *   confused: [string, string, number][]} | null} summary
 * @property {{truth: string, predicted: string, count: number, title: string, plane: import("./planes.js").Plane,
 *   diverging: boolean}[]} means of the maps, per true and predicted class
 */

const ORDERS = /** @type {[string, string][]} */ ([
  ["errors", "errors first"],
  ["sure", "most confident"],
  ["unsure", "least confident"],
  ["name", "by name"],
  ["given", "as given"],
]);

export class SeewhyReport extends HTMLElement {
  constructor() {
    super();
    this.viewer = new SeewhyViewer();
    this.wanted = { text: "", state: "all", truth: "", predicted: "", least: 0, order: "errors" };
    /** @type {Run} */
    this.run = { facts: [], rows: [], summary: null, means: [] };
    this.chosen = -1;
    /** @type {Map<number, HTMLElement>} */
    this.items = new Map();
  }

  /** @param {Run} run */
  set data(run) {
    this.run = run;
    const many = run.rows.length > 1;
    this.toggleAttribute("data-many", many);
    this.detail = h("main", { tabindex: "-1", id: "photo" });
    this.list = h("ol", { class: "index" });
    this.count = h("p", { class: "count", "aria-live": "polite" });
    for (const row of run.rows) this.items.set(row.number, this.item(row));
    this.replaceChildren(this.top(run), many ? h("nav", { "aria-label": "Photos" }, this.summary(run), this.filters(run), this.count, this.list) : "", this.detail);
    this.filter();
    if (many) document.addEventListener("keydown", (event) => this.key(event));
    const asked = Number(/^#photo-(\d+)$/.exec(location.hash)?.[1]);
    const first = run.rows.find((row) => row.number === asked) ?? this.shown[0] ?? run.rows[0];
    if (first) this.choose(first.number, false);
    else this.detail.append(h("p", { class: "said" }, "No photo was given."));
    addEventListener("hashchange", () => {
      const number = Number(/^#photo-(\d+)$/.exec(location.hash)?.[1]);
      if (this.items.has(number) && number !== this.chosen) this.choose(number, false);
    });
  }

  /** @param {Run} run */
  top(run) {
    const facts = h("dl", { class: "facts" }, ...run.facts.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]));
    return h("header", { class: "run" }, h("h1", {}, "Why the model decided"), h("details", {}, h("summary", {}, "How this was made"), facts));
  }

  /** @param {Run} run */
  summary({ summary, rows }) {
    if (!summary) return h("h2", {}, `${rows.length} photos`);
    const share = percentage(summary.right / summary.known);
    return h(
      "div",
      { class: "summary" },
      h("h2", {}, `${summary.right} of ${summary.known} right`),
      h("p", { class: "said" }, `Accuracy ${share}. The names of the folders are taken as the true classes.`),
      summary.confused.length ? this.confusion(summary) : null,
    );
  }

  /** @param {NonNullable<Run["summary"]>} summary */
  confusion(summary) {
    const box = h("details", { class: "confusions" }, h("summary", {}, "What is taken for what"));
    const open = () => {
      if (box.childElementCount === 1) box.append(summary.classes.length ? this.table(summary) : this.pairs(summary));
    };
    box.addEventListener("toggle", open);
    return box;
  }

  /** @param {NonNullable<Run["summary"]>} summary */
  table({ classes, table }) {
    const head = h("tr", {}, h("td"), ...classes.map((name) => h("th", { scope: "col" }, h("bdi", {}, name))));
    const most = Math.max(1, ...table.flatMap((line, down) => line.filter((_, across) => across !== down)));
    const body = table.map((line, down) => {
      if (!line.some(Boolean)) return null;
      const cells = line.map((count, across) => {
        if (!count) return h("td", { class: "none" }, "·");
        const kind = down === across ? "hit" : "miss";
        const text = `${count} of ${classes[down]} called ${classes[across]}`;
        const button = h("button", { type: "button", title: text, "aria-label": text, onclick: () => this.only(classes[down], classes[across]) }, String(count));
        if (kind === "miss") button.style.setProperty("--share", `${Math.round(15 + (60 * count) / most)}%`);
        return h("td", { class: kind }, button);
      });
      return h("tr", {}, h("th", { scope: "row" }, h("button", { type: "button", class: "plain", onclick: () => this.only(classes[down], "") }, h("bdi", {}, classes[down]))), ...cells);
    });
    return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Confusion matrix" }, h("table", { class: "confusion" }, h("caption", {}, "True class down, predicted class across"), h("thead", {}, head), h("tbody", {}, ...body)));
  }

  /** @param {NonNullable<Run["summary"]>} summary */
  pairs({ confused }) {
    const items = confused.map(([truth, predicted, count]) =>
      h("li", {}, h("button", { type: "button", class: "plain", onclick: () => this.only(truth, predicted) }, `${count} × `, h("bdi", {}, truth), " taken for ", h("bdi", {}, predicted))),
    );
    return h("ul", { class: "pairs" }, ...items);
  }

  /** @param {Run} run */
  filters({ rows, summary }) {
    const search = h("input", { type: "search", placeholder: "name or class", "aria-label": "Search photos", oninput: () => this.want({ text: search.value }) });
    const states = /** @type {[string, string][]} */ ([["all", "all"]]);
    if (summary) states.push(["wrong", "wrong"], ["right", "right"]);
    if (rows.some((row) => row.error !== null)) states.push(["failed", "not explained"]);
    const names = [...new Set(rows.flatMap((row) => [row.truth, row.predicted]))].filter((name) => name !== null).sort();
    const classes = /** @type {[string, string][]} */ ([["", "any"], ...names.map((name) => [name, name])]);
    const least = h("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0 });
    const told = h("output", {}, "any");
    this.told = told;
    least.addEventListener("input", () => {
      told.textContent = Number(least.value) ? `≥ ${Math.round(100 * Number(least.value))} %` : "any";
      this.want({ least: Number(least.value) });
    });
    this.classBox = select("Class", classes, "", (value) => this.want({ truth: "", predicted: value }));
    return h(
      "div",
      { class: "filters", role: "search" },
      search,
      states.length > 1 ? select("Show", states, "all", (value) => this.want({ state: value })) : null,
      classes.length > 2 ? this.classBox : null,
      select("Order", ORDERS, this.wanted.order, (value) => this.want({ order: value })),
      h("label", { class: "field" }, h("span", {}, "Confidence"), least, told),
    );
  }

  /** @param {Partial<SeewhyReport["wanted"]>} change */
  want(change) {
    Object.assign(this.wanted, change);
    this.filter();
  }

  /** One true class taken for one other. @param {string} truth @param {string} predicted */
  only(truth, predicted) {
    this.want({ truth, predicted });
    if (this.shown[0]) this.choose(this.shown[0].number);
    this.list.scrollIntoView({ block: "nearest" });
  }

  /** @returns {Row[]} those that are wanted, in order */
  get shown() {
    const { text, state, truth, predicted, least, order } = this.wanted;
    const word = text.trim().toLowerCase();
    const rows = this.run.rows.filter((row) => {
      if (state === "wrong" && row.right !== false) return false;
      if (state === "right" && row.right !== true) return false;
      if (state === "failed" && row.error === null) return false;
      if (truth && row.truth !== truth) return false;
      if (predicted && row.predicted !== predicted && (truth || row.truth !== predicted)) return false;
      if (least && !((row.probability ?? 0) >= least)) return false;
      return !word || [row.path, row.predicted, row.truth].some((each) => each?.toLowerCase().includes(word));
    });
    const sure = (/** @type {Row} */ row) => row.probability ?? 0;
    if (order === "sure") return rows.sort((a, b) => sure(b) - sure(a));
    if (order === "unsure") return rows.sort((a, b) => sure(a) - sure(b));
    if (order === "name") return rows.sort((a, b) => a.path.localeCompare(b.path));
    return order === "given" ? rows.sort((a, b) => a.number - b.number) : rows;
  }

  filter() {
    if (!this.list) return;
    const rows = this.shown;
    this.list.replaceChildren(.../** @type {Node[]} */ (rows.map((row) => this.items.get(row.number))));
    const { truth, predicted } = this.wanted;
    const of = truth ? ` of ${truth}${predicted ? ` called ${predicted}` : ""}` : predicted ? ` with ${predicted}` : "";
    const back = h("button", { type: "button", class: "plain", onclick: () => this.clear() }, "show all");
    const all = rows.length === this.run.rows.length;
    this.count.replaceChildren(all ? `${rows.length} photos` : `${rows.length} of ${this.run.rows.length} photos${of} `, all ? "" : back);
    this.mean?.remove();
    const means = this.run.means.filter((each) => (truth ? each.truth === truth && (!predicted || each.predicted === predicted) : [each.truth, each.predicted].includes(predicted)));
    if (means.length && (truth || predicted)) {
      this.mean = new SeewhyMean();
      this.mean.show(means, of);
      this.count.after(this.mean);
    }
  }

  clear() {
    Object.assign(this.wanted, { text: "", state: "all", truth: "", predicted: "", least: 0 });
    for (const box of this.querySelectorAll("nav select")) if (box.closest("label")?.textContent?.startsWith("Order") === false) /** @type {HTMLSelectElement} */ (box).selectedIndex = 0;
    for (const box of this.querySelectorAll("nav input")) /** @type {HTMLInputElement} */ (box).value = box.getAttribute("type") === "range" ? "0" : "";
    if (this.told) this.told.textContent = "any";
    this.filter();
  }

  /** @param {Row} row */
  item(row) {
    const said =
      row.predicted === null
        ? h("b", { class: "wrong" }, "not explained")
        : h("b", { class: row.right === false ? "wrong" : "" }, h("bdi", {}, row.predicted), row.right === false ? "" : ` ${percentage(row.probability)}`);
    const truth = row.right === false ? h("span", {}, `${percentage(row.probability)}, truly `, h("bdi", {}, row.truth)) : null;
    const picture = row.thumbnail ? h("img", { src: row.thumbnail, alt: "", loading: "lazy", decoding: "async", width: 48, height: 48 }) : h("i", { class: "blank" });
    const link = h("a", { href: `#photo-${row.number}` }, picture, h("span", { class: "words" }, said, truth, h("bdi", { class: "name" }, row.name)));
    link.addEventListener("click", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.choose(row.number);
    });
    return h("li", {}, link);
  }

  /** @param {number} number @param {boolean} [moved] whether a person chose it */
  choose(number, moved = true) {
    const row = this.run.rows.find((each) => each.number === number);
    if (!row) return;
    this.items.get(this.chosen)?.firstElementChild?.removeAttribute("aria-current");
    const link = this.items.get(number)?.firstElementChild;
    link?.setAttribute("aria-current", "true");
    this.chosen = number;
    if (moved && this.run.rows.length > 1) history.replaceState(null, "", `#photo-${number}`);
    const content = document.getElementById(`photo-${number}`)?.textContent;
    if (!content && row.error === null && document.readyState === "loading") {
      // The page is still being read; its data comes.
      document.addEventListener("DOMContentLoaded", () => this.chosen === number && this.choose(number, moved), { once: true });
      this.detail.replaceChildren(h("p", { class: "said" }, `Reading ${row.name}`));
      return;
    }
    if (row.error !== null || !content) {
      this.detail.replaceChildren(h("header", { class: "photo" }, h("h2", {}, h("bdi", {}, row.name))), h("p", { class: "error" }, row.error ?? "Its data is missing."));
      return;
    }
    const explanation = JSON.parse(content);
    if (this.viewer.parentElement !== this.detail) this.detail.replaceChildren(this.viewer);
    this.viewer.zoom.reset();
    this.viewer.explanation = explanation;
    if (moved) {
      if (innerWidth < 900) this.detail.scrollIntoView();
      else link?.scrollIntoView({ block: "nearest" });
    }
  }

  /** J and K, as in a list of mail. @param {KeyboardEvent} event */
  key(event) {
    const typed = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    if (typed || event.altKey || event.ctrlKey || event.metaKey) return;
    const by = { j: 1, k: -1 }[event.key];
    if (!by) return;
    const rows = this.shown;
    const at = rows.findIndex((row) => row.number === this.chosen);
    const next = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
    if (next) this.choose(next.number);
  }
}
