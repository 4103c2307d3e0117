// <seewhy-app>: the live page. A photo is dropped, and explained; everything else is asked about that photo.
import { choice, h } from "../../viewer/js/dom.js";
import { Link, quoted, uploaded } from "./link.js";
import { SeewhyAscent } from "./ascent.js";
import { SeewhyChannels } from "./channels.js";
import { SeewhyRail } from "./rail.js";
import { SeewhyViews } from "./views.js";
import { SeewhyWhatIf } from "./what_if.js";

const TABS = [
  { value: "views", text: "Why?" },
  { value: "what-if", text: "What if?" },
  { value: "channels", text: "Channels" },
  { value: "ascent", text: "Class picture" },
];

export class SeewhyApp extends HTMLElement {
  constructor() {
    super();
    /** @type {any} */
    this.hello = null;
    /** @type {import("./rail.js").Photo | null} */
    this.photo = null;
    /** @type {any} */
    this.explanation = null;
    this.tab = "views";
    this.rail = new SeewhyRail();
    /** @type {Map<number, {what: string, share: number}>} */
    this.running = new Map();
    this.views = new SeewhyViews();
    this.whatIf = new SeewhyWhatIf();
    this.channels = new SeewhyChannels();
    this.ascent = new SeewhyAscent();
    this.state = h("p", { class: "state", role: "status" });
    this.uploading = 0;
  }

  connectedCallback() {
    if (this.link) return;
    this.bar = h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Progress" });
    this.work = h("span", { class: "work" });
    this.cancelButton = h("button", { type: "button", hidden: true, onclick: () => this.stopAll() }, "Cancel");
    this.file = h("input", { type: "file", accept: "image/*", multiple: true, class: "unseen", tabindex: "-1", "aria-hidden": "true", onchange: () => this.take([...this.file.files]) });
    const pick = h("button", { type: "button", class: "main", onclick: () => this.file.click() }, "Choose a photo");
    const camera = h("button", { type: "button", onclick: () => this.photograph() }, "Use the camera");
    this.models = h("p", { class: "model-names" });
    /** @type {HTMLElement} */
    this.tabs = choice("What to look at", TABS, this.tab, (tab) => this.show(tab));
    this.tabs.hidden = true;
    this.empty = h("section", { class: "empty" }, h("h2", {}, "Drop a photo"), h("p", {}, "or paste one, choose one, or take one. It stays on this computer."), h("div", { class: "row" }, h("button", { type: "button", class: "main", onclick: () => this.file.click() }, "Choose a photo"), h("button", { type: "button", onclick: () => this.photograph() }, "Use the camera")));
    this.main = h("main", {}, this.empty, this.views, this.whatIf, this.channels, this.ascent);
    this.replaceChildren(
      h("header", { class: "bar-top" }, h("h1", {}, "seewhy"), this.models, h("div", { class: "row" }, pick, camera), this.file),
      h("div", { class: "status" }, this.tabs, h("div", { class: "progress" }, this.work, this.bar, this.cancelButton), this.state),
      h("div", { class: "desk" }, h("nav", { "aria-label": "Photos" }, this.rail), this.main),
    );
    this.rail.hidden = true;
    this.rail.chosen = (id) => this.choose(id);
    this.arrange();
    this.listen();
    this.link = new Link((hello) => this.greeted(hello), (state) => this.linked(state));
  }

