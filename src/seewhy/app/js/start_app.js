// The live page's start.
import { SeewhyApp } from "./app.js";
import { SeewhyAscent } from "./ascent.js";
import { SeewhyBars } from "./bars.js";
import { SeewhyChannels } from "./channels.js";
import { SeewhyCurve } from "./curve.js";
import { SeewhyRail } from "./rail.js";
import { SeewhyViews } from "./views.js";
import { SeewhyWhatIf } from "./what_if.js";

customElements.define("seewhy-ascent", SeewhyAscent);
customElements.define("seewhy-bars", SeewhyBars);
customElements.define("seewhy-channels", SeewhyChannels);
customElements.define("seewhy-curve", SeewhyCurve);
customElements.define("seewhy-rail", SeewhyRail);
customElements.define("seewhy-views", SeewhyViews);
customElements.define("seewhy-what-if", SeewhyWhatIf);
customElements.define("seewhy-app", SeewhyApp);
document.getElementById("static")?.remove();
document.body.append(new SeewhyApp());
