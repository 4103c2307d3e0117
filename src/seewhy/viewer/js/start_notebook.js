// One explanation below a cell.
import { held } from "./elements.js";
import { SeewhyViewer } from "./viewer.js";

const viewer = new SeewhyViewer();
viewer.explanation = held("seewhy-explanation");
document.getElementById("static")?.remove();
document.body.append(viewer);
