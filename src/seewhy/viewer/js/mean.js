// <seewhy-mean>: the mean map of the photos of a class, or of one class taken for another.
import { colourMaps } from "./colours.js";
import { drawBar, overlaid } from "./drawing.js";
import { h } from "./dom.js";
import { percentage } from "./numbers.js";
import { gridOf } from "./planes.js";

const SIDE = 224;
const GREY = 235;

export class SeewhyMean extends HTMLElement {
  /**
   * @param {{count: number, title: string, plane: import("./planes.js").Plane, diverging: boolean}[]} given
   *   of parts that are disjoint; their mean is shown
   * @param {string} of
   */
  async show(given, of) {
    // Of some photos another method may have failed: only maps of one kind have a mean.
    const means = given.filter((each) => each.title === given[0].title && each.plane.width === given[0].plane.width && each.plane.height === given[0].plane.height);
    const canvas = h("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": `Mean map${of}` });
    const bar = h("canvas", { class: "bar", width: 256, height: 12 });
    const count = means.reduce((sum, each) => sum + each.count, 0);
    const ends = h("div", { class: "ends" });
    this.replaceChildren(h("h3", {}, `Mean ${means[0].title}${of}`), canvas, bar, ends, h("p", { class: "caption" }, `Of ${count} photo${count === 1 ? "" : "s"}, each in shares of its score.`));
    const grids = await Promise.all(means.map((each) => gridOf(each.plane)));
    const first = grids[0];
    const values = new Float32Array(first.values.length);
    grids.forEach((grid, i) => {
      for (let k = 0; k < values.length; k++) values[k] += (grid.values[k] * means[i].count) / count;
    });
    const high = values.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
    const diverging = means.some((each) => each.diverging);
    const ink = { colours: colourMaps()[0], opacity: 1, fine: false };
    const grid = { width: first.width, height: first.height, values };
    const image = overlaid(new Uint8ClampedArray(SIDE * SIDE).fill(GREY), SIDE, SIDE, grid, { high, diverging }, ink);
    canvas.getContext("2d").putImageData(image, 0, 0);
    drawBar(bar, { high, diverging }, ink);
    ends.replaceChildren(h("span", {}, diverging ? percentage(-high) : "0"), h("span", {}, percentage(high)));
  }
}
