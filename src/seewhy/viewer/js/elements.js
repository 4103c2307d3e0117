// The elements, by name; and the colours, which the page holds.
import { useColours } from "./colours.js";
import { SeewhyMean } from "./mean.js";
import { SeewhyPane } from "./pane.js";
import { SeewhyReport } from "./report.js";
import { SeewhyViewer } from "./viewer.js";

/** What a block of JSON in the page holds. @param {string} id */
export function held(id) {
  const block = document.getElementById(id);
  return block ? JSON.parse(block.textContent ?? "null") : null;
}

useColours(held("seewhy-colours"));
customElements.define("seewhy-pane", SeewhyPane);
customElements.define("seewhy-mean", SeewhyMean);
customElements.define("seewhy-viewer", SeewhyViewer);
customElements.define("seewhy-report", SeewhyReport);
