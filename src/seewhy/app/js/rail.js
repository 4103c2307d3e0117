// The photos: those of the launch with the model's errors first, and those that were dropped.
import { h, select } from "../../viewer/js/dom.js";
import { percentage } from "../../viewer/js/numbers.js";

/** @typedef {{id: string, name: string, size: [number, number] | null, truth: string | null, folder: boolean, notes: string[]}} Photo */

export class SeewhyRail extends HTMLElement {
  constructor() {
    super();
    /** @type {Map<string, {photo: Photo, element: HTMLElement, said: HTMLElement, top: any[] | null, right: boolean | null}>} */
    this.items = new Map();
    /** @type {(id: string) => void} */
    this.chosen = () => {};
    this.current = "";
    this.later = 0;
    this.wanted = "all";
    this.word = "";
    this.list = h("ol", { class: "index" });
    this.count = h("p", { class: "count", "aria-live": "polite" });
  }

  lay() {
    if (this.firstChild) return;
    const search = h("input", { type: "search", placeholder: "name or class", "aria-label": "Search photos", oninput: () => ((this.word = search.value.trim().toLowerCase()), this.arrange()) });
    const states = /** @type {[string, string][]} */ ([["all", "all"], ["wrong", "wrong"], ["right", "right"]]);
    this.filters = h("div", { class: "filters" }, search, select("Show", states, "all", (value) => ((this.wanted = value), this.arrange())));
    this.append(h("h2", {}, "Photos"), this.filters, this.count, this.list);
  }

  /** @param {...Photo} photos */
  add(...photos) {
    const fresh = photos.filter((photo) => !this.items.has(photo.id));
    if (!fresh.length) return;
    this.lay();
    for (const photo of fresh) this.make(photo);
    this.hidden = false;
    this.arrange();
  }

  /** @param {Photo} photo */
  make(photo) {
    const said = h("b", {}, "");
    const picture = h("img", { src: `/photos/${photo.id}/thumb`, alt: "", loading: "lazy", decoding: "async", width: 48, height: 48 });
    const truth = photo.truth ? h("span", {}, "truly ", h("bdi", {}, photo.truth)) : null;
    const button = h("button", { type: "button", class: "photo", onclick: () => this.chosen(photo.id) }, picture, h("span", { class: "words" }, said, truth, h("bdi", { class: "name" }, photo.name)));
    this.items.set(photo.id, { photo, element: h("li", {}, button), said, top: null, right: null });
  }

  /** @param {string} id @param {any[]} top @param {boolean | null} right */
  tell(id, top, right) {
    const item = this.items.get(id);
    if (!item || !top.length) return;
    [item.top, item.right] = [top, right];
    item.said.textContent = `${top[0].name} ${percentage(top[0].probability)}`;
    item.said.className = right === false ? "wrong" : "";
    if (this.later) return;
    this.later = setTimeout(() => {
      this.later = 0;
      this.arrange();
    }, 250);
  }

  /** @param {string} id */
  mark(id) {
    this.items.get(this.current)?.element.firstElementChild?.removeAttribute("aria-current");
    this.current = id;
    this.items.get(id)?.element.firstElementChild?.setAttribute("aria-current", "true");
  }

  /** Uploads first, the newest at the top; then errors, the most confident at the top; then the others. */
  arrange() {
    const rank = (/** @type {any} */ item) => (item.photo.folder ? (item.right === false ? 1 : 2) : 0);
    const sure = (/** @type {any} */ item) => item.top?.[0].probability ?? 0;
    const items = [...this.items.values()].filter((item) => {
      if (this.wanted !== "all" && item.right !== (this.wanted === "right")) return false;
      return !this.word || [item.photo.name, item.photo.truth, item.top?.[0].name].some((each) => each?.toLowerCase().includes(this.word));
    });
    const place = new Map([...this.items.keys()].map((id, i) => [id, i]));
    const newer = (/** @type {any} */ a, /** @type {any} */ b) => (place.get(b.photo.id) ?? 0) - (place.get(a.photo.id) ?? 0);
    items.sort((a, b) => rank(a) - rank(b) || (rank(a) === 0 ? newer(a, b) : rank(a) === 1 ? sure(b) - sure(a) : 0));
    const elements = items.map((item) => item.element);
    const children = [...this.list.children];
    if (elements.length !== children.length || elements.some((each, i) => children[i] !== each)) {
      const focused = document.activeElement;
      this.list.replaceChildren(...elements);
      if (focused instanceof HTMLElement && this.contains(focused)) focused.focus({ preventScroll: true });
    }
    const known = [...this.items.values()].filter((item) => item.right !== null);
    const right = known.filter((item) => item.right).length;
    this.count.textContent = known.length ? `${right} of ${known.length} right` : `${this.items.size} photo${this.items.size === 1 ? "" : "s"}`;
    this.filters?.toggleAttribute("hidden", this.items.size < 8);
  }
}
