// Curves of an ascent: the score, and what the penalty takes off it.
import { number } from "../../viewer/js/numbers.js";

const [WIDTH, HEIGHT] = [420, 130];
const SVG = "http://www.w3.org/2000/svg";

/** @param {string} tag @param {Record<string, string | number>} given */
function svg(tag, given) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(given)) element.setAttribute(name, String(value));
  return element;
}

export class SeewhyCurve extends HTMLElement {
  /** @param {[number, number | null, number | null][]} course step, score, penalty @param {number} steps in all */
  show(course, steps) {
    const points = course.filter(([, score]) => score !== null);
    if (!points.length) return this.replaceChildren();
    const values = points.flatMap(([, score, penalty]) => [score ?? 0, penalty ?? 0]);
    const [low, high] = [Math.min(0, ...values), Math.max(...values, 1e-6)];
    const x = (/** @type {number} */ step) => (WIDTH * step) / Math.max(steps - 1, 1);
    const y = (/** @type {number} */ value) => HEIGHT - 6 - ((HEIGHT - 12) * (value - low)) / (high - low || 1);
    const line = (/** @type {1 | 2} */ of) => points.map((point, i) => `${i ? "L" : "M"}${x(point[0]).toFixed(1)} ${y(point[of] ?? 0).toFixed(1)}`).join("");
    const [, score, penalty] = points[points.length - 1];
    const told = `Score ${number(score ?? NaN)}, penalty λ‖I‖² ${number(penalty ?? NaN)}`;
    const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": told, preserveAspectRatio: "none" });
    picture.append(svg("line", { x1: 0, x2: WIDTH, y1: y(0), y2: y(0), class: "axis" }), svg("path", { d: line(2), class: "penalty" }), svg("path", { d: line(1), class: "score" }));
    const legend = document.createElement("p");
    legend.className = "legend";
    const parts = [["score", `score ${number(score ?? NaN)}`], ["penalty", `λ‖I‖² ${number(penalty ?? NaN)}`]];
    for (const [kind, text] of parts) {
      const part = document.createElement("span");
      part.className = kind;
      part.textContent = text;
      legend.append(part);
    }
    this.replaceChildren(picture, legend);
  }
}
