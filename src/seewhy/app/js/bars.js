// <seewhy-bars>: probabilities of a few classes, before and after.
import { h } from "../../viewer/js/dom.js";
import { percentage } from "../../viewer/js/numbers.js";

/** @typedef {{index: number, name: string, score: number | null, probability: number | null}} Ranked */

export class SeewhyBars extends HTMLElement {
  body = h("tbody");
  /** @type {Map<number, any>} */
  rows = new Map();

  /**
   * @param {Ranked[]} after
   * @param {Ranked[]} before of the same classes, as far as known
   */
  show(after, before) {
    const was = new Map(before.map((each) => [each.index, each.probability]));
    const rows = after.map((each) => {
      const old = was.get(each.index);
      const row = this.row(each.index);
      row.name.textContent = each.name;
      row.share.textContent = percentage(each.probability);
      row.bar.style.setProperty("width", `${100 * (each.probability ?? 0)}%`);
      row.tick.style.setProperty("left", `${100 * (old ?? 0)}%`);
      row.tick.hidden = old === undefined || old === null;
      const change = (each.probability ?? NaN) - (old ?? NaN);
      row.change.textContent = Number.isFinite(change) && Math.abs(change) >= 0.0005 ? `${change > 0 ? "+" : "−"}${Math.abs(100 * change).toFixed(1)}` : "";
      row.change.className = change < 0 ? "change less" : "change";
      return row.element;
    });
    if (rows.length !== this.body.children.length || rows.some((row, i) => this.body.children[i] !== row)) this.body.replaceChildren(...rows);
    if (!this.firstChild) {
      const head = h("thead", {}, h("tr", {}, ...["class", "probability", "as a bar", "change, in points"].map((text) => h("th", {}, text))));
      this.append(h("table", { class: "top live" }, h("caption", {}, this.dataset.title ?? "Top classes"), head, this.body));
    }
  }

  /** @param {number} index */
  row(index) {
    let row = this.rows.get(index);
    if (!row) {
      const [name, share, bar, tick, change] = [h("th", { scope: "row" }), h("td", { class: "share" }), h("i"), h("b", { class: "tick" }), h("td", { class: "change" })];
      const element = h("tr", { "data-index": index }, name, share, h("td", { class: "track" }, h("span", {}, bar, tick)), change);
      row = { element, name, share, bar, tick, change };
      this.rows.set(index, row);
    }
    return row;
  }
}
