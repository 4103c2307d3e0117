// One zoom and one crosshair for all panes of a viewer: CSS variables on the viewer, so that a move costs one style.

const MOST = 16;
const STEP = 1.5;

export class Zoom {
  /** @param {HTMLElement} root takes the variables @param {() => void} changed */
  constructor(root, changed) {
    this.root = root;
    this.changed = changed;
    /** Those of other viewers that move with this one. @type {Zoom[]} */
    this.others = [];
    this.scale = 1;
    /** Of the picture's top left corner, in shares of a pane; zero or less. */
    this.x = 0;
    this.y = 0;
    /** @type {{x: number, y: number} | null} in shares of a pane */
    this.cross = null;
  }

  write() {
    const { style, dataset } = this.root;
    style.setProperty("--scale", String(this.scale));
    style.setProperty("--x", `${100 * this.x}%`);
    style.setProperty("--y", `${100 * this.y}%`);
    dataset.zoomed = String(this.scale > 1);
    dataset.near = String(this.scale >= 4);
    if (this.cross) {
      style.setProperty("--cross-x", `${100 * this.cross.x}%`);
      style.setProperty("--cross-y", `${100 * this.cross.y}%`);
    }
    dataset.cross = String(this.cross !== null);
  }

  /** @param {number} factor @param {number} [x] what stays in place, in shares of a pane @param {number} [y] */
  by(factor, x = 0.5, y = 0.5) {
    const scale = Math.min(Math.max(this.scale * factor, 1), MOST);
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.settle();
  }

  /** @param {number} dx @param {number} dy in shares of a pane */
  move(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.settle();
  }

  reset() {
    [this.scale, this.x, this.y] = [1, 0, 0];
    this.settle();
  }

  settle() {
    const least = 1 - this.scale;
    this.x = Math.min(Math.max(this.x, least), 0);
    this.y = Math.min(Math.max(this.y, least), 0);
    this.moved();
  }

  moved() {
    this.write();
    this.changed();
    for (const other of this.others) {
      Object.assign(other, { scale: this.scale, x: this.x, y: this.y, cross: this.cross });
      other.write();
      other.changed();
    }
  }

  /** @param {{x: number, y: number} | null} cross in shares of a pane */
  point(cross) {
    this.cross = cross;
    this.moved();
  }

  /** Where the crosshair is on the picture, in shares of it; null where there is none. */
  get at() {
    if (!this.cross) return null;
    return { x: (this.cross.x - this.x) / this.scale, y: (this.cross.y - this.y) / this.scale };
  }

  /**
   * Pointer, wheel and keys on a pane.
   * @param {HTMLElement} stage
   * @param {() => [number, number]} cell the step of an arrow key, in shares of the picture
   */
  listenOn(stage, cell) {
    /** @type {Map<number, {x: number, y: number}>} */
    const held = new Map();
    const shareOf = (/** @type {{clientX: number, clientY: number}} */ event) => {
      const box = stage.getBoundingClientRect();
      return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
    };
    stage.addEventListener("pointerdown", (event) => {
      held.set(event.pointerId, shareOf(event));
      if (this.scale > 1) stage.setPointerCapture(event.pointerId);
      this.point(shareOf(event));
    });
    stage.addEventListener("pointermove", (event) => {
      const now = shareOf(event);
      const before = held.get(event.pointerId);
      if (before && held.size === 2) {
        const other = [...held].find(([id]) => id !== event.pointerId)?.[1] ?? before;
        const span = (/** @type {{x: number, y: number}} */ p) => Math.hypot(p.x - other.x, p.y - other.y);
        this.by(span(now) / Math.max(span(before), 0.01), (now.x + other.x) / 2, (now.y + other.y) / 2);
      } else if (before && this.scale > 1) {
        this.move(now.x - before.x, now.y - before.y);
      }
      if (before) held.set(event.pointerId, now);
      const inside = now.x >= 0 && now.y >= 0 && now.x < 1 && now.y < 1;
      this.point(inside ? now : null);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      stage.addEventListener(end, (event) => held.delete(/** @type {PointerEvent} */ (event).pointerId));
    }
    stage.addEventListener("pointerleave", (event) => {
      held.delete(event.pointerId);
      if (event.pointerType === "mouse") this.point(null);
    });
    stage.addEventListener("dblclick", (event) => {
      const { x, y } = shareOf(event);
      this.by(2, x, y);
    });
    stage.addEventListener(
      "wheel",
      (event) => {
        // Pinching a touchpad is a wheel with Ctrl; a plain wheel goes on scrolling the page.
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const { x, y } = shareOf(event);
        this.by(Math.exp(-event.deltaY / 200), x, y);
      },
      { passive: false },
    );
    stage.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === "+" || event.key === "=") this.by(STEP);
      else if (event.key === "-") this.by(1 / STEP);
      else if (event.key === "0") this.reset();
      else if (event.key === "Escape" && this.cross) this.point(null);
      else if (event.key.startsWith("Arrow")) this.arrow(event.key, event.shiftKey, cell());
      else return;
      event.preventDefault();
    });
  }

  /** @param {string} key @param {boolean} pan @param {[number, number]} cell */
  arrow(key, pan, cell) {
    const dx = Number(key === "ArrowRight") - Number(key === "ArrowLeft");
    const dy = Number(key === "ArrowDown") - Number(key === "ArrowUp");
    if (pan) {
      this.move(-0.1 * dx, -0.1 * dy);
      return;
    }
    const now = this.cross ?? { x: 0.5, y: 0.5 };
    const within = (/** @type {number} */ share) => Math.min(Math.max(share, 0), 0.9999);
    this.point({ x: within(now.x + dx * cell[0] * this.scale), y: within(now.y + dy * cell[1] * this.scale) });
  }
}