  listen() {
    addEventListener("dragover", (event) => {
      event.preventDefault();
      this.toggleAttribute("data-over", true);
    });
    addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) this.toggleAttribute("data-over", false);
    });
    addEventListener("drop", (event) => {
      event.preventDefault();
      this.toggleAttribute("data-over", false);
      void this.take([...(event.dataTransfer?.files ?? [])]);
    });
    addEventListener("paste", (event) => {
      const files = [...(/** @type {ClipboardEvent} */ (event).clipboardData?.files ?? [])];
      if (files.length) void this.take(files);
    });
  }

  /** @param {any} hello */
  greeted(hello) {
    const again = this.hello !== null && this.hello.version === hello.version && this.hello.models.length === hello.models.length;
    this.hello = hello;
    this.rail.add(...hello.photos);
    if (!again) {
      this.models.textContent = hello.models.map((/** @type {any} */ model) => model.spec).join(" · ");
      this.models.title = hello.models.flatMap((/** @type {any} */ model) => model.notes).join("; ");
      for (const part of [this.views, this.whatIf, this.channels, this.ascent]) part.use(this);
    }
    if (again && this.photo && hello.photos.some((/** @type {any} */ each) => each.id === this.photo?.id)) this.resume();
    else if (hello.photos.length) {
      const asked = location.hash.slice(1);
      this.choose(this.rail.items.has(asked) ? asked : (hello.photos.find((/** @type {any} */ each) => !each.folder) ?? hello.photos[0]).id);
    }
    if (hello.photos.some((/** @type {any} */ each) => each.folder)) this.predict();
    this.arrange();
  }

  /** @param {string} state */
  linked(state) {
    this.dataset.link = state;
    this.state.textContent = { open: "", waiting: "The connection was lost; trying again.", gone: "seewhy has ended, or was started anew. Start `seewhy app`, and open the address that it prints." }[state] ?? "";
  }

  predict() {
    this.link?.ask("predict", { photos: null, model: 0 }, { predicted: ({ photo, top, right }) => this.rail.tell(photo, top, right) });
  }

  /** @param {File[] | Blob[]} files */
  async take(files) {
    const pictures = files.filter((file) => file.size);
    const [empty] = files.filter((file) => !file.size);
    this.say(empty ? `${nameOf(empty)}: this is an empty file` : "", true);
    if (!pictures.length) return;
    this.uploading += pictures.length;
    this.arrange();
    for (const file of pictures) {
      try {
        const photo = await uploaded(file, nameOf(file));
        this.rail.add(photo);
        this.choose(photo.id);
      } catch (error) {
        this.say(`${nameOf(file)}: ${error instanceof Error ? error.message : error}`, true);
      }
      this.uploading -= 1;
      this.arrange();
    }
    this.file.value = "";
  }

  /** The camera is asked for here, and nowhere else. */
  async photograph() {
    let stream;
    if (!navigator.mediaDevices) {
      this.say("The browser lends its camera to pages of this computer alone, or to encrypted ones.", true);
      return;
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch (error) {
      this.say(`There is no camera to use: ${error instanceof Error ? error.message : error}`, true);
      return;
    }
    const video = h("video", { autoplay: true, playsinline: true, muted: true });
    video.srcObject = stream;
    const dialog = h("dialog", { "aria-label": "Camera" }, video);
    const close = () => {
      for (const track of stream.getTracks()) track.stop();
      dialog.remove();
    };
    const shoot = () => {
      const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob((/** @type {Blob | null} */ blob) => blob && void this.take([blob]), "image/png");
      dialog.close();
    };
    dialog.append(h("div", { class: "row" }, h("button", { type: "button", class: "main", onclick: shoot }, "Take the photo"), h("button", { type: "button", onclick: () => dialog.close() }, "Close")));
    dialog.addEventListener("close", close);
    this.append(dialog);
    dialog.showModal();
  }

  /** @param {string} id of a photo */
  choose(id) {
    const item = this.rail.items.get(id);
    if (!item || !this.hello) return;
    this.photo = item.photo;
    this.explanation = null;
    this.rail.mark(id);
    history.replaceState(null, "", `#${id}`);
    this.say(item.photo.notes.join("; "));
    this.arrange();
    this.views.fresh();
    if (this.tab === "what-if") this.whatIf.fresh();
    if (this.tab === "channels") void this.channels.fresh();
  }

  /** The line is there again: what was asked about the photo is asked once more. */
  resume() {
    this.views.explain();
    this.show(this.tab);
  }

  /** @param {string} tab */
  show(tab) {
    this.tab = tab;
    this.arrange();
    if (tab === "what-if") this.whatIf.fresh();
    if (tab === "channels") void this.channels.fresh();
  }

  arrange() {
    const there = this.photo !== null;
    this.empty.hidden = there;
    if (this.tabs) this.tabs.hidden = !there;
    this.views.hidden = !there || this.tab !== "views";
    this.whatIf.hidden = !there || this.tab !== "what-if";
    this.channels.hidden = !there || this.tab !== "channels";
    this.ascent.hidden = !there || this.tab !== "ascent";
    const jobs = [...this.running.values()];
    const busy = jobs.length > 0 || this.uploading > 0;
    this.dataset.busy = String(busy);
    this.bar.hidden = this.cancelButton.hidden = !busy;
    if (jobs.length) {
      const share = jobs.reduce((sum, each) => sum + each.share, 0) / jobs.length;
      this.bar.value = share;
      this.work.textContent = jobs.map((each) => each.what).join(", ");
    } else if (this.uploading) {
      this.bar.removeAttribute("value");
      this.work.textContent = "Reading the photo";
    } else this.work.textContent = "";
  }

  /**
   * A job with progress, which can be cancelled.
   * @param {string} type @param {Record<string, unknown>} given @param {string} what for people
   * @param {import("./link.js").Handlers} handlers `ended` too, however it ends
   * @returns {number}
   */
  start(type, given, what, handlers) {
    const end = (/** @type {any} */ message) => {
      this.running.delete(id);
      this.arrange();
      if (message.type === "error") this.say(message.message, true);
      handlers[message.type]?.(message);
      handlers.ended?.(message);
    };
    const id =
      this.ask(type, given, {
        ...handlers,
        progress: ({ share, part }) => {
          this.running.set(id, { what: part ? `${what}: ${part}` : what, share });
          this.arrange();
        },
        done: end,
        cancelled: end,
        error: end,
      });
    if (id) this.running.set(id, { what, share: 0 });
    this.arrange();
    return id;
  }

  /** @param {string} type @param {Record<string, unknown>} given @param {import("./link.js").Handlers} handlers */
  ask(type, given, handlers) {
    return this.link?.ask(type, given, handlers) ?? 0;
  }

  /** @param {number} id of a job that tells its progress itself @param {number} share */
  advance(id, share) {
    const job = this.running.get(id);
    if (job) job.share = share;
    this.arrange();
  }

  /** @param {number} id */
  stop(id) {
    if (!this.running.has(id)) return;
    this.link?.cancel(id);
    this.running.delete(id);
    this.arrange();
  }

  stopAll() {
    for (const id of [...this.running.keys()]) this.link?.cancel(id);
  }

  /** @param {string} text @param {boolean} [wrong] */
  say(text, wrong = false) {
    this.state.textContent = text;
    this.state.classList.toggle("wrong", wrong);
  }

  /** @param {any} explanation of the current photo, by the first model */
  explained(explanation) {
    this.explanation = explanation;
    if (this.photo) this.rail.tell(this.photo.id, explanation.top, explanation.right);
    this.ascent.suggest(explanation.targets[0].target);
  }

  /** @param {number} index @param {number} [model] */
  nameOf(index, model = 0) {
    return this.hello.models[model].classes?.[index] ?? `class ${index}`;
  }

  /** A class for code: by its name where it alone has it, else by its number. @param {number} index @param {number} model */
  meant(index, model) {
    /** @type {string[]} */
    const names = this.hello.models[model].classes ?? [];
    const plain = (/** @type {string} */ name) => name.toLowerCase().replace(/[\s_-]/g, "");
    const name = names[index] ?? "";
    const own = name && !/[\\…]/.test(name) && names.filter((each) => plain(each) === plain(name)).length === 1;
    return own ? name : index;
  }

  /** The class that is explained; null: the predicted one. @param {number} [model] */
  targetIndex(model = 0) {
    const target = this.views.viewers?.[model].target;
    return !target || target.key.startsWith("not-") ? null : target.target.index; // no number means a no
  }

  /** The code of what a model's explanation is made by. @param {number} model */
  codeOf(model) {
    return this.views.viewers?.[model].explanation?.code ?? { python: [], command: "" };
  }

  /** The lines of Python that load the model. @param {number} [model] */
  modelLines(model = 0) {
    const found = this.codeOf(model).python.find((line) => line.startsWith("model = "));
    return ["import seewhy", "", found ?? `model = seewhy.load(${JSON.stringify(this.hello.models[model].spec)})`];
  }

  /** The options of the command that load the model. @param {number} [model] @returns {string[]} */
  modelFlags(model = 0) {
    const typed = this.codeOf(model).command;
    const at = typed.indexOf(" --model ");
    return [at < 0 ? `--model ${quoted(this.hello.models[model].spec)}` : typed.slice(at + 1)];
  }

  /** A command about the photo. @param {string} name @param {number} [model] */
  command(name, model = 0) {
    return [`seewhy ${name}`, quoted(this.path()), ...this.modelFlags(model)];
  }

  /** The photo, for Python. */
  path() {
    return this.explanation?.photo.path ?? this.photo?.name ?? "";
  }
}

/** What a file is called; a photo of the camera is none. @param {File | Blob} file */
function nameOf(file) {
  return file instanceof File ? file.name : "camera.png";
}
