// The page of an audit: its photos open in the viewer, large, with their maps; one that grows loads itself again.
import { h } from "../../../viewer/js/dom.js";
import { SeewhyViewer } from "../../../viewer/js/viewer.js";

/** A photo of a strip: the block that holds its maps, and its picture. @typedef {{block: string, name: string, image: HTMLImageElement}} Photo */

class Large {
  constructor() {
    this.viewer = new SeewhyViewer();
    /** @type {Photo[]} the strip that is looked at */
    this.strip = [];
    this.at = 0;
    this.of = h("p", { class: "of" });
    this.count = h("p", { class: "count", "aria-live": "polite" });
    this.before = h("button", { type: "button", "aria-keyshortcuts": "k", onclick: () => this.go(this.at - 1) }, "Previous");
    this.after = h("button", { type: "button", "aria-keyshortcuts": "j", onclick: () => this.go(this.at + 1) }, "Next");
    const close = h("button", { type: "button", autofocus: true, onclick: () => this.dialog.close() }, "Close");
    const bar = h("header", { class: "large" }, this.of, h("div", { class: "ways" }, this.count, this.before, this.after, close));
    /** @type {HTMLDialogElement} */
    this.dialog = h("dialog", { class: "large", "aria-label": "A photo and its map" }, bar, this.viewer);
    this.dialog.addEventListener("keydown", (event) => this.key(event));
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
  }

  /** @param {Photo[]} strip @param {number} at @param {string} of what the strip shows */
  open(strip, at, of) {
    if (!this.dialog.isConnected) document.body.append(this.dialog);
    [this.strip, this.of.textContent] = [strip, of];
    this.go(at);
    this.dialog.showModal();
    this.dialog.scrollTop = 0;
  }

  /** @param {number} at */
  go(at) {
    const photo = this.strip[at];
    const content = photo && document.getElementById(photo.block)?.textContent;
    if (!content) return; // its end, or a page that is still being read
    const explanation = JSON.parse(content);
    explanation.photo.crop = photo.image.src;
    this.at = at;
    this.count.textContent = `${at + 1} of ${this.strip.length}`;
    // What has the focus goes on having it: a button that is switched off would lose it.
    for (const [button, off] of [[this.before, at === 0], [this.after, at === this.strip.length - 1]]) button.setAttribute("aria-disabled", String(off));
    this.viewer.zoom.reset();
    this.viewer.zoom.point(null);
    this.viewer.explanation = explanation;
  }

  /** J and K, as in a list of mail. @param {KeyboardEvent} event */
  key(event) {
    const typed = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    const by = { j: 1, k: -1 }[event.key];
    if (by && !typed && !event.altKey && !event.ctrlKey && !event.metaKey) this.go(this.at + by);
  }
}

/** What a strip shows becomes buttons; without scripts they are pictures. @param {HTMLElement} list @param {Large} large */
function opening(list, large) {
  /** @type {Photo[]} */
  const strip = [];
  for (const seen of list.querySelectorAll("[data-photo]")) {
    const { photo = "", name = "" } = /** @type {HTMLElement} */ (seen).dataset;
    const image = seen.querySelector("img");
    if (!image) continue;
    const at = strip.push({ block: photo, name, image }) - 1;
    const button = h("button", { type: "button", class: "open", "aria-haspopup": "dialog", "aria-label": `Open ${name} with its map`, onclick: () => large.open(strip, at, list.dataset.of ?? "") });
    seen.replaceWith(button);
    button.append(seen);
  }
}

/** While an audit goes on, its page is written again and again. @param {HTMLElement} told says so */
function reloading(told) {
  const again = () => location.reload();
  let timer = setTimeout(again, 1000 * Number(told.dataset.reload));
  const stop = h("button", { type: "button", class: "plain" }, "Stop loading it again");
  stop.addEventListener("click", () => {
    clearTimeout(timer);
    stop.replaceWith(h("button", { type: "button", class: "plain", onclick: again }, "Load it again"));
  });
  told.append(" ", stop);
}

const large = new Large();
for (const list of document.querySelectorAll("ul.strip")) opening(/** @type {HTMLElement} */ (list), large);
const told = document.querySelector("[data-reload]");
if (told) reloading(/** @type {HTMLElement} */ (told));
