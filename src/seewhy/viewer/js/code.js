// What is on the screen, as the Python and the command that make it again.

/**
 * @typedef {import("./viewer.js").Explanation} Explanation
 * @typedef {import("./viewer.js").SeewhyViewer} SeewhyViewer
 * @typedef {import("./viewer.js").Settings} Settings
 */

/**
 * @param {Explanation} e
 * @param {SeewhyViewer} viewer
 * @param {Settings} settings
 * @returns {string}
 */
export function pythonFor(e, viewer, settings) {
  const target = viewer.target;
  if (!target) return e.code.python.join("\n");
  const of = e.targets.length > 1 ? [`target=${meant(e, target)}`] : [];
  const drawn = [...of, ...drawing(e, settings)];
  const lines = viewer.panes
    .filter((pane) => pane.view && pane.view.kind !== "error")
    .map((pane) => {
      const id = pane.view?.id ?? "";
      const isMap = pane.view?.kind === "map";
      const opacity = settings.opacity * pane.opacity;
      const given = isMap ? [...drawn, ...(opacity < 1 ? [`opacity=${round(opacity)}`] : [])] : of;
      return `e.to_image(${[text(id), ...given].join(", ")}).save(${text(`${id}.png`)})`;
    });
  return [...e.code.python, "", ...lines].join("\n");
}

/**
 * A target by its name; by its place where that is not its own, or was made legible.
 * @param {Explanation} e
 * @param {import("./viewer.js").Target} target
 */
function meant(e, target) {
  const plain = !/[\\…]/.test(target.name) && e.targets.filter((each) => each.name === target.name).length === 1;
  return plain ? text(target.name) : String(e.targets.indexOf(target));
}

/** @param {Explanation} e @param {Settings} settings @returns {string[]} */
function drawing(e, settings) {
  const usual = e.sharedScale ? "shared" : "own";
  return [
    ...(settings.ground === "whole" && e.photo.whole ? [`photo=${text(e.photo.path)}`] : []),
    ...(settings.colours !== "seewhy" ? [`colormap=${text(settings.colours)}`] : []),
    ...(settings.scale !== usual ? [`scale=${text(settings.scale)}`] : []),
  ];
}

/**
 * @param {Explanation} e
 * @param {SeewhyViewer} viewer
 * @param {Settings} settings
 * @returns {string}
 */
export function commandFor(e, viewer, settings) {
  const { target } = viewer;
  // Scales that are shared are those of all targets.
  const several = settings.scale !== "own" && e.targets.length > 1;
  const targets = several ? e.targets.map((each) => e.code.targets[each.key]) : [e.code.targets[target?.key ?? ""]];
  const views = viewer.panes.map((pane) => e.code.views[pane.view?.id ?? ""]).filter(Boolean);
  const colours = settings.colours !== "seewhy" ? [`--colormap ${settings.colours}`] : [];
  const scale = several || target?.against ? [`--scale ${settings.scale}`] : [];
  const opacity = settings.opacity < 1 ? [`--opacity ${round(settings.opacity)}`] : [];
  return [e.code.command, ...new Set(targets), ...views, ...colours, ...scale, ...opacity].filter(Boolean).join(" ");
}

/** A string of Python, which has eight digits for what is beyond four. @param {string} value */
function text(value) {
  const escaped = (/** @type {number} */ code) => (code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`);
  return JSON.stringify(value).replace(/[\u007f-\u{10ffff}]/gu, (c) => escaped(c.codePointAt(0) ?? 0));
}

/** @param {number} value */
function round(value) {
  return Number(value.toFixed(3));
}
