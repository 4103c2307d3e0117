// The report's start: its data is in the page.
import { held } from "./elements.js";
import { SeewhyReport } from "./report.js";

const report = new SeewhyReport();
report.data = held("seewhy-run");
document.getElementById("static")?.remove();
document.body.append(report);
